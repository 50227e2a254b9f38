"""Binds a project: the columns that sources, seeds and Python models have or will have, and those
of every query over them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.compile.bind import BoundColumns, bind, forgiven
from transformer.compile.nodes import ModelBody, Node, SeedBody, SourceBody
from transformer.errors import Fault, GraphError, LoadError, Mistakes, TransformError
from transformer.names import RelationName
from transformer.plan.fingerprint import fingerprint
from transformer.run.arrivals import Sources
from transformer.run.probe import after_landing, peek
from transformer.run.seeds import seed_error, seed_query
from transformer.steps import Columns, State
from transformer.workspace.open import Opened


def bound(
    opened: Opened,
    state: State,
    sources: Sources,
    arriving: Container[str] = frozenset(),
) -> BoundColumns:
    """The graph, bound over the columns that sources, seeds and Python models have or will have.

    Of a source that was never loaded, or is about to be (`arriving`), the first rows are looked at.
    When that leaves mistakes they may lie in rows that were not: then all of it is looked at
    before anyone is blamed.
    """
    wide = _Wide(sources, arriving, whole=False)
    made = _bound(opened, state, wide)
    looked = any(
        isinstance(n.body, SourceBody)
        and n.body.table.load
        and (n.id in arriving or not state.relation(n.relation))
        for n in opened.graph
    )
    return _bound(opened, state, replace(wide, whole=True)) if made.mistakes and looked else made


def sources_of(opened: Opened, env: Mapping[str, str]) -> Sources:
    """The project's sources, none of them opened yet."""
    return Sources(opened.places, opened.engine.load_extension, env)


class _Wide(Struct, frozen=True):
    """Which sources are looked at although they are there, and whether all their rows are."""

    sources: Sources
    arriving: Container[str]
    whole: bool


def bound_after(
    opened: Opened, state: State, sources: Sources, before: BoundColumns
) -> BoundColumns:
    """The same after loads: bound anew only where a source has other columns than foreseen."""
    nodes = [n for n in opened.graph if isinstance(n.body, SourceBody)]
    held = {n.id: state.relation(n.relation) for n in nodes}
    as_foreseen = all(
        there is not None and there.columns == before.columns.get(node_id)
        for node_id, there in held.items()
    )
    return before if as_foreseen else bound(opened, state, sources)


def _bound(opened: Opened, state: State, wide: _Wide) -> BoundColumns:
    known: dict[str, Columns] = {}
    mistakes: list[TransformError] = []
    catalog = opened.engine.scratch(opened.project.target.catalog, opened.places.root)
    if opened.project.open:
        _others(opened, state, catalog)
    with opened.engine.loose() if _looks(opened) else nullcontext() as session:
        for node in opened.graph:
            try:
                columns = _known(opened, node, state, _Look(session, wide))
            except TransformError as error:
                mistakes.append(error)
                continue
            if columns is not None:
                known[node.id] = columns
    made = bind(opened.graph, known, catalog, opened.context)
    made = replace(made, mistakes=[*mistakes, *made.mistakes])
    return forgiven(made) if opened.project.open else made


def _looks(opened: Opened) -> bool:
    """Whether there may be files to look into."""
    nodes = (node for node in opened.graph if node.id not in opened.context)
    return any(isinstance(node.body, SourceBody | SeedBody) for node in nodes)


def _others(opened: Opened, state: State, catalog: Any) -> None:
    """What other tools keep in the warehouse can be read too."""
    own = {node.relation.key() for node in opened.graph if node.relation}
    for (schema, table), held in state.relations.items():
        if (schema, table) not in own and not schema.startswith("_transform"):
            catalog.create(RelationName(schema, table), held.columns)


class _Look(Struct, frozen=True):
    """How sources and seeds are looked at, and by which session."""

    session: Any
    wide: _Wide


def _known(opened: Opened, node: Node, state: State, look: _Look) -> Columns | None:
    held = state.relation(node.relation)
    if node.id in opened.context:
        return held.columns if held else None
    body = node.body
    if isinstance(body, SourceBody):
        if held and node.id not in look.wide.arriving:
            return held.columns
        offered = _offered(node, body, look)
        return after_landing(body.table, held.columns, offered) if held and offered else offered
    if isinstance(body, SeedBody):
        return _seed(opened, node, body, look.session)
    known = state.nodes.get(node.id)
    is_python = isinstance(body, ModelBody) and body.model.language == "python"
    if is_python and known and known.fingerprint == fingerprint(node) and known.columns:
        return known.columns
    return None


def _offered(node: Node, body: SourceBody, look: _Look) -> Columns | None:
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
        with closing(look.wide.sources.reader(node)) as way:
            parts = look.wide.sources.parts(look.session, node)
            return peek(look.session, table, (way, parts), whole=look.wide.whole)
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


def no_mistakes(opened: Opened, env: Mapping[str, str]) -> None:
    """Refuses a project with mistakes; what binding finds comes with them."""
    if not opened.mistakes:
        return
    found: list[TransformError] = []
    if opened.graph.nodes:
        with suppress(TransformError):
            sources = sources_of(opened, env)
            found = bound(opened, opened.workplace.state(), sources).mistakes
    known = {(str(e.where), e.what) for e in opened.mistakes}
    extra = [e for e in found if (str(e.where), e.what) not in known]
    raise Mistakes([*opened.mistakes, *extra])
