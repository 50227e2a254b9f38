"""Loads sources: stages what arrived and lands it in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.compile.nodes import Node, SourceBody
from transformer.engines import EngineSession
from transformer.errors import Fault, LoadError
from transformer.landing.fit import BeyondSample, Landing
from transformer.landing.land import LandingResult, Relearn, land
from transformer.landing.staged import Cursor, Staged
from transformer.names import fold, quoted
from transformer.plan.work import Work
from transformer.project.values import Load, SourceTable
from transformer.redaction import without_passwords
from transformer.run.check import NOTHING, MeasuredChecks, keep_failures, measure
from transformer.run.content_diff import raw_content, tell, unmoved
from transformer.run.context import RunContext, StepProduct
from transformer.run.probe import declared_types
from transformer.sources import Reader
from transformer.steps import Arrivals, Columns, NodeState, Outcome, SourcePart, Step
from transformer.warehouse import ledger, quarantine

# Types widen in a few steps at most, from integers to text, and new columns may be found meanwhile.
_ATTEMPTS = 8
_UNKNOWN = NodeState("", "")


class _Kept(Exception):  # noqa: N818 - a way out of a transaction, not an error
    """Rolls the transaction back, so that the old table stays."""


class _Attempt(Struct):
    """The result of one attempt at a load. `notes` are for the summary."""

    landed: LandingResult | None = None
    product: StepProduct | None = None
    measured: MeasuredChecks = NOTHING
    notes: list[str] = field(default_factory=list)
    # Readers of the table whose columns did not change.
    unmoved: list[str] = field(default_factory=list)


class _Choice(Struct, frozen=True):
    """The parts to read: `relanded` ones replace their earlier rows, of `retried` ones only
    quarantined rows are read, and with a cursor only rows from `since` on."""

    parts: tuple[SourcePart, ...]
    relanded: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    since: Cursor | None = None


def load(tools: RunContext, step: Step) -> Outcome:
    """Loads a source table."""
    work: Work = step.work
    body = work.node.body
    if not isinstance(body, SourceBody) or body.table.load is None:
        raise TypeError(step.id)
    attempt = _Attempt()
    with tools.engine.session() as session:
        try:
            _attempt(tools, session, work, attempt, body.table)
        except Fault as fault:
            raise LoadError(
                f"`{work.node.name}` cannot be landed: {_first_line(fault)}",
                body.table.load.where,
                hint="nothing of it was landed; the table is as it was",
            ) from None
        if attempt.product:
            tell(tools, session, work.node.id, attempt.product.version, attempt.unmoved)
        if attempt.measured.failed:
            with session.transaction():
                ledger.mark(session, work.node.id, "fail")
                ledger.record(session, attempt.measured.entries)
                keep_failures(session, attempt.measured)
    return _outcome(step, attempt)


def _attempt(
    tools: RunContext, session: EngineSession, work: Work, attempt: _Attempt, table: SourceTable
) -> None:
    sources, node = tools.sources, work.node
    arrivals = work.arrivals or sources.arrivals(session, node)
    with closing(sources.reader(node)) as way:
        try:
            _read(tools, session, work, attempt, (table, way, arrivals))
        except LoadError:
            # What was listed when the build was planned may have been replaced or removed since.
            now = sources.listed_again(session, node)
            if now.parts == arrivals.parts:
                raise
            _read(tools, session, work, attempt, (table, way, now))


def _read(
    tools: RunContext,
    session: EngineSession,
    work: Work,
    attempt: _Attempt,
    source: tuple[SourceTable, Reader, Arrivals],
) -> None:
    table, way, arrivals = source
    existing = _existing(tools, work)
    choice = _choice(tools, session, work, (way, arrivals), existing)
    # Before anything is read: a change from here on is refused.
    parts = [_with_digest(way, part) for part in choice.parts]
    attempt.notes = _renamed(work, arrivals, parts)
    if not parts and existing:
        attempt.landed = LandingResult(0, 0, 0, 0, existing)
        with suppress(_Kept), session.transaction():
            _settle(tools, session, work, attempt, parts)
        return
    staged = way.stage(session, choice.parts, choice.since, None)
    landing = _landing(tools, work, declared_types(session, table), choice, existing)
    learned = BeyondSample()
    # Text is numbered while it is read, by one thread: a second one only costs.
    with tools.sparing() if staged.text else nullcontext():
        for _ in range(_ATTEMPTS):
            more = _landed(tools, session, work, attempt, (way, landing, staged, parts, learned))
            if more is None:
                return
            learned = more
    raise LoadError(
        f"the columns of `{landing.target}` change while it is read",
        landing.load.where,
        hint="nothing was landed; try again when nobody writes to the source",
    )


def _landed(
    tools: RunContext,
    session: EngineSession,
    work: Work,
    attempt: _Attempt,
    what: tuple[Reader, Landing, Staged, Sequence[SourcePart], BeyondSample],
) -> BeyondSample | None:
    """Lands the parts in one transaction. Returns what was learned if rows beyond the sample have
    other columns or types; nothing is changed then."""
    way, landing, staged, parts, learned = what
    try:
        with suppress(_Kept), session.transaction():
            try:
                attempt.landed = land(session, landing, staged, learned)
            except LoadError:
                way.confirm(session, parts)  # which may be the reason
                raise
            way.confirm(session, parts)
            if landing.fresh:
                ledger.forget_loads(session, work.node.id)
            _settle(tools, session, work, attempt, parts)
    except Relearn as more:
        return more.learned
    return None


def _existing(tools: RunContext, work: Work) -> Columns:
    """The existing columns of the table."""
    relation = tools.state.relation(work.node.relation)
    return relation.columns if relation and relation.kind == "table" else ()


def _choice(
    tools: RunContext,
    session: EngineSession,
    work: Work,
    source: tuple[Reader, Arrivals],
    existing: Columns,
) -> _Choice:
    """The parts to read: all, or only new, changed and quarantined ones."""
    way, arrivals = source
    new = {part.name for part in arrivals.new}
    if _rules(work).mode == "replace" or work.full_refresh or not existing:
        return _Choice(arrivals.parts)
    if tools.state.nodes.get(work.node.id, _UNKNOWN).fingerprint != work.fingerprint:
        return _Choice(arrivals.parts, tuple(p.name for p in arrivals.parts if p.name not in new))
    waiting = quarantine.parts(session, work.node.id) if tools.retry_rejected else set()
    changed = {part.name for part in arrivals.changed}
    parts = tuple(part for part in arrivals.parts if part.name in new | changed | waiting)
    if not way.repeats:
        retried = tuple(part.name for part in parts if part.name not in new | changed)
        return _Choice(parts, tuple(p.name for p in parts if p.name in changed), retried)
    since = None if waiting else _since(work, arrivals, existing)
    return _Choice(parts, () if since else tuple(p.name for p in parts), since=since)


def _rules(work: Work) -> Load:
    body = work.node.body
    if not isinstance(body, SourceBody) or body.table.load is None:
        raise TypeError(work.node.id)
    return body.table.load


def _since(work: Work, arrivals: Arrivals, existing: Columns) -> Cursor | None:
    """The cursor of the last load; None to read everything."""
    column = fold(_rules(work).cursor or "")
    kind = next((kind for name, kind in existing if fold(name) == column), None)
    known = [arrivals.landed[p.name] for p in arrivals.parts if p.name in arrivals.landed]
    value = known[0].cursor if known else None
    return Cursor(value, kind) if value is not None and kind else None


def _landing(
    tools: RunContext, work: Work, declared: Mapping[str, str], choice: _Choice, existing: Columns
) -> Landing:
    relation = work.node.relation
    if relation is None:
        raise TypeError(work.node.id)
    return Landing(
        node=work.node.id,
        target=relation,
        load=_rules(work),
        batch=tools.run_id,
        now=tools.clock(),
        declared=declared,
        existing=() if work.full_refresh else existing,
        relanded=choice.relanded,
        retried=choice.retried,
        order=tuple(p.name for p in choice.parts),
        since=choice.since,
    )


def _with_digest(way: Reader, part: SourcePart) -> SourcePart:
    return replace(part, digest=way.digest(part))


def _renamed(work: Work, arrivals: Arrivals, parts: Sequence[SourcePart]) -> list[str]:
    """Notes on new files with the content of a vanished one. They are landed: a renamed file cannot
    be told from a second one with the same content."""
    if _rules(work).mode != "append":
        return []
    landed = arrivals.landed
    gone = {landed[name].digest: name for name in arrivals.gone if landed[name].digest}
    new = {part.name for part in arrivals.new}
    return [
        f"`{part.name}` holds what `{gone[part.digest]}` held, which is gone"
        for part in parts
        if part.name in new and part.digest in gone
    ]


def _settle(
    tools: RunContext,
    session: EngineSession,
    work: Work,
    attempt: _Attempt,
    parts: Sequence[SourcePart],
) -> None:
    """Sets the version, runs the checks and writes the ledger."""
    node, landed = work.node, attempt.landed
    if node.relation is None or landed is None or not isinstance(node.body, SourceBody):
        raise TypeError(node.id)
    version, rows = raw_content(session, node.relation, landed.columns)
    before = tools.versions.get(node.id)
    tools.settle(node.id, version)
    attempt.measured = measure(tools, session, work)
    if attempt.measured.failed and not tools.keep_failed:
        tools.settle(node.id, before or "")
        raise _Kept
    attempt.product = StepProduct(
        version,
        "fail" if attempt.measured.failed else "success",
        columns=landed.columns,
        rows=rows,
    )
    known = tools.state.nodes.get(node.id, _UNKNOWN)
    if known.rows == rows and known.version != version:  # else all of it moved, or none
        attempt.unmoved = unmoved(tools, session, work, landed.columns)
    cursor = _cursor(session, node, node.body.table.load)
    counts = {"read": landed.read, "landed": landed.landed, "quarantined": landed.quarantined}
    batch = (tools.run_id, tools.clock())
    landed_parts = [replace(part, cursor=cursor) for part in parts]
    ledger.record_loads(session, node.id, landed_parts, counts, batch)
    ledger.record(session, [tools.entry(work, attempt.product), *attempt.measured.entries])


def _cursor(session: EngineSession, node: Node, rules: Load | None) -> str | None:
    if rules is None or not rules.cursor or node.relation is None:
        return None
    value = session.rows(f"select max({quoted(rules.cursor)})::varchar from {node.relation.sql()}")[
        0
    ][0]
    return None if value is None else str(value)


def _outcome(step: Step, attempt: _Attempt) -> Outcome:
    landed = attempt.landed
    facts = (
        {
            "read": landed.read,
            "landed": landed.landed,
            "quarantined": landed.quarantined,
            "new": landed.new,
        }
        if landed
        else {}
    )
    return Outcome(
        step.id,
        "load",
        step.label,
        "fail" if attempt.measured.failed else "success",
        rows=landed.landed if landed else None,
        message="; ".join((*landed.changes, *attempt.notes))
        if landed and attempt.product
        else "kept",
        facts=facts,
        parts=attempt.measured.outcomes,
    )


def _first_line(fault: Fault) -> str:
    return without_passwords(fault.message.splitlines()[0])
