"""The rows that were not landed, kept in the ledger with the reason, one row for each value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from transformer.names import literal
from transformer.warehouse.ledger import LedgerSession, exists

# What users see of it; `of` is the name of the source.
SHOWN = (
    "select regexp_replace(node, '^[^.]*\\.[^.]*\\.', '') as of, source, row_number, column_name,"
    " value, reason, record, noted_at from _transform.quarantine"
)


def add(session: LedgerSession, node_id: str, batch: tuple[str, datetime], rows: str) -> int:
    """The number of rows added. `rows` is a query of `part`, `row_number`, `column_name`, `value`,
    `reason` and `record`; `batch` is the run and its time."""
    head = f"'load', {literal(node_id)}, {literal(batch[0])}"
    ((count,),) = session.rows(
        f"insert into _transform.quarantine select {head}, part, row_number, column_name, value,"
        f" reason, record, {literal(batch[1].isoformat())} from ({rows})"
    )
    return int(count)


def forget(session: LedgerSession, node_id: str, parts: Iterable[str] | None = None) -> None:
    """Removes the rows of a source, or of these parts of it."""
    if parts is None:
        session.run("delete from _transform.quarantine where node = ?", [node_id])
    for part in parts or ():
        session.run(
            "delete from _transform.quarantine where node = ? and source = ?", [node_id, part]
        )


def forget_records(session: LedgerSession, node_id: str, records: str) -> None:
    """Removes the rows of a source whose `record` the query returns."""
    session.run(
        f"delete from _transform.quarantine where node = ? and record in ({records})", [node_id]
    )


def of_parts(node_id: str, parts: Sequence[str]) -> str:
    """A query of the `source` (its part) and `row_number` of the rows of these parts."""
    listed = ", ".join(map(literal, parts))
    return (
        f"select source, row_number from _transform.quarantine where node = {literal(node_id)}"
        f" and source in ({listed})"
    )


def examples(session: LedgerSession, node_id: str, batch: str) -> list[tuple[Any, ...]]:
    """The first three rows of a batch: part, row number, column, value, reason."""
    return session.rows(
        "select source, row_number, column_name, value, reason from _transform.quarantine"
        " where node = ? and batch = ? order by source, row_number limit 3",
        [node_id, batch],
    )


def parts(session: LedgerSession, node_id: str) -> set[str]:
    """The parts of a source that have rows in quarantine."""
    query = "select distinct source from _transform.quarantine where node = ?"
    return {row[0] for row in session.rows(query, [node_id])}


def counts(session: LedgerSession) -> dict[str, int]:
    """How many rows of each node are in quarantine."""
    if not exists(session):
        return {}
    return dict(session.rows("select node, count(*) from _transform.quarantine group by node"))
