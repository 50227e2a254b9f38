"""Performs activations: syncs models whose checks have passed to their targets."""

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


def activate(context: RunContext, step: Step) -> Outcome:
    """Performs an activation. The sync ledger records what was sent, however the build ends."""
    work: Work = step.work
    body = work.node.body
    if context.unchanged(work) or not isinstance(body, ActivationBody):
        return Outcome(step.id, "activate", step.label, "skipped")
    with context.engine.session() as session:
        query = f"select * from {work.rows}"
        job = SyncJob(body.activation, query, context.synced, context.places, context.shown)
        try:
            result = sync(
                job, session.connection, SyncClock(secrets=context.secrets), context.retry_rejected
            )
        except BaseException as error:
            failure = _failure(error, body.activation)
            if failure is None:
                raise
            with session.transaction():
                ledger.mark(session, work.node.id, "error")
            raise failure from error.__cause__
        outcome = _outcome(step, result, body.activation)
        with session.transaction():
            product = StepProduct("sent", outcome.status, rows=result.sent)
            ledger.record(session, [context.entry(work, product)])
    return outcome


def _failure(error: BaseException, activation: Activation) -> TransformError | None:
    """The error to report; None for one that ends the whole build. A target may be a plug-in, so
    whatever it raises fails only this step; its message may contain a secret and is not shown."""
    if isinstance(error, TransformError):
        return _named(error, activation.name)
    stopped = "interrupt" in str(error).lower()
    if stopped or not (isinstance(error, Exception) or is_panic(error)):
        return None
    return ActivateError(
        f"activation `{activation.name}`: the target `{activation.kind}` raised"
        f" `{type(error).__name__}`",
        activation.where,
        hint="this is a bug in the target; the next build continues with the remaining rows",
    )


def _named(error: TransformError, name: str) -> TransformError:
    """The error, with the activation's name first."""
    what = error.what if f"`{name}`" in error.what else f"activation `{name}`: {error.what}"
    return type(error)(what, error.where, error.hint, error.detail, error.beside)


def _outcome(step: Step, result: SyncResult, activation: Activation) -> Outcome:
    error = _rejected(result, activation)
    facts = {
        name: getattr(result, name)
        for name in ("added", "changed", "removed", "unchanged", "rejected", "quarantined")
    }
    status: Status = "error" if error else "warn" if result.rejected else "success"
    return Outcome(
        step.id,
        "activate",
        step.label,
        status,
        rows=result.sent,
        message=result.label,
        facts=facts,
        error=error,
    )


def _rejected(result: SyncResult, activation: Activation) -> ActivateError | None:
    """The error of a sync whose target rejects too many rows: of those sent now, or of all it
    should have, including unchanged rows that it rejected before."""
    refused = result.rejected + result.withheld
    share_now = result.rejected / max(result.sent + result.rejected, 1)
    share_overall = refused / max(result.sent + result.unchanged + refused, 1)
    if max(share_now, share_overall) <= activation.max_rejected:
        return None
    count, total = (
        (result.rejected, result.sent + result.rejected)
        if share_now > activation.max_rejected
        else (refused, result.sent + result.unchanged + refused)
    )
    return ActivateError(
        f"activation `{activation.name}`: `{result.label}` rejected {count:,} of {total:,} rows, "
        f"more than `max_rejected` ({100 * activation.max_rejected:g} %)",
        activation.place("max_rejected"),
        hint=f"run `transform quarantine show {activation.name}`; accepted rows stay at the target",
        detail=(result.answer,) if result.answer else (),
    )


def lost(graph: Graph, places: Places, synced: Path) -> dict[str, Probe]:
    """The activations whose target lost its rows, as far as that can be checked without a sync."""
    nodes = [(n.id, n.body.activation) for n in graph if isinstance(n.body, ActivationBody)]
    if not synced.exists():
        return {node_id: Probe("it is unknown what was sent") for node_id, _ in nodes}
    sent_to = places_of(synced) if nodes else {}
    probes: dict[str, Probe] = {}
    for node_id, activation in nodes:
        look = getattr(find(activation.kind), "current_place", None)
        recorded = sent_to.get(activation.name)
        must_have_rows = bool(recorded and recorded.holds and activation.mode != "append")
        place = look(activation.options, places, must_have_rows) if look else None
        if place == "" or (place and recorded and recorded.mark != mark(place)):
            probes[node_id] = Probe("the target lost its rows")
    return probes
