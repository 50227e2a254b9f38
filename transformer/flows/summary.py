"""What a build came to: what still fails, what is left over, what is shown, the run itself."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Any

from msgspec import Struct

from transformer import __version__
from transformer.compile.nodes import Graph, Node
from transformer.request import Published
from transformer.steps import BAD, Results, State
from transformer.warehouse import ledger


class RunStart(Struct, frozen=True):
    """A run when it began."""

    run_id: str
    command: str
    target: str
    at: datetime


def entry(results: Results, begun: RunStart, now: datetime) -> ledger.RunEntry:
    """The run as the ledger keeps it."""
    built = [o for o in results.outcomes if o.action == "build" and o.status == "success"]
    return ledger.RunEntry(
        begun.run_id,
        begun.command,
        begun.target,
        begun.at,
        now,
        "failed" if results.bad else "ok",
        models=len(built),
        checks=results.count("check"),
        failures=len(results.bad),
        rows=sum(o.rows or 0 for o in built),
        version=__version__,
    )


def standing(engine: Any, graph: Graph, warned: Container[str] = ()) -> tuple[str, ...]:
    """What failed in this warehouse and was not put right since, whichever command it was, and
    what warns of those for which a warning is a failure. An activation is nothing in the
    warehouse, and a model that is ephemeral by now makes nothing that could fail."""
    with engine.session() as session:
        bad, warns = ledger.ended(session, BAD), ledger.ended(session, ("warn",))
    failed = [i for i in (*bad, *(i for i in warns if i in warned)) if i in graph.nodes]
    return tuple(graph[i].name for i in failed if holds_back(graph[i]))


def warnings(state: State, graph: Graph, chosen: Container[str]) -> tuple[str, ...]:
    """What of the chosen nodes warned the last time, and stands as it was."""
    known = {i: n for i, n in state.nodes.items() if n.status == "warn"}
    return tuple(graph[i].name for i in known if i in chosen and i in graph.nodes)


def holds_back(node: Node) -> bool:
    """Whether the node's failure keeps the file from being published."""
    return node.kind != "activation" and not node.ephemeral


def is_clean(results: Results, *, strict: bool) -> bool:
    """Whether all that is a part of the warehouse was done, and did not fail; `strict` takes
    warnings too. What was not sent is sent by the next build."""
    within = [o for o in results.every() if o.action != "activate"]
    stopped = any(o.status == "skipped" and o.message for o in within)  # by --fail-fast
    return not stopped and not any(o.bad or (strict and o.status == "warn") for o in within)


def left_over(engine: Any, graph: Graph) -> tuple[str, ...]:
    """The relations whose model is gone from the project."""
    with engine.session() as session:
        made_once = ledger.relations(session)
    gone = [name for i, name in made_once.items() if i not in graph.nodes]
    if not gone:
        return ()
    claimed = {n.relation.key() for n in graph if n.relation}
    there = engine.relations(gone)
    return tuple(sorted(str(n) for n in gone if n.key() in there and n.key() not in claimed))


def counted(engine: Any, graph: Graph, path: str) -> Published:
    """The models that are published, and their rows; the size is known when it is done."""
    with engine.session() as session:
        made = {i: rows for i, rows in ledger.sizes(session).items() if i in graph.nodes}
    return Published(path, 0, len(made), sum(rows or 0 for rows in made.values()))
