"""Large tables are written to a staging table and committed first, since DuckDB reads uncommitted
rows with one thread only. The transaction that checks the table then only renames it; a failure
leaves the old table in place.

A build that is killed in between leaves the staging table, which the next build removes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from transformer.engines import EngineSession
from transformer.errors import Fault
from transformer.names import RelationName
from transformer.plan.materialize import Statement, in_two, is_beside
from transformer.plan.work import Work
from transformer.run.context import RunContext
from transformer.run.transactions import SMALL, is_small, may_join
from transformer.steps import State, Step


@contextmanager
def staged(
    context: RunContext, session: EngineSession, step: Step, write: Callable[[Statement], int]
) -> Iterator[tuple[Statement, ...]]:
    """Writes the step's table to a staging table, if it may be large; yields the remaining
    statements, or () if it is built in place. `write` runs a statement and returns its row
    count."""
    work: Work = step.work
    parts = in_two(work.statements, work.node.relation) if _is_large(context, step) else None
    if parts is None:
        yield ()
        return
    name, first, rest = parts
    with session.transaction():
        rows = write(first)
    large = rows > SMALL
    if large:
        context.commit()
    try:
        yield rest
        if large:
            context.commit()  # here, so that a failure removes the staging table
    except BaseException:
        with suppress(Fault):
            session.run(f"drop table if exists {name.sql()}")
        raise


def _is_large(context: RunContext, step: Step) -> bool:
    """Whether the step may build a large table that is read before it is committed."""
    work: Work = step.work
    has_readers = work.checks or work.readers
    return bool(has_readers) and may_join(step) and not is_small(work, context.sizes)


def leftover_tables(state: State) -> list[RelationName]:
    """The staging tables that a killed build has left."""
    return [RelationName(schema, table) for schema, table in state.relations if is_beside(table)]


def drop_leftovers(session: EngineSession, state: State) -> None:
    """Drops the staging tables that a killed build has left."""
    for name in leftover_tables(state):
        session.run(f"drop table if exists {name.sql()}")
