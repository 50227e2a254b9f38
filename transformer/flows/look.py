"""`transform ls`, `compile`, `show`: looks at a project and its warehouse, changes nothing."""

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
from transformer.workspace.artifacts import leave, manifest_of, put, target_folder
from transformer.workspace.open import Opened, chosen_of, open_project, refuse_mistakes

# What DuckDB says of a statement that may not change anything.
_READ_ONLY = "attached in read-only mode"


def in_manifest(ask: Request, outside: Environment) -> dict[str, Any]:
    """Everything that is chosen as the manifest has it, by id."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    made = manifest_of(opened, ask, outside)
    kinds = ("nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries",
             "unit_tests")  # fmt: skip
    every = {i: each for kind in kinds for i, each in made[kind].items()}
    chosen = chosen_of(opened, ask, outside)
    return {i: every[i] for i in sorted(chosen) if i in every}


def compiled(
    ask: Request, outside: Environment, inline: str = ""
) -> tuple[Path, list[tuple[str, str]]]:
    """Writes every chosen query to `target/compiled/`; the folder, and (name, SQL) of each. Of
    an `inline` query nothing is written."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    home = target_folder(opened) / "compiled" / opened.project.name
    if inline:
        with _session(opened) as session:
            return home, [("inline", _inline(opened, inline, session))]
    chosen = chosen_of(opened, ask, outside)
    with _session(opened) as session:
        late = _rendered(opened, chosen, session, outside.say)
    leave(opened, ask, outside, compiled=late)
    made = []
    for node in opened.graph:
        text = late.get(node.id) or node.code
        if node.id not in chosen or not text:
            continue
        if not opened.project.open:
            put(opened, home / _place(node), text + "\n")
        made.append((node.name, text))
    return home, made


def _rendered(
    opened: Opened, chosen: Container[str], session: Any, say: Callable[[str], object]
) -> dict[str, str]:
    """The queries of chosen nodes whose templates ask the warehouse, by id, as they are now."""
    if session is None:
        return {}
    made = {}
    for node in opened.graph:
        if node.late and node.id in chosen:
            try:
                made[node.id] = opened.late.made(node, SessionWarehouse(session)).code
            except TransformError as error:
                if _READ_ONLY not in error.what:
                    raise
                say(f"`{node.name}` changes the warehouse as it is rendered: see it after a run")
    return made


@contextmanager
def _session(opened: Opened) -> Iterator[Any]:
    """A session that reads the warehouse as it is shown; None where there is none."""
    place = opened.workplace
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
    """What to show: a node's rows, a check's failing rows, or a query's. One of the three, or
    what the selectors choose. A `plain` query is no template. No `limit`: all rows."""

    name: str | None = None
    failures: str | None = None
    inline: str | None = None
    limit: int | None = 5
    plain: bool = False


class ShownRows(Struct, frozen=True):
    """Rows as values, under the name of what they are of."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def shown(ask: Request, outside: Environment, wanted: ShowRequest) -> Sample:
    """The rows that are wanted, as text. Raises UsageError, SqlError."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    if wanted.failures:
        node = _named(opened, wanted.failures, ("check",))
        return _failing(opened, node, wanted)
    _, query = _query(opened, wanted)
    return _rows(opened, query, wanted)


def selected(
    ask: Request,
    outside: Environment,
    wanted: ShowRequest,
    kinds: Container[str] = ("model", "seed", "snapshot", "analysis"),
) -> list[ShownRows]:
    """The rows of everything of these kinds that is chosen, or of what is wanted, as values."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    if wanted.name or wanted.inline:
        return [_values(opened, *_query(opened, wanted), wanted)]
    chosen = chosen_of(opened, ask, outside)
    nodes = [n for n in opened.graph if n.id in chosen and n.kind in kinds]
    return [_values(opened, n.name, _of_node(opened, n), wanted, _header(n)) for n in nodes]


def _header(node: Node) -> str:
    """dbt's `sql_header`: what stands before the query."""
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
    """A model's own query, as it is now; the relation of anything else."""
    body = node.body
    if not isinstance(body, ModelBody) or body.model.language == "python":
        return f"select * from {_relation(node).sql()}"
    if node.late:
        live = opened.workplace.warehouse.live
        body = _reading(opened, live, lambda s: opened.late.made(node, SessionWarehouse(s)).body)
    query = body.query if isinstance(body, ModelBody) else None
    return query.text if query else f"select * from {_relation(node).sql()}"


def _named(opened: Opened, name: str, kinds: tuple[str, ...]) -> Node:
    nodes = [n for n in opened.graph if n.kind in kinds]
    found = next((n for n in nodes if name in (n.name, n.id)), None)
    if found is None:
        hint = did_you_mean(name, [n.name for n in nodes], otherwise="there are: {}")
        raise UsageError(f"there is no {' or '.join(kinds)} `{name}`", hint=hint)
    return found


def _relation(node: Node) -> RelationName:
    if node.relation is None:
        raise UsageError(f"`{node.name}` has no relation")
    return node.relation


def _inline(opened: Opened, text: str, session: Any) -> str:
    made: str = opened.late.inline(text, SessionWarehouse(session) if session else None)
    return made


def _failing(opened: Opened, node: Node, wanted: ShowRequest) -> Sample:
    """The failing rows that the last build kept, else those of the warehouse as it is."""
    kept = RelationName(FAILURES, node.name)
    with opened.workplace.looking() as engine:
        if engine is not None and engine.relation(kept):
            return _rows(opened, f"select * from {kept.sql()}", wanted, kept=True)
    return _rows(opened, check_of(node, opened.graph).measure.failing, wanted, kept=True)


def _values(
    opened: Opened, name: str, query: str, wanted: ShowRequest, header: str = ""
) -> ShownRows:
    limit = "" if wanted.limit is None else f" limit {wanted.limit}"
    text = f"select * from ({query}\n){limit}"

    def asked(session: Any) -> ShownRows:
        before = "" if header.endswith(";") else f"{header}\n"  # else it is a part of the query
        if header and not before:
            session.run(header)
        whole = f"{before}{text}"
        return ShownRows(name, [c for c, _ in session.columns(whole)], session.rows(whole))

    found: ShownRows = _reading(opened, opened.workplace.warehouse.live, asked)
    return found


def _rows(opened: Opened, query: str, wanted: ShowRequest, *, kept: bool = False) -> Sample:
    path = opened.workplace.warehouse.live
    if kept:
        path = opened.workplace.reading  # a failed build leaves what it made for inspection
    limit = wanted.limit if wanted.limit is not None else 2**62
    sample: Sample = _reading(opened, path, lambda session: session.sample(query, limit))
    return sample


def _reading(opened: Opened, path: Path, work: Any) -> Any:
    with opened.workplace.looking(path) as engine:
        if engine is None:
            raise UsageError(
                f"there is no `{opened.project.target.path}`", hint="run `transform build`"
            )
        try:
            with engine.session() as session:
                return work(session)
        except Fault as fault:
            raise SqlError(fault.message.splitlines()[0], hint="is it built?") from None
