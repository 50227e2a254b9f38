"""Whether a table that was made anew holds what it held, for each of those who read it.

Every making gives a table a new version. A reader whose columns hold the same rows as before is
told of the new version without being built again: that is what stops work below a change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transformer.compile.nodes import ModelBody, Node
from transformer.engines import Session
from transformer.names import Name, quoted
from transformer.plan.work import Work
from transformer.run.tools import Tools
from transformer.steps import Columns


def unmoved(tools: Tools, session: Session, work: Work, columns: Columns) -> list[str]:
    """The readers of the step's table for whom it holds the same rows as before it was made."""
    node, held = work.node, tools.state.relation(work.node.relation)
    known = tools.state.nodes.get(node.id)
    if not work.readers or node.relation is None or known is None or held is None:
        return []
    if held.kind != "table" or not known.version:
        return []
    wanted = {
        reader.id: read
        for reader in work.readers
        if (read := _compared(_read(session, reader, node), columns, held.columns)) is not None
    }
    sets = sorted(set(wanted.values()))
    if not sets:
        return []
    after = _digests(session, node.relation, sets)
    with tools.engine.apart() as other:  # which sees the table as it was
        before = _digests(other, node.relation, sets)
    if after[0] != before[0]:
        return []
    same = {each for each, a, b in zip(sets, after[1:], before[1:], strict=True) if a == b}
    return [reader for reader, read in wanted.items() if read in same]


def _read(session: Session, reader: Node, node: Node) -> frozenset[str] | None:
    """The columns of the node's table that the reader's queries read; None for all of them."""
    if not isinstance(reader.body, ModelBody) or node.relation is None:
        return None
    queries = [query.text for query in (reader.body.query, reader.body.increment) if query]
    if not queries:
        return None
    found = [session.reads(query, node.relation) for query in queries]
    return frozenset().union(*[each for each in found if each]) if None not in found else None


def _compared(read: frozenset[str] | None, now: Columns, before: Columns) -> tuple[str, ...] | None:
    """The columns that are compared for a reader, in their order; None where they are not the
    columns that were there: then there is nothing to compare."""
    wanted = [column for column in now if read is None or column[0] in read]
    there = [column for column in before if read is None or column[0] in read]
    return tuple(name for name, _ in wanted) if wanted == there else None


def _digests(session: Session, relation: Name, sets: Iterable[tuple[str, ...]]) -> tuple[Any, ...]:
    """The number of rows, and for each set of columns a sum of its rows' hashes: order does not
    count, and which values stand in a row together does."""
    sums = [
        f"coalesce(sum(hash({', '.join(map(quoted, names))})::hugeint), 0)" if names else "0"
        for names in sets
    ]
    return session.rows(f"select count(*), {', '.join(sums)} from {relation.sql()}")[0]
