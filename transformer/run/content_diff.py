"""What a table holds, and whether that is what it held before, for each of those who read it.

Every making gives a table a new version. A reader whose columns hold the same rows as before is
told of the new version without being built again: that is what stops work below a change.
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

# Types whose values may be equal, or have one hash, and yet differ: `[[1], [2]]` and `[[1, 2]]`.
_LOOSE = re.compile(
    r"\b(FLOAT|DOUBLE|INTERVAL|VARIANT|TIME WITH TIME ZONE)\b|\b(STRUCT|MAP|UNION)\(|\]"
)
# The columns that a load adds: when and in which batch a row came.
_OWN = ("_loaded_at", "_batch")


def unmoved(tools: RunContext, session: EngineSession, work: Work, columns: Columns) -> list[str]:
    """The readers of the step's table for whom it holds the same rows as before it was made."""
    node, held = work.node, tools.state.relation(work.node.relation)
    known = tools.state.nodes.get(node.id)
    if not work.readers or node.relation is None or known is None or held is None:
        return []
    if held.kind != "table" or not known.version:
        return []
    with tools.engine.separate_session() as other:  # which sees the table as it was
        wanted = {}
        for reader in work.readers:
            now = before = _read(tools, session, (reader, node), columns)
            if columns != held.columns:
                before = _read(tools, other, (reader, node), held.columns)
            if now == before:
                wanted[reader.id] = now
        sets = sorted(set(wanted.values()))
        if not sets:
            return []
        sums = [_sum(each) for each in sets]
        rows = _digests(session, node.relation, sums)
        were = _digests(other, node.relation, sums)
    if rows[0] != were[0]:
        return []
    same = {each for each, a, b in zip(sets, rows[1:], were[1:], strict=True) if a == b}
    return [reader for reader, read in wanted.items() if read in same]


def _read(
    tools: RunContext, session: EngineSession, pair: tuple[Node, Node], columns: Columns
) -> Columns:
    """Those of the columns of a node's table that a reader's queries read, all of them where that
    cannot be told. Which these are can change with the table: `*`, `natural join`, a name that
    then means another table's column."""
    reader, node = pair
    # Steps at the same time would be planned as this question is.
    found = told_columns(session, reader, node) if tools.together else None
    if found is None:
        return columns
    return tuple(each for each in columns if is_among(each[0], found))


def is_among(column: str, told: frozenset[str]) -> bool:
    """Whether a column is one of those that a plan has told: of a name of several lines it tells
    each line that is not empty."""
    return all(line in told for line in column.split("\n") if line)


def told_columns(session: EngineSession, reader: Node, node: Node) -> frozenset[str] | None:
    """What the engine says that the reader's queries read; None where nobody can tell."""
    if not isinstance(reader.body, ModelBody) or node.relation is None:
        return None
    if isinstance(node.body, ModelBody) and node.body.config.custom:
        return None  # it may have columns that are made of others
    if reader.body.config.custom or reader.body.strategy or has_hooks(reader.options):
        return None  # macros and hooks read what they like
    queries = [query.text for query in (reader.body.query, reader.body.increment) if query]
    told = [session.reads(query, node.relation) for query in queries]
    known = [each for each in told if each is not None]
    return frozenset().union(*known) if known and len(known) == len(told) else None


def tell(
    tools: RunContext, session: EngineSession, node_id: str, version: str, readers: list[str]
) -> None:
    """Writes that these readers stand on what was made now. Two steps at the same time may have
    the same reader: one writes after the other."""
    if not readers:
        return
    with tools.telling, session.transaction():
        for reader in readers:
            restate(session, reader, tools.advance(reader, node_id, version))


def _digests(
    session: EngineSession, relation: RelationName, figures: Iterable[str]
) -> tuple[Any, ...]:
    """The number of rows, and these figures, in one scan."""
    return session.rows(f"select {', '.join(['count(*)', *figures])} from {relation.sql()}")[0]


def raw_content(
    session: EngineSession, relation: RelationName, columns: Columns
) -> tuple[str, int]:
    """The version of what a table that we loaded holds, and its number of rows. Order does not
    count, nor when and in which batch a row came."""
    kept = tuple(c for c in columns if c[0] not in _OWN)
    rows, total = _digests(session, relation, [_sum(kept)])
    return _version(rows, total, kept), int(rows)


def looked_at(
    session: EngineSession, relation: RelationName, columns: Columns, *, ordered: bool
) -> tuple[str, int, Contents]:
    """The version of what someone else's table holds, its number of rows, and a digest of each
    column in the order of the rows, where these are `ordered`. All of it in one scan. The last
    part of the version is the order's; the others are the same for the same rows."""
    named = {name.lower() for name, _ in columns}
    told = columns if ordered and "rowid" not in named else ()
    # The hash of two values is no more than an xor of theirs: hashed again, a row's place counts.
    # That of two zeros is zero, hence the number.
    by_row = [f"bit_xor(hash(hash(rowid, {_hashed(*each)}), 1))" for each in told]
    rows, total, *digests = _digests(session, relation, [_sum(columns), *by_row])
    made = {
        name: (kind, f"{digest or 0:x}") for (name, kind), digest in zip(told, digests, strict=True)
    }
    return f"{_version(rows, total, columns)}:{_short(str(made))}", int(rows), made


def same_rows(version: str, other: str) -> bool:
    """Whether someone else's table holds the same rows in two versions, in whatever order."""
    return version.rpartition(":")[0] == other.rpartition(":")[0]


def _version(rows: int, total: int, columns: Columns) -> str:
    shape = ",".join(f"{n} {k}" for n, k in columns)
    return f"{rows}:{total:x}:{_short(shape)}"


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _sum(columns: Columns) -> str:
    """A sum of the rows' hashes: order does not count, and which values stand in a row together
    does."""
    hashes = ", ".join(_hashed(*each) for each in columns)
    return f"coalesce(sum(hash({hashes})::hugeint), 0)" if columns else "0"


def _hashed(name: str, kind: str) -> str:
    """What is hashed of a column: of values that are equal and yet differ (0.0 and -0.0, a month
    and 30 days) what tells them apart too."""
    column = quoted(name)
    if kind in ("FLOAT", "DOUBLE"):
        return f"{column}, signbit({column})"
    return f"{column}, {column}::varchar" if _LOOSE.search(kind) else column
