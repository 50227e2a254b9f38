"""Runs checks: one scan per relation for all of its checks; rows are fetched only on failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.compile.nodes import CheckBody
from transformer.engines import EngineSession
from transformer.errors import BuildError, Fault, MemoryShortError
from transformer.names import RelationName, quoted
from transformer.plan.check_kinds import ReadyCheck, aged, expires, scan, verdict
from transformer.plan.work import Work
from transformer.run import render_late
from transformer.run.context import RunContext
from transformer.run.dense_keys import MANY, by_bits
from transformer.run.transactions import is_small, note
from transformer.steps import NodeState, Outcome, Sample, Status, Step
from transformer.warehouse.ledger import FAILURES, NodeEntry

_SHOWN = 5
# The hint if even one thread runs out of memory.
MORE_MEMORY = (
    "raise the limit (`settings: {memory_limit: …}` of the target), or process less at a time"
    " (`materialized: incremental`)"
)
# The maximum of stored failing rows per check.
_MAX_STORED = 100_000


class MeasuredChecks(Struct, frozen=True):
    """The outcomes of checks, their ledger entries, and the row count of the relation."""

    outcomes: tuple[Outcome, ...]
    entries: tuple[NodeEntry, ...]
    rows: int | None
    # The failing rows of failed checks, by check name: they outlive the rolled-back table.
    failing_rows: tuple[tuple[str, Any], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(outcome.bad for outcome in self.outcomes)


NOTHING = MeasuredChecks((), (), None)


def check(context: RunContext, step: Step) -> Outcome:
    """Performs a step that consists of checks."""
    work: Work = step.work
    if context.unchanged(work):
        return Outcome(step.id, "check", step.label, "skipped")
    first, *rest = _measured(context, work).outcomes
    return replace(first, parts=tuple(rest))


def run_remaining(context: RunContext, step: Step) -> Outcome:
    """Performs only those checks of an otherwise unchanged step that are new or have other changed
    inputs."""
    checks = tuple(check for check in step.work.checks if not context.unmoved(check))
    measured = _measured(context, replace(step.work, checks=checks)) if checks else NOTHING
    return Outcome(step.id, step.action, step.label, "skipped", parts=measured.outcomes)


def _measured(context: RunContext, work: Work) -> MeasuredChecks:
    try:
        return _in_transaction(context, work)
    except Fault:
        # One of them failed to run and aborted the transaction: run each on its own.
        with context.alone():
            return each_alone(context, work)


def _in_transaction(context: RunContext, work: Work) -> MeasuredChecks:
    with context.engine.session() as session, session.transaction():
        work = render_late.render_now(context, session, work)
        measured = measure(context, session, work)
        note(session, measured.entries)
        keep_failures(session, measured)
    return measured


def each_alone(context: RunContext, work: Work) -> MeasuredChecks:
    """Runs each check in its own transaction; one that cannot run is an error outcome."""
    results = []
    for check in work.checks:
        try:
            results.append(_in_transaction(context, replace(work, checks=(check,))))
        except Fault as fault:
            outcome = Outcome(
                check.id, "check", check.label, "error", error=cannot_run(check, fault)
            )
            entry = _entry(context, check, outcome, None)
            with context.engine.session() as session, session.transaction():
                note(session, [entry])
            results.append(MeasuredChecks((outcome,), (entry,), None))
    outcomes = tuple(o for check in results for o in check.outcomes)
    return MeasuredChecks(outcomes, tuple(e for check in results for e in check.entries), None)


def cannot_run(check: ReadyCheck, fault: Fault) -> BuildError:
    """The error for a check whose query fails."""
    what = f"the check `{check.label}` cannot run: {fault.message.splitlines()[0]}"
    if fault.short_of_memory:
        return MemoryShortError(what, check.where, hint=MORE_MEMORY)
    return BuildError(what, check.where, hint="check its arguments")


def measure(context: RunContext, session: EngineSession, work: Work) -> MeasuredChecks:
    """Runs the work's checks over its rows, in one scan. Raises Fault if one cannot run: then the
    caller's transaction is aborted."""
    may_be_large = _may_be_many(context, work)
    checks = by_bits(session, work.rows, work.checks) if may_be_large else work.checks
    figures, rows = _scan(session, work.rows, checks)
    outcomes, entries, failing_rows = [], [], []
    for check in checks:
        outcome, expiry = _judged(context, session, check, figures[check.id], rows)
        outcome = replace(outcome, compiled=check.measure.failing, ran=_ran(work.rows, check))
        outcomes.append(outcome)
        entries.append(_entry(context, check, outcome, expiry))
        if outcome.status == "fail":
            failing_rows.append((check.name, _failing(session, check, _MAX_STORED)))
        elif _failed_before(context, check) and not check.config.store_failures:
            session.run(f"drop table if exists {RelationName(FAILURES, check.name).sql()}")
    return MeasuredChecks(tuple(outcomes), tuple(entries), rows, tuple(failing_rows))


def _may_be_many(context: RunContext, work: Work) -> bool:
    """Whether the checks read one of our tables that may be large; a view would run twice."""
    node = work.node
    if isinstance(node.body, CheckBody):
        return (context.sizes.get(node.body.on or "") or 0) >= MANY
    return not node.view and not is_small(work, context.sizes)


def keep_failures(session: EngineSession, measured: MeasuredChecks) -> None:
    """Stores the failing rows for `transform show --failures`."""
    for name, rows in measured.failing_rows:
        session.create_table(RelationName(FAILURES, name), rows)


def _failed_before(context: RunContext, check: ReadyCheck) -> bool:
    state = context.state.nodes.get(check.id)
    return state is not None and state.status == "fail"


def _failing(session: EngineSession, check: ReadyCheck, most: int) -> Any:
    limit = min(most, check.config.limit or most)
    return session.arrow(f"select * from ({check.measure.failing}\n) limit {limit}")


def _scan(
    session: EngineSession, rows: str, checks: Sequence[ReadyCheck]
) -> tuple[dict[str, float | None], int | None]:
    if not rows:
        return {c.id: session.rows(f"select {c.measure.figure}")[0][0] for c in checks}, None
    row = session.rows(scan(rows, tuple(checks)))[0]
    figures = {c.id: value for c, value in zip(checks, row, strict=False)}
    return figures, int(row[-1])


def _ran(rows: str, check: ReadyCheck) -> str:
    """The query of one check, as if it ran alone."""
    return scan(rows, (check,)) if rows else f"select {check.measure.figure}"


def _judged(
    context: RunContext,
    session: EngineSession,
    check: ReadyCheck,
    figure: float | None,
    rows: int | None,
) -> tuple[Outcome, float | None]:
    if check.measure.limits is not None:
        now = context.clock().timestamp()
        status = aged(figure, now, check.measure.limits)
        failures = int(status != "success")
        expiry = expires(figure, now, check.measure.limits)
    else:
        failures = _failures(session, check, figure)
        status, expiry = verdict(failures, check.config), None
    sample, stored = Sample(), ""
    if failures and status != "success":
        sample = _narrowed(session.sample(check.measure.failing, _SHOWN), check.shown)
    if check.config.store_failures:
        stored = _store(context, session, check)
    outcome = Outcome(
        check.id,
        "check",
        check.label,
        _severe(status, check),
        rows=rows,
        message=stored,
        facts={"failures": failures},
        sample=sample,
    )
    return outcome, expiry


def _narrowed(sample: Sample, shown: Sequence[str]) -> Sample:
    """The sample with only the columns to show, if it has any of them."""
    lowered = [name.lower() for name in sample.columns]
    indexes = [lowered.index(name.lower()) for name in shown if name.lower() in lowered]
    if not indexes:
        return sample
    names = tuple(sample.columns[i] for i in indexes)
    return Sample(names, tuple(tuple(row[i] for i in indexes) for row in sample.rows))


def _severe(status: Status, check: ReadyCheck) -> Status:
    return "warn" if status == "fail" and check.config.severity == "warn" else status


def _failures(session: EngineSession, check: ReadyCheck, figure: float | None) -> int:
    failures = int(figure or 0)
    if failures and not check.measure.exact and check.measure.count:
        failures = int(session.rows(check.measure.count)[0][0])
    return min(failures, check.config.limit) if check.config.limit else failures


def _store(context: RunContext, session: EngineSession, check: ReadyCheck) -> str:
    """Stores the failing rows as a table (empty if nothing fails) or view; returns its name."""
    table = check.stored or RelationName(FAILURES, check.name)
    session.run(f"create schema if not exists {quoted(table.schema)}")
    limit = f" limit {int(check.config.limit)}" if check.config.limit else ""
    rows = (check.stored and check.measure.kept) or check.measure.failing
    kind = "view" if check.config.store_failures_as == "view" else "table"
    target = context.project.target.catalog.lower(), table.table.lower()
    for database, _, name, existing_kind in render_late.SessionWarehouse(session).relations(
        table.schema
    ):
        if (database.lower(), name.lower()) == target and existing_kind != kind:
            session.run(f"drop {existing_kind} {table.sql()}")
    session.run(f"create or replace {kind} {table.sql()} as select * from ({rows}\n){limit}")
    return str(table)


def _entry(
    context: RunContext, check: ReadyCheck, outcome: Outcome, expiry: float | None
) -> NodeEntry:
    with context.guard:
        inputs = {need: context.versions.get(need, "") for need in check.needs} | dict(check.files)
    state = NodeState(check.fingerprint, outcome.status, inputs, outcome.status)
    failures = outcome.facts.get("failures")
    return NodeEntry(
        check.id, "check", None, state, context.run_id, context.clock(), failures, expiry
    )
