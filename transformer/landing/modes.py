"""The load modes: how good rows reach the table. Each answers how many landed and are new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct

from transformer.landing.fit import Fitted, Landing
from transformer.landing.staged import PART, ROW, Session, Staged
from transformer.landing.types import cast
from transformer.names import literal, quoted

_INCOMING = quoted("__incoming")


class Rows(Struct, frozen=True):
    """The rows that are good, as SQL."""

    staged: Staged
    fitted: Fitted
    good: str

    @property
    def names(self) -> list[str]:
        """The columns that are landed."""
        return [n for n in self.fitted.kinds if n not in self.fitted.extra]

    def query(self, landing: Landing, extra: str = "") -> str:
        """The rows as they land, with what every landed row carries."""
        fitted, text = self.fitted, self.staged.text
        values = [
            f"{cast(n, fitted.kinds[n], text=text, offered=fitted.offered[n])} as {quoted(n)}"
            for n in self.names
        ]
        own = (
            f"{literal(landing.now.isoformat())}::timestamptz as _loaded_at,"
            f" {literal(landing.batch)} as _batch,"
            f" {PART} || coalesce('#' || {ROW}, '') as _source"
        )
        picked = ", ".join([*values, own])
        return f"select {picked}{extra} from ({self.staged.rows}) where {self.good}"

    def same(self, without: Collection[str] = ()) -> str:
        """The condition that an incoming row `i` is a row `t` of the table, in what is landed."""
        names = (quoted(n) for n in self.names if n not in without)
        return " and ".join(f"i.{n} is not distinct from t.{n}" for n in names) or "true"


def of_part(parts: Iterable[str]) -> str:
    """The condition that a landed row came from a row of one of these files. `#` and a number
    follow the name; the names of other files may begin alike."""
    listed = ", ".join(literal(p) for p in parts)
    return (
        f"regexp_replace(_source, '#[0-9]+$', '') in ({listed})"
        " and regexp_matches(_source, '#[0-9]+$')"
    )


def _replace(session: Session, landing: Landing, rows: Rows) -> tuple[int, int]:
    count = _count(session, f"insert into {landing.target.sql()} by name {rows.query(landing)}")
    return count, count


def _append(session: Session, landing: Landing, rows: Rows) -> tuple[int, int]:
    """New files are new rows. A table's rows are new when they are not there yet, as often as
    they stand there: a cursor alone would lose rows that come late with the same value."""
    if not rows.staged.repeats or not landing.existing:
        return _replace(session, landing, rows)
    target = landing.target.sql()
    incoming = rows.query(landing, ", row_number() over () as __own")
    session.run(f"create or replace temp table {_INCOMING} as {incoming}")
    read = _count(session, f"select count(*) from {_INCOMING}")
    added = {n for n, _ in rows.fitted.added}
    known = ", ".join(quoted(n) for n in rows.names if n not in added)
    copies = f"*, row_number() over (partition by {known or '1'}) as __copy"
    mine = f"(select {copies} from {_INCOMING}) i"
    theirs = f"(select {copies} from {target}{_bounded(landing)}) t"
    same = f"i.__copy = t.__copy and {rows.same(added)}"
    if not added:
        new = (
            f"select i.* exclude (__own, __copy) from {mine}"
            f" where not exists (select 1 from {theirs} where {same})"
        )
        return read, _count(session, f"insert into {target} by name {new}")
    # What is there already gets its values for the new columns.
    before = _count(session, f"select count(*) from {target}")
    theirs = f"(select {copies} from {target}) t"
    rest = (
        f"select t.* exclude (__copy) from {theirs}"
        f" where not exists (select 1 from {mine} where {same})"
    )
    session.run(f"create or replace table {target} as {rest}")
    left = _count(session, f"select count(*) from {target}")
    insert = f"insert into {target} by name select * exclude (__own) from {_INCOMING}"
    return read, _count(session, insert) - (before - left)


def _bounded(landing: Landing) -> str:
    """Of a table that is read from its cursor on, only rows from there on can come again."""
    if not landing.since or not landing.load.cursor:
        return ""
    cursor = quoted(landing.load.cursor)
    since = f"{literal(landing.since.value)}::{landing.since.kind}"
    return f" where {cursor} >= {since} or {cursor} is null"


def _merge(session: Session, landing: Landing, rows: Rows) -> tuple[int, int]:
    """The last row of each key, where it differs from the one that is there."""
    target = landing.target.sql()
    keys = [quoted(k) for k in landing.load.key]
    read = _last_of_each_key(session, landing, rows)
    same_key = " and ".join(f"i.{k} = t.{k}" for k in keys)
    stands = [rows.same()]
    if landing.retried:
        stands.append("i.__again")
    if landing.load.cursor:  # a row that comes late does not undo a later one
        new, old = (f"{side}.{quoted(landing.load.cursor)}" for side in "it")
        stands.append(f"({old} is not null and ({new} is null or {new} < {old}))")
    session.run(
        f"delete from {_INCOMING} i where exists"
        f" (select 1 from {target} t where {same_key} and ({' or '.join(stands)}))"
    )
    session.run(
        f"delete from {target} t where exists (select 1 from {_INCOMING} i where {same_key})"
    )
    landed = f"insert into {target} by name select * exclude (__again) from {_INCOMING}"
    return read, _count(session, landed)


def _last_of_each_key(session: Session, landing: Landing, rows: Rows) -> int:
    """Fills the incoming rows with the last one of each key; how many there were."""
    places = ", ".join(literal(p) for p in landing.order)
    again = ", ".join(literal(p) for p in landing.retried)
    extra = (
        f", {PART} as __part, list_position([{places}], {PART}) as __place, {ROW} as __row,"
        f" {f'{PART} in ({again})' if again else 'false'} as __again"
    )
    session.run(f"create or replace temp table __offered as {rows.query(landing, extra)}")
    keys = ", ".join(quoted(k) for k in landing.load.key)
    by = [f"{quoted(landing.load.cursor)} desc nulls last"] if landing.load.cursor else []
    by += ["__place desc", "__row desc"]
    if rows.staged.repeats:  # a table's rows have no order: any, but always the same one
        by += [quoted(n) for n in rows.names]
    session.run(
        f"create or replace temp table {_INCOMING} as"
        " select * exclude (__part, __place, __row) from __offered"
        f" qualify row_number() over (partition by {keys} order by {', '.join(by)}) = 1"
    )
    return _count(session, "select count(*) from __offered")


def _count(session: Session, statement: str) -> int:
    return int(session.rows(statement)[0][0])


MODES: Mapping[str, Callable[[Session, Landing, Rows], tuple[int, int]]] = {
    "replace": _replace,
    "append": _append,
    "merge": _merge,
}
