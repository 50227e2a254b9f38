"""`transform clone`: relations of an earlier run, shown in the target's own schemas.

As dbt-duckdb does it: a view that reads the other relation. DuckDB has no copies that cost nothing.
"""

from __future__ import annotations

from typing import Any

from transformer.artifacts.run_results import RunRecord
from transformer.compile.nodes import Node
from transformer.errors import UsageError
from transformer.names import quoted
from transformer.request import DeferredRelation, Environment, Request
from transformer.run.render_late import SessionWarehouse
from transformer.steps import Outcome, Results
from transformer.warehouse.lock import building
from transformer.workspace.artifacts import leave
from transformer.workspace.open import Opened, chosen_of, open_project, refuse_mistakes

_THERE = "No-op"  # dbt's word for a relation that is there already


def cloned(ask: Request, outside: Environment, wait: float = 0.0) -> list[str]:
    """Makes what is chosen; the names of what was made. Raises UsageError, by name, for what is
    not in the warehouse's reach; nothing is made then."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    chosen = chosen_of(opened, ask, outside)
    wanted = [
        (n, ask.deferred[n.id])
        for n in opened.graph
        if n.id in chosen & set(ask.deferred) and n.relation and n.solid
    ]
    place = opened.workplace
    with building(place.warehouse, "transform clone", outside.clock(), wait):
        place.recover()
        place.forget_unfinished()
        with place.working() as engine, engine.session() as session:
            outcomes = _made(opened, session, wanted, afresh=ask.full_refresh)
        made = [each.label for each in outcomes if each.message != _THERE]
        if made:
            place.publish()
        else:
            place.forget_unfinished()
    leave(opened, ask, outside, RunRecord(results=Results(tuple(outcomes))))
    return made


def _made(
    opened: Opened, session: Any, wanted: list[tuple[Node, DeferredRelation]], *, afresh: bool
) -> list[Outcome]:
    target, warehouse = opened.project.target, SessionWarehouse(session)
    away = [node.name for node, there in wanted if not _reached(warehouse, there)]
    if away:
        raise UsageError(
            f"not in reach of `{target.path}`: {', '.join(f'`{name}`' for name in away)}",
            hint="attach the other warehouse in the profile, under `attach:`",
        )
    outcomes = []
    with session.transaction():
        for node, there in wanted:
            own = _own(node, target.catalog)
            same = own == there.parts
            held = warehouse.columns(*own) is not None
            ran = ""
            if not same and (afresh or not held):
                ran = f"create view {_dotted(*own)} as from {_dotted(*there.parts)}"
                session.run(f"create schema if not exists {_dotted(*own[:2])}")
                _drop(warehouse, session, own)
                session.run(ran)
            message = "" if ran else _THERE
            outcomes.append(Outcome(node.id, "build", node.name, "success", message=message,
                                    ran=ran))  # fmt: skip
    return outcomes


def _own(node: Node, catalog: str) -> tuple[str, str, str]:
    if node.relation is None:
        raise TypeError(node.id)
    return node.database or catalog, node.relation.schema, node.relation.table


def _reached(warehouse: SessionWarehouse, there: DeferredRelation) -> bool:
    return warehouse.columns(*there.parts) is not None


def _drop(warehouse: SessionWarehouse, session: Any, own: tuple[str, str, str]) -> None:
    for database, schema, table, kind in warehouse.relations(own[1]):
        if (database, schema, table) == own:
            session.run(f"drop {kind} {_dotted(*own)}")


def _dotted(*parts: str) -> str:
    return ".".join(quoted(part) for part in parts if part)
