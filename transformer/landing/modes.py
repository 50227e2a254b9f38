"""The load modes: how valid rows reach the table. Each returns how many landed and are new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct

from transformer.landing.fit import Landing
from transformer.landing.rows import UNSURE, TypedRows
from transformer.landing.staged import PART, ROW, ReaderSession
from transformer.names import fold, literal, quoted


class OfferedRows(Struct, frozen=True):
    """The typed rows of this load: the table they are in, their count, extra columns, and how many
    more are not known to be exact yet (`unsure`)."""

    rows: TypedRows
    table: str
    count: int
    extra: str = ""
    unsure: int = 0

    @property
    def names(self) -> list[str]:
        """The columns that are loaded."""
        return self.rows.fitted.names

    def same(self, without: Collection[str] = ()) -> str:
        """The condition that an incoming row `i` equals a row `t` of the table."""
        names = (quoted(n) for n in self.names if n not in without)
        return " and ".join(f"i.{n} is not distinct from t.{n}" for n in names) or "true"


class LoadMode(Struct, frozen=True):
    """How rows are staged, and how they reach the table; `finish` returns rows landed and new."""

    offer: Callable[[ReaderSession, Landing, TypedRows], OfferedRows]
    finish: Callable[[ReaderSession, Landing, OfferedRows], tuple[int, int]]


def from_parts(parts: Iterable[str]) -> str:
    """The condition that a row was loaded from one of these files. `#` and a number follow the
    name, since one file's name may be a prefix of another's."""
    listed = ", ".join(literal(p) for p in parts)
    return (
        f"regexp_replace(_source, '#[0-9]+$', '') in ({listed})"
        " and regexp_matches(_source, '#[0-9]+$')"
    )


def _into_target(session: ReaderSession, landing: Landing, rows: TypedRows) -> OfferedRows:
    """Inserts rows that are always new straight into the table."""
    target = landing.target.sql()
    return _offered(session, rows, target, f"insert into {target} by name {rows.landed()}")


def _into_temp_table(session: ReaderSession, rows: TypedRows, extra: str) -> OfferedRows:
    """Puts rows that must be compared with existing ones into a temporary table first."""
    statement = f"create or replace temp table __offered as {rows.landed(extra)}"
    return _offered(session, rows, "__offered", statement, extra)


def _offered(
    session: ReaderSession, rows: TypedRows, table: str, statement: str, extra: str = ""
) -> OfferedRows:
    if not rows.doubtful:
        return OfferedRows(rows, table, _count(session, statement), extra)
    session.run(f"create or replace temp sequence {UNSURE}")
    sure = _count(session, statement)
    unsure = _count(session, f"select nextval({literal(UNSURE)}) - 1")
    return OfferedRows(rows, table, sure + unsure, extra, unsure)


def _landed(session: ReaderSession, landing: Landing, offered: OfferedRows) -> tuple[int, int]:
    mine = f"_batch = {literal(landing.batch)}"
    count = _count(session, f"select count(*) from {offered.table} where {mine}")
    return count, count


def _may_repeat(landing: Landing, rows: TypedRows) -> bool:
    """Whether the source may offer rows that the table already has."""
    return rows.repeats and bool(landing.existing)


def _offer_new(session: ReaderSession, landing: Landing, rows: TypedRows) -> OfferedRows:
    if not _may_repeat(landing, rows):
        return _into_target(session, landing, rows)
    return _into_temp_table(session, rows, f", coalesce({ROW}, 0) as __own")


def _append(session: ReaderSession, landing: Landing, offered: OfferedRows) -> tuple[int, int]:
    """Appends new rows. Those of a file are always new; those of a table if the target does not
    have them as often: a cursor alone would lose late rows with the same value."""
    if not _may_repeat(landing, offered.rows):
        return _landed(session, landing, offered)
    target = landing.target.sql()
    read = _count(session, "select count(*) from __offered")
    added = {n for n, _ in offered.rows.fitted.added}
    columns = ", ".join(quoted(n) for n in offered.names if n not in added)
    copies = f"*, row_number() over (partition by {columns or '1'}) as __copy"
    mine = f"(select {copies} from __offered) i"
    theirs = f"(select {copies} from {target}{_bounded(landing)}) t"
    same = f"i.__copy = t.__copy and {offered.same(added)}"
    if not added:
        new = (
            f"select i.* exclude (__own, __copy) from {mine}"
            f" where not exists (select 1 from {theirs} where {same})"
        )
        return read, _count(session, f"insert into {target} by name {new}")
    # Existing rows get their values for the new columns.
    before = _count(session, f"select count(*) from {target}")
    theirs = f"(select {copies} from {target}) t"
    rest = (
        f"select t.* exclude (__copy) from {theirs}"
        f" where not exists (select 1 from {mine} where {same})"
    )
    session.run(f"create or replace table {target} as {rest}")
    left = _count(session, f"select count(*) from {target}")
    insert = f"insert into {target} by name select * exclude (__own) from __offered"
    return read, _count(session, insert) - (before - left)


def _bounded(landing: Landing) -> str:
    """The part of the target that can be offered again: rows from the cursor value on."""
    if not landing.since or not landing.load.cursor:
        return ""
    cursor = quoted(landing.load.cursor)
    since = f"{literal(landing.since.value)}::{landing.since.kind}"
    return f" where {cursor} >= {since} or {cursor} is null"


def _offer_keyed(session: ReaderSession, landing: Landing, rows: TypedRows) -> OfferedRows:
    places = ", ".join(literal(p) for p in landing.order)
    again = ", ".join(literal(p) for p in landing.retried)
    return _into_temp_table(
        session,
        rows,
        f", list_position([{places}]::varchar[], {PART}) as __place, {ROW} as {ROW},"
        f" {f'{PART} in ({again})' if again else 'false'} as __again",
    )


def _merge(session: ReaderSession, landing: Landing, offered: OfferedRows) -> tuple[int, int]:
    """Upserts the last row of each key, where it differs from the stored one."""
    target = landing.target.sql()
    keys = [quoted(k) for k in landing.load.key]
    read = _count(session, "select count(*) from __offered")
    _last_of_each_key(session, landing, offered)
    same_key = " and ".join(f"i.{k} = t.{k}" for k in keys)
    folded = {fold(k) for k in landing.load.key}
    # Without the keys: with a list of structs, DuckDB fails on two conditions on one column.
    unchanged = [offered.same({n for n in offered.names if fold(n) in folded})]
    if landing.retried:
        unchanged.append("i.__again")
    if landing.load.cursor:  # an older row never overwrites a newer one
        new, old = (f"{side}.{quoted(landing.load.cursor)}" for side in "it")
        unchanged.append(f"({old} is not null and ({new} is null or {new} < {old}))")
    session.run(
        f"delete from __incoming i where exists"
        f" (select 1 from {target} t where {same_key} and ({' or '.join(unchanged)}))"
    )
    session.run(
        f"delete from {target} t where exists (select 1 from __incoming i where {same_key})"
    )
    landed = f"insert into {target} by name select * exclude (__again) from __incoming"
    return read, _count(session, landed)


def _last_of_each_key(session: ReaderSession, landing: Landing, offered: OfferedRows) -> None:
    """Fills `__incoming` with the last row of each key."""
    keys = ", ".join(quoted(k) for k in landing.load.key)
    by = [f"{quoted(landing.load.cursor)} desc nulls last"] if landing.load.cursor else []
    by += ["__place desc", f"{ROW} desc"]
    if offered.rows.repeats:  # a table's rows have no order, so any deterministic one will do
        by += [quoted(n) for n in offered.names]
    session.run(
        "create or replace temp table __incoming as"
        f" select * exclude (__place, {ROW}) from __offered"
        f" qualify row_number() over (partition by {keys} order by {', '.join(by)}) = 1"
    )


def _count(session: ReaderSession, statement: str) -> int:
    return int(session.rows(statement)[0][0])


MODES: Mapping[str, LoadMode] = {
    "replace": LoadMode(_into_target, _landed),
    "append": LoadMode(_offer_new, _append),
    "merge": LoadMode(_offer_keyed, _merge),
}
