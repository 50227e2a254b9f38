"""`transform clone`: relations of an earlier run, copied into the target's warehouse."""

from __future__ import annotations

from typing import Any

from transformer.asking import Ask, Elsewhere, Outside
from transformer.compile.nodes import Node
from transformer.errors import UsageError
from transformer.leaving import chosen_of
from transformer.names import quoted
from transformer.opening import Opened, open_project, refuse_mistakes
from transformer.run.late import Asked
from transformer.warehouse import building


def cloned(ask: Ask, outside: Outside, wait: float = 0.0) -> list[str]:
    """Copies what is chosen; the names of what was copied. Raises UsageError, by name, for what
    is not in the warehouse's reach; nothing is copied then."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    chosen = chosen_of(opened, ask, outside)
    wanted = [(n, ask.deferred[n.id]) for n in opened.graph if n.id in chosen & set(ask.deferred)]
    place = opened.workplace
    with building(place.warehouse, "transform clone", outside.clock(), wait):
        place.recover()
        place.forget_unfinished()
        with place.working() as engine, engine.session() as session:
            made = _copied(opened, session, wanted, afresh=ask.full_refresh)
        if made:
            place.publish()
        else:
            place.forget_unfinished()
    return made


def _copied(
    opened: Opened, session: Any, wanted: list[tuple[Node, Elsewhere]], *, afresh: bool
) -> list[str]:
    target, warehouse, made = opened.project.target, Asked(session), []
    away = [node.name for node, there in wanted if not _reached(warehouse, there)]
    if away:
        raise UsageError(
            f"not in reach of `{target.path}`: {', '.join(f'`{name}`' for name in away)}",
            hint="attach the other warehouse in the profile, under `attach:`",
        )
    with session.transaction():
        for node, there in wanted:
            if node.relation is None or not node.solid:
                continue
            own = (node.database or target.catalog, node.relation.schema, node.relation.table)
            if own == (there.database, there.schema, there.table):
                continue
            held = warehouse.columns(*own) is not None
            if held and not afresh:
                continue
            session.run(f"create schema if not exists {_dotted(own[0], own[1])}")
            kind = "view" if there.view else "table"
            if held:
                _drop(warehouse, session, own)
            text = _dotted(there.database, there.schema, there.table)
            session.run(f"create {kind} {_dotted(*own)} as from {text}")
            made.append(node.name)
    return made


def _reached(warehouse: Asked, there: Elsewhere) -> bool:
    return warehouse.columns(there.database, there.schema, there.table) is not None


def _drop(warehouse: Asked, session: Any, own: tuple[str, str, str]) -> None:
    for database, schema, table, kind in warehouse.relations(own[1]):
        if (database, schema, table) == own:
            session.run(f"drop {kind} {_dotted(*own)}")


def _dotted(*parts: str) -> str:
    return ".".join(quoted(part) for part in parts if part)
