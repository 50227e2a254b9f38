"""Binds a project: the columns of sources, seeds and Python models, and of every query over
them."""

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

    A source that was never loaded, or is about to be (`arriving`), is sampled. If that leads to
    mistakes, all of its rows are read before they are reported.
    """
    wide = _Wide(sources, arriving, whole=False)
    columns = _bound(opened, state, wide)
    looked = any(
        isinstance(n.body, SourceBody)
        and n.body.table.load
        and (n.id in arriving or not state.relation(n.relation))
        for n in opened.graph
    )
    return (
        _bound(opened, state, replace(wide, whole=True)) if columns.mistakes and looked else columns
    )


def sources_of(opened: Opened, env: Mapping[str, str]) -> Sources:
    """The project's sources, none of them opened yet."""
    return Sources(opened.places, opened.engine.load_extension, env)


class _Wide(Struct, frozen=True):
    """Which loaded sources are sampled too, and whether all of their rows are read."""

    sources: Sources
    arriving: Container[str]
    whole: bool


def bound_after(
    opened: Opened, state: State, sources: Sources, before: BoundColumns
) -> BoundColumns:
    """The columns after loads: bound again only if a source has other columns than expected."""
    nodes = [n for n in opened.graph if isinstance(n.body, SourceBody)]
    relations = {n.id: state.relation(n.relation) for n in nodes}
    as_foreseen = all(
        relation is not None and relation.columns == before.columns.get(node_id)
        for node_id, relation in relations.items()
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
    columns_bound = bind(opened.graph, known, catalog, opened.context)
    columns_bound = replace(columns_bound, mistakes=[*mistakes, *columns_bound.mistakes])
    return forgiven(columns_bound) if opened.project.open else columns_bound


def _looks(opened: Opened) -> bool:
    """Whether there may be files to sample."""
    nodes = (node for node in opened.graph if node.id not in opened.context)
    return any(isinstance(node.body, SourceBody | SeedBody) for node in nodes)


def _others(opened: Opened, state: State, catalog: Any) -> None:
    """Adds the tables of other tools in the warehouse."""
    own = {node.relation.key() for node in opened.graph if node.relation}
    for (schema, table), relation in state.relations.items():
        if (schema, table) not in own and not schema.startswith("_transform"):
            catalog.create(RelationName(schema, table), relation.columns)


class _Look(Struct, frozen=True):
    """How sources and seeds are sampled, and in which session."""

    session: Any
    wide: _Wide


def _known(opened: Opened, node: Node, state: State, look: _Look) -> Columns | None:
    existing = state.relation(node.relation)
    if node.id in opened.context:
        return existing.columns if existing else None
    body = node.body
    if isinstance(body, SourceBody):
        if existing and node.id not in look.wide.arriving:
            return existing.columns
        offered = _offered(node, body, look)
        return (
            after_landing(body.table, existing.columns, offered)
            if existing and offered
            else offered
        )
    if isinstance(body, SeedBody):
        return _seed(opened, node, body, look.session)
    recorded = state.nodes.get(node.id)
    is_python = isinstance(body, ModelBody) and body.model.language == "python"
    if is_python and recorded and recorded.fingerprint == fingerprint(node) and recorded.columns:
        return recorded.columns
    return None


def _offered(node: Node, body: SourceBody, look: _Look) -> Columns | None:
    table = body.table
    if table.load is None:
        raise GraphError(
            f"the source table `{node.relation}` is not in the warehouse",
            table.where,
            hint="give it a `load:`, or run the tool that loads it first",
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


def refuse_mistakes_of(opened: Opened, env: Mapping[str, str]) -> None:
    """Raises the project's mistakes, together with those that binding finds."""
    if not opened.mistakes:
        return
    from_binding: list[TransformError] = []
    if opened.graph.nodes:
        with suppress(TransformError):
            sources = sources_of(opened, env)
            from_binding = bound(opened, opened.publication.state(), sources).mistakes
    told_already = {(str(e.where), e.what) for e in opened.mistakes}
    extra = [e for e in from_binding if (str(e.where), e.what) not in told_already]
    raise Mistakes([*opened.mistakes, *extra])
