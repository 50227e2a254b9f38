"""Loads what a source offers: every row goes to the table or to quarantine, and is counted.

`landed + quarantined = read`, always. Nothing here loops over rows. One pass types all rows and
lands those that are certainly exact; only the rest is read a second time, into a small table,
for the slow work: other types, exact digits, quarantine.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from transformer.errors import LoadError, did_you_mean
from transformer.landing.counting import refuse_lost
from transformer.landing.delimited import refuse_open_quote, show_bytes
from transformer.landing.fit import (
    BeyondSample,
    FittedColumns,
    Landing,
    RowSet,
    fit,
    merge_json_columns,
    relearned,
)
from transformer.landing.modes import MODES, OfferedRows, from_parts
from transformer.landing.numbering import (
    broken_of,
    note_retried,
    number_left,
    number_offered,
    only_retried,
    without_blanks,
)
from transformer.landing.rows import TypedRows, typed
from transformer.landing.staged import ReaderSession, Staged
from transformer.landing.types import ColumnSlot
from transformer.names import fold, literal, quoted
from transformer.steps import LOAD_COLUMNS, Columns
from transformer.warehouse import quarantine

# The share of quarantined rows from which replacing a table fails by default.
_HIGH_SHARE = 0.2


class LandingResult(Struct, frozen=True):
    """Row counts of a load, the table's columns, and what changed. `new` rows were not in the
    table before."""

    read: int
    landed: int
    quarantined: int
    new: int
    columns: Columns
    changes: tuple[str, ...] = ()


class Relearn(Exception):  # noqa: N818 - a way out of a transaction, not an error
    """Rows beyond the sample have other columns or types: the load has to start again."""

    def __init__(self, learned: BeyondSample) -> None:
        super().__init__()
        self.learned = learned


def land(
    session: ReaderSession, landing: Landing, staged: Staged, learned: BeyondSample
) -> LandingResult:
    """Lands everything staged, in the caller's transaction. Raises LoadError, and Relearn if the
    transaction must be rolled back and retried with what was learned."""
    if learned.columns:
        staged = replace(staged, columns=learned.columns)
    if not staged.columns and not landing.fresh and not _any_rows(session, staged):
        staged = _with_keys(staged, landing.load.key)
    fitted = fit(session, landing, staged, learned)
    _refuse_missing_keys(landing, fitted)
    note_retried(session, landing, staged)
    before = _rows_before(session, landing)
    _prepare_table(session, landing, fitted)
    # Retried parts have been read once already, so their rejected lines are stored by now.
    reading = staged.reading if landing.retried else staged.first or staged.reading
    rows = only_retried(landing, reading(staged.columns))
    all_rows = typed(landing, fitted, staged, _materialized(session, landing, staged, rows, fitted))
    mode = MODES[landing.load.mode]
    offered = mode.offer(session, landing, all_rows)
    broken_count = _count_broken(session, landing, staged, offered)
    rest = _second_pass(session, landing, (staged, all_rows), offered)
    _learn(session, landing, fitted, (offered, rest, learned))
    quarantined = _quarantine_broken(session, landing, "from __broken") if broken_count else 0
    if rest:
        quarantined += _quarantine_rest(session, landing, rest, fitted)
        _add(session, _typed_rest(landing, fitted, rest), offered)
    landed, new = mode.finish(session, landing, offered)
    read = offered.count + broken_count
    if landed + quarantined != read:
        raise LoadError(
            f"{read} rows were read, but {landed} landed and {quarantined} are in quarantine",
            landing.load.where,
            hint="the source may have changed during the load; run it again",
        )
    if staged.count and not landing.retried:
        refuse_lost(str(landing.target), staged.count, read, landing.load.where)
    _refuse_much_quarantine(session, landing, (landed, quarantined))
    _refuse_no_columns(landing, fitted)
    _refuse_mass_removal(landing, before, landed)
    columns = tuple((n, k) for n, k in session.columns(f"from {landing.target.sql()}"))
    changes = (*_changes(landing, fitted), *_quarantine_warning(landing, read, quarantined))
    return LandingResult(read, landed, quarantined, new, columns, changes)


def _any_rows(session: ReaderSession, staged: Staged) -> bool:
    return bool(session.rows(f"select 1 from ({staged.rows}) limit 1"))


def _with_keys(staged: Staged, key: Sequence[str]) -> Staged:
    """An empty JSON list, with the key columns added: without columns it lacks none."""
    nothing = "".join(f"null::varchar as {quoted(name)}, " for name in key)

    def reading(_: Columns) -> str:
        return f"select {nothing}* from ({(staged.first or staged.reading)(())})"

    return replace(staged, reading=reading, columns=tuple((name, "VARCHAR") for name in key))


def _add(session: ReaderSession, rows: TypedRows, offered: OfferedRows) -> None:
    """Inserts the rows of the second pass that fit after all."""
    session.run(f"insert into {offered.table} by name {rows.landed(offered.extra)}")


def _changes(landing: Landing, fitted: FittedColumns) -> tuple[str, ...]:
    changes = [f"new column `{n}`" for n, _ in fitted.added if landing.existing]
    changes += [f"`{n}` is now {k}" for n, k in (*fitted.widened, *fitted.recast)]
    return tuple(changes)


def _rows_before(session: ReaderSession, landing: Landing) -> int:
    """The row count of the table to be replaced; 0 unless `max_removed` needs it."""
    if landing.load.max_removed is None or landing.load.mode != "replace" or not landing.existing:
        return 0
    return int(session.rows(f"select count(*) from {landing.target.sql()}")[0][0])


def _refuse_mass_removal(landing: Landing, before: int, landed: int) -> None:
    most = landing.load.max_removed
    if most is None or before - landed <= most * before:
        return
    raise LoadError(
        f"`{landing.target}` would lose {before - landed:,} of its {before:,} rows"
        f" (`max_removed` is {100 * most:g} %)",
        landing.load.place("max_removed"),
        hint="nothing was loaded and the table is unchanged; if this is intended, raise the limit"
        " or use `--full-refresh`",
    )


def _quarantine_warning(landing: Landing, read: int, quarantined: int) -> tuple[str, ...]:
    """A warning about a large quarantine, where that is not an error."""
    if landing.load.max_quarantined is not None or quarantined <= _HIGH_SHARE * read:
        return ()
    return (f"{100 * quarantined / read:.0f} % of the rows read are in quarantine",)


def _refuse_much_quarantine(
    session: ReaderSession, landing: Landing, counts: tuple[int, int]
) -> None:
    """Raises LoadError if too many rows are quarantined; a replaced table never ends up empty."""
    landed, quarantined = counts
    load = landing.load
    read = landed + quarantined
    allowed = load.max_quarantined
    if allowed is None:
        allowed = _HIGH_SHARE if landing.fresh and load.mode == "replace" else 1.0
    nothing = load.mode == "replace" and landed == 0 and load.max_quarantined != 1.0
    if not quarantined or (quarantined <= allowed * read and not nothing):
        return
    raise LoadError(
        f"{quarantined:,} of {read:,} rows of `{landing.target}` do not fit"
        f" (`max_quarantined` is {100 * allowed:g} %){_examples(session, landing)}",
        load.place("max_quarantined"),
        hint="nothing was loaded and the table is unchanged; fix the source, or set"
        " `data_type`, a format or `max_quarantined`",
    )


def _refuse_no_columns(landing: Landing, fitted: FittedColumns) -> None:
    if landing.fresh and not fitted.slots:
        raise LoadError(
            f"the source of `{landing.target}` has no columns: none of its objects has a key",
            landing.load.where,
            hint="nothing was loaded and the table is unchanged; is the export empty?",
        )


def _examples(session: ReaderSession, landing: Landing) -> str:
    rejected = quarantine.examples(session, landing.node, landing.batch)
    examples = []
    for source, number, column, value, reason in rejected:
        place = f"{source}#{number}" if number is not None else source
        what = f"`{column}`: " if column else ""
        shown = "" if value is None else f" ({str(value)[:60]!r})"
        examples.append(f"{place}: {what}{reason}{shown}")
    return "".join(f"\n  {line}" for line in examples)


def _refuse_missing_keys(landing: Landing, fitted: FittedColumns) -> None:
    folded = {fold(n) for n in fitted.slots}
    cursor = (landing.load.cursor,) if landing.load.cursor else ()
    for name in (*landing.load.key, *cursor):
        if fold(name) not in folded:
            raise LoadError(
                f"`{landing.target}` has no column `{name}`",
                landing.load.place("cursor" if name in cursor else "key"),
                hint=did_you_mean(name, fitted.slots, otherwise="it has {}"),
            )
    _refuse_text_cursor(landing, fitted)


def _refuse_text_cursor(landing: Landing, fitted: FittedColumns) -> None:
    """Raises LoadError for a text cursor that was not declared as text: `10` sorts before `9` and
    `31.01.2024` after `01.02.2024`, so rows would be skipped silently."""
    cursor = fold(landing.load.cursor or "")
    slot = next((s for n, s in fitted.slots.items() if fold(n) == cursor), None)
    if slot and slot.kind == "VARCHAR" and cursor not in {fold(n) for n in landing.declared}:
        raise LoadError(
            f"the cursor `{landing.load.cursor}` of `{landing.target}` is text, which does not sort"
            " numerically: `10` comes before `9`",
            landing.load.place("cursor"),
            hint="declare its `data_type` (`bigint`, `timestamp`; `text` if its alphabetical order"
            " is right, as with ULIDs), or use another cursor",
        )


def _materialized(
    session: ReaderSession, landing: Landing, staged: Staged, rows: str, fitted: FittedColumns
) -> str:
    """Copies the rows of a remote table, where they may be needed more than once."""
    if staged.text or not staged.repeats or not typed(landing, fitted, staged, rows).doubtful:
        return rows
    session.run(f"create or replace temp table __still as {rows}")
    return "from __still"


def _prepare_table(session: ReaderSession, landing: Landing, fitted: FittedColumns) -> None:
    """Gives the table its new columns and removes what this load replaces."""
    target = landing.target.sql()
    if landing.fresh:
        kinds = fitted.kinds
        named = [f"{quoted(n)} {kinds[n]}" for n in fitted.names]
        listed = ", ".join([*named, *(f"{n} {k}" for n, k in LOAD_COLUMNS)])
        session.run(f"create or replace table {target} ({listed})")
        quarantine.forget(session, landing.node)
        return
    if landing.relanded and landing.load.mode == "append":
        session.run(f"delete from {target} where {from_parts(landing.relanded)}")
    quarantine.forget(session, landing.node, (*landing.relanded, *landing.retried))
    if fitted.added or fitted.widened or fitted.recast:
        _rebuild(session, landing, fitted)


def _rebuild(session: ReaderSession, landing: Landing, fitted: FittedColumns) -> None:
    """Rewrites the table with other columns. DuckDB cannot ALTER a table from which the same
    transaction has deleted rows."""
    target = landing.target.sql()
    new = dict((*fitted.widened, *fitted.recast))
    picked = []
    for name, kind in landing.existing:
        if name not in new:
            picked.append(quoted(name))
            continue
        slot = ColumnSlot(new[name], kind, text=False)
        _refuse_lossy_cast(session, landing, name, slot)
        picked.append(f"{slot.value(quoted(name))} as {quoted(name)}")
    own = len(LOAD_COLUMNS)
    added = [f"null::{kind} as {quoted(name)}" for name, kind in fitted.added]
    listed = ", ".join([*picked[:-own], *added, *picked[-own:]])
    session.run(f"create or replace table {target} as select {listed} from {target}")


def _refuse_lossy_cast(
    session: ReaderSession, landing: Landing, name: str, slot: ColumnSlot
) -> None:
    fits = slot.fits(quoted(name), f"({slot.value(quoted(name))})")
    if fits and session.rows(f"select 1 from {landing.target.sql()} where not {fits} limit 1"):
        raise LoadError(
            f"`{landing.target}` has values in `{name}` that are not valid as {slot.kind}",
            landing.load.where,
            hint="`--full-refresh` reloads everything",
        )


def _count_broken(
    session: ReaderSession, landing: Landing, staged: Staged, offered: OfferedRows
) -> int:
    """Collects rejected lines in `__broken`; returns how many there are."""
    if not staged.broken:
        return 0
    number_offered(session, staged, offered.table, f"_batch = {literal(landing.batch)}")
    session.run(f"create or replace temp table __broken as {broken_of(staged)}")
    refuse_open_quote(session, "from __broken", landing.load.where)
    count = int(session.rows("select count(*) from __broken")[0][0])
    if count and staged.lines:
        show_bytes(session, staged.lines, "__broken")
        without_blanks(session, "__broken")
    return count


def _second_pass(
    session: ReaderSession, landing: Landing, rows: tuple[Staged, TypedRows], offered: OfferedRows
) -> Staged | None:
    """The rows that did not land in the first pass, read again; None if there are none."""
    staged, all_rows = rows
    if not offered.unsure:
        return None
    again = all_rows
    if staged.first:
        again = replace(again, rows=only_retried(landing, staged.reading(staged.columns)))
    session.run(f"create or replace temp table __left as {again.left(staged.kept)}")
    if staged.broken:
        number_left(session, "__left")
    if staged.again is None:
        return replace(staged, reading=lambda _: "from __left", sure=False, lines=(), bad=None)
    slow = staged.again
    columns = merge_json_columns(staged.columns, slow.columns(session, "__left"))
    session.run(f"create or replace temp table __slow as {slow.rows('__left', columns)}")
    return Staged(lambda _: "from __slow", columns, text=True, bad=slow.broken("__left"))


def _learn(
    session: ReaderSession,
    landing: Landing,
    fitted: FittedColumns,
    pass_result: tuple[OfferedRows, Staged | None, BeyondSample],
) -> None:
    offered, rest, learned = pass_result
    offered_columns = tuple((name, slot.offered) for name, slot in fitted.slots.items())
    if rest and rest.columns != offered_columns:
        raise Relearn(BeyondSample(rest.columns, learned.kinds))
    place = RowSet(offered.table, f"_batch = {literal(landing.batch)}")
    kinds = relearned(session, landing, fitted, place, rest.rows if rest else None)
    if any(learned.kinds.get(name) != kind for name, kind in kinds.items()):
        raise Relearn(BeyondSample(learned.columns, {**learned.kinds, **kinds}))


def _typed_rest(landing: Landing, fitted: FittedColumns, rest: Staged) -> TypedRows:
    return TypedRows(landing, fitted, rest.rows)


def _quarantine_rest(
    session: ReaderSession, landing: Landing, rest: Staged, fitted: FittedColumns
) -> int:
    rows = _typed_rest(landing, fitted, rest)
    count = 0
    if rows.refusals():
        refused = rows.refused()
        if landing.since:  # they may be in quarantine already
            quarantine.forget_records(session, landing.node, f"select record from ({refused})")
        count += _insert(session, landing, refused)
    if rest.broken:
        count += _quarantine_broken(session, landing, rest.broken)
    return count


def _quarantine_broken(session: ReaderSession, landing: Landing, broken: str) -> int:
    rows = f"select part, row_number, column_name, record as value, reason, record from ({broken})"
    return _insert(session, landing, rows)


def _insert(session: ReaderSession, landing: Landing, rows: str) -> int:
    return quarantine.add(session, landing.node, (landing.batch, landing.now), rows)
