"""What a build looks after beside its steps: comments, and what models that are gone have left."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from transformer.compile.assemble import OVER
from transformer.compile.nodes import Graph
from transformer.engines import Engine
from transformer.names import RelationName
from transformer.project.values import Project
from transformer.run.comments import outdated
from transformer.steps import Plan
from transformer.warehouse import ledger


class Upkeep(Struct, frozen=True):
    """Statements that bring comments up to date, and relations to be dropped, by their node."""

    comments: tuple[str, ...] = ()
    removed: Mapping[str, RelationName] = {}

    def __bool__(self) -> bool:
        return bool(self.comments or self.removed)


def upkeep(engine: Engine | None, project: Project, graph: Graph, everything: Graph) -> Upkeep:
    """What there is to do. `graph` is what this build looks at. In a dbt project both are dbt's
    to say."""
    if engine is None or project.open:
        return Upkeep()
    gone = removed(engine, everything) if project.drops_removed else {}
    return Upkeep(tuple(outdated(engine, graph)), gone)


def keep_up(engine: Engine, wanted: Upkeep) -> None:
    """Does it."""
    with engine.session() as session, session.transaction():
        for statement in wanted.comments:
            session.run(statement)
    drop(engine, wanted.removed)


def removed(engine: Engine, graph: Graph) -> dict[str, RelationName]:
    """The relations of models and seeds that are gone from the project, by their node: only those
    that the ledger says this tool has made, as they were made. A snapshot's history cannot be made
    again, and stays."""
    with engine.session() as session:
        if not ledger.exists(session):
            return {}
        made = ledger.relations(session)
        known = ledger.nodes(session, set(made) - set(graph.nodes))
    gone = {i: made[i] for i in known if not i.startswith("snapshot.")}
    claimed = {n.relation.key() for n in graph if n.relation} if gone else set()
    there = engine.relations(list(gone.values())) if gone else {}
    return {
        i: name
        for i, name in gone.items()
        if name.key() in there
        and name.key() not in claimed
        and there[name.key()].columns == known[i].columns
    }


def drop(engine: Engine, relations: Mapping[str, RelationName]) -> None:
    """Drops the relations, and forgets that they were made."""
    there = engine.relations(list(relations.values())) if relations else {}
    with engine.session() as session, session.transaction():
        for name in relations.values():
            session.run(f"drop {there[name.key()].kind} {name.sql()}")
        ledger.forget(session, relations)


def views_as_tables(plan: Plan) -> list[str]:
    """What is said of views that are kept as tables."""
    over = {step.label: step.work.node.options.get(OVER) for step in plan.of("build")}
    return [
        f"warning: `{name}` is kept as a table: a view over `{path}` could be read from the"
        " project's folder only; say `materialized='table'`, or write an absolute path"
        for name, path in over.items()
        if path
    ]


def replaced(graph: Graph, known: Mapping[str, RelationName]) -> list[str]:
    """The nodes that are gone, and whose relations others make now: should they come back, these
    do not hold what they made."""
    made = {node.relation.key() for node in graph if node.relation}
    return [i for i, name in known.items() if i not in graph.nodes and name.key() in made]
