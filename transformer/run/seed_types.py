"""The types that dbt gives the columns of a seed, inferred from the text of all values at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformer.engines import EngineSession
from transformer.names import literal, quoted

# What dbt reads as a number, as far as the engine can load it; surrounding blanks are allowed.
_GAP = r"[\s\v]*"
_DIGITS = r"\d[\d_]*"
_NUMBER = (
    rf"(?i){_GAP}([-+]?({_DIGITS}(\.[\d_]*)?|\.{_DIGITS})(e[-+]?{_DIGITS})?"
    rf"|[-+]?(inf|infinity|nan)){_GAP}"
)
_EXPONENT = r"(?i)e"
_PARTS = r"\.[\d_]*[1-9]"  # a digit after the point that is not 0
_MORE_THAN_ZERO = r"(?i)[1-9].*e"
_YEAR = r"(\d{3}[1-9]|\d{2}[1-9]\d|\d[1-9]\d{2}|[1-9]\d{3})"  # there is no year 0
_DAY = rf"{_GAP}{_YEAR}-\d{{1,2}}-\d{{1,2}}{_GAP}"
_BLANK_MOMENT = rf"{_DAY}[\s\v]([01]?\d|2[0-3]):[0-5]?\d:[0-5]?\d{_GAP}"
_ISO_MOMENT = (
    rf"{_GAP}{_YEAR}-\d{{2}}-\d{{2}}T([01]\d|2[0-3]):[0-5]\d"
    rf"(:[0-5]\d(\.\d+)?(Z|[+-]\d{{2}}(:?\d{{2}})?)?)?{_GAP}"
)
_FLAG = r"(?i)true|false"

# The possible kinds of a value, as bits; a column has those of all its values.
_INTEGER, _BIGINT, _FLOAT, _PART, _DATE, _BLANK, _ISO, _BOOLEAN, _TEXT = (1 << n for n in range(9))
_NUMBERS = _INTEGER | _BIGINT | _FLOAT | _PART
_TYPES = {
    0: "INTEGER",  # no value at all: dbt tries whole numbers first
    _INTEGER: "INTEGER",
    _BIGINT: "BIGINT",
    _INTEGER | _BIGINT: "BIGINT",
    _DATE: "DATE",
    _BLANK: "TIMESTAMP",
    _ISO: "TIMESTAMP",
    _BOOLEAN: "BOOLEAN",
}


def dbt_types(session: EngineSession, raw: str, names: Sequence[str]) -> Mapping[str, str]:
    """The types, by name, of these columns of a query whose columns are all text.

    One statement examines all of them. Raises Fault if the query fails.
    """
    if not names:
        return {}
    aggregates = ", ".join(f"bit_or({_kind(quoted(name))})" for name in names)
    masks = session.rows(f"select {aggregates} from ({raw})")[0]
    return {name: _type(bits or 0) for name, bits in zip(names, masks, strict=True)}


def _type(bits: int) -> str:
    """The type for a column's bits. dbt fails on numbers that its table cannot hold; here the type
    is BIGINT, or else text."""
    if bits & _PART and not bits & ~_NUMBERS:
        return "DOUBLE"
    return _TYPES.get(bits, "VARCHAR")


def _kind(column: str) -> str:
    """SQL for the bit of one value."""
    return f"""
        case
            when {column} is null then 0
            when regexp_full_match({column}, {literal(_NUMBER)}) then case
                when try_cast({column} as double) is null then {_TEXT}
                when {_has_parts(column)} then {_PART}
                when try_cast({column} as integer) is not null then {_INTEGER}
                when try_cast({column} as bigint) is not null then {_BIGINT}
                else {_FLOAT}
            end
            when regexp_full_match({column}, {literal(_DAY)})
                then if(try_cast({column} as date) is null, {_TEXT}, {_DATE})
            when regexp_full_match({column}, {literal(_BLANK_MOMENT)})
                then if(try_cast({column} as timestamp) is null, {_TEXT}, {_BLANK})
            when regexp_full_match({column}, {literal(_ISO_MOMENT)})
                then if(try_cast({column} as timestamp) is null, {_TEXT}, {_ISO})
            when regexp_full_match({column}, {literal(_FLAG)}) then {_BOOLEAN}
            else {_TEXT}
        end
    """


def _has_parts(column: str) -> str:
    """SQL for whether a number has a fraction: `1.50` and `15e-1`, but not `1.0`, `1e3` or `1.5e3`.

    For dbt, numbers of more than 28 digits count as such too.
    """
    number = f"try_cast({column} as double)"
    tiny = f"{number} = 0 and regexp_matches({column}, {literal(_MORE_THAN_ZERO)})"
    return (
        f"case when abs({number}) >= 1e28 then regexp_matches({column}, '[0-9]')"
        f" when regexp_matches({column}, {literal(_EXPONENT)})"
        f" then {number} <> trunc({number}) or ({tiny})"
        f" else regexp_matches({column}, {literal(_PARTS)}) end"
    )
