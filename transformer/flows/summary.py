"""The summary of a build: what still fails, orphaned tables, what is published, the run itself."""

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
    """A run when it started."""

    run_id: str
    command: str
    target: str
    at: datetime


def run_entry(results: Results, start: RunStart, now: datetime) -> ledger.RunEntry:
    """The run's entry in the ledger."""
    built = [o for o in results.outcomes if o.action == "build" and o.status == "success"]
    return ledger.RunEntry(
        start.run_id,
        start.command,
        start.target,
        start.at,
        now,
        "failed" if results.bad else "ok",
        models=len(built),
        checks=results.count("check"),
        failures=len(results.bad),
        rows=sum(o.rows or 0 for o in built),
        version=__version__,
    )


def still_failing(engine: Any, graph: Graph, warned: Container[str] = ()) -> tuple[str, ...]:
    """The names of nodes whose last attempt failed, with any command, and of those in `warned` that
    warn. Activations are not part of the warehouse, and models that have become ephemeral cannot
    fail."""
    with engine.session() as session:
        bad, warns = ledger.ended(session, BAD), ledger.ended(session, ("warn",))
    failed = [i for i in (*bad, *(i for i in warns if i in warned)) if i in graph.nodes]
    return tuple(graph[i].name for i in failed if holds_back(graph[i]))


def warnings(state: State, graph: Graph, chosen: Container[str]) -> tuple[str, ...]:
    """The names of selected nodes that warned last time and are unchanged."""
    warned = {i: n for i, n in state.nodes.items() if n.status == "warn"}
    return tuple(graph[i].name for i in warned if i in chosen and i in graph.nodes)


def holds_back(node: Node) -> bool:
    """Whether the node's failure prevents publication."""
    return node.kind != "activation" and not node.ephemeral


def is_clean(results: Results, *, strict: bool) -> bool:
    """Whether all steps but activations succeeded; with `strict`, without warnings. Rows that were
    not sent are sent by the next build."""
    within = [o for o in results.every() if o.action != "activate"]
    stopped = any(o.status == "skipped" and o.message for o in within)  # by --fail-fast
    return not stopped and not any(o.bad or (strict and o.status == "warn") for o in within)


def orphaned(engine: Any, graph: Graph) -> tuple[str, ...]:
    """The relations whose model was removed from the project."""
    with engine.session() as session:
        recorded = ledger.relations(session)
    orphaned = [name for i, name in recorded.items() if i not in graph.nodes]
    if not orphaned:
        return ()
    claimed = {n.relation.key() for n in graph if n.relation}
    existing = engine.relations(orphaned)
    return tuple(sorted(str(n) for n in orphaned if n.key() in existing and n.key() not in claimed))


def published(engine: Any, graph: Graph, path: str) -> Published:
    """The number of published models and rows; the file size is filled in afterwards."""
    with engine.session() as session:
        row_counts = {i: rows for i, rows in ledger.sizes(session).items() if i in graph.nodes}
    return Published(path, 0, len(row_counts), sum(rows or 0 for rows in row_counts.values()))
