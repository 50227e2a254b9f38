"""What the world says before a plan is made: of time, of targets, of files that queries name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from transformer import ledger, witness
from transformer.compile.bind import Bound
from transformer.compile.nodes import Graph
from transformer.engines import Engine
from transformer.plan.versions import steadiness_of
from transformer.plan.work import Facts
from transformer.project.paths import Places
from transformer.run.actions import lost


def facts(
    engine: Engine | None, graph: Graph, bound: Bound, at: tuple[Places, Path], now: datetime
) -> Facts:
    """Columns, what time has undone, which targets lost what was sent, which files are there.
    `at` is where targets lie, and the sync ledger. Without a warehouse nothing was ever sent."""
    made = replace(Facts.of(bound), files=dict(files_of(graph)))
    if engine is None:
        return made
    with engine.session() as session:
        expired = ledger.expired(session, now.timestamp())
        before = ledger.engine(session)
    sent = any(node.kind == "activation" for node in graph)
    return replace(
        made,
        probes=lost(graph, *at) if sent else {},
        expired=frozenset(expired),
        anew=f"it was built by {before}" if before not in ("", engine.version) else "",
    )


def files_of(graph: Graph) -> Iterator[tuple[str, dict[str, str]]]:
    """For every node whose query names files, or a view's that it reads: each of them with what
    tells whether it changed."""
    for node_id, steadiness in steadiness_of(graph).items():
        if steadiness.files:
            yield node_id, {f"file:{name}": witness.named(name) for name in steadiness.files}
