"""Activates: keeps the world outside in step with a model whose checks have passed."""

from __future__ import annotations

from pathlib import Path

from transformer import ledger
from transformer.compile.nodes import ActivationBody, Graph
from transformer.errors import TransformError
from transformer.plan.work import Probe, Work
from transformer.project.paths import Places
from transformer.run.tools import Made, Tools
from transformer.steps import Outcome, Status, Step
from transformer.sync.send import Job, Sent, sync
from transformer.targets import find


def activate(tools: Tools, step: Step) -> Outcome:
    """Performs an activation. The sync ledger knows what was sent, however the build ends."""
    work: Work = step.work
    body = work.node.body
    if tools.unchanged(work) or not isinstance(body, ActivationBody):
        return Outcome(step.id, "activate", step.label, "skipped")
    with tools.engine.session() as session:
        job = Job(body.activation, f"select * from {work.rows}", tools.synced, tools.places)
        try:
            sent = sync(job, session.connection, retry=tools.retry_rejected)
        except TransformError:
            with session.transaction():
                ledger.mark(session, work.node.id, "error")
            raise
        with session.transaction():
            ledger.record(session, [tools.entry(work, Made("sent", rows=sent.sent))])
    return _outcome(step, sent)


def _outcome(step: Step, sent: Sent) -> Outcome:
    facts = {
        name: getattr(sent, name)
        for name in ("added", "changed", "removed", "unchanged", "rejected", "quarantined")
    }
    status: Status = "warn" if sent.rejected else "success"
    return Outcome(
        step.id, "activate", step.label, status, rows=sent.sent, message=sent.label, facts=facts
    )


def lost(graph: Graph, places: Places, synced: Path) -> dict[str, Probe]:
    """The activations whose target lost what was sent, as far as a look from here tells."""
    found: dict[str, Probe] = {}
    for node in graph:
        if not isinstance(node.body, ActivationBody):
            continue
        made = node.body.activation
        gone = getattr(find(made.kind), "gone", None)
        if not synced.exists():
            found[node.id] = Probe("nothing is known of what was sent")
        elif gone is not None and gone(made.options, places):
            found[node.id] = Probe("what was sent is gone")
    return found
