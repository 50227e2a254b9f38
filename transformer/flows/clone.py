"""`transform clone`: clones relations of an earlier run into the target's schemas.

As in dbt-duckdb, a clone is a view of the other relation, since DuckDB has no zero-copy clones.
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
from transformer.workspace.artifacts import write_artifacts
from transformer.workspace.open import Opened, open_project, refuse_mistakes, selected_ids

_UNCHANGED = "No-op"  # dbt's message for an existing relation


def clone_relations(request: Request, environment: Environment, wait: float = 0.0) -> list[str]:
    """Clones the selected relations; returns the names of those created. Raises UsageError, which
    names relations that the warehouse cannot reach; then nothing is created."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    chosen = selected_ids(opened, request, environment)
    wanted = [
        (n, request.deferred[n.id])
        for n in opened.graph
        if n.id in chosen & set(request.deferred) and n.relation and n.solid
    ]
    place = opened.publication
    with building(place.warehouse, "transform clone", environment.clock(), wait):
        place.recover()
        place.forget_unfinished()
        with place.working() as engine, engine.session() as session:
            outcomes = _create_views(opened, session, wanted, replace_existing=request.full_refresh)
        created = [outcome.label for outcome in outcomes if outcome.message != _UNCHANGED]
        if created:
            place.publish()
        else:
            place.forget_unfinished()
    write_artifacts(opened, request, environment, RunRecord(results=Results(tuple(outcomes))))
    return created


def _create_views(
    opened: Opened,
    session: Any,
    wanted: list[tuple[Node, DeferredRelation]],
    *,
    replace_existing: bool,
) -> list[Outcome]:
    target, warehouse = opened.project.target, SessionWarehouse(session)
    unreachable = [node.name for node, source in wanted if not _is_reachable(warehouse, source)]
    if unreachable:
        names = ", ".join(f"`{name}`" for name in unreachable)
        raise UsageError(
            f"cannot be reached from `{target.path}`: {names}",
            hint="attach the other warehouse in the profile, under `attach:`",
        )
    outcomes = []
    with session.transaction():
        for node, source in wanted:
            own = _own(node, target.catalog)
            same = own == source.parts
            exists = warehouse.columns(*own) is not None
            statement = ""
            if not same and (replace_existing or not exists):
                statement = f"create view {_dotted(*own)} as from {_dotted(*source.parts)}"
                session.run(f"create schema if not exists {_dotted(*own[:2])}")
                _drop(warehouse, session, own)
                session.run(statement)
            message = "" if statement else _UNCHANGED
            outcomes.append(Outcome(node.id, "build", node.name, "success", message=message,
                                    ran=statement))  # fmt: skip
    return outcomes


def _own(node: Node, catalog: str) -> tuple[str, str, str]:
    if node.relation is None:
        raise TypeError(node.id)
    return node.database or catalog, node.relation.schema, node.relation.table


def _is_reachable(warehouse: SessionWarehouse, source: DeferredRelation) -> bool:
    return warehouse.columns(*source.parts) is not None


def _drop(warehouse: SessionWarehouse, session: Any, own: tuple[str, str, str]) -> None:
    for database, schema, table, kind in warehouse.relations(own[1]):
        if (database, schema, table) == own:
            session.run(f"drop {kind} {_dotted(*own)}")


def _dotted(*parts: str) -> str:
    return ".".join(quoted(part) for part in parts if part)
