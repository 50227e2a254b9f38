"""Loads sources: probes what is there, stages what is new, lands it in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from transformer import ledger
from transformer.compile.nodes import Graph, Node, SourceBody
from transformer.engines import Session
from transformer.errors import Fault, LoadError, TransformError
from transformer.landing.land import OWN, Landed, Landing, land
from transformer.landing.staged import UNKNOWN
from transformer.landing.types import infer
from transformer.ledger import Part
from transformer.names import quoted
from transformer.plan.planner import Probe, Work
from transformer.project.paths import Places
from transformer.project.values import Load, SourceTable
from transformer.run.checking import NOTHING, Measured, measure
from transformer.run.tools import Made, Tools, content
from transformer.sources import Reader, Request, find
from transformer.steps import Columns, Outcome, Step

# Rows of each file that are looked at when only the types are wanted, before the first load.
_LOOK = 2_000


class _Kept(Exception):  # noqa: N818 - a way out of a transaction, not an error
    """Leaves the transaction so that the old table stays."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What is new at a source: parts that were never landed, or have changed since."""

    parts: tuple[Part, ...]
    new: tuple[Part, ...]
    changed: tuple[Part, ...]
    gone: tuple[str, ...] = ()
    same: tuple[Part, ...] = ()

    @property
    def reason(self) -> str:
        """Why the source has to be loaded, or nothing."""
        said = []
        if self.new:
            said.append(_counted(len(self.new), "new file"))
        if self.changed:
            said.append(_counted(len(self.changed), "changed file"))
        if self.gone:
            said.append(_counted(len(self.gone), "vanished file"))
        return ", ".join(said)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def reader(table: SourceTable, places: Places, extension: Any) -> Reader:
    """The way in to a source table. Raises LoadError."""
    load = table.load
    if load is None:
        raise LoadError(f"`{table.source}.{table.name}` says no `load:`", table.where)
    made: Reader = find(load.kind).connect(Request(table, places, extension))
    return made


def arrivals(session: Session, way: Reader, node_id: str) -> Arrivals:
    """What is there and was not landed yet. A file that was only touched counts as landed."""
    known = ledger.landed(session, node_id)
    parts = tuple(way.parts(session))
    new = [p for p in parts if p.name not in known]
    moved = [
        p
        for p in parts
        if p.name in known and (not p.identity or p.identity != known[p.name].identity)
    ]
    changed: list[Part] = []
    same: list[Part] = []
    for part in moved:
        digest = way.digest(part)
        (same if digest and digest == known[part.name].digest else changed).append(part)
    here = {p.name for p in parts}
    gone = tuple(name for name in known if name not in here)
    return Arrivals(parts, tuple(new), tuple(changed), gone, tuple(same))


def probe(
    session: Session, graph: Graph, chosen: Iterable[str], places: Places, extension: Any
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
            mistakes.append(LoadError(fault.message.splitlines()[0], body.table.where))
            continue
        gone = found.gone if body.table.load.mode == "replace" else ()
        probes[node.id] = Probe(replace(found, gone=gone).reason)
    return probes, mistakes


def peek(session: Session, table: SourceTable, places: Places, extension: Any) -> Columns:
    """The columns that a first load would make, from a look at the first rows. Raises LoadError."""
    way = reader(table, places, extension)
    staged = way.stage(session, way.parts(session), None, _LOOK)
    declared = _declared(table)
    unknown = [n for n, kind in staged.columns if kind == UNKNOWN and n.lower() not in declared]
    guessed = infer(session, staged.rows, unknown)
    columns = tuple(
        (n, declared.get(n.lower()) or guessed.get(n) or kind) for n, kind in staged.columns
    )
    return (*columns, *OWN)


def _declared(table: SourceTable) -> dict[str, str]:
    return {c.name.lower(): c.data_type for c in table.described.columns if c.data_type}


@dataclass(slots=True)
class _Attempt:
    landed: Landed | None = None
    made: Made | None = None
    measured: Measured = NOTHING


def load(tools: Tools, step: Step) -> Outcome:
    """Performs the load of a source table."""
    work: Work = step.work
    body = work.node.body
    if not isinstance(body, SourceBody) or body.table.load is None:
        raise TypeError(step.id)
    attempt = _Attempt()
    with tools.engine.session() as session:
        try:
            way = reader(body.table, tools.places, tools.extension)
            found = arrivals(session, way, work.node.id)
            chosen = _chosen(found, body.table.load, whole=_whole(tools, work))
            staged = way.stage(session, chosen, _since(session, work, body.table.load), None)
            landing = _landing(tools, work, body.table, chosen, found)
            with suppress(_Kept), session.transaction():
                attempt.landed = land(session, landing, staged)
                _settle(tools, session, work, attempt, [_with_digest(way, p) for p in chosen])
        except Fault as fault:
            raise LoadError(
                f"`{work.node.name}` cannot be landed: {fault.message.splitlines()[0]}",
                body.table.load.where,
                hint="nothing of it was landed; the table is as it was",
            ) from None
        if attempt.measured.failed:
            with session.transaction():
                ledger.mark(session, work.node.id, "fail")
                ledger.record(session, attempt.measured.entries)
    return _outcome(step, attempt)


def _whole(tools: Tools, work: Work) -> bool:
    """Whether everything is read again: asked for, or the `load:` itself was changed."""
    known = tools.states.get(work.node.id)
    return work.full_refresh or known is None or known.fingerprint != work.fingerprint


def _chosen(found: Arrivals, rules: Load, *, whole: bool) -> tuple[Part, ...]:
    if rules.mode == "replace" or whole:
        return found.parts
    return (*found.new, *found.changed)


def _since(session: Session, work: Work, rules: Load) -> str | None:
    """The cursor's last value; None reads everything."""
    if rules.mode == "replace" or work.full_refresh:
        return None
    known = ledger.landed(session, work.node.id)
    cursors = [part.cursor for part in known.values() if part.cursor is not None]
    return max(cursors) if cursors else None


def _landing(
    tools: Tools,
    work: Work,
    table: SourceTable,
    chosen: Sequence[Part],
    found: Arrivals,
) -> Landing:
    relation = work.node.relation
    if relation is None or table.load is None:
        raise TypeError(work.node.id)
    existing = tools.engine.relations().get(relation.key())
    held = existing.columns if existing and existing.kind == "table" else ()
    known = {p.name for p in (*found.changed, *found.parts) if p not in found.new}
    return Landing(
        node=work.node.id,
        target=relation,
        load=table.load,
        batch=tools.run_id,
        now=tools.clock(),
        declared=_declared(table),
        existing=() if work.full_refresh else held,
        relanded=tuple(p.name for p in chosen if p.name in known),
        order=tuple(p.name for p in chosen),
    )


def _with_digest(way: Reader, part: Part) -> Part:
    return replace(part, digest=way.digest(part))


def _settle(
    tools: Tools, session: Session, work: Work, attempt: _Attempt, parts: Sequence[Part]
) -> None:
    """Versions, checks, and the ledger beside the rows."""
    node, landed = work.node, attempt.landed
    if node.relation is None or landed is None or not isinstance(node.body, SourceBody):
        raise TypeError(node.id)
    version, rows = content(session, node.relation, landed.columns)
    before = tools.versions.get(node.id)
    tools.settle(node.id, version)
    attempt.measured = measure(tools, session, work)
    if attempt.measured.failed and not tools.keep_failed:
        tools.settle(node.id, before or "")
        raise _Kept
    attempt.made = Made(
        version,
        "fail" if attempt.measured.failed else "success",
        columns=landed.columns,
        rows=rows,
    )
    cursor = _cursor(session, node, node.body.table.load)
    counts = {"read": landed.read, "landed": landed.landed, "quarantined": landed.quarantined}
    if node.body.table.load and node.body.table.load.mode == "replace":
        ledger.forget_loads(session, node.id)
    batch = (tools.run_id, tools.clock())
    for number, part in enumerate(parts):
        # The counts are of the whole batch; they stand at its first part.
        shown = counts if number == 0 else dict.fromkeys(counts, 0)
        ledger.record_load(session, node.id, replace(part, cursor=cursor), shown, batch)
    ledger.record(session, [tools.entry(work, attempt.made), *attempt.measured.entries])


def _cursor(session: Session, node: Node, rules: Load | None) -> str | None:
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
        message="; ".join(landed.changes) if landed and attempt.made else "kept",
        facts=facts,
        parts=attempt.measured.outcomes,
    )


def touch(session: Session, graph: Graph, places: Places, extension: Any) -> None:
    """Notes the new identity of files that were touched but hold what they held."""
    for node in graph:
        body = node.body
        if isinstance(body, SourceBody) and body.table.load and ledger.landed(session, node.id):
            found = arrivals(session, reader(body.table, places, extension), node.id)
            for part in found.same:
                session.run(
                    "update _transform.loads set identity = ? where node = ? and part = ?",
                    [part.identity, node.id, part.name],
                )
