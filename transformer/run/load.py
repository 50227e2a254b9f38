"""Loads sources: probes what is there, stages what is new, lands it in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.compile.nodes import Graph, Node, SourceBody
from transformer.engines import EngineSession
from transformer.errors import Fault, LoadError, TransformError
from transformer.landing.fit import BeyondSample, Landing
from transformer.landing.land import LandingResult, Relearn, land
from transformer.landing.staged import Cursor, Staged
from transformer.names import fold, quoted
from transformer.plan.work import Probe, Work
from transformer.project.paths import Places
from transformer.project.values import Load, SourceTable
from transformer.redaction import without_passwords
from transformer.run.check import NOTHING, MeasuredChecks, keep_failures, measure
from transformer.run.content_diff import raw_content, tell, unmoved
from transformer.run.context import RunContext, StepProduct
from transformer.run.probe import declared_types, reader
from transformer.sources import Reader
from transformer.steps import Columns, NodeState, Outcome, Step
from transformer.warehouse import ledger
from transformer.warehouse.ledger import SourcePart

# A column's type rises at most from whole numbers to text, and new columns may come on the way.
_ATTEMPTS = 8
_UNKNOWN = NodeState("", "")


class _Kept(Exception):  # noqa: N818 - a way out of a transaction, not an error
    """Leaves the transaction so that the old table stays."""


class NewParts(Struct, frozen=True):
    """What is new at a source: parts that were never landed, or have changed since."""

    parts: tuple[SourcePart, ...]
    new: tuple[SourcePart, ...]
    changed: tuple[SourcePart, ...]
    gone: tuple[str, ...] = ()
    same: tuple[SourcePart, ...] = ()

    @property
    def reason(self) -> str:
        """Why the source has to be loaded, or nothing."""
        said = []
        if self.new:
            said.append(_counted(len(self.new), "new file"))
        changed = [part for part in self.changed if part.identity]
        if changed:
            said.append(_counted(len(changed), "changed file"))
        if len(self.changed) > len(changed):
            said.append("may have changed")
        if self.gone:
            said.append(_counted(len(self.gone), "vanished file"))
        return ", ".join(said)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def arrivals(session: EngineSession, way: Reader, node_id: str) -> NewParts:
    """What is there and was not landed yet. A file that was only touched counts as landed."""
    known = ledger.landed(session, node_id)
    parts = tuple(way.parts(session))
    new = [p for p in parts if p.name not in known]
    moved = [
        p
        for p in parts
        if p.name in known and (not p.identity or p.identity != known[p.name].identity)
    ]
    changed: list[SourcePart] = []
    same: list[SourcePart] = []
    for part in moved:
        digest = way.digest(part)
        (same if digest and digest == known[part.name].digest else changed).append(part)
    here = {p.name for p in parts}
    gone = tuple(name for name in known if name not in here)
    return NewParts(parts, tuple(new), tuple(changed), gone, tuple(same))


def probe(
    session: EngineSession, graph: Graph, chosen: Iterable[str], places: Places, extension: Any
) -> tuple[dict[str, Probe], list[TransformError]]:
    """For every chosen source that is loaded: whether there is something new. Mistakes beside."""
    probes: dict[str, Probe] = {}
    mistakes: list[TransformError] = []
    wanted = set(chosen)
    for node in graph:
        body = node.body
        if not isinstance(body, SourceBody) or body.table.load is None or node.id not in wanted:
            continue
        try:
            found = arrivals(session, reader(body.table, places, extension), node.id)
        except TransformError as error:
            mistakes.append(error.at(body.table.where))
            continue
        except Fault as fault:
            mistakes.append(
                LoadError(without_passwords(fault.message.splitlines()[0]), body.table.where)
            )
            continue
        gone = found.gone if body.table.load.mode == "replace" else ()
        probes[node.id] = Probe(replace(found, gone=gone).reason)
    return probes, mistakes


class _Attempt(Struct):
    """What one attempt at a load has come to. `said` is what the summary should not keep back."""

    landed: LandingResult | None = None
    made: StepProduct | None = None
    measured: MeasuredChecks = NOTHING
    said: list[str] = field(default_factory=list)
    # The readers of the table, for whom nothing moved.
    unmoved: list[str] = field(default_factory=list)


class _Choice(Struct, frozen=True):
    """Which parts are read, and how much of each: `relanded` anew, of `retried` only what is in
    quarantine, and from `since` on what is narrowed by a cursor."""

    parts: tuple[SourcePart, ...]
    relanded: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    since: Cursor | None = None


def load(tools: RunContext, step: Step) -> Outcome:
    """Performs the load of a source table."""
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
        if attempt.made:
            tell(tools, session, work.node.id, attempt.made.version, attempt.unmoved)
        if attempt.measured.failed:
            with session.transaction():
                ledger.mark(session, work.node.id, "fail")
                ledger.record(session, attempt.measured.entries)
                keep_failures(session, attempt.measured)
    return _outcome(step, attempt)


def _attempt(
    tools: RunContext, session: EngineSession, work: Work, attempt: _Attempt, table: SourceTable
) -> None:
    with closing(reader(table, tools.places, tools.extension)) as way:
        _read(tools, session, work, attempt, (table, way))


def _read(
    tools: RunContext,
    session: EngineSession,
    work: Work,
    attempt: _Attempt,
    source: tuple[SourceTable, Reader],
) -> None:
    table, way = source
    found = arrivals(session, way, work.node.id)
    held = _held(tools, work)
    choice = _choice(tools, session, work, (way, found), held)
    # Before anything is read: what is changed from here on is refused.
    parts = [_with_digest(way, part) for part in choice.parts]
    attempt.said += _renamed(session, work, found, parts)
    if not parts and held:
        attempt.landed = LandingResult(0, 0, 0, 0, held)
        with suppress(_Kept), session.transaction():
            _settle(tools, session, work, attempt, parts)
        return
    staged = way.stage(session, choice.parts, choice.since, None)
    landing = _landing(tools, work, declared_types(session, table), choice, held)
    learned = BeyondSample()
    # Rows of text are numbered as they are read, by one thread: a second one only costs.
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
    """Lands in one transaction. What has to be known first, when rows beyond the sample have other
    columns or types: then nothing is done yet."""
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


def _held(tools: RunContext, work: Work) -> Columns:
    """The columns that the table has."""
    existing = tools.state.relation(work.node.relation)
    return existing.columns if existing and existing.kind == "table" else ()


def _choice(
    tools: RunContext,
    session: EngineSession,
    work: Work,
    way: tuple[Reader, NewParts],
    held: Columns,
) -> _Choice:
    """What is read this time: all, or only what is new or has changed, or waits in quarantine."""
    reading, found = way
    new = {p.name for p in found.new}
    if _rules(work).mode == "replace" or work.full_refresh or not held:
        return _Choice(found.parts)
    if tools.state.nodes.get(work.node.id, _UNKNOWN).fingerprint != work.fingerprint:
        return _Choice(found.parts, tuple(p.name for p in found.parts if p.name not in new))
    waiting = _waiting(session, work) if tools.retry_rejected else set()
    changed = {p.name for p in found.changed}
    parts = tuple(p for p in found.parts if p.name in new | changed | waiting)
    if not reading.repeats:
        retried = tuple(p.name for p in parts if p.name not in new | changed)
        return _Choice(parts, tuple(p.name for p in parts if p.name in changed), retried)
    since = None if waiting else _since(session, work, parts, held)
    return _Choice(parts, () if since else tuple(p.name for p in parts), since=since)


def _rules(work: Work) -> Load:
    body = work.node.body
    if not isinstance(body, SourceBody) or body.table.load is None:
        raise TypeError(work.node.id)
    return body.table.load


def _waiting(session: EngineSession, work: Work) -> set[str]:
    """The parts of which rows are in quarantine."""
    found = session.rows(
        "select distinct source from _transform.quarantine where node = ?", [work.node.id]
    )
    return {row[0] for row in found}


def _since(
    session: EngineSession, work: Work, parts: Sequence[SourcePart], held: Columns
) -> Cursor | None:
    """How far the table was read; None reads everything."""
    name = fold(_rules(work).cursor or "")
    kind = next((k for n, k in held if fold(n) == name), None)
    known = ledger.landed(session, work.node.id)
    value = next((known[p.name].cursor for p in parts if p.name in known), None)
    return Cursor(value, kind) if value is not None and kind else None


def _landing(
    tools: RunContext, work: Work, declared: Mapping[str, str], choice: _Choice, held: Columns
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
        existing=() if work.full_refresh else held,
        relanded=choice.relanded,
        retried=choice.retried,
        order=tuple(p.name for p in choice.parts),
        since=choice.since,
    )


def _with_digest(way: Reader, part: SourcePart) -> SourcePart:
    return replace(part, digest=way.digest(part))


def _renamed(
    session: EngineSession, work: Work, found: NewParts, parts: Sequence[SourcePart]
) -> list[str]:
    """New files that hold what a vanished one held. They land: nobody can tell a file that was
    given another name from a second one that says the same."""
    if _rules(work).mode != "append":
        return []
    known = ledger.landed(session, work.node.id)
    gone = {known[name].digest: name for name in found.gone if known[name].digest}
    new = {p.name for p in found.new}
    return [
        f"`{p.name}` holds what `{gone[p.digest]}` held, which is gone"
        for p in parts
        if p.name in new and p.digest in gone
    ]


def _settle(
    tools: RunContext,
    session: EngineSession,
    work: Work,
    attempt: _Attempt,
    parts: Sequence[SourcePart],
) -> None:
    """Versions, checks, and the ledger beside the rows."""
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
    attempt.made = StepProduct(
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
    ledger.record(session, [tools.entry(work, attempt.made), *attempt.measured.entries])


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
        message="; ".join((*landed.changes, *attempt.said)) if landed and attempt.made else "kept",
        facts=facts,
        parts=attempt.measured.outcomes,
    )


def touch(session: EngineSession, graph: Graph, places: Places, extension: Any) -> None:
    """Notes the new identity of files that were touched but hold what they held."""
    for node in graph:
        body = node.body
        if isinstance(body, SourceBody) and body.table.load and ledger.landed(session, node.id):
            with suppress(TransformError, Fault):  # whoever loads it will say what is wrong
                found = arrivals(session, reader(body.table, places, extension), node.id)
                _note(session, node.id, found.same)


def _note(session: EngineSession, node_id: str, parts: Sequence[SourcePart]) -> None:
    for part in parts:
        session.run(
            "update _transform.loads set identity = ? where node = ? and part = ?",
            [part.identity, node_id, part.name],
        )


def _first_line(fault: Fault) -> str:
    return without_passwords(fault.message.splitlines()[0])
