"""Opens a project: read, compiled and bound, with everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from transformer import sources, targets
from transformer.asking import Ask, Outside
from transformer.compile.bind import Bound, bind, forgiven
from transformer.compile.context import yaml_words
from transformer.compile.dbt.words import WORDS
from transformer.compile.finishing import Late
from transformer.compile.graph import compile_project
from transformer.compile.naming import Placed
from transformer.compile.nodes import Graph, ModelBody, Node, SeedBody, SourceBody
from transformer.compile.scope import Scope
from transformer.compile.templates import render_text
from transformer.compile.world import World
from transformer.engines import find
from transformer.errors import Fault, GraphError, LoadError, Mistakes, TransformError
from transformer.names import Name
from transformer.plan.checks import CHECKS
from transformer.plan.choice import chosen
from transformer.plan.fingerprint import fingerprint
from transformer.plan.manifest import flat
from transformer.project.dbt.dotenv import with_dotenv
from transformer.project.dbt.load import DbtRequest, is_dbt_project, load_dbt_project
from transformer.project.load import Request, load_project
from transformer.project.paths import Places
from transformer.project.schema import Vocabulary
from transformer.project.values import Project
from transformer.run.loading import peek, reader
from transformer.run.seeds import seed_error, seed_query
from transformer.steps import Columns, State
from transformer.workplace import Workplace


@dataclass(frozen=True, slots=True)
class Opened:
    """A project, compiled. With `mistakes` the graph must not be run."""

    project: Project
    graph: Graph
    places: Places
    engine: Any
    scope: Scope
    mistakes: tuple[TransformError, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def late(self) -> Late:
        """What renders late nodes and hooks while the build goes on."""
        facts = partial(flat, self.graph, self.project, self.scope.world.now.timestamp())
        return Late(self.graph, self.scope, self.texts, cache(facts))

    @property
    def workplace(self) -> Workplace:
        """Where the target's warehouse is built."""
        target = self.project.target
        path = self.places.resolve(target.path, target.places.get("path"))
        return Workplace(path, target, self.engine)


def vocabulary() -> Vocabulary:
    """Every kind of source, target and check there is, with its keys."""
    return Vocabulary(
        sources=sources.vocabulary(),
        targets={kind: targets.find(kind).FIELDS for kind in targets.kinds()},
        checks={kind: check.fields for kind, check in CHECKS.items()},
    )


def open_project(ask: Ask, outside: Outside) -> Opened:
    """Reads and compiles the project. Raises UsageError when there is none."""

    root = ask.root.resolve()
    if is_dbt_project(root):
        outside = replace(outside, env=with_dotenv(root, outside.env))
    project = _read(root, ask, outside)
    places = Places(root, tuple((root / p).resolve() for p in project.allowed_paths))
    _note_passwords(project, outside.secrets)
    engine = find(project.target.type)
    world = World(
        outside.env,
        outside.clock(),
        ask.full_refresh,
        ask.command,
        outside.invocation,
        ask.flags,
        {"select": ask.select, "exclude": ask.exclude, "vars": ask.vars},
        hear=outside.say,
    )
    made = compile_project(project, world, engine.DIALECT.name)
    opened = Opened(project, made.graph, places, engine, made.scope, made.mistakes, made.texts)
    return _deferring(opened, ask, world) if ask.deferred else opened


def _deferring(opened: Opened, ask: Ask, world: World) -> Opened:
    """The project with references to what is not chosen and not there leading to where another
    run has put it (`--defer`)."""
    selected = chosen(opened.graph, opened.project, ask.selection)
    state, catalog = opened.workplace.state(), opened.project.target.catalog
    far = {
        node_id: Placed(Name(e.schema, e.table), e.database if e.database != catalog else "")
        for node_id, e in ask.deferred.items()
        if node_id in opened.graph.nodes
        and node_id not in selected
        and (ask.favors or state.relation(opened.graph[node_id].relation) is None)
    }
    made = compile_project(opened.project, world, opened.engine.DIALECT.name, far)
    return replace(
        opened, graph=made.graph, scope=made.scope, mistakes=made.mistakes, texts=made.texts
    )


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


def bound(opened: Opened, state: State) -> Bound:
    """The graph, bound over the columns that sources, seeds and Python models have or will have.

    Of a source that was never loaded the first rows are looked at. When that leaves mistakes they
    may lie in rows that were not: then all of it is looked at before anyone is blamed.
    """
    made = _bound(opened, state, whole=False)
    never = any(
        isinstance(n.body, SourceBody) and n.body.table.load and not state.relation(n.relation)
        for n in opened.graph
    )
    return _bound(opened, state, whole=True) if made.mistakes and never else made


def bound_after(opened: Opened, state: State, before: Bound) -> Bound:
    """The same after loads: bound anew only where a source has other columns than foreseen."""
    sources = [n for n in opened.graph if isinstance(n.body, SourceBody)]
    held = {n.id: state.relation(n.relation) for n in sources}
    as_foreseen = all(
        there is not None and there.columns == before.columns.get(node_id)
        for node_id, there in held.items()
    )
    return before if as_foreseen else bound(opened, state)


def _bound(opened: Opened, state: State, *, whole: bool) -> Bound:
    known: dict[str, Columns] = {}
    mistakes: list[TransformError] = []
    catalog = opened.engine.scratch(opened.project.target.catalog)
    if opened.project.open:
        _others(opened, state, catalog)
    with opened.engine.loose() as session:
        for node in opened.graph:
            try:
                columns = _known(opened, node, state, _Look(session, whole))
            except TransformError as error:
                mistakes.append(error)
                continue
            if columns is not None:
                known[node.id] = columns
    made = bind(opened.graph, known, catalog)
    made = replace(made, mistakes=[*mistakes, *made.mistakes])
    return forgiven(made) if opened.project.open else made


def _others(opened: Opened, state: State, catalog: Any) -> None:
    """What other tools keep in the warehouse can be read too."""
    own = {node.relation.key() for node in opened.graph if node.relation}
    for (schema, table), held in state.relations.items():
        if (schema, table) not in own and not schema.startswith("_transform"):
            catalog.create(Name(schema, table), held.columns)


@dataclass(frozen=True, slots=True)
class _Look:
    """How sources and seeds are looked at: by which session, and whether at all their rows."""

    session: Any
    whole: bool


def _known(opened: Opened, node: Node, state: State, look: _Look) -> Columns | None:
    held = state.relation(node.relation)
    body = node.body
    if isinstance(body, SourceBody):
        return held.columns if held else _offered(opened, node, body, look)
    if isinstance(body, SeedBody):
        return _seed(opened, node, body, look.session)
    known = state.nodes.get(node.id)
    is_python = isinstance(body, ModelBody) and body.model.language == "python"
    if is_python and known and known.fingerprint == fingerprint(node) and known.columns:
        return known.columns
    return None


def _offered(opened: Opened, node: Node, body: SourceBody, look: _Look) -> Columns | None:
    table = body.table
    if table.load is None:
        raise GraphError(
            f"the source table `{node.relation}` is not in the warehouse",
            table.where,
            hint="give it a `load:`, or have it loaded by whoever loads it",
        )
    if table.load.broken:
        return None
    try:
        way = reader(table, opened.places, opened.engine.load_extension)
        return peek(look.session, table, way, whole=look.whole)
    except Fault as fault:
        raise LoadError(fault.message.splitlines()[0], table.load.where) from None


def _seed(opened: Opened, node: Node, body: SeedBody, session: Any) -> Columns | None:
    path = Path(opened.project.root) / body.seed.path
    try:
        if not path.read_bytes().strip():
            hint = "its first line holds the names of its columns"
            raise LoadError("the seed is empty", node.where, hint)
        columns: Columns = session.columns(seed_query(session, node, body, path))
    except OSError:
        return None  # noted when the project was read
    except Fault as fault:
        raise seed_error(body, path, fault) from None
    return columns


def refuse_mistakes(*groups: Any) -> None:
    """Raises all mistakes at once, when there are any."""
    errors = [error for group in groups for error in group]
    if errors:
        raise Mistakes(errors)


def no_mistakes(opened: Opened) -> None:
    """Refuses a project with mistakes; what binding finds comes with them."""
    if not opened.mistakes:
        return
    found: list[TransformError] = []
    if opened.graph.nodes:
        with suppress(TransformError):
            found = bound(opened, opened.workplace.state()).mistakes
    known = {(str(e.where), e.what) for e in opened.mistakes}
    extra = [e for e in found if (str(e.where), e.what) not in known]
    raise Mistakes([*opened.mistakes, *extra])
