"""Tables of Postgres, asked so that no value changes on the way.

The scanner reads NaN of a `numeric` as 0, a numeric without bounds as a DOUBLE, and moments behind
the end of DuckDB's years as others. Columns of such types are asked for as text, with the type
that they have there; all others come as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from transformer.errors import LoadError
from transformer.landing.staged import Cursor, ReaderSession
from transformer.landing.types import INTEGERS, is_decimal
from transformer.names import literal, quoted
from transformer.steps import Columns

# The widest DECIMAL of DuckDB, and the digits before the point that a column has at least when
# its values say how wide it is: so it seldom has to grow.
_WIDEST, _WHOLE = 38, 18
# A DOUBLE has so many decimal digits, whatever they are.
_IN_DOUBLE = 15
# Types that the scanner reads exactly, and lists of them.
_EXACT = {
    "boolean", "smallint", "integer", "bigint", "oid", "real", "double precision", "date",
    "time without time zone", "time with time zone", "uuid", "bytea", "point", "text",
    "character varying", "character",
}  # fmt: skip
_NUMERIC = "numeric"
_MOMENTS = ("timestamp without time zone", "timestamp with time zone")


class PostgresQuery(Struct, frozen=True):
    """The query that DuckDB runs, its columns (`c1`, `c2`, …) with their types, and which of them
    are text whatever their type."""

    query: str
    columns: Columns
    texts: frozenset[str]


class PostgresTable(Struct, frozen=True):
    """A relation there: the attached database's name, how Postgres calls the relation, and the
    columns as DuckDB sees them. `declared` are the types that the project declares."""

    database: str
    relation: str
    columns: Columns
    declared: Mapping[str, str]

    @property
    def _source(self) -> str:
        listed = ", ".join(_name(n) for n in range(len(self.columns)))
        return f"{self.relation} as q({listed})"

    def asked(
        self, session: ReaderSession, since: tuple[str, Cursor] | None, limit: int | None
    ) -> PostgresQuery:
        """The rows, all or from the cursor on, as Postgres is asked for them."""
        kinds = self._kinds(session)
        narrowed = f"(select * from {self._source}{self._bound(kinds, since)}{_limit(limit)}) as q"
        # Where the table stands already, what is not a number waits: its type stays a decimal.
        sizes = self._sizes(session, kinds, narrowed, odd=since is None)
        picked: list[str] = []
        columns: list[tuple[str, str]] = []
        texts: set[str] = set()
        for number, ((name, kind), there) in enumerate(zip(self.columns, kinds, strict=True)):
            column = _name(number)
            if there.removesuffix("[]") in _EXACT:
                picked.append(column)
                columns.append((name, kind))
                continue
            text, offered = self._as_text(column, there, sizes.get(number, kind))
            if self.declared.get(name.lower()) in INTEGERS and there == _NUMERIC:
                text = f"trim_scale({column})::text"
            picked.append(f"{text} as {column}")
            columns.append((name, offered))
            if offered not in ("VARCHAR", "VARCHAR[]"):
                texts.add(name)
        rows = f"select {', '.join(picked)} from {narrowed}"
        names = ", ".join(
            f"{quoted(_name(n))} as {quoted(name)}" for n, (name, _) in enumerate(columns)
        )
        return PostgresQuery(
            f"select {names} from {self._query(rows)}", tuple(columns), frozenset(texts)
        )

    def _query(self, text: str) -> str:
        return f"postgres_query({literal(self.database)}, {literal(text)})"

    def _kinds(self, session: ReaderSession) -> list[str]:
        """What Postgres calls the type of each column; that of a domain is the one beneath."""
        columns = range(len(self.columns))
        listed = ", ".join(f"pg_typeof({_name(n)})::oid::bigint as {_name(n)}" for n in columns)
        # Nothing is read: the join has no row.
        nothing = f"select {listed} from (select 1) as one left join {self._source} on false"
        oids = session.rows(f"from {self._query(nothing)}")[0]
        named = (
            "with recursive b(oid, base) as (select oid, oid from pg_type where oid in"
            f" ({', '.join(map(str, oids))}) union all select b.oid, t.typbasetype from b"
            " join pg_type t on t.oid = b.base where t.typtype = 'd')"
            " select b.oid::bigint as oid, format_type(b.base, null) as kind from b"
            " join pg_type t on t.oid = b.base where t.typtype <> 'd'"
        )
        known = dict(session.rows(f"select oid, kind from {self._query(named)}"))
        return [str(known.get(oid, "")) for oid in oids]

    def _bound(self, kinds: Sequence[str], since: tuple[str, Cursor] | None) -> str:
        """From the cursor on, and NULLs too, where Postgres compares as DuckDB does."""
        if since is None:
            return ""
        number = next(n for n, (name, _) in enumerate(self.columns) if name == since[0])
        column, value = _name(number), literal(since[1].value)
        if not comparable(kinds[number], since[1].kind):
            return ""
        if since[1].kind == "VARCHAR":  # letters sort there as the database's language has it
            return f' where {column}::text collate "C" >= {value} or {column} is null'
        return f" where {column} >= {value} or {column} is null"

    def _sizes(
        self, session: ReaderSession, kinds: Sequence[str], rows: str, *, odd: bool
    ) -> dict[int, str]:
        """The types of numerics that have no bounds, more digits than a DECIMAL, or a NaN or
        infinity: as wide as their values are, a DOUBLE where that has every digit, or text."""
        numbers = [n for n, there in enumerate(kinds) if there.removesuffix("[]") == _NUMERIC]
        if not numbers:
            return {}
        measured = ", ".join(
            f"{figure} as {_name(n)}_{place}"
            for n in numbers
            for place, figure in enumerate(_measures(_name(n), kinds[n], self.columns[n][1]))
        )
        found = session.rows(f"from {self._query(f'select {measured} from {rows}')}")[0]
        made = {}
        for place, number in enumerate(numbers):
            scale, whole, some = found[3 * place : 3 * place + 3]
            kind, is_odd = self.columns[number][1], odd and bool(some)
            made[number] = _sized(kind, scale or 0, whole or 1, odd=is_odd)
        return made

    @staticmethod
    def _as_text(column: str, there: str, kind: str) -> tuple[str, str]:
        """What is asked for in the place of a column, and the type that it is offered as."""
        bare = there.removesuffix("[]")
        if there in _MOMENTS:
            return _moment(column, there), kind
        if there == "interval":
            return _interval(column), kind
        if there == _NUMERIC:
            return f"{column}::text", kind
        if there != bare and bare in (_NUMERIC, *_MOMENTS):
            return f"to_json({column})::text", kind
        if kind.startswith("STRUCT("):
            return f"to_json({column})::text", "JSON"
        return (
            (f"{column}::text[]", kind) if kind == "VARCHAR[]" else (f"{column}::text", "VARCHAR")
        )


def _name(number: int) -> str:
    return f"c{number + 1}"


def _limit(limit: int | None) -> str:
    return f" limit {limit}" if limit else ""


def _sizes_of(kind: str) -> tuple[int, int] | None:
    """Width and scale of a decimal, or of those in a list, as far as DuckDB can have them."""
    found = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)(\[\])*", kind)
    if found is None or not int(found[2]) <= int(found[1]) <= _WIDEST:
        return None
    return int(found[1]), int(found[2])


def _measures(column: str, there: str, kind: str) -> tuple[str, str, str]:
    """The greatest scale, the most digits before the point, and whether a value is NaN or
    infinite: such a one has no scale. What the type says is not measured."""
    known = _sizes_of(kind)
    if there.endswith("[]"):
        if known:
            return "null::int", "null::int", "false"
        among = f"from unnest({column}) as u(v) where scale(v) is not null"
        most = "length(trunc(abs(v))::text)"
        return f"max((select max(scale(v)) {among}))", f"max((select max({most}) {among}))", "false"
    odd = f"bool_or({column} is not null and scale({column}) is null)"
    if known:
        return "null::int", "null::int", odd
    some = f"filter (where scale({column}) is not null)"
    return f"max(scale({column}))", f"max(length(trunc(abs({column}))::text)) {some}", odd


def _sized(kind: str, scale: int, whole: int, *, odd: bool) -> str:
    known = _sizes_of(kind)
    if odd and (known[0] if known else whole + scale) <= _IN_DOUBLE:
        return "DOUBLE"
    if known:
        return kind
    if whole + scale > _WIDEST:
        return "VARCHAR"
    width = min(_WIDEST, max(whole, _WHOLE) + scale)
    return f"DECIMAL({width},{scale}){kind[len(kind.rstrip('[]')) :]}"


def comparable(there: str, kind: str) -> bool:
    """Whether Postgres sorts a column of its type as DuckDB sorts what is landed of it."""
    if there in ("smallint", "integer", "bigint", _NUMERIC):
        return kind in INTEGERS or is_decimal(kind)
    if there in ("text", "character varying"):
        return kind == "VARCHAR"
    same = {
        "date": "DATE",
        "timestamp without time zone": "TIMESTAMP",
        "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
    }
    return same.get(there) == kind


def _moment(column: str, there: str) -> str:
    """A moment as DuckDB writes it, whatever DateStyle and time zone the server has."""
    zone = there == "timestamp with time zone"
    bare = f"({column} at time zone 'UTC')" if zone else column
    iso = f"""replace(trim(both '"' from to_json({bare})::text), 'T', ' ')"""
    before = rf"regexp_replace({iso}, '^(\S+) (.*) BC$', '\1 (BC) \2')"
    text = f"case when {bare} < '0001-01-01' then {before} else {iso} end"
    return (
        f"case when isfinite({column}) then ({text}){' || ' + literal('+00') if zone else ''}"
        f" else {column}::text end"
    )


def _interval(column: str) -> str:
    """An interval in the three figures that it is made of, whatever IntervalStyle says."""
    months = f"(extract(year from {column}) * 12 + extract(month from {column}))::int"
    micros = (
        f"(extract(hour from {column}) * 3600000000 + extract(minute from {column}) * 60000000"
        f" + extract(microseconds from {column}))::bigint"
    )
    return (
        f"case when isfinite({column}) then {months} || ' months ' ||"
        f" extract(day from {column})::int || ' days ' || {micros} || ' microseconds'"
        f" else {column}::text end"
    )


def relation(
    session: ReaderSession, database: str, table: str, missing: Callable[[], LoadError]
) -> str:
    """How Postgres calls a table: DuckDB finds it whatever its case is."""
    schema, _, name = table.rpartition(".")
    asked = (
        "select quote_ident(nspname) || '.' || quote_ident(relname) as found from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r','v','m','f','p')"
        f" and lower(nspname) = lower({literal(schema or 'public')})"
        f" and lower(relname) = lower({literal(name)}) order by nspname ="
        f" {literal(schema or 'public')} and relname = {literal(name)} desc limit 1"
    )
    found = session.rows(f"from postgres_query({literal(database)}, {literal(asked)})")
    if not found:
        raise missing()
    return str(found[0][0])
