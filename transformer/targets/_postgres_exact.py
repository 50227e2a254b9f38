"""Which columns of a table in Postgres may change what is sent, and the SQL that finds the rows.

Postgres refuses what a type cannot hold at all, and rounds or cuts off what it holds in part: more
digits than a scale has, the time of day in a `date`, blanks at the end of a `varchar(3)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from transformer.names import RelationName, literal, quoted

ROWS = "transformer_rows"
TEXTS = "transformer_texts"

_INTEGERS = ("int2", "int4", "int8")
_FLOATS = {"real": "float4", "double precision": "float8"}
# Types whose values are all some of a float's.
_EXACT_IN = {"float4": ("smallint",), "float8": ("smallint", "integer", "real")}
_CLOCKS = ("time", "timetz")
_MOMENTS = ("date", "timestamp", "timestamptz", *_CLOCKS)
_FINEST = (-1, 6)  # microseconds
_NUMBER = "'^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$'"
_DAY_IN_TEXT = "'[0-9]-[0-9]{2}-[0-9]'"
_TOO_FINE = "'[.][0-9]{6}[0-9]*[1-9]'"


class PostgresColumn(Struct, frozen=True):
    """A column that is there: its category (`A`: an array), its type as it is written, the name
    and the modifier of the type below domains and arrays."""

    category: str
    shown: str
    base: str
    modifier: int

    @property
    def is_array(self) -> bool:
        """Whether it holds arrays."""
        return self.category == "A"


class ExactCheck(Struct, frozen=True):
    """SQL of the condition that a staged value is what was sent, for one field. `stage` is the type
    that takes the value first, where it is not the column's own."""

    name: str
    shown: str
    condition: str
    text: str
    stage: str = ""


def columns(table: RelationName) -> str:
    """The query of a table's columns: name, and what a `PostgresColumn` holds."""
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
    """Whether the column would keep a part of every value: the time of a moment, say."""
    return sent.startswith(("timestamp", "date")) and column.base in _CLOCKS


def check(number: int, name: str, sent: str, column: PostgresColumn) -> ExactCheck | None:
    """What has to hold of the values of a field; None where the column holds all of its type."""
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
    base, bounded, some = column.base, column.modifier >= 0, "[]" if column.is_array else ""
    if base in _FLOATS.values():
        if _FLOATS.get(sent) == base or sent in _EXACT_IN[base]:
            return None
        return _if_number(f"{staged}::text::numeric{some} = {text}::numeric{some}", text, some)
    if base == "money" or (base == "numeric" and bounded):
        return _if_number(f"{staged}::numeric{some} = {text}::numeric{some}", text, some)
    if base == "name" or (base in ("varchar", "bpchar") and bounded):
        return f"{staged}::text{some} = {text}::text{some}"
    if base == "interval" and bounded:
        return f"{staged} = {text}::interval{some}"
    moments = _moment(sent, column, staged, text) if base in _MOMENTS else ()
    return " and ".join(moments) or None


def _if_number(condition: str, text: str, some: str) -> str:
    """The condition where the text is a number: `NaN` and the infinities are what they are."""
    return condition if some else f"case when {text} ~ {_NUMBER} then {condition} else true end"


def _moment(sent: str, column: PostgresColumn, staged: str, text: str) -> Iterator[str]:
    base, some = column.base, "[]" if column.is_array else ""
    if base == "date" and sent != "date":
        yield f"{staged}::timestamp{some} = {text}::timestamp{some}"
    elif sent != "date" and column.modifier not in _FINEST:
        yield f"{staged} = {text}::{base}{some}"
    if sent != "text":
        return
    yield f"{text} !~ {_TOO_FINE}"
    if base in _CLOCKS:
        yield f"{text} !~ {_DAY_IN_TEXT}"
    elif base != "timestamptz" and not some:  # an offset would be passed over
        yield f"{text}::timestamptz = {text}::timestamp::timestamptz"


class ExactCopy(Struct, frozen=True):
    """The statements around the copy of a batch, where some columns may change a value."""

    checks: tuple[ExactCheck, ...]
    prepare: str
    copy: str
    find: str

    @property
    def names(self) -> list[str]:
        """The fields that are copied a second time, as text."""
        return [each.name for each in self.checks]


def number_of(fields: Iterable[str]) -> str:
    """The name of the column that numbers staged rows from 1, which none of the fields has."""
    number, taken = "transformer_row", set(fields)
    while number in taken:
        number += "_"
    return number


def counted(number: str) -> str:
    """The column's definition."""
    return f"{number} bigint generated by default as identity"


def exact(sent: Mapping[str, str], there: Mapping[str, PostgresColumn]) -> ExactCopy | None:
    """The statements for fields of these types; None where every column holds all that is sent."""
    found = (check(n, name, kind, there[name]) for n, (name, kind) in enumerate(sent.items()))
    checks = tuple(each for each in found if each)
    if not checks:
        return None
    number = number_of(sent)
    texts = ", ".join(each.text for each in checks)
    lost = [f"b.{each.text} is not null and not ({each.condition})" for each in checks]
    which = " ".join(f"when {each} then {n}" for n, each in enumerate(lost))
    value = " ".join(f"when {each} then b.{c.text}" for each, c in zip(lost, checks, strict=True))
    first = [
        f"alter table {ROWS} alter column {quoted(each.name)} type {each.stage}"
        for each in checks
        if each.stage
    ]
    kept = ", ".join(f"{each.text} text" for each in checks)
    first.append(f"create temp table {TEXTS} ({counted(number)}, {kept}) on commit drop")
    return ExactCopy(
        checks,
        prepare="; ".join(first),
        copy=f"copy {TEXTS} ({texts}) from stdin (format csv)",
        find=f"select a.{number}, case {which} end, case {value} end from {ROWS} a"
        f" join {TEXTS} b using ({number}) where {' or '.join(f'({each})' for each in lost)}"
        " order by 1",
    )
