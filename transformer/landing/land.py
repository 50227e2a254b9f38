"""Lands what a source offers: every row goes to the table or to quarantine, and is counted.

`landed + quarantined = read`, always. Nothing here loops over rows: types, misfits, keys and
duplicates are settled in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from transformer.errors import LoadError, did_you_mean
from transformer.landing.staged import PART, ROW, UNKNOWN, Session, Staged
from transformer.landing.types import cast, infer, misfit, widens
from transformer.names import Name, literal, quoted
from transformer.project.values import Load
from transformer.steps import Columns

# What every landed row carries: when, in which batch, from which file or table and row.
OWN: Columns = (
    ("_loaded_at", "TIMESTAMP WITH TIME ZONE"),
    ("_batch", "VARCHAR"),
    ("_source", "VARCHAR"),
)
_OWN_NAMES = frozenset(name for name, _ in OWN)
_INCOMING = quoted("__incoming")


@dataclass(frozen=True, slots=True)
class Landing:
    """One landing: into which table, by which rules, and what stands there already.

    `relanded` are parts that were landed before and have changed: their rows are replaced.
    `order` is the order of the parts: in a merge the later row wins.
    """

    node: str
    target: Name
    load: Load
    batch: str
    now: datetime
    declared: Mapping[str, str] = field(default_factory=dict)
    existing: Columns = ()
    relanded: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def fresh(self) -> bool:
        """Whether the table is made anew."""
        return self.load.mode == "replace" or not self.existing


@dataclass(frozen=True, slots=True)
class Landed:
    """What was landed. `new` are the rows that the table did not hold before."""

    read: int
    landed: int
    quarantined: int
    new: int
    columns: Columns
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fitted:
    """The columns as they will be: target types, what has to be altered, what is refused."""

    kinds: Mapping[str, str]
    offered: Mapping[str, str]
    added: Columns = ()
    widened: Columns = ()
    extra: tuple[str, ...] = ()


def land(session: Session, landing: Landing, staged: Staged) -> Landed:
    """Lands everything staged, in the caller's transaction. Raises LoadError."""
    fitted = fit(session, landing, staged)
    _keys_exist(landing, fitted)
    refused = _refused(landing, staged, fitted)
    _make_room(session, landing, fitted)
    quarantined = _quarantine(session, landing, staged, refused)
    good = f"not ({' or '.join(c for c, _, _, _ in refused)})" if refused else "true"
    landed, new = _MODES[landing.load.mode](session, landing, _Rows(staged, fitted, good))
    columns = tuple((n, k) for n, k in session.columns(f"from {landing.target.sql()}"))
    changes = [f"new column `{n}`" for n, _ in fitted.added if landing.existing]
    changes += [f"`{n}` is now {k}" for n, k in fitted.widened]
    return Landed(landed + quarantined, landed, quarantined, new, columns, tuple(changes))


def fit(session: Session, landing: Landing, staged: Staged) -> Fitted:
    """Which type each column gets, under the policy `on_schema_change`."""
    held = {n.lower(): (n, k) for n, k in landing.existing if n not in _OWN_NAMES}
    declared = {n.lower(): k for n, k in landing.declared.items()}
    offered = dict(staged.columns)
    named = {n: held.get(n.lower(), (n, ""))[0] for n in offered}
    wanted = {n: declared.get(n.lower()) or held.get(n.lower(), ("", ""))[1] for n in offered}
    found = _found(session, staged, wanted)
    policy = landing.load.on_schema_change
    kinds, added, widened, extra = {}, [], [], []
    for name in offered:
        old, new = wanted[name], found[name]
        if not old:
            kinds[name] = new
            added.append((named[name], new))
        elif old != new and name.lower() not in declared and widens(old, new):
            kinds[name] = new
            widened.append((named[name], new))
        else:
            kinds[name] = old
    if held and policy == "freeze":
        _frozen(landing, held, offered, (*added, *widened))
    if held and policy == "quarantine":
        extra = [n for n in offered if named[n] in dict(added)]
        kinds = {n: (wanted[n] or k) for n, k in kinds.items()}
        added, widened = [], []
    return Fitted(kinds, offered, tuple(added), tuple(widened), tuple(extra))


def _found(session: Session, staged: Staged, wanted: Mapping[str, str]) -> dict[str, str]:
    """The type that the values at hand ask for, where it is not the wanted one."""
    offered = dict(staged.columns)
    if not staged.text:
        return offered
    unknown = [n for n, kind in offered.items() if kind == UNKNOWN and not wanted[n]]
    unfit = _unfit(session, staged, {n: k for n, k in wanted.items() if k})
    guessed = infer(session, staged.rows, [n for n in (*unknown, *unfit) if offered[n] == UNKNOWN])
    return {
        n: guessed.get(n)
        or (kind if kind != UNKNOWN and (n in unfit or not wanted[n]) else wanted[n])
        for n, kind in offered.items()
    }


def _unfit(session: Session, staged: Staged, wanted: Mapping[str, str]) -> list[str]:
    """The columns that hold a value which does not fit the wanted type."""
    asked = [(n, misfit(n, kind, text=True)) for n, kind in wanted.items()]
    conditions = [(n, condition) for n, condition in asked if condition]
    if not conditions:
        return []
    figures = ", ".join(f"count(*) filter (where {condition})" for _, condition in conditions)
    counts = session.rows(f"select {figures} from ({staged.rows})")[0]
    return [n for (n, _), count in zip(conditions, counts, strict=True) if count]


def _frozen(
    landing: Landing,
    held: Mapping[str, tuple[str, str]],
    offered: Mapping[str, str],
    changed: Columns,
) -> None:
    folded = {n.lower() for n in offered}
    gone = [name for key, (name, _) in held.items() if key not in folded]
    if not changed and not gone:
        return
    listed = [f"{n} {k}" for n, k in changed] + [f"−{n}" for n in gone]
    raise LoadError(
        f"the columns of `{landing.target}` changed: {', '.join(listed)}",
        landing.load.where,
        hint="`on_schema_change` is `freeze`; `evolve` takes new columns in",
    )


def _keys_exist(landing: Landing, fitted: Fitted) -> None:
    folded = {n.lower() for n in fitted.kinds}
    cursor = (landing.load.cursor,) if landing.load.cursor else ()
    for name in (*landing.load.key, *cursor):
        if name.lower() not in folded:
            raise LoadError(
                f"`{landing.target}` has no column `{name}`",
                landing.load.where,
                hint=did_you_mean(name, fitted.kinds),
            )


Refusal = tuple[str, str, str, str]


def _refused(landing: Landing, staged: Staged, fitted: Fitted) -> list[Refusal]:
    """Why a row may be refused: condition, column, the value as SQL, the reason as SQL."""
    made: list[Refusal] = []
    for name, kind in fitted.kinds.items():
        if name in fitted.extra:
            condition = f"{quoted(name)} is not null"
            made.append((condition, name, quoted(name), literal("a column that is not known")))
            continue
        offered = fitted.offered[name]
        wrong = misfit(name, kind, text=staged.text, offered=offered)
        if wrong:
            made.append((wrong, name, quoted(name), literal(f"is no {kind}")))
    if landing.load.mode == "merge":
        keys = {k.lower() for k in landing.load.key}
        for name, kind in fitted.kinds.items():
            if name.lower() in keys:
                value = cast(name, kind, text=staged.text, offered=fitted.offered[name])
                made.append(
                    (f"({value}) is null", name, quoted(name), literal("the key is missing"))
                )
    return made


def _make_room(session: Session, landing: Landing, fitted: Fitted) -> None:
    """The table as it has to be, and nothing of what this landing replaces."""
    target = landing.target.sql()
    if landing.fresh:
        kept = [(n, k) for n, k in fitted.kinds.items() if n not in fitted.extra]
        listed = ", ".join(f"{quoted(n)} {k}" for n, k in (*kept, *OWN))
        session.run(f"create or replace table {target} ({listed})")
        session.run("delete from _transform.quarantine where node = ?", [landing.node])
        return
    for name, kind in fitted.added:
        session.run(f"alter table {target} add column {quoted(name)} {kind}")
    for name, kind in fitted.widened:
        session.run(f"alter table {target} alter {quoted(name)} type {kind}")
    for part in landing.relanded:
        if landing.load.mode == "append":
            session.run(f"delete from {target} where starts_with(_source, ?)", [part + "#"])
        session.run(
            "delete from _transform.quarantine where node = ? and source = ?", [landing.node, part]
        )


def _quarantine(
    session: Session, landing: Landing, staged: Staged, refused: Sequence[Refusal]
) -> int:
    head = (
        f"insert into _transform.quarantine select 'load', {literal(landing.node)},"
        f" {literal(landing.batch)}"
    )
    now = literal(landing.now.isoformat())
    count = 0
    if refused:
        anyone = " or ".join(condition for condition, _, _, _ in refused)
        names = ", ".join(quoted(n) for n, _ in staged.columns)
        picks = [
            "case " + " ".join(f"when {r[0]} then {pick(r)}" for r in refused) + " end"
            for pick in (lambda r: literal(r[1]), lambda r: f"{r[2]}::varchar", lambda r: r[3])
        ]
        count += _count(
            session,
            f"{head}, {PART}, {ROW}, {', '.join(picks)}, to_json(r)::varchar, {now}"
            f" from (select *, struct_pack({_packed(names)}) as r from ({staged.rows}))"
            f" where {anyone}",
        )
    if staged.bad:
        count += _count(
            session,
            f"{head}, part, row_number, column_name, record, reason, record, {now}"
            f" from ({staged.bad})",
        )
    return count


def _packed(names: str) -> str:
    return ", ".join(f"{n} := {n}" for n in names.split(", "))


def _count(session: Session, statement: str) -> int:
    return int(session.rows(statement)[0][0])


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that are good, as SQL."""

    staged: Staged
    fitted: Fitted
    good: str

    @property
    def names(self) -> list[str]:
        return [n for n in self.fitted.kinds if n not in self.fitted.extra]

    def query(self, landing: Landing, extra: str = "") -> str:
        fitted, text = self.fitted, self.staged.text
        values = [
            f"{cast(n, fitted.kinds[n], text=text, offered=fitted.offered[n])} as {quoted(n)}"
            for n in self.names
        ]
        source = f"{PART} || coalesce('#' || {ROW}, '')"
        own = (
            f"{literal(landing.now.isoformat())}::timestamptz as _loaded_at,"
            f" {literal(landing.batch)} as _batch, {source} as _source"
        )
        picked = ", ".join([*values, own])
        return f"select {picked}{extra} from ({self.staged.rows}) where {self.good}"


def _replace(session: Session, landing: Landing, rows: _Rows) -> tuple[int, int]:
    count = _count(session, f"insert into {landing.target.sql()} by name {rows.query(landing)}")
    return count, count


def _append(session: Session, landing: Landing, rows: _Rows) -> tuple[int, int]:
    """New files are new rows. A table's rows are new when they are not there yet, as often as
    they stand there: a cursor alone would lose rows that come late with the same value."""
    if not rows.staged.repeats or not landing.existing:
        return _replace(session, landing, rows)
    names = ", ".join(quoted(n) for n in rows.names)
    numbered = f"row_number() over (partition by {names}) as __copy"
    session.run(f"create or replace temp table {_INCOMING} as {rows.query(landing)}")
    read = int(session.rows(f"select count(*) from {_INCOMING}")[0][0])
    same = " and ".join(f"i.{quoted(n)} is not distinct from t.{quoted(n)}" for n in rows.names)
    new = _count(
        session,
        f"insert into {landing.target.sql()} by name select * exclude (__copy) from"
        f" (select *, {numbered} from {_INCOMING}) i where not exists (select 1 from"
        f" (select {names}, {numbered} from {landing.target.sql()}) t"
        f" where i.__copy = t.__copy and {same})",
    )
    return read, new


def _merge(session: Session, landing: Landing, rows: _Rows) -> tuple[int, int]:
    """The last row of each key, where it differs from the one that is there."""
    target = landing.target.sql()
    order = (
        f"list_position([{', '.join(literal(p) for p in landing.order)}], {PART}) as __part_number"
    )
    picked = rows.query(landing, f", {order}, {ROW} as __row_number")
    read = int(session.rows(f"select count(*) from ({picked})")[0][0])
    keys = [quoted(k) for k in landing.load.key]
    by = [f"{quoted(landing.load.cursor)} desc nulls last"] if landing.load.cursor else []
    last = ", ".join([*by, "__part_number desc", "__row_number desc"])
    session.run(
        f"create or replace temp table {_INCOMING} as"
        f" select * exclude (__part_number, __row_number) from ({picked})"
        f" qualify row_number() over (partition by {', '.join(keys)} order by {last}) = 1"
    )
    same_key = " and ".join(f"i.{k} = t.{k}" for k in keys)
    same = " and ".join(f"i.{quoted(n)} is not distinct from t.{quoted(n)}" for n in rows.names)
    session.run(
        f"delete from {_INCOMING} i where exists (select 1 from {target} t where {same_key} and {same})"
    )
    session.run(
        f"delete from {target} t where exists (select 1 from {_INCOMING} i where {same_key})"
    )
    return read, _count(session, f"insert into {target} by name select * from {_INCOMING}")


_MODES = {"replace": _replace, "append": _append, "merge": _merge}
