"""Tables with a foreign key to a table that is replaced, which DuckDB does not allow.

They are set aside and restored without their keys, as dbt-duckdb does; their own later step
rebuilds them with their keys.
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
def set_aside_referencing(
    context: RunContext, session: EngineSession, work: Work
) -> Iterator[None]:
    """Sets the tables aside in the caller's transaction, so that an error restores everything."""
    tables: list[tuple[str, RelationName, bool]] = []
    for node, is_built in work.keyed:
        existing = context.state.relation(node.relation)
        if node.relation and existing is not None and existing.kind == "table":
            tables.append((node.id, node.relation, is_built))
    for index, (_, name, _) in enumerate(tables):
        session.run(f"create or replace temp table {_aside(index)} as from {name.sql()}")
        session.run(f"drop table {name.sql()}")
    yield
    for index, (node_id, name, is_built) in enumerate(tables):
        session.run(f"create table {name.sql()} as from {_aside(index)}")
        session.run(f"drop table temp.{_aside(index)}")
        mark(session, node_id, "error")  # until it is rebuilt
        context.outdate(node_id)
        if not is_built:
            key = f"its foreign key to `{work.node.name}`"
            context.on_event(Event("notice", f"`{name}` lost {key}: build it too", ""))


def _aside(at: int) -> str:
    return quoted(f"__transform_aside_{at}")
