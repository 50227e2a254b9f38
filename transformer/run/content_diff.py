"""Compares a table's content with its previous one, for each reader of the table.

Every build gives a table a new version. A reader whose columns have the same rows as before
advances to the new version without being rebuilt: this is what stops work downstream of a change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from transformer.compile.model_config import has_hooks
from transformer.compile.nodes import ModelBody, Node
from transformer.engines import EngineSession
from transformer.names import RelationName, quoted
from transformer.plan.work import Work
from transformer.run.context import RunContext
from transformer.run.transactions import restate
from transformer.steps import Columns, Contents

# Types with different values that are equal or have the same hash: `[[1], [2]]` and `[[1, 2]]`.
_LOOSE = re.compile(
    r"\b(FLOAT|DOUBLE|INTERVAL|VARIANT|TIME WITH TIME ZONE)\b|\b(STRUCT|MAP|UNION)\(|\]"
)
# Columns that a load adds: when and in which batch a row was loaded.
_OWN = ("_loaded_at", "_batch")


def unmoved(context: RunContext, session: EngineSession, work: Work, columns: Columns) -> list[str]:
    """The readers of the step's table for which it has the same rows as before the build."""
    node, relation = work.node, context.state.relation(work.node.relation)
    node_state = context.state.nodes.get(node.id)
    if not work.readers or node.relation is None or node_state is None or relation is None:
        return []
    if relation.kind != "table" or not node_state.version:
        return []
    with context.engine.separate_session() as committed:  # which sees the old table
        columns_by_reader = {}
        for reader in work.readers:
            columns_now = columns_before = _read(context, session, (reader, node), columns)
            if columns != relation.columns:
                columns_before = _read(context, committed, (reader, node), relation.columns)
            if columns_now == columns_before:
                columns_by_reader[reader.id] = columns_now
        sets = sorted(set(columns_by_reader.values()))
        if not sets:
            return []
        sums = [_sum(column_set) for column_set in sets]
        rows = _digests(session, node.relation, sums)
        old_rows = _digests(committed, node.relation, sums)
    if rows[0] != old_rows[0]:
        return []
    unchanged = {
        column_set for column_set, a, b in zip(sets, rows[1:], old_rows[1:], strict=True) if a == b
    }
    return [reader for reader, read in columns_by_reader.items() if read in unchanged]


def _read(
    context: RunContext, session: EngineSession, pair: tuple[Node, Node], columns: Columns
) -> Columns:
    """The columns of a node's table that a reader's queries read; all of them if that is unknown.
    They may change with the table: `*`, `natural join`, a name that then refers to another
    table."""
    reader, node = pair
    # The planner's settings would affect steps that run in parallel.
    read_columns = columns_read_by(session, reader, node) if context.together else None
    if read_columns is None:
        return columns
    return tuple(column for column in columns if is_covered(column[0], read_columns))


def is_covered(column: str, planned: frozenset[str]) -> bool:
    """Whether a column is among those of a plan, which lists the non-empty lines of a multi-line
    name separately."""
    return all(line in planned for line in column.split("\n") if line)


def columns_read_by(session: EngineSession, reader: Node, node: Node) -> frozenset[str] | None:
    """The columns of `node` that the reader's queries read, by the engine's plans; None if
    unknown."""
    if not isinstance(reader.body, ModelBody) or node.relation is None:
        return None
    if isinstance(node.body, ModelBody) and node.body.config.custom:
        return None  # it may have columns computed from others
    if reader.body.config.custom or reader.body.strategy or has_hooks(reader.options):
        return None  # macros and hooks may read anything
    queries = [query.text for query in (reader.body.query, reader.body.increment) if query]
    per_query = [session.reads(query, node.relation) for query in queries]
    available = [columns for columns in per_query if columns is not None]
    return frozenset().union(*available) if available and len(available) == len(per_query) else None


def tell(
    context: RunContext, session: EngineSession, node_id: str, version: str, readers: list[str]
) -> None:
    """Records that these readers are up to date with the node's new version. Parallel steps may
    have the same reader, so they write one after the other."""
    if not readers:
        return
    with context.advance_lock, session.transaction():
        for reader in readers:
            restate(session, reader, context.advance(reader, node_id, version))


def _digests(
    session: EngineSession, relation: RelationName, figures: Iterable[str]
) -> tuple[Any, ...]:
    """The number of rows and these aggregates, in one scan."""
    return session.rows(f"select {', '.join(['count(*)', *figures])} from {relation.sql()}")[0]


def raw_content(
    session: EngineSession, relation: RelationName, columns: Columns
) -> tuple[str, int]:
    """The content version and row count of a table that we loaded, regardless of order, load time
    and batch."""
    content_columns = tuple(c for c in columns if c[0] not in _OWN)
    rows, total = _digests(session, relation, [_sum(content_columns)])
    return _version(rows, total, content_columns), int(rows)


def external_content(
    session: EngineSession, relation: RelationName, columns: Columns, *, ordered: bool
) -> tuple[str, int, Contents]:
    """The content version and row count of an external table, and, if `ordered`, a digest of each
    column in row order, in one scan. Only the last part of the version depends on the order."""
    names = {name.lower() for name, _ in columns}
    ordered_columns = columns if ordered and "rowid" not in names else ()
    # hash(a, b) is only an xor of both hashes: hashing again makes the row's position count. For
    # two zeros it is zero, hence the constant.
    by_row = [f"bit_xor(hash(hash(rowid, {_hashed(*column)}), 1))" for column in ordered_columns]
    rows, total, *digests = _digests(session, relation, [_sum(columns), *by_row])
    contents = {
        name: (kind, f"{digest or 0:x}")
        for (name, kind), digest in zip(ordered_columns, digests, strict=True)
    }
    return f"{_version(rows, total, columns)}:{_short(str(contents))}", int(rows), contents


def same_rows(version: str, other: str) -> bool:
    """Whether two versions of an external table have the same rows, regardless of order."""
    return version.rpartition(":")[0] == other.rpartition(":")[0]


def _version(rows: int, total: int, columns: Columns) -> str:
    shape = ",".join(f"{n} {k}" for n, k in columns)
    return f"{rows}:{total:x}:{_short(shape)}"


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _sum(columns: Columns) -> str:
    """The sum of the rows' hashes: row order does not count, which values share a row does."""
    hashes = ", ".join(_hashed(*column) for column in columns)
    return f"coalesce(sum(hash({hashes})::hugeint), 0)" if columns else "0"


def _hashed(name: str, kind: str) -> str:
    """The hash arguments for a column, including what distinguishes values that compare equal (0.0
    and -0.0, a month and 30 days)."""
    column = quoted(name)
    if kind in ("FLOAT", "DOUBLE"):
        return f"{column}, signbit({column})"
    return f"{column}, {column}::varchar" if _LOOSE.search(kind) else column
