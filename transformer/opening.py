"""Opens a project: read, compiled and bound, with everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformer import sources, targets
from transformer.asking import Ask, Outside
from transformer.compile.bind import Bound, bind
from transformer.compile.context import World, yaml_words
from transformer.compile.graph import compile_project
from transformer.compile.models import Scope
from transformer.compile.nodes import Graph, ModelBody, Node, SeedBody, SourceBody
from transformer.compile.templates import render_text
from transformer.engines import find
from transformer.errors import Fault, GraphError, LoadError, Mistakes, TransformError
from transformer.plan.checks import CHECKS
from transformer.plan.fingerprint import fingerprint
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

    def render(text: str, where: Any, variables: Mapping[str, Any]) -> str:
        return render_text(text, where, yaml_words(variables, outside.env, outside.secrets))

    root = ask.root.resolve()
    project = load_project(Request(root, ask.target, ask.vars), vocabulary(), render)
    places = Places(root, tuple((root / p).resolve() for p in project.allowed_paths))
    _note_passwords(project, outside.secrets)
    engine = find(project.target.type)
    world = World(outside.env, outside.clock(), ask.full_refresh, ask.command)
    made = compile_project(project, world, engine.DIALECT.name)
    return Opened(project, made.graph, places, engine, made.scope, made.mistakes)


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
    with opened.engine.loose() as session:
        for node in opened.graph:
            try:
                columns = _known(opened, node, state, _Look(session, whole))
            except TransformError as error:
                mistakes.append(error)
                continue
            if columns is not None:
                known[node.id] = columns
    made = bind(opened.graph, known, opened.engine.scratch())
    return replace(made, mistakes=[*mistakes, *made.mistakes])


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
        columns: Columns = session.columns(seed_query(node, body, path))
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
