"""Which columns of a Postgres table may change a value, and the SQL that finds such rows.

Postgres refuses values that a type cannot hold at all, but rounds or truncates others: digits
beyond a scale, the time of day in a `date`, trailing blanks in a `varchar(3)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from transformer.names import RelationName, literal, quoted

ROWS = "transformer_rows"
TEXTS = "transformer_texts"

_INTEGERS = ("int2", "int4", "int8")
_FLOATS = {"real": "float4", "double precision": "float8"}
# Types whose values are all exact as a float.
_EXACT_IN = {"float4": ("smallint",), "float8": ("smallint", "integer", "real")}
_CLOCKS = ("time", "timetz")
_MOMENTS = ("date", "timestamp", "timestamptz", *_CLOCKS)
_FINEST = (-1, 6)  # microseconds
_NUMBER = "'^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$'"
_DAY_IN_TEXT = "'[0-9]-[0-9]{2}-[0-9]'"
_TOO_FINE = "'[.][0-9]{6}[0-9]*[1-9]'"


class PostgresColumn(Struct, frozen=True):
    """An existing column: its category (`A`: an array), its type as displayed, and the name and
    modifier of the type underlying domains and arrays."""

    category: str
    shown: str
    base: str
    modifier: int

    @property
    def is_array(self) -> bool:
        """Whether the column is an array."""
        return self.category == "A"


class ExactCheck(Struct, frozen=True):
    """The SQL condition that a staged value equals the one sent, for one field. `stage` is the type
    in the staging table, if it is not the column's own."""

    name: str
    shown: str
    condition: str
    text: str
    stage: str = ""


def columns(table: RelationName) -> str:
    """The query of a table's columns: name, and the fields of `PostgresColumn`."""
    return (
        "select a.attname, t.typcategory, format_type(a.atttypid, a.atttypmod), "
        "coalesce(e.typname, b.typname, t.typname), "
        "case when t.typtype = 'd' then t.typtypmod else a.atttypmod end "
        "from pg_attribute a join pg_class c on c.oid = a.attrelid "
        "join pg_namespace n on n.oid = c.relnamespace join pg_type t on t.oid = a.atttypid "
        "left join pg_type b on b.oid = nullif(t.typbasetype, 0) "
        "left join pg_type e on t.typcategory = 'A' "
        "and e.oid = nullif(coalesce(nullif(b.typelem, 0), t.typelem), 0) "
        f"where n.nspname = {literal(table.schema)} and c.relname = {literal(table.table)} "
        "and a.attnum > 0 and not a.attisdropped"
    )


def cannot_hold(sent: str, column: PostgresColumn) -> bool:
    """Whether the column would lose a part of every value, such as the date of a timestamp."""
    return sent.startswith(("timestamp", "date")) and column.base in _CLOCKS


def check(number: int, name: str, sent: str, column: PostgresColumn) -> ExactCheck | None:
    """The check for a field's values; None if the column holds every value of the sent type."""
    sent = sent.replace(", ", ",")
    if sent == column.shown:
        return None
    staged, text = f"a.{quoted(name)}", f"b.c{number}"
    sent = sent.removesuffix("[]")
    if column.base in _INTEGERS and not column.is_array and _has_fractions(sent):
        whole = f"{staged}::text !~ '[a-zA-Z]' and {staged} = trunc({staged})"
        return ExactCheck(name, column.shown, whole, f"c{number}", "numeric")
    condition = _condition(sent, column, staged, text)
    return ExactCheck(name, column.shown, condition, f"c{number}") if condition else None


def _has_fractions(sent: str) -> bool:
    return sent.startswith("numeric") or sent in _FLOATS


def _condition(sent: str, column: PostgresColumn, staged: str, text: str) -> str | None:
    base, bounded, array_suffix = column.base, column.modifier >= 0, "[]" if column.is_array else ""
    if base in _FLOATS.values():
        if _FLOATS.get(sent) == base or sent in _EXACT_IN[base]:
            return None
        return _if_number(
            f"{staged}::text::numeric{array_suffix} = {text}::numeric{array_suffix}",
            text,
            array_suffix,
        )
    if base == "money" or (base == "numeric" and bounded):
        return _if_number(
            f"{staged}::numeric{array_suffix} = {text}::numeric{array_suffix}", text, array_suffix
        )
    if base == "name" or (base in ("varchar", "bpchar") and bounded):
        return f"{staged}::text{array_suffix} = {text}::text{array_suffix}"
    if base == "interval" and bounded:
        return f"{staged} = {text}::interval{array_suffix}"
    moments = _moment(sent, column, staged, text) if base in _MOMENTS else ()
    return " and ".join(moments) or None


def _if_number(condition: str, text: str, array_suffix: str) -> str:
    """The condition, applied only to finite numbers: `NaN` and the infinities are unchanged."""
    return (
        condition
        if array_suffix
        else f"case when {text} ~ {_NUMBER} then {condition} else true end"
    )


def _moment(sent: str, column: PostgresColumn, staged: str, text: str) -> Iterator[str]:
    base, array_suffix = column.base, "[]" if column.is_array else ""
    if base == "date" and sent != "date":
        yield f"{staged}::timestamp{array_suffix} = {text}::timestamp{array_suffix}"
    elif sent != "date" and column.modifier not in _FINEST:
        yield f"{staged} = {text}::{base}{array_suffix}"
    if sent != "text":
        return
    yield f"{text} !~ {_TOO_FINE}"
    if base in _CLOCKS:
        yield f"{text} !~ {_DAY_IN_TEXT}"
    elif base != "timestamptz" and not array_suffix:  # an offset would be ignored
        yield f"{text}::timestamptz = {text}::timestamp::timestamptz"


class ExactCopy(Struct, frozen=True):
    """The extra statements for copying a batch, if some columns may change a value."""

    checks: tuple[ExactCheck, ...]
    prepare: str
    copy: str
    find: str

    @property
    def names(self) -> list[str]:
        """The fields that are also copied as text."""
        return [check.name for check in self.checks]


def number_of(fields: Iterable[str]) -> str:
    """A name, used by no field, for the column that numbers staged rows from 1."""
    number, used = "transformer_row", set(fields)
    while number in used:
        number += "_"
    return number


def counted(number: str) -> str:
    """The definition of the numbering column."""
    return f"{number} bigint generated by default as identity"


def exact(sent: Mapping[str, str], columns: Mapping[str, PostgresColumn]) -> ExactCopy | None:
    """The statements for fields of these types; None if no column may change a value."""
    candidates = (
        check(n, name, kind, columns[name]) for n, (name, kind) in enumerate(sent.items())
    )
    checks = tuple(column_check for column_check in candidates if column_check)
    if not checks:
        return None
    number = number_of(sent)
    texts = ", ".join(column_check.text for column_check in checks)
    lost = [
        f"b.{column_check.text} is not null and not ({column_check.condition})"
        for column_check in checks
    ]
    which = " ".join(f"when {wrong} then {n}" for n, wrong in enumerate(lost))
    value = " ".join(f"when {wrong} then b.{c.text}" for wrong, c in zip(lost, checks, strict=True))
    preparation = [
        f"alter table {ROWS} alter column {quoted(column_check.name)} type {column_check.stage}"
        for column_check in checks
        if column_check.stage
    ]
    text_columns = ", ".join(f"{column_check.text} text" for column_check in checks)
    preparation.append(
        f"create temp table {TEXTS} ({counted(number)}, {text_columns}) on commit drop"
    )
    return ExactCopy(
        checks,
        prepare="; ".join(preparation),
        copy=f"copy {TEXTS} ({texts}) from stdin (format csv)",
        find=f"select a.{number}, case {which} end, case {value} end from {ROWS} a"
        f" join {TEXTS} b using ({number}) where {' or '.join(f'({wrong})' for wrong in lost)}"
        " order by 1",
    )
