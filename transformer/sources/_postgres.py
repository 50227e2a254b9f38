"""Postgres tables, queried so that no value changes on the way.

DuckDB's scanner reads NaN in a `numeric` as 0, a numeric without precision as a DOUBLE, and
timestamps outside DuckDB's range as other ones. Columns of such types are selected as text, with
their type in Postgres; all others are read directly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from transformer.dialects.widening import is_decimal
from transformer.errors import LoadError
from transformer.landing.staged import Cursor, ReaderSession
from transformer.landing.types import INTEGERS
from transformer.names import literal, quoted
from transformer.steps import Columns

# DuckDB's widest DECIMAL, and the minimum of digits before the point when the width is taken from
# the values: so it rarely has to grow.
_WIDEST, _WHOLE = 38, 18
# Any number with this many digits is exact in a DOUBLE.
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
    """The query that DuckDB runs, its columns with their types, and the columns whose values are
    text whatever their type."""

    query: str
    columns: Columns
    texts: frozenset[str]


class PostgresTable(Struct, frozen=True):
    """A relation in Postgres: the attached database's name, the relation's name in Postgres, and
    its columns as DuckDB sees them. `declared` are the types declared in the project."""

    database: str
    relation: str
    columns: Columns
    declared: Mapping[str, str]

    @property
    def _source(self) -> str:
        listed = ", ".join(_name(n) for n in range(len(self.columns)))
        return f"{self.relation} as q({listed})"

    def query(
        self, session: ReaderSession, since: tuple[str, Cursor] | None, limit: int | None
    ) -> PostgresQuery:
        """The query of all rows, or of those from the cursor on."""
        kinds = self._kinds(session)
        narrowed = f"(select * from {self._source}{self._bound(kinds, since)}{_limit(limit)}) as q"
        # With a cursor the table exists: non-finite numbers do not change its decimals.
        sizes = self._sizes(session, kinds, narrowed, odd=since is None)
        picked: list[str] = []
        columns: list[tuple[str, str]] = []
        texts: set[str] = set()
        for number, ((name, kind), type_name) in enumerate(zip(self.columns, kinds, strict=True)):
            column = _name(number)
            if type_name.removesuffix("[]") in _EXACT:
                picked.append(column)
                columns.append((name, kind))
                continue
            text, offered = self._as_text(column, type_name, sizes.get(number, kind))
            if self.declared.get(name.lower()) in INTEGERS and type_name == _NUMERIC:
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
        """Postgres's type names of the columns; for domains, of the underlying type."""
        columns = range(len(self.columns))
        listed = ", ".join(f"pg_typeof({_name(n)})::oid::bigint as {_name(n)}" for n in columns)
        # Reads no rows: the join matches nothing.
        nothing = f"select {listed} from (select 1) as one left join {self._source} on false"
        oids = session.rows(f"from {self._query(nothing)}")[0]
        named = (
            "with recursive b(oid, base) as (select oid, oid from pg_type where oid in"
            f" ({', '.join(map(str, oids))}) union all select b.oid, t.typbasetype from b"
            " join pg_type t on t.oid = b.base where t.typtype = 'd')"
            " select b.oid::bigint as oid, format_type(b.base, null) as kind from b"
            " join pg_type t on t.oid = b.base where t.typtype <> 'd'"
        )
        kind_by_oid = dict(session.rows(f"select oid, kind from {self._query(named)}"))
        return [str(kind_by_oid.get(oid, "")) for oid in oids]

    def _bound(self, kinds: Sequence[str], since: tuple[str, Cursor] | None) -> str:
        """The condition for rows from the cursor on, and NULLs; "" if Postgres sorts otherwise."""
        if since is None:
            return ""
        number = next(n for n, (name, _) in enumerate(self.columns) if name == since[0])
        column, value = _name(number), literal(since[1].value)
        if not comparable(kinds[number], since[1].kind):
            return ""
        if since[1].kind == "VARCHAR":  # not by the database's collation
            return f' where {column}::text collate "C" >= {value} or {column} is null'
        return f" where {column} >= {value} or {column} is null"

    def _sizes(
        self, session: ReaderSession, kinds: Sequence[str], rows: str, *, odd: bool
    ) -> dict[int, str]:
        """The types of numeric columns without precision, with more digits than a DECIMAL, or with
        NaN or infinity: as wide as their values, a DOUBLE if that holds every digit, or text."""
        numbers = [
            n for n, type_name in enumerate(kinds) if type_name.removesuffix("[]") == _NUMERIC
        ]
        if not numbers:
            return {}
        measured = ", ".join(
            f"{figure} as {_name(n)}_{index}"
            for n in numbers
            for index, figure in enumerate(_measures(_name(n), kinds[n], self.columns[n][1]))
        )
        measures = session.rows(f"from {self._query(f'select {measured} from {rows}')}")[0]
        types = {}
        for index, number in enumerate(numbers):
            scale, whole, has_odd = measures[3 * index : 3 * index + 3]
            kind, is_odd = self.columns[number][1], odd and bool(has_odd)
            types[number] = _sized(kind, scale or 0, whole or 1, odd=is_odd)
        return types

    @staticmethod
    def _as_text(column: str, type_name: str, kind: str) -> tuple[str, str]:
        """The expression selected for a column, and the type that it is offered as."""
        element_type = type_name.removesuffix("[]")
        if type_name in _MOMENTS:
            return _moment(column, type_name), kind
        if type_name == "interval":
            return _interval(column), kind
        if type_name == _NUMERIC:
            return f"{column}::text", kind
        if type_name != element_type and element_type in (_NUMERIC, *_MOMENTS):
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
    """Width and scale of a decimal, or of a list's decimals; None if DuckDB has no such type."""
    match = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)(\[\])*", kind)
    if match is None or not int(match[2]) <= int(match[1]) <= _WIDEST:
        return None
    return int(match[1]), int(match[2])


def _measures(column: str, type_name: str, kind: str) -> tuple[str, str, str]:
    """SQL for the largest scale, the most digits before the point, and whether a value is NaN or
    infinite (then it has no scale). What the type declares is not measured."""
    declared_size = _sizes_of(kind)
    if type_name.endswith("[]"):
        if declared_size:
            return "null::int", "null::int", "false"
        among = f"from unnest({column}) as u(v) where scale(v) is not null"
        most = "length(trunc(abs(v))::text)"
        return f"max((select max(scale(v)) {among}))", f"max((select max({most}) {among}))", "false"
    odd = f"bool_or({column} is not null and scale({column}) is null)"
    if declared_size:
        return "null::int", "null::int", odd
    finite = f"filter (where scale({column}) is not null)"
    return f"max(scale({column}))", f"max(length(trunc(abs({column}))::text)) {finite}", odd


def _sized(kind: str, scale: int, whole: int, *, odd: bool) -> str:
    declared_size = _sizes_of(kind)
    if odd and (declared_size[0] if declared_size else whole + scale) <= _IN_DOUBLE:
        return "DOUBLE"
    if declared_size:
        return kind
    if whole + scale > _WIDEST:
        return "VARCHAR"
    width = min(_WIDEST, max(whole, _WHOLE) + scale)
    return f"DECIMAL({width},{scale}){kind[len(kind.rstrip('[]')) :]}"


def comparable(type_name: str, kind: str) -> bool:
    """Whether Postgres sorts a column of this type as DuckDB sorts the loaded values."""
    if type_name in ("smallint", "integer", "bigint", _NUMERIC):
        return kind in INTEGERS or is_decimal(kind)
    if type_name in ("text", "character varying"):
        return kind == "VARCHAR"
    equivalent = {
        "date": "DATE",
        "timestamp without time zone": "TIMESTAMP",
        "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
    }
    return equivalent.get(type_name) == kind


def _moment(column: str, type_name: str) -> str:
    """A timestamp as DuckDB writes it, whatever the server's DateStyle and time zone."""
    zone = type_name == "timestamp with time zone"
    utc = f"({column} at time zone 'UTC')" if zone else column
    iso = f"""replace(trim(both '"' from to_json({utc})::text), 'T', ' ')"""
    before = rf"regexp_replace({iso}, '^(\S+) (.*) BC$', '\1 (BC) \2')"
    text = f"case when {utc} < '0001-01-01' then {before} else {iso} end"
    return (
        f"case when isfinite({column}) then ({text}){' || ' + literal('+00') if zone else ''}"
        f" else {column}::text end"
    )


def _interval(column: str) -> str:
    """An interval as months, days and microseconds, whatever the server's IntervalStyle."""
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
    """A table's qualified name in Postgres, looked up regardless of case as DuckDB does. Raises
    the error of `missing`."""
    schema, _, name = table.rpartition(".")
    query = (
        "select quote_ident(nspname) || '.' || quote_ident(relname) as found from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r','v','m','f','p')"
        f" and lower(nspname) = lower({literal(schema or 'public')})"
        f" and lower(relname) = lower({literal(name)}) order by nspname ="
        f" {literal(schema or 'public')} and relname = {literal(name)} desc limit 1"
    )
    matches = session.rows(f"from postgres_query({literal(database)}, {literal(query)})")
    if not matches:
        raise missing()
    return str(matches[0][0])
