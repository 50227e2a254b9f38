"""Lands what a source offers: every row goes to the table or to quarantine, and is counted.

`landed + quarantined = read`, always. Nothing here loops over rows: types, misfits, keys and
duplicates are settled in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from transformer.errors import LoadError, did_you_mean
from transformer.landing.fit import Fitted, Landing, fit
from transformer.landing.modes import MODES, Rows, of_part
from transformer.landing.staged import OWN, PART, ROW, Session, Staged
from transformer.landing.types import cast, misfit, plain
from transformer.names import literal, quoted
from transformer.steps import Columns


class Landed(Struct, frozen=True):
    """What was landed. `new` are the rows that the table did not hold before."""

    read: int
    landed: int
    quarantined: int
    new: int
    columns: Columns
    changes: tuple[str, ...] = ()


class _Refusal(Struct, frozen=True):
    """Why a row may be refused: the condition, the column, the reason."""

    condition: str
    column: str
    reason: str
    value: str


def land(session: Session, landing: Landing, staged: Staged) -> Landed:
    """Lands everything staged, in the caller's transaction. Raises LoadError."""
    fitted = fit(session, landing, staged)
    _keys_exist(landing, fitted)
    refused = _refused(landing, staged, fitted)
    staged = _still(session, landing, staged, bool(refused))
    staged = _only_retried(session, landing, staged)
    read, broken = _read(session, staged, bool(refused))
    if not broken:
        staged = replace(staged, bad=None)
    _make_room(session, landing, fitted)
    quarantined = _quarantine(session, landing, staged, refused)
    good = f"not ({' or '.join(r.condition for r in refused)})" if refused else "true"
    landed, new = MODES[landing.load.mode](session, landing, Rows(staged, fitted, good))
    if read is not None and landed + quarantined != read + broken:
        raise LoadError(
            f"{read + broken} rows were read, but {landed} landed"
            f" and {quarantined} are in quarantine",
            landing.load.where,
        )
    columns = tuple((n, k) for n, k in session.columns(f"from {landing.target.sql()}"))
    changes = [f"new column `{n}`" for n, _ in fitted.added if landing.existing]
    changes += [f"`{n}` is now {k}" for n, k in (*fitted.widened, *fitted.recast)]
    return Landed(landed + quarantined, landed, quarantined, new, columns, tuple(changes))


def _keys_exist(landing: Landing, fitted: Fitted) -> None:
    folded = {n.lower() for n in fitted.kinds}
    cursor = (landing.load.cursor,) if landing.load.cursor else ()
    for name in (*landing.load.key, *cursor):
        if name.lower() not in folded:
            raise LoadError(
                f"`{landing.target}` has no column `{name}`",
                landing.load.place("cursor" if name in cursor else "key"),
                hint=did_you_mean(name, fitted.kinds, otherwise="it has {}"),
            )


def _refused(landing: Landing, staged: Staged, fitted: Fitted) -> list[_Refusal]:
    made: list[_Refusal] = []
    keys = {k.lower() for k in landing.load.key} if landing.load.mode == "merge" else set()
    for name, kind in fitted.kinds.items():
        offered = fitted.offered[name]
        shown = plain(name, offered if staged.text else "")
        if name in fitted.extra:
            made.append(
                _Refusal(f"{quoted(name)} is not null", name, "a column that is not known", shown)
            )
            continue
        wrong = misfit(name, kind, text=staged.text, offered=offered)
        if wrong and name not in fitted.sure:
            made.append(_Refusal(wrong, name, f"is no {kind}", shown))
        if name.lower() in keys:
            value = cast(name, kind, text=staged.text, offered=offered)
            made.append(_Refusal(f"({value}) is null", name, "the key is missing", shown))
    return made


def _still(session: Session, landing: Landing, staged: Staged, sorted_out: bool) -> Staged:
    """A table elsewhere is read once, where its rows are needed more than once."""
    if staged.text or not staged.repeats:
        return staged
    if not sorted_out and (landing.load.mode == "replace" or not landing.existing):
        return staged
    session.run(f"create or replace temp table __still as {staged.rows}")
    return replace(staged, rows="from __still")


def _only_retried(session: Session, landing: Landing, staged: Staged) -> Staged:
    """Of retried parts only what is in quarantine; what was no row then is told apart again."""
    if not landing.retried:
        return staged
    parts = ", ".join(literal(p) for p in landing.retried)
    session.run(
        "create or replace temp table __retried as select source, row_number"
        " from _transform.quarantine where node = ? and value is distinct from record"
        f" and source in ({parts})",
        [landing.node],
    )
    rows = (
        f"select * from ({staged.rows}) s where {PART} not in ({parts}) or exists (select 1 from"
        f" __retried q where q.source = s.{PART} and q.row_number = s.{ROW})"
    )
    return replace(staged, rows=rows)


def _read(session: Session, staged: Staged, sorted_out: bool) -> tuple[int | None, int]:
    """How many rows there are, counted where they are (None when all of them land in one piece),
    and how many lines that are no rows."""
    if not staged.text and not sorted_out:
        return None, 0
    bad = f"(select count(*) from ({staged.bad}))" if staged.bad else "0"
    rows, broken = session.rows(f"select (select count(*) from ({staged.rows})), {bad}")[0]
    return int(rows), int(broken)


def _make_room(session: Session, landing: Landing, fitted: Fitted) -> None:
    """The table as it has to be, and nothing of what this landing replaces."""
    target = landing.target.sql()
    if landing.fresh:
        kept = [(n, k) for n, k in fitted.kinds.items() if n not in fitted.extra]
        listed = ", ".join(f"{quoted(n)} {k}" for n, k in (*kept, *OWN))
        session.run(f"create or replace table {target} ({listed})")
        session.run("delete from _transform.quarantine where node = ?", [landing.node])
        return
    if landing.relanded and landing.load.mode == "append":
        session.run(f"delete from {target} where {of_part(landing.relanded)}")
    for part in (*landing.relanded, *landing.retried):
        session.run(
            "delete from _transform.quarantine where node = ? and source = ?", [landing.node, part]
        )
    if fitted.added or fitted.widened or fitted.recast:
        _rebuild(session, landing, fitted)


def _rebuild(session: Session, landing: Landing, fitted: Fitted) -> None:
    """The table with other columns. ALTER would not do: DuckDB lets no transaction alter a table
    from which it has deleted rows."""
    target = landing.target.sql()
    new = dict((*fitted.widened, *fitted.recast))
    picked = []
    for name, kind in landing.existing:
        if name not in new:
            picked.append(quoted(name))
            continue
        _all_fit(session, landing, name, (kind, new[name]))
        value = cast(name, new[name], text=False, offered=kind)
        picked.append(f"{value} as {quoted(name)}")
    own = len(OWN)
    added = [f"null::{kind} as {quoted(name)}" for name, kind in fitted.added]
    listed = ", ".join([*picked[:-own], *added, *picked[-own:]])
    session.run(f"create or replace table {target} as select {listed} from {target}")


def _all_fit(session: Session, landing: Landing, name: str, kinds: tuple[str, str]) -> None:
    old, new = kinds
    wrong = misfit(name, new, text=False, offered=old)
    if wrong and session.rows(f"select 1 from {landing.target.sql()} where {wrong} limit 1"):
        raise LoadError(
            f"`{landing.target}` holds values in `{name}` that are no {new}",
            landing.load.where,
            hint="`--full-refresh` lands everything anew",
        )


def _quarantine(
    session: Session, landing: Landing, staged: Staged, refused: Sequence[_Refusal]
) -> int:
    head = (
        f"insert into _transform.quarantine select 'load', {literal(landing.node)},"
        f" {literal(landing.batch)}"
    )
    now = literal(landing.now.isoformat())
    count = 0
    if refused:
        rows = _refused_rows(staged, refused)
        if landing.since:  # they may have been refused before
            session.run(
                "delete from _transform.quarantine where node = ? and record in"
                f" (select __record from ({rows}))",
                [landing.node],
            )
        picks = (
            _case((r.condition, literal(r.column)) for r in refused),
            _case((r.condition, f"({r.value})::varchar") for r in refused),
            _case((r.condition, literal(r.reason)) for r in refused),
        )
        count += _count(
            session, f"{head}, {PART}, {ROW}, {', '.join(picks)}, __record, {now} from ({rows})"
        )
    if staged.bad:
        count += _count(
            session,
            f"{head}, part, row_number, column_name, record, reason, record, {now}"
            f" from ({staged.bad})",
        )
    return count


def _refused_rows(staged: Staged, refused: Sequence[_Refusal]) -> str:
    names = [quoted(n) for n, _ in staged.columns]
    packed = ", ".join(f"{n} := {n}" for n in names)
    return (
        f"select *, to_json(struct_pack({packed}))::varchar as __record from ({staged.rows})"
        f" where {' or '.join(r.condition for r in refused)}"
    )


def _case(pairs: Iterable[tuple[str, str]]) -> str:
    listed = " ".join(f"when {condition} then {value}" for condition, value in pairs)
    return f"case {listed} end"


def _count(session: Session, statement: str) -> int:
    return int(session.rows(statement)[0][0])
