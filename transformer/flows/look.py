"""`transform ls`, `compile`, `show`: read a project and its warehouse without changing them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from transformer.compile.nodes import ModelBody, Node
from transformer.errors import Fault, SqlError, TransformError, UsageError, did_you_mean
from transformer.names import RelationName, slug
from transformer.plan.check_node import check_of
from transformer.request import Environment, Request
from transformer.run.render_late import SessionWarehouse
from transformer.steps import Sample
from transformer.warehouse.ledger import FAILURES
from transformer.workspace.artifacts import manifest_of, target_folder, write_artifacts, write_text
from transformer.workspace.open import Opened, open_project, refuse_mistakes, selected_ids

# Part of DuckDB's error for a statement that would write to a read-only database.
_READ_ONLY = "attached in read-only mode"


def in_manifest(request: Request, environment: Environment) -> dict[str, Any]:
    """The manifest entries of all selected resources, by id. Raises Mistakes."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    manifest = manifest_of(opened, request, environment)
    kinds = ("nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries",
             "unit_tests")  # fmt: skip
    entries = {i: entry for kind in kinds for i, entry in manifest[kind].items()}
    chosen = selected_ids(opened, request, environment)
    return {i: entries[i] for i in sorted(chosen) if i in entries}


def compile_queries(
    request: Request, environment: Environment, inline: str = ""
) -> tuple[Path, list[tuple[str, str]]]:
    """Writes the selected queries to `target/compiled/`; returns the folder, and (name, SQL) of
    each. An `inline` query is not written. Raises Mistakes."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    folder = target_folder(opened) / "compiled" / opened.project.name
    if inline:
        with _session(opened) as session:
            return folder, [("inline", _inline(opened, inline, session))]
    chosen = selected_ids(opened, request, environment)
    with _session(opened) as session:
        rendered = _rendered(opened, chosen, session, environment.say)
    write_artifacts(opened, request, environment, compiled=rendered)
    queries = []
    for node in opened.graph:
        text = rendered.get(node.id) or node.code
        if node.id not in chosen or not text:
            continue
        if not opened.project.open:
            write_text(opened, folder / _place(node), text + "\n")
        queries.append((node.name, text))
    return folder, queries


def _rendered(
    opened: Opened, chosen: Container[str], session: Any, say: Callable[[str], object]
) -> dict[str, str]:
    """The current queries, by id, of selected nodes whose templates query the warehouse."""
    if session is None:
        return {}
    queries = {}
    for node in opened.graph:
        if node.late and node.id in chosen:
            try:
                queries[node.id] = opened.late.made(node, SessionWarehouse(session)).code
            except TransformError as error:
                if _READ_ONLY not in error.what:
                    raise
                say(f"`{node.name}` changes the warehouse while it renders: view it after a run")
    return queries


@contextmanager
def _session(opened: Opened) -> Iterator[Any]:
    """A session that reads the published warehouse; None if there is none."""
    place = opened.publication
    with place.looking(place.warehouse.live) as engine:
        if engine is None:
            yield None
            return
        with engine.session() as session:
            yield session


def _place(node: Node) -> str:
    if node.kind == "check" and not node.path.endswith(".sql"):
        return f"{node.path}/{slug(node.name)}.sql"
    return node.path


class ShowRequest(Struct, frozen=True):
    """What to show: the rows of a node, of a failed check, or of a query (one of the three), or of
    the selected nodes. A `plain` query is not a template. Without `limit`: all rows."""

    name: str | None = None
    failures: str | None = None
    inline: str | None = None
    limit: int | None = 5
    plain: bool = False


class ShownRows(Struct, frozen=True):
    """Rows as values, with the name of their node or query."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def shown_sample(request: Request, environment: Environment, wanted: ShowRequest) -> Sample:
    """The requested rows, as text. Raises UsageError, SqlError."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    if wanted.failures:
        node = _named(opened, wanted.failures, ("check",))
        return _failing(opened, node, wanted)
    _, query = _query(opened, wanted)
    return _rows(opened, query, wanted)


def selected_rows(
    request: Request,
    environment: Environment,
    wanted: ShowRequest,
    kinds: Container[str] = ("model", "seed", "snapshot", "analysis"),
) -> list[ShownRows]:
    """The rows, as values, of the selected nodes of these kinds, or of the requested one."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    if wanted.name or wanted.inline:
        return [_values(opened, *_query(opened, wanted), wanted)]
    chosen = selected_ids(opened, request, environment)
    nodes = [n for n in opened.graph if n.id in chosen and n.kind in kinds]
    return [_values(opened, n.name, _of_node(opened, n), wanted, _header(n)) for n in nodes]


def _header(node: Node) -> str:
    """dbt's `sql_header`: text before the query."""
    return str(node.options.get("sql_header") or "").strip()


def _query(opened: Opened, wanted: ShowRequest) -> tuple[str, str]:
    if wanted.inline:
        text = wanted.inline
        if wanted.plain:
            return "inline", text
        with _session(opened) as session:
            return "inline", _inline(opened, text, session)
    node = _named(opened, wanted.name or "", ("model", "seed", "snapshot", "source"))
    if node.ephemeral and isinstance(node.body, ModelBody) and node.body.query:
        return node.name, node.body.query.text
    return node.name, f"select * from {_relation(node).sql()}"


def _of_node(opened: Opened, node: Node) -> str:
    """A model's current query; for other nodes, a query of their relation."""
    body = node.body
    if not isinstance(body, ModelBody) or body.model.language == "python":
        return f"select * from {_relation(node).sql()}"
    if node.late:
        live = opened.publication.warehouse.live
        body = _reading(opened, live, lambda s: opened.late.made(node, SessionWarehouse(s)).body)
    query = body.query if isinstance(body, ModelBody) else None
    return query.text if query else f"select * from {_relation(node).sql()}"


def _named(opened: Opened, name: str, kinds: tuple[str, ...]) -> Node:
    nodes = [n for n in opened.graph if n.kind in kinds]
    node = next((n for n in nodes if name in (n.name, n.id)), None)
    if node is None:
        hint = did_you_mean(name, [n.name for n in nodes], otherwise="there are: {}")
        raise UsageError(f"there is no {' or '.join(kinds)} `{name}`", hint=hint)
    return node


def _relation(node: Node) -> RelationName:
    if node.relation is None:
        raise UsageError(f"`{node.name}` has no relation")
    return node.relation


def _inline(opened: Opened, text: str, session: Any) -> str:
    rendered: str = opened.late.inline(text, SessionWarehouse(session) if session else None)
    return rendered


def _failing(opened: Opened, node: Node, wanted: ShowRequest) -> Sample:
    """The failing rows that the last build stored, else those in the current warehouse."""
    stored_failures = RelationName(FAILURES, node.name)
    with opened.publication.looking() as engine:
        if engine is not None and engine.relation(stored_failures):
            return _rows(opened, f"select * from {stored_failures.sql()}", wanted, unpublished=True)
    return _rows(opened, check_of(node, opened.graph).measure.failing, wanted, unpublished=True)


def _values(
    opened: Opened, name: str, query: str, wanted: ShowRequest, header: str = ""
) -> ShownRows:
    limit = "" if wanted.limit is None else f" limit {wanted.limit}"
    text = f"select * from ({query}\n){limit}"

    def read(session: Any) -> ShownRows:
        prefix = (
            "" if header.endswith(";") else f"{header}\n"
        )  # without `;` it is part of the query
        if header and not prefix:
            session.run(header)
        statement = f"{prefix}{text}"
        return ShownRows(name, [c for c, _ in session.columns(statement)], session.rows(statement))

    shown_rows: ShownRows = _reading(opened, opened.publication.warehouse.live, read)
    return shown_rows


def _rows(opened: Opened, query: str, wanted: ShowRequest, *, unpublished: bool = False) -> Sample:
    path = opened.publication.warehouse.live
    if unpublished:
        path = opened.publication.reading  # a failed build leaves its tables for inspection
    limit = wanted.limit if wanted.limit is not None else 2**62
    sample: Sample = _reading(opened, path, lambda session: session.sample(query, limit))
    return sample


def _reading(opened: Opened, path: Path, work: Any) -> Any:
    with opened.publication.looking(path) as engine:
        if engine is None:
            raise UsageError(
                f"there is no `{opened.project.target.path}`", hint="run `transform build`"
            )
        try:
            with engine.session() as session:
                return work(session)
        except Fault as fault:
            raise SqlError(fault.message.splitlines()[0], hint="has it been built?") from None
