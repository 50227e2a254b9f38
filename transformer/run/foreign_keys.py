"""Tables with a foreign key to one that is replaced: DuckDB replaces nothing that is referred to.

They are put aside meanwhile, and put back without their keys, as dbt-duckdb does: their own step,
which comes after, makes them anew with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transformer.engines import EngineSession
from transformer.names import RelationName, quoted
from transformer.plan.work import Work
from transformer.request import Event
from transformer.run.context import RunContext
from transformer.warehouse.ledger import mark


@contextmanager
def put_aside(tools: RunContext, session: EngineSession, work: Work) -> Iterator[None]:
    """Within the caller's transaction: an error leaves everything as it was."""
    held: list[tuple[str, RelationName, bool]] = []
    for node, is_built in work.keyed:
        there = tools.state.relation(node.relation)
        if node.relation and there is not None and there.kind == "table":
            held.append((node.id, node.relation, is_built))
    for at, (_, name, _) in enumerate(held):
        session.run(f"create or replace temp table {_aside(at)} as from {name.sql()}")
        session.run(f"drop table {name.sql()}")
    yield
    for at, (node_id, name, is_built) in enumerate(held):
        session.run(f"create table {name.sql()} as from {_aside(at)}")
        session.run(f"drop table temp.{_aside(at)}")
        mark(session, node_id, "error")  # until it is built again
        tools.outdate(node_id)
        if not is_built:
            key = f"its foreign key to `{work.node.name}`"
            tools.on_event(Event("notice", f"`{name}` lost {key}: build it too", ""))


def _aside(at: int) -> str:
    return quoted(f"__transform_aside_{at}")
