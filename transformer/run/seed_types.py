"""The types that dbt gives the columns of a seed: read from the text of all values, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformer.engines import EngineSession
from transformer.names import literal, quoted

# What dbt takes for a number, as far as the engine can load it; blanks around do no harm.
_GAP = r"[\s\v]*"
_DIGITS = r"\d[\d_]*"
_NUMBER = (
    rf"(?i){_GAP}([-+]?({_DIGITS}(\.[\d_]*)?|\.{_DIGITS})(e[-+]?{_DIGITS})?"
    rf"|[-+]?(inf|infinity|nan)){_GAP}"
)
_EXPONENT = r"(?i)e"
_PARTS = r"\.[\d_]*[1-9]"  # a digit behind the point that is not 0
_MORE_THAN_ZERO = r"(?i)[1-9].*e"
_YEAR = r"(\d{3}[1-9]|\d{2}[1-9]\d|\d[1-9]\d{2}|[1-9]\d{3})"  # there is no year 0
_DAY = rf"{_GAP}{_YEAR}-\d{{1,2}}-\d{{1,2}}{_GAP}"
_BLANK_MOMENT = rf"{_DAY}[\s\v]([01]?\d|2[0-3]):[0-5]?\d:[0-5]?\d{_GAP}"
_ISO_MOMENT = (
    rf"{_GAP}{_YEAR}-\d{{2}}-\d{{2}}T([01]\d|2[0-3]):[0-5]\d"
    rf"(:[0-5]\d(\.\d+)?(Z|[+-]\d{{2}}(:?\d{{2}})?)?)?{_GAP}"
)
_FLAG = r"(?i)true|false"

# What a value can be, as bits: a column's are those of all its values.
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


def plain_types(session: EngineSession, raw: str, names: Sequence[str]) -> Mapping[str, str]:
    """The types of these columns of a query whose columns are all text, by name.

    One statement looks at all of them. Raises Fault when the query cannot be read.
    """
    if not names:
        return {}
    asked = ", ".join(f"bit_or({_kind(quoted(name))})" for name in names)
    found = session.rows(f"select {asked} from ({raw})")[0]
    return {name: _type(bits or 0) for name, bits in zip(names, found, strict=True)}


def _type(bits: int) -> str:
    """Where dbt takes a column for numbers that its table then cannot hold, it stops; here it is
    BIGINT, or else text."""
    if bits & _PART and not bits & ~_NUMBERS:
        return "DOUBLE"
    return _TYPES.get(bits, "VARCHAR")


def _kind(column: str) -> str:
    """What one value can be, as an expression."""
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
    """Whether a number is no whole one: `1.50` and `15e-1`, but not `1.0`, `1e3` or `1.5e3`.

    Numbers of more than 28 digits count as such, for dbt.
    """
    number = f"try_cast({column} as double)"
    tiny = f"{number} = 0 and regexp_matches({column}, {literal(_MORE_THAN_ZERO)})"
    return (
        f"case when abs({number}) >= 1e28 then regexp_matches({column}, '[0-9]')"
        f" when regexp_matches({column}, {literal(_EXPONENT)})"
        f" then {number} <> trunc({number}) or ({tiny})"
        f" else regexp_matches({column}, {literal(_PARTS)}) end"
    )
