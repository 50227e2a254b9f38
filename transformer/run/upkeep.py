"""Maintenance beside a build's steps: comments, and relations of removed models."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from transformer.compile.assemble import OVER
from transformer.compile.nodes import Graph
from transformer.engines import Engine
from transformer.names import RelationName
from transformer.project.values import Project
from transformer.run.comments import outdated_comments
from transformer.steps import Plan
from transformer.warehouse import ledger


class Upkeep(Struct, frozen=True):
    """Statements that update comments, and relations to drop, by node id."""

    comments: tuple[str, ...] = ()
    removed: Mapping[str, RelationName] = {}

    def __bool__(self) -> bool:
        return bool(self.comments or self.removed)


def upkeep(engine: Engine | None, project: Project, graph: Graph, everything: Graph) -> Upkeep:
    """The maintenance to do; none in dbt projects. `graph` has the nodes of this build."""
    if engine is None or project.open:
        return Upkeep()
    to_drop = orphaned_relations(engine, everything) if project.drops_removed else {}
    return Upkeep(tuple(outdated_comments(engine, graph)), to_drop)


def apply_upkeep(engine: Engine, wanted: Upkeep) -> None:
    """Performs the maintenance."""
    with engine.session() as session, session.transaction():
        for statement in wanted.comments:
            session.run(statement)
    drop_relations(engine, wanted.removed)


def orphaned_relations(engine: Engine, graph: Graph) -> dict[str, RelationName]:
    """The relations of models and seeds that were removed from the project, by node id: only those
    that this tool created, according to the ledger, and that are unchanged. Snapshots are kept,
    since their history cannot be rebuilt."""
    with engine.session() as session:
        if not ledger.exists(session):
            return {}
        recorded = ledger.relations(session)
        states = ledger.nodes(session, set(recorded) - set(graph.nodes))
    candidates = {i: recorded[i] for i in states if not i.startswith("snapshot.")}
    claimed = {n.relation.key() for n in graph if n.relation} if candidates else set()
    existing = engine.relations(list(candidates.values())) if candidates else {}
    return {
        i: name
        for i, name in candidates.items()
        if name.key() in existing
        and name.key() not in claimed
        and existing[name.key()].columns == states[i].columns
    }


def drop_relations(engine: Engine, relations: Mapping[str, RelationName]) -> None:
    """Drops the relations, and removes them from the ledger."""
    existing = engine.relations(list(relations.values())) if relations else {}
    with engine.session() as session, session.transaction():
        for name in relations.values():
            session.run(f"drop {existing[name.key()].kind} {name.sql()}")
        ledger.forget(session, relations)


def views_as_tables(plan: Plan) -> list[str]:
    """Warnings about views that are built as tables."""
    over = {step.label: step.work.node.options.get(OVER) for step in plan.of("build")}
    return [
        f"warning: `{name}` is built as a table: a view over `{path}` could only be read from the"
        " project's folder; set `materialized='table'`, or use an absolute path"
        for name, path in over.items()
        if path
    ]


def superseded(graph: Graph, recorded: Mapping[str, RelationName]) -> list[str]:
    """Removed nodes whose relations other nodes build now: if they come back, the relations are not
    theirs."""
    current = {node.relation.key() for node in graph if node.relation}
    return [i for i, name in recorded.items() if i not in graph.nodes and name.key() in current]
