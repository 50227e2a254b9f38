"""The ledger: the state of a warehouse, kept in its own schema `_transform`.

It is the only writer of that schema. A node's row is written in the transaction that makes its
table, so the two never disagree.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from transformer.errors import Fault, WarehouseError
from transformer.names import RelationName, literal
from transformer.steps import Columns, Contents, NodeState, SourcePart

SCHEMA = "_transform"
FAILURES = "_transform_failures"
# The table that a published extract contains too: how fresh it is.
RUNS = RelationName(SCHEMA, "runs")
VERSION = 1


class LedgerTable(Struct, frozen=True):
    """A table of the ledger: its purpose and its columns."""

    name: str
    doc: str
    columns: Columns


TABLES = (
    LedgerTable(
        "meta", "The version of the ledger itself.", (("key", "varchar"), ("value", "varchar"))
    ),
    LedgerTable(
        "nodes",
        "The state of every node: a digest of its definition (`fingerprint`), the `version` of its"
        " content, the versions of its `inputs`, and how its last run ended.",
        (
            ("id", "varchar"),
            ("kind", "varchar"),
            ("relation_schema", "varchar"),
            ("relation_name", "varchar"),
            ("fingerprint", "varchar"),
            ("version", "varchar"),
            ("inputs", "varchar"),
            ("status", "varchar"),
            ("failures", "bigint"),
            ("columns", "varchar"),
            ("row_count", "bigint"),
            ("expires", "double"),
            ("run_id", "varchar"),
            ("noted_at", "timestamp with time zone"),
        ),
    ),
    LedgerTable(
        "contents",
        "The content of raw tables that other tools load, now and when nodes were built from them:"
        " for each column its type and a digest of its values in row order.",
        (("node", "varchar"), ("version", "varchar"), ("columns", "varchar")),
    ),
    LedgerTable(
        "loads",
        "Every landed file or table. The counts of a batch are in the row of its first part.",
        (
            ("node", "varchar"),
            ("part", "varchar"),
            ("identity", "varchar"),
            ("digest", "varchar"),
            ("batch", "varchar"),
            ("rows_read", "bigint"),
            ("rows_landed", "bigint"),
            ("rows_quarantined", "bigint"),
            ("cursor", "varchar"),
            ("noted_at", "timestamp with time zone"),
        ),
    ),
    LedgerTable(
        "quarantine",
        "Every rejected row: its source, the column and value, and the reason.",
        (
            ("leg", "varchar"),
            ("node", "varchar"),
            ("batch", "varchar"),
            ("source", "varchar"),
            ("row_number", "bigint"),
            ("column_name", "varchar"),
            ("value", "varchar"),
            ("reason", "varchar"),
            ("record", "varchar"),
            ("noted_at", "timestamp with time zone"),
        ),
    ),
    LedgerTable(
        "runs",
        "Every build of this file. The newest `ended_at` says how fresh it is.",
        (
            ("run_id", "varchar"),
            ("command", "varchar"),
            ("target", "varchar"),
            ("started_at", "timestamp with time zone"),
            ("ended_at", "timestamp with time zone"),
            ("status", "varchar"),
            ("models", "bigint"),
            ("checks", "bigint"),
            ("failures", "bigint"),
            ("rows", "bigint"),
            ("version", "varchar"),
        ),
    ),
)


class LedgerSession(Protocol):
    """The part of a session that the ledger needs."""

    def run(self, sql: str, parameters: Any = ()) -> None:
        """Runs a statement."""

    def rows(self, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """Rows of a small result."""


class NodeEntry(Struct, frozen=True):
    """The state of a node after its step."""

    id: str
    kind: str
    relation: RelationName | None
    state: NodeState
    run_id: str
    at: datetime
    failures: int | None = None
    expires: float | None = None


class RunEntry(Struct, frozen=True):
    """One run of the tool on this warehouse."""

    run_id: str
    command: str
    target: str
    started_at: datetime
    ended_at: datetime
    status: str
    models: int
    checks: int
    failures: int
    rows: int
    version: str


def prepare(session: LedgerSession) -> None:
    """Creates missing tables of the ledger. Raises WarehouseError for a newer ledger."""
    for schema in (SCHEMA, FAILURES):
        session.run(f"create schema if not exists {schema}")
    for table in TABLES:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in table.columns)
        session.run(f"create table if not exists _transform.{table.name} ({columns})")
    versions = session.rows("select value from _transform.meta where key = 'ledger'")
    if not versions:
        session.run("insert into _transform.meta values ('ledger', ?)", [str(VERSION)])
    elif int(versions[0][0]) > VERSION:
        raise WarehouseError(
            "this warehouse was written by a newer version of the tool", hint="update the tool"
        )


def exists(session: LedgerSession) -> bool:
    """Whether the warehouse has a ledger."""
    try:
        session.rows("select 1 from _transform.nodes limit 0")  # a fifth of asking the catalog
    except Fault:
        return False
    return True


def nodes(session: LedgerSession, ids: Collection[str] | None = None) -> dict[str, NodeState]:
    """The state of all nodes, or of these, by id."""
    if not exists(session):
        return {}
    listed = None if ids is None else ", ".join(map(literal, sorted(ids))) or "null"
    narrowed = f" where id in ({listed})" if listed else ""
    rows = session.rows(
        "select id, fingerprint, version, inputs, status, columns, row_count"
        f" from _transform.nodes{narrowed}"
    )
    return {
        row[0]: NodeState(
            fingerprint=row[1],
            version=row[2],
            inputs=json.loads(row[3] or "{}"),
            status=row[4],
            columns=_columns(row[5]),
            rows=row[6],
        )
        for row in rows
    }


def _columns(text: str | None) -> Columns:
    return tuple((name, kind) for name, kind in json.loads(text or "[]"))


def ended(session: LedgerSession, statuses: Iterable[str]) -> list[str]:
    """The ids of nodes whose last run ended with one of these statuses."""
    listed = ", ".join(map(literal, statuses))
    rows = session.rows(f"select id from _transform.nodes where status in ({listed})")
    return [row[0] for row in rows]


def sizes(session: LedgerSession) -> dict[str, int | None]:
    """The row counts of built models, by id."""
    return dict(
        session.rows(
            "select id, row_count from _transform.nodes"
            " where kind = 'model' and relation_name is not null"
        )
    )


def relations(session: LedgerSession) -> dict[str, RelationName]:
    """The relations built from models, seeds and snapshots, by id, whether they still exist or
    not."""
    rows = session.rows(
        "select id, relation_schema, relation_name from _transform.nodes"
        " where kind in ('model', 'seed', 'snapshot') and relation_name is not null"
    )
    return {row[0]: RelationName(row[1], row[2]) for row in rows}


def expired(session: LedgerSession, now: float) -> set[str]:
    """The nodes whose result has expired."""
    if not exists(session):
        return set()
    # Not as a parameter: with one DuckDB imports pandas, where it is installed.
    rows = session.rows(f"select id from _transform.nodes where expires < {float(now)!r}")
    return {row[0] for row in rows}


def engine(session: LedgerSession) -> str:
    """The engine's version in the last full build; empty if unknown."""
    query = "select value from _transform.meta where key = 'engine'"
    rows = session.rows(query) if exists(session) else []
    return str(rows[0][0]) if rows else ""


def note_engine(session: LedgerSession, version: str) -> None:
    """Records the engine's version of a full build."""
    if engine(session) != version:
        session.run("delete from _transform.meta where key = 'engine'")
        session.run(f"insert into _transform.meta values ('engine', {literal(version)})")


def expires(session: LedgerSession) -> float | None:
    """When the first result expires, in seconds since 1970."""
    if not exists(session):
        return None
    ((first,),) = session.rows("select min(expires) from _transform.nodes")
    return None if first is None else float(first)


def record(session: LedgerSession, entries: Iterable[NodeEntry]) -> None:
    """Writes the new state of nodes, in the caller's transaction."""
    rows = [_row(entry) for entry in entries]
    if not rows:
        return
    listed = ", ".join(literal(row["id"]) for row in rows)
    session.run(f"delete from _transform.nodes where id in ({listed})")
    _insert(session, "nodes", rows)


def _insert(session: LedgerSession, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """One statement for all rows: a statement costs more than a row."""
    shape = next({n: k.upper() for n, k in t.columns} for t in TABLES if t.name == table)
    session.run(
        f"insert into _transform.{table} by name"
        f" select unnest(from_json({literal(json.dumps(rows))}, '{json.dumps([shape])}'),"
        " recursive := true)"
    )


def _row(entry: NodeEntry) -> dict[str, Any]:
    state, relation = entry.state, entry.relation
    return {
        "id": entry.id,
        "kind": entry.kind,
        "relation_schema": relation.schema if relation else None,
        "relation_name": relation.table if relation else None,
        "fingerprint": state.fingerprint,
        "version": state.version,
        "inputs": json.dumps(dict(state.inputs)),
        "status": state.status,
        "failures": entry.failures,
        "columns": json.dumps(state.columns),
        "row_count": state.rows,
        "expires": entry.expires,
        "run_id": entry.run_id,
        "noted_at": entry.at.isoformat(),
    }


def mark(session: LedgerSession, node_id: str, status: str) -> None:
    """Records how the last run of a node ended; its relation is unchanged."""
    node, new_status = literal(node_id), literal(status)
    session.run(f"update _transform.nodes set status = {new_status} where id = {node}")
    if not session.rows(f"select 1 from _transform.nodes where id = {node}"):
        session.run(
            "insert into _transform.nodes (id, fingerprint, version, status)"
            f" values ({node}, '', '', {new_status})"
        )


def restate(session: LedgerSession, node_id: str, inputs: Mapping[str, str]) -> None:
    """Records new input versions of a node that was skipped because its columns did not change."""
    versions = literal(json.dumps(dict(inputs)))
    session.run(f"update _transform.nodes set inputs = {versions} where id = {literal(node_id)}")


def forget(session: LedgerSession, node_ids: Iterable[str]) -> None:
    """Removes the nodes: they will be built as new ones."""
    for node_id in node_ids:
        session.run("delete from _transform.nodes where id = ?", [node_id])


def contents(session: LedgerSession, node_id: str) -> dict[str, Contents]:
    """The recorded columns of another tool's table, by version."""
    node = literal(node_id)
    rows = session.rows(f"select version, columns from _transform.contents where node = {node}")
    return {row[0]: {n: (k, d) for n, (k, d) in json.loads(row[1]).items()} for row in rows}


def note_contents(session: LedgerSession, node_id: str, version: str, content: Contents) -> None:
    """Records the content of another tool's table; older content is kept while a node was built
    from it."""
    node, noted = literal(node_id), literal(version)
    session.run(
        f"delete from _transform.contents where node = {node} and (version = {noted} or not exists"
        " (from _transform.nodes n where contains(n.inputs, contents.version)))"
    )
    columns = literal(json.dumps(dict(content)))
    session.run(f"insert into _transform.contents values ({node}, {noted}, {columns})")


def landed(session: LedgerSession, node_id: str) -> dict[str, SourcePart]:
    """The landed parts of a source, by name."""
    if not exists(session):
        return {}
    rows = session.rows(
        "select part, identity, digest, cursor from _transform.loads where node = ?", [node_id]
    )
    return {row[0]: SourcePart(row[0], row[1], row[2], row[3]) for row in rows}


def record_loads(
    session: LedgerSession,
    node_id: str,
    parts: Sequence[SourcePart],
    counts: Mapping[str, int],
    batch: tuple[str, datetime],
) -> None:
    """Records landed parts, replacing earlier records of them.

    The counts are those of the whole batch, in the row of its first part.
    """
    if not parts:
        return
    names = json.dumps([part.name for part in parts])  # a list, DuckDB's binding takes slowly
    chosen = """part in (select unnest(from_json(?, '["VARCHAR"]')))"""
    session.run(f"delete from _transform.loads where node = ? and {chosen}", [node_id, names])
    rows = [
        {
            "node": node_id,
            "part": part.name,
            "identity": part.identity,
            "digest": part.digest,
            "batch": batch[0],
            **{f"rows_{k}": counts[k] if n == 0 else 0 for k in ("read", "landed", "quarantined")},
            "cursor": part.cursor,
            "noted_at": batch[1].isoformat(),
        }
        for n, part in enumerate(parts)
    ]
    _insert(session, "loads", rows)


def note_identities(session: LedgerSession, node_id: str, parts: Sequence[SourcePart]) -> None:
    """Records new identities of parts that were landed before."""
    for part in parts:
        session.run(
            "update _transform.loads set identity = ? where node = ? and part = ?",
            [part.identity, node_id, part.name],
        )


def forget_loads(session: LedgerSession, node_id: str) -> None:
    """Removes all parts of a source."""
    session.run("delete from _transform.loads where node = ?", [node_id])


def record_run(session: LedgerSession, run: RunEntry) -> None:
    """Records a finished run."""
    values = [getattr(run, name) for name in RunEntry.__struct_fields__]
    session.run(f"insert into _transform.runs values ({', '.join('?' * len(values))})", values)


def last_run(session: LedgerSession) -> tuple[datetime, str] | None:
    """When the last run on this file ended, and how."""
    if not exists(session):
        return None
    last = "select ended_at, status from _transform.runs order by ended_at desc limit 1"
    rows = session.rows(last)
    return (rows[0][0], rows[0][1]) if rows else None


def last_end(session: LedgerSession) -> Any:
    """When the last run on this file ended; None if there was none."""
    return session.rows("select max(ended_at) from _transform.runs")[0][0]
