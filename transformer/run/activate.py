"""Activates: keeps the world outside in step with a model whose checks have passed."""

from __future__ import annotations

from pathlib import Path

from transformer.compile.nodes import ActivationBody, Graph
from transformer.errors import ActivateError, TransformError, is_panic
from transformer.plan.work import Probe, Work
from transformer.project.paths import Places
from transformer.project.values import Activation
from transformer.run.context import RunContext, StepProduct
from transformer.steps import Outcome, Status, Step
from transformer.sync.delivery import SyncClock
from transformer.sync.places import mark, places_of
from transformer.sync.sync import SyncJob, SyncResult, sync
from transformer.targets import find
from transformer.warehouse import ledger


def activate(tools: RunContext, step: Step) -> Outcome:
    """Performs an activation. The sync ledger knows what was sent, however the build ends."""
    work: Work = step.work
    body = work.node.body
    if tools.unchanged(work) or not isinstance(body, ActivationBody):
        return Outcome(step.id, "activate", step.label, "skipped")
    with tools.engine.session() as session:
        query = f"select * from {work.rows}"
        job = SyncJob(body.activation, query, tools.synced, tools.places, tools.shown)
        try:
            sent = sync(
                job, session.connection, SyncClock(secrets=tools.secrets), tools.retry_rejected
            )
        except BaseException as error:
            failure = _failure(error, body.activation)
            if failure is None:
                raise
            with session.transaction():
                ledger.mark(session, work.node.id, "error")
            raise failure from error.__cause__
        outcome = _outcome(step, sent, body.activation)
        with session.transaction():
            made = StepProduct("sent", outcome.status, rows=sent.sent)
            ledger.record(session, [tools.entry(work, made)])
    return outcome


def _failure(error: BaseException, activation: Activation) -> TransformError | None:
    """What is said of it; nothing of what ends the whole build. A target, which may be somebody's
    plug-in, fails alone whatever it raises; what it says may hold a secret."""
    if isinstance(error, TransformError):
        return _named(error, activation.name)
    stopped = "interrupt" in str(error).lower()
    if stopped or not (isinstance(error, Exception) or is_panic(error)):
        return None
    return ActivateError(
        f"activation `{activation.name}`: the target `{activation.kind}` raised"
        f" `{type(error).__name__}`",
        activation.where,
        hint="this is a fault of the target; the next build continues with the remaining rows",
    )


def _named(error: TransformError, name: str) -> TransformError:
    """The error, beginning with the activation's name."""
    what = error.what if f"`{name}`" in error.what else f"activation `{name}`: {error.what}"
    return type(error)(what, error.where, error.hint, error.detail, error.beside)


def _outcome(step: Step, sent: SyncResult, activation: Activation) -> Outcome:
    error = _rejected(sent, activation)
    facts = {
        name: getattr(sent, name)
        for name in ("added", "changed", "removed", "unchanged", "rejected", "quarantined")
    }
    status: Status = "error" if error else "warn" if sent.rejected else "success"
    return Outcome(
        step.id,
        "activate",
        step.label,
        status,
        rows=sent.sent,
        message=sent.label,
        facts=facts,
        error=error,
    )


def _rejected(sent: SyncResult, activation: Activation) -> ActivateError | None:
    """The failure of a sync of which the target rejects too much: of the rows that it was sent
    now, or of all that it shall hold, with those that it rejected before and that did not change
    since."""
    refused = sent.rejected + sent.withheld
    now = sent.rejected / max(sent.sent + sent.rejected, 1)
    ever = refused / max(sent.sent + sent.unchanged + refused, 1)
    if max(now, ever) <= activation.max_rejected:
        return None
    count, whole = (
        (sent.rejected, sent.sent + sent.rejected)
        if now > activation.max_rejected
        else (refused, sent.sent + sent.unchanged + refused)
    )
    return ActivateError(
        f"activation `{activation.name}`: `{sent.label}` rejected {count:,} of {whole:,} rows, "
        f"more than `max_rejected` ({100 * activation.max_rejected:g} %)",
        activation.place("max_rejected"),
        hint=f"see transform quarantine show {activation.name}; what it took stays there",
        detail=(sent.answer,) if sent.answer else (),
    )


def lost(graph: Graph, places: Places, synced: Path) -> dict[str, Probe]:
    """The activations whose target lost what was sent, as far as a look from here tells."""
    nodes = [(n.id, n.body.activation) for n in graph if isinstance(n.body, ActivationBody)]
    if not synced.exists():
        return {node_id: Probe("nothing is known of what was sent") for node_id, _ in nodes}
    sent_to = places_of(synced) if nodes else {}
    found: dict[str, Probe] = {}
    for node_id, made in nodes:
        seen = getattr(find(made.kind), "seen", None)
        known = sent_to.get(made.name)
        kept = bool(known and known.holds and made.mode != "append")
        now = seen(made.options, places, kept) if seen else None
        if now == "" or (now and known and known.mark != mark(now)):
            found[node_id] = Probe("what was sent is gone")
    return found
