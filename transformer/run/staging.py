"""Large tables are written beside their place and committed first: DuckDB reads rows that are not
committed with one thread only. What is left for the transaction in which such a table is checked
is to put it in its place; a failure leaves the old one, as ever.

A build that is killed in between leaves the new table under a name that nothing reads: the next
one removes it.
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
def beside(
    tools: RunContext, session: EngineSession, step: Step, write: Callable[[Statement], int]
) -> Iterator[tuple[Statement, ...]]:
    """Writes the step's table, where it may be a large one: the statements that are then left,
    none where it is made in its place. `write` runs a statement and gives the number of rows."""
    work: Work = step.work
    found = in_two(work.statements, work.node.relation) if _is_large(tools, step) else None
    if found is None:
        yield ()
        return
    name, first, rest = found
    with session.transaction():
        rows = write(first)
    large = rows > SMALL
    if large:
        tools.commit()
    try:
        yield rest
        if large:
            tools.commit()  # here, where its failure takes the new table with it
    except BaseException:
        with suppress(Fault):
            session.run(f"drop table if exists {name.sql()}")
        raise


def _is_large(tools: RunContext, step: Step) -> bool:
    """Whether the step may make a large table that is read before it is committed."""
    work: Work = step.work
    read = work.checks or work.readers
    return bool(read) and may_join(step) and not is_small(work, tools.sizes)


def unplaced(state: State) -> list[RelationName]:
    """What a build that was killed has written beside the places of tables."""
    return [RelationName(schema, table) for schema, table in state.relations if is_beside(table)]


def sweep(session: EngineSession, state: State) -> None:
    """Removes it."""
    for name in unplaced(state):
        session.run(f"drop table if exists {name.sql()}")
