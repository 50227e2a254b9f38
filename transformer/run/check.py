"""Measures checks: one scan for all of a relation's, rows fetched only for those that fail."""

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
# What helps where one thread alone had too little.
MORE_MEMORY = (
    "allow it more (`settings: {memory_limit: …}` of the target), or have it do less at a time"
    " (`materialized: incremental`)"
)
# So many failing rows of a failed check are kept.
_HELD = 100_000


class MeasuredChecks(Struct, frozen=True):
    """The outcomes of some checks, what the ledger keeps of them, and the number of rows."""

    outcomes: tuple[Outcome, ...]
    entries: tuple[NodeEntry, ...]
    rows: int | None
    # The failing rows of failed checks, by the check's name: they outlive the rolled-back table.
    held: tuple[tuple[str, Any], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether one of them is a failure."""
        return any(outcome.bad for outcome in self.outcomes)


NOTHING = MeasuredChecks((), (), None)


def check(tools: RunContext, step: Step) -> Outcome:
    """Performs checks that are a step of their own."""
    work: Work = step.work
    if tools.unchanged(work):
        return Outcome(step.id, "check", step.label, "skipped")
    first, *rest = _measured(tools, work).outcomes
    return replace(first, parts=tuple(rest))


def left(tools: RunContext, step: Step) -> Outcome:
    """A step that has nothing to do but some of its checks: those that are new or read something
    else that moved."""
    checks = tuple(check for check in step.work.checks if not tools.unmoved(check))
    found = _measured(tools, replace(step.work, checks=checks)) if checks else NOTHING
    return Outcome(step.id, step.action, step.label, "skipped", parts=found.outcomes)


def _measured(tools: RunContext, work: Work) -> MeasuredChecks:
    try:
        return _in_transaction(tools, work)
    except Fault:
        # One of them cannot run, and DuckDB gives up the transaction: each is measured alone.
        with tools.alone():
            return one_by_one(tools, work)


def _in_transaction(tools: RunContext, work: Work) -> MeasuredChecks:
    with tools.engine.session() as session, session.transaction():
        work = render_late.now(tools, session, work)
        measured = measure(tools, session, work)
        note(session, measured.entries)
        keep_failures(session, measured)
    return measured


def one_by_one(tools: RunContext, work: Work) -> MeasuredChecks:
    """Each of the work's checks in a transaction of its own: one that cannot run is an error."""
    found = []
    for each in work.checks:
        try:
            found.append(_in_transaction(tools, replace(work, checks=(each,))))
        except Fault as fault:
            outcome = Outcome(each.id, "check", each.label, "error", error=cannot_run(each, fault))
            entry = _entry(tools, each, outcome, None)
            with tools.engine.session() as session, session.transaction():
                note(session, [entry])
            found.append(MeasuredChecks((outcome,), (entry,), None))
    outcomes = tuple(o for each in found for o in each.outcomes)
    return MeasuredChecks(outcomes, tuple(e for each in found for e in each.entries), None)


def cannot_run(each: ReadyCheck, fault: Fault) -> BuildError:
    """What is said of a check whose query fails."""
    what = f"the check `{each.label}` cannot run: {fault.message.splitlines()[0]}"
    if fault.short_of_memory:
        return MemoryShortError(what, each.where, hint=MORE_MEMORY)
    return BuildError(what, each.where, hint="look at its arguments")


def measure(tools: RunContext, session: EngineSession, work: Work) -> MeasuredChecks:
    """Measures the work's checks over its rows, in one scan. Raises Fault when one cannot run:
    the caller's transaction is then lost."""
    many = _may_be_many(tools, work)
    checks = by_bits(session, work.rows, work.checks) if many else work.checks
    figures, rows = _scan(session, work.rows, checks)
    outcomes, entries, held = [], [], []
    for each in checks:
        outcome, expiry = _judged(tools, session, each, figures[each.id], rows)
        outcome = replace(outcome, compiled=each.measure.failing, ran=_ran(work.rows, each))
        outcomes.append(outcome)
        entries.append(_entry(tools, each, outcome, expiry))
        if outcome.status == "fail":
            held.append((each.name, _failing(session, each, _HELD)))
        elif _failed_before(tools, each) and not each.config.store_failures:
            session.run(f"drop table if exists {RelationName(FAILURES, each.name).sql()}")
    return MeasuredChecks(tuple(outcomes), tuple(entries), rows, tuple(held))


def _may_be_many(tools: RunContext, work: Work) -> bool:
    """Whether the checks look at a table of ours that may hold many rows; a view would have to be
    asked twice."""
    node = work.node
    if isinstance(node.body, CheckBody):
        return (tools.sizes.get(node.body.on or "") or 0) >= MANY
    return not node.view and not is_small(work, tools.sizes)


def keep_failures(session: EngineSession, measured: MeasuredChecks) -> None:
    """Puts the failing rows where `transform show --failures` finds them."""
    for name, rows in measured.held:
        session.create_table(RelationName(FAILURES, name), rows)


def _failed_before(tools: RunContext, each: ReadyCheck) -> bool:
    known = tools.state.nodes.get(each.id)
    return known is not None and known.status == "fail"


def _failing(session: EngineSession, each: ReadyCheck, most: int) -> Any:
    limit = min(most, each.config.limit or most)
    return session.arrow(f"select * from ({each.measure.failing}\n) limit {limit}")


def _scan(
    session: EngineSession, rows: str, checks: Sequence[ReadyCheck]
) -> tuple[dict[str, float | None], int | None]:
    if not rows:
        return {c.id: session.rows(f"select {c.measure.figure}")[0][0] for c in checks}, None
    found = session.rows(scan(rows, tuple(checks)))[0]
    figures = {c.id: value for c, value in zip(checks, found, strict=False)}
    return figures, int(found[-1])


def _ran(rows: str, each: ReadyCheck) -> str:
    """The query of one check, as if it had been measured alone."""
    return scan(rows, (each,)) if rows else f"select {each.measure.figure}"


def _judged(
    tools: RunContext,
    session: EngineSession,
    each: ReadyCheck,
    figure: float | None,
    rows: int | None,
) -> tuple[Outcome, float | None]:
    if each.measure.limits is not None:
        now = tools.clock().timestamp()
        status = aged(figure, now, each.measure.limits)
        failures = int(status != "success")
        expiry = expires(figure, now, each.measure.limits)
    else:
        failures = _failures(session, each, figure)
        status, expiry = verdict(failures, each.config), None
    sample, stored = Sample(), ""
    if failures and status != "success":
        sample = _narrowed(session.sample(each.measure.failing, _SHOWN), each.shown)
    if each.config.store_failures:
        stored = _store(tools, session, each)
    outcome = Outcome(
        each.id,
        "check",
        each.label,
        _severe(status, each),
        rows=rows,
        message=stored,
        facts={"failures": failures},
        sample=sample,
    )
    return outcome, expiry


def _narrowed(sample: Sample, shown: Sequence[str]) -> Sample:
    """The columns that identify rows and the checked one, where there are any among them."""
    folded = [name.lower() for name in sample.columns]
    kept = [folded.index(name.lower()) for name in shown if name.lower() in folded]
    if not kept:
        return sample
    names = tuple(sample.columns[i] for i in kept)
    return Sample(names, tuple(tuple(row[i] for i in kept) for row in sample.rows))


def _severe(status: Status, each: ReadyCheck) -> Status:
    return "warn" if status == "fail" and each.config.severity == "warn" else status


def _failures(session: EngineSession, each: ReadyCheck, figure: float | None) -> int:
    failures = int(figure or 0)
    if failures and not each.measure.exact and each.measure.count:
        failures = int(session.rows(each.measure.count)[0][0])
    return min(failures, each.config.limit) if each.config.limit else failures


def _store(tools: RunContext, session: EngineSession, each: ReadyCheck) -> str:
    """Keeps the failing rows: as a table, an empty one when nothing fails, or as a view."""
    table = each.stored or RelationName(FAILURES, each.name)
    session.run(f"create schema if not exists {quoted(table.schema)}")
    limit = f" limit {int(each.config.limit)}" if each.config.limit else ""
    rows = (each.stored and each.measure.kept) or each.measure.failing
    kind = "view" if each.config.store_failures_as == "view" else "table"
    here = tools.project.target.catalog.lower(), table.table.lower()
    for database, _, name, held in render_late.SessionWarehouse(session).relations(table.schema):
        if (database.lower(), name.lower()) == here and held != kind:
            session.run(f"drop {held} {table.sql()}")
    session.run(f"create or replace {kind} {table.sql()} as select * from ({rows}\n){limit}")
    return str(table)


def _entry(
    tools: RunContext, each: ReadyCheck, outcome: Outcome, expiry: float | None
) -> NodeEntry:
    with tools.guard:
        inputs = {need: tools.versions.get(need, "") for need in each.needs} | dict(each.files)
    state = NodeState(each.fingerprint, outcome.status, inputs, outcome.status)
    failures = outcome.facts.get("failures")
    return NodeEntry(each.id, "check", None, state, tools.run_id, tools.clock(), failures, expiry)
