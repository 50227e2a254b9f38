"""Reads a project of whichever form, and compiles it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformer import sources, targets
from transformer.asking import Ask, Outside
from transformer.compile.context import yaml_words
from transformer.compile.dbt.words import WORDS
from transformer.compile.graph import CompiledProject, compile_project
from transformer.compile.naming import Placed
from transformer.compile.nodes import Graph
from transformer.compile.templates import render_text
from transformer.engines import find
from transformer.names import Name
from transformer.plan.checks import CHECKS
from transformer.plan.choice import chosen
from transformer.project.dbt.load import DbtRequest, load_dbt_project
from transformer.project.form import is_dbt_project
from transformer.project.load import Request, load_project
from transformer.project.paths import places_of
from transformer.project.schema import Vocabulary
from transformer.project.values import Project
from transformer.seeing import grammar_of, world_of
from transformer.workplace import Workplace


def vocabulary() -> Vocabulary:
    """Every kind of source, target and check there is, with its keys."""
    return Vocabulary(
        sources=sources.vocabulary(),
        targets=targets.vocabulary(),
        checks={kind: check.fields for kind, check in CHECKS.items()},
    )


def compiled(ask: Ask, outside: Outside) -> tuple[Project, CompiledProject]:
    """Reads and compiles the project. Raises UsageError when there is none."""
    project = _read(ask.root.resolve(), ask, outside)
    _note_passwords(project, outside.secrets)
    grammar = grammar_of(project)
    world = world_of(ask, outside)
    made = compile_project(project, world, grammar)
    if not ask.deferred:
        return project, made
    far = _far(project, made.graph, ask)
    return project, compile_project(project, world, grammar, far)


def _far(project: Project, graph: Graph, ask: Ask) -> dict[str, Placed]:
    """Where references lead to what is not chosen and not there: where another run has put it
    (`--defer`)."""
    selected = chosen(graph, project, ask.selection)
    target = project.target
    places = places_of(ask.root.resolve(), project.allowed_paths)
    path = places.resolve(target.path, target.places.get("path"))
    state = Workplace(path, target, find(target.type), project.name).state()
    return {
        node_id: Placed(Name(e.schema, e.table), e.database if e.database != target.catalog else "")
        for node_id, e in ask.deferred.items()
        if node_id in graph.nodes
        and node_id not in selected
        and (ask.favors or state.relation(graph[node_id].relation) is None)
    }


def _read(root: Path, ask: Ask, outside: Outside) -> Project:
    """The project in the folder, of whichever form it is."""

    def native(text: str, where: Any, variables: Mapping[str, Any]) -> str:
        return render_text(text, where, yaml_words(variables, outside.env, outside.secrets))

    def worded(text: str, where: Any, words: Mapping[str, Any]) -> str:
        known = {**WORDS, **yaml_words({}, outside.env, outside.secrets), **words}
        return render_text(text, where, known)

    if not is_dbt_project(root):
        return load_project(Request(root, ask.target, ask.vars), vocabulary(), native)
    asked = DbtRequest(root, ask.target, ask.vars, ask.profiles_dir, ask.profile, outside.env)
    return load_dbt_project(asked, worded)


def _note_passwords(project: Project, secrets: set[str]) -> None:
    """Passwords in URLs are secrets too, wherever they came from."""
    options = [t.load.options for t in project.sources if t.load]
    for each in (*options, *(a.options for a in project.activations)):
        for value in each.values():
            if isinstance(value, str):
                secrets |= set(re.findall(r"://[^:/@\s]*:([^@\s]+)@", value))
                secrets |= set(re.findall(r"password=(\S+)", value))
