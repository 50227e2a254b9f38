"""Whether a table that was made anew holds what it held, for each of those who read it.

Every making gives a table a new version. A reader whose columns hold the same rows as before is
told of the new version without being built again: that is what stops work below a change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transformer.compile.model_config import hook_texts
from transformer.compile.nodes import ModelBody, Node
from transformer.engines import Session
from transformer.names import Name
from transformer.plan.work import Work
from transformer.run.tools import Tools, hashed
from transformer.steps import Columns


def unmoved(tools: Tools, session: Session, work: Work, columns: Columns) -> list[str]:
    """The readers of the step's table for whom it holds the same rows as before it was made."""
    node, held = work.node, tools.state.relation(work.node.relation)
    known = tools.state.nodes.get(node.id)
    if not work.readers or node.relation is None or known is None or held is None:
        return []
    if held.kind != "table" or not known.version:
        return []
    with tools.engine.apart() as other:  # which sees the table as it was
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
        rows = _digests(session, node.relation, sets)
        were = _digests(other, node.relation, sets)
    if rows[0] != were[0]:
        return []
    same = {each for each, a, b in zip(sets, rows[1:], were[1:], strict=True) if a == b}
    return [reader for reader, read in wanted.items() if read in same]


def _read(tools: Tools, session: Session, pair: tuple[Node, Node], columns: Columns) -> Columns:
    """Those of the columns of a node's table that a reader's queries read, all of them where that
    cannot be told. Which these are can change with the table: `*`, `natural join`, a name that
    then means another table's column."""
    reader, node = pair
    # Steps at the same time would be planned as this question is.
    found = _told(session, reader, node) if tools.together else None
    if found is None:
        return columns
    return tuple(each for each in columns if all(line in found for line in each[0].split("\n")))


def _told(session: Session, reader: Node, node: Node) -> frozenset[str] | None:
    """What the engine says that the reader's queries read; None where nobody can tell."""
    if not isinstance(reader.body, ModelBody) or node.relation is None:
        return None
    if (
        reader.body.config.custom
        or reader.body.strategy
        or any(hook_texts(reader.options.get(key)) for key in ("pre_hook", "post_hook"))
    ):
        return None  # macros and hooks read what they like
    queries = [query.text for query in (reader.body.query, reader.body.increment) if query]
    told = [session.reads(query, node.relation) for query in queries]
    known = [each for each in told if each is not None]
    return frozenset().union(*known) if known and len(known) == len(told) else None


def _digests(session: Session, relation: Name, sets: Iterable[Columns]) -> tuple[Any, ...]:
    """The number of rows, and for each set of columns a sum of its rows' hashes: order does not
    count, and which values stand in a row together does."""
    sums = [
        f"coalesce(sum(hash({', '.join(hashed(*each) for each in columns)})::hugeint), 0)"
        if columns
        else "0"
        for columns in sets
    ]
    return session.rows(f"select count(*), {', '.join(sums)} from {relation.sql()}")[0]
