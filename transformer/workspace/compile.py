"""Reads and compiles a native or dbt project."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from transformer import sources, targets
from transformer.compile.context import yaml_words
from transformer.compile.dbt.words import WORDS
from transformer.compile.graph import CompiledProject, compile_project
from transformer.compile.jinja.rendering import render_text
from transformer.compile.naming import PlacedRelation
from transformer.compile.nodes import Graph
from transformer.compile.sql.reader import Grammar
from transformer.compile.world import CONNECTING_ONLY, RenderWorld
from transformer.engines import find
from transformer.errors import UsageError
from transformer.names import RelationName
from transformer.plan.check_kinds import CHECKS
from transformer.plan.select.choose import chosen
from transformer.project.dbt.load import DbtRequest, load_dbt_project
from transformer.project.dbt.words import Render
from transformer.project.form import is_dbt_project
from transformer.project.load import ProjectRequest, load_project
from transformer.project.paths import places_of
from transformer.project.schema import Vocabulary
from transformer.project.secrets import plain_secrets
from transformer.project.values import Project
from transformer.redaction import SHORTEST, of_url
from transformer.request import Environment, Request
from transformer.warehouse.publication import Publication


def vocabulary() -> Vocabulary:
    """Every kind of source, target and check there is, with its keys."""
    return Vocabulary(
        sources=sources.vocabulary(),
        targets=targets.vocabulary(),
        checks={kind: check.fields for kind, check in CHECKS.items()},
    )


def compiled(request: Request, environment: Environment) -> tuple[Project, CompiledProject]:
    """Reads and compiles the project. Raises UsageError when there is none."""
    project = _read(request.root.resolve(), request, environment)
    _no_secret_in(project.vars, environment.secrets)
    environment.secrets.update(plain_secrets(project))
    grammar = grammar_of(project)
    world = world_of(request, environment)
    compiled_project = compile_project(project, world, grammar)
    if not request.deferred:
        return project, compiled_project
    far = _far(project, compiled_project.graph, request)
    return project, compile_project(project, world, grammar, far)


def _no_secret_in(variables: Mapping[str, Any], secrets: Collection[str]) -> None:
    """Raises UsageError where a variable holds a secret: a filter would change it in the SQL."""
    for name, value in variables.items():
        if any(secret in str(value) for secret in secrets):
            raise UsageError(f"the variable `{name}` holds a secret", hint=CONNECTING_ONLY)


def _far(project: Project, graph: Graph, request: Request) -> dict[str, PlacedRelation]:
    """Where references lead to what is not chosen and not there: where another run has put it
    (`--defer`)."""
    selected = chosen(graph, project, request.selection)
    target = project.target
    places = places_of(request.root.resolve(), project.allowed_paths)
    path = places.resolve(target.path, target.places.get("path"))
    state = Publication(path, target, find(target.type), project.name).state()
    return {
        node_id: PlacedRelation(
            RelationName(e.schema, e.table), e.database if e.database != target.catalog else ""
        )
        for node_id, e in request.deferred.items()
        if node_id in graph.nodes
        and node_id not in selected
        and (request.favors or state.relation(graph[node_id].relation) is None)
    }


def _read(root: Path, request: Request, environment: Environment) -> Project:
    """The project in the folder, of whichever form it is."""

    def native(text: str, where: Any, variables: Mapping[str, Any]) -> str:
        return render_text(text, where, yaml_words(variables, environment.env))

    def connecting(text: str, where: Any, variables: Mapping[str, Any]) -> str:
        def words(used: set[str]) -> Mapping[str, Any]:
            return yaml_words(variables, environment.env, used)

        return _connecting(text, where, words, environment)

    if not is_dbt_project(root):
        native_request = ProjectRequest(root, request.target, request.vars)
        return load_project(native_request, vocabulary(), native, connecting)
    dbt_request = DbtRequest(
        root, request.target, request.vars, request.profiles_dir, request.profile, environment.env
    )
    return load_dbt_project(dbt_request, *dbt_renderers(environment))


def dbt_renderers(environment: Environment) -> tuple[Render, Render]:
    """What fills in the Jinja of a dbt project's YAML, and of its files that may name secrets."""

    def plain(text: str, where: Any, words: Mapping[str, Any]) -> str:
        return render_text(text, where, {**WORDS, **yaml_words({}, environment.env), **words})

    def connecting(text: str, where: Any, words: Mapping[str, Any]) -> str:
        def known(used: set[str]) -> Mapping[str, Any]:
            return {**WORDS, **yaml_words({}, environment.env, used), **words}

        return _connecting(text, where, known, environment)

    return plain, connecting


def _connecting(
    text: str, where: Any, words: Callable[[set[str]], Mapping[str, Any]], environment: Environment
) -> str:
    """The rendered text; where it used a secret, all that came of it is secret from now on."""
    used: set[str] = set()
    rendered = render_text(text, where, words(used))
    if used:
        derived = {word for word in rendered.split() if len(word) >= SHORTEST and word not in text}
        environment.secrets.update(used, derived, of_url(rendered))
    return rendered


def world_of(request: Request, environment: Environment) -> RenderWorld:
    """The world as templates of this call see it."""
    return RenderWorld(
        environment.env,
        environment.clock(),
        request.full_refresh,
        request.command,
        environment.invocation,
        request.flags,
        {"select": request.select, "exclude": request.exclude, "vars": request.vars},
        hear=environment.say,
    )


def grammar_of(project: Project) -> Grammar:
    """The SQL of the project's engine, with the engine's own parser."""
    engine = find(project.target.type, project.target.places.get("type"))
    return Grammar(engine.DIALECT.name, engine.serializer())
