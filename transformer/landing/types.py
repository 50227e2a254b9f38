"""Types of raw columns: how they are inferred from text, and which may widen into which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformer.landing.staged import Session
from transformer.names import literal, quoted

# Tried in this order; the first that all values of a column meet is its type. The patterns are
# strict on purpose: `007`, `01212020` and `+49…` are words, not numbers, and no more digits are
# taken for a DOUBLE than it can hold.
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("BIGINT", r"-?(0|[1-9][0-9]{0,18})"),
    ("HUGEINT", r"-?(0|[1-9][0-9]{0,37})"),
    ("DOUBLE", r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?"),
    ("BOOLEAN", r"(?i:true|false)"),
    ("DATE", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    ("TIMESTAMP", r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?"),
    (
        "TIMESTAMP WITH TIME ZONE",
        (
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
            r"(Z|[-+][0-9]{2}(:?[0-9]{2})?)"
        ),
    ),
)

INTEGERS = (
    "TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT",
    "HUGEINT", "UHUGEINT",
)  # fmt: skip

_WIDER: Mapping[str, tuple[str, ...]] = {
    "BOOLEAN": (),
    "TINYINT": ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "UTINYINT": ("SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT",
                 "FLOAT", "DOUBLE"),
    "SMALLINT": ("INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "USMALLINT": ("INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "INTEGER": ("BIGINT", "HUGEINT", "DOUBLE"),
    "UINTEGER": ("BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"),
    "BIGINT": ("HUGEINT", "DOUBLE"),
    "UBIGINT": ("HUGEINT", "DOUBLE"),
    "HUGEINT": ("DOUBLE",),
    "FLOAT": ("DOUBLE",),
    "DATE": ("TIMESTAMP",),
    "TIMESTAMP": ("TIMESTAMP WITH TIME ZONE",),
    "TIMESTAMP_S": ("TIMESTAMP",),
    "TIMESTAMP_MS": ("TIMESTAMP",),
}  # fmt: skip
# From here on a DOUBLE skips whole numbers.
EXACT_IN_DOUBLE = 2**53


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is one of the new type (decimals by their digits).

    Large whole numbers are not all a DOUBLE's; who widens looks at those that are there.
    """
    if old.startswith("DECIMAL") and new.startswith("DECIMAL"):
        (width, scale), (wide, fine) = _digits(old), _digits(new)
        return fine >= scale and wide - fine >= width - scale
    if old.startswith("DECIMAL"):
        return new == "DOUBLE" and _digits(old)[0] <= 15
    return new in _WIDER.get(old, ())


def _digits(decimal: str) -> tuple[int, int]:
    inside = decimal[decimal.find("(") + 1 : decimal.rfind(")")].split(",")
    return int(inside[0]), int(inside[1])


# So many rows are looked at for the types that a column may have; the rest only confirm the first.
_SAMPLE = 2_000


def infer(session: Session, rows: str, columns: Sequence[str]) -> dict[str, str]:
    """The types of columns of text, from all their values; no value at all: VARCHAR.

    Matching every pattern costs more than reading. A sample rules most of them out, one scan
    confirms what is left, and only a column whose later rows are others is matched in full.
    """
    seen, possible = _fitting(session, f"select * from ({rows}) limit {_SAMPLE}", columns)
    if seen < _SAMPLE:
        return {c: kinds[0] if kinds else "VARCHAR" for c, kinds in possible.items()}
    made = {c: "VARCHAR" for c, kinds in possible.items() if kinds == []}
    made |= _confirmed(session, rows, {c: kinds[0] for c, kinds in possible.items() if kinds})
    _, rest = _fitting(session, rows, [c for c in columns if c not in made])
    return made | {c: kinds[0] if kinds else "VARCHAR" for c, kinds in rest.items()}


def _fitting(
    session: Session, rows: str, columns: Sequence[str]
) -> tuple[int, dict[str, list[str] | None]]:
    """How many rows there are, and which types all values of a column meet; None when it has no
    value. The columns stand below each other: planning a figure per column and type would cost
    more than a small file is worth."""
    if not columns:
        return 0, {}
    figures = ", ".join(f"count(*) filter (where {_meets('__value', k)})" for k, _ in _PATTERNS)
    values = ", ".join(f"{_given(c)} as {quoted(c)}" for c in columns)
    listed = ", ".join(quoted(c) for c in columns)
    found = session.rows(
        f"select __column, count(*), count(__value), {figures} from (select {values} from ({rows}))"
        f" unpivot include nulls (__value for __column in ({listed})) group by all"
    )
    made: dict[str, list[str] | None] = dict.fromkeys(columns)
    for column, _, total, *counts in found:
        fits = [kind for (kind, _), n in zip(_PATTERNS, counts, strict=True) if n == total]
        made[column] = fits if total else None
    return (found[0][1] if found else 0), made


def _confirmed(session: Session, rows: str, kinds: Mapping[str, str]) -> dict[str, str]:
    """Of these types of columns those that all values meet."""
    if not kinds:
        return {}
    wrong = ", ".join(
        f"count(*) filter (where {given} is not null"
        f" and not coalesce({_meets(given, kind)}, false))"
        for given, kind in ((_given(column), kind) for column, kind in kinds.items())
    )
    found = session.rows(f"select {wrong} from ({rows})")[0]
    return {c: k for (c, k), count in zip(kinds.items(), found, strict=True) if not count}


def _meets(value: str, kind: str) -> str:
    pattern = literal(dict(_PATTERNS)[kind])
    return f"regexp_full_match({value}, {pattern}) and try_cast({value} as {kind}) is not null"


def _given(column: str, offered: str = "") -> str:
    return f"nullif(trim({plain(column, offered)}), '')"


def plain(column: str, offered: str) -> str:
    """The staged value as text; a JSON string stands without its quotes."""
    name = quoted(column)
    if offered != "JSON":
        return name
    bare = f"coalesce(try_cast({name} as json) ->> '$', {name})"
    return f"case when {name}[1] = '\"' then {bare} else {name} end"


def cast(column: str, kind: str, *, text: bool, offered: str = "") -> str:
    """The value as that type, NULL where it does not fit; blanks around text do not count."""
    name = quoted(column)
    if offered == kind and (not text or kind == "VARCHAR"):
        return name
    if not text and offered != "VARCHAR":
        return f"try_cast({name} as {kind})"
    if kind == "VARCHAR":
        return plain(column, offered)
    if kind == "JSON" and text:
        # A JSON string has come without its quotes.
        return f"to_json({name})" if offered == "VARCHAR" else f"try_cast({name} as JSON)"
    return _of_text(_given(column, offered if text else ""), kind)


def _of_text(given: str, kind: str) -> str:
    if kind in INTEGERS:  # a cast alone would round 1.5 to 2
        whole = f"regexp_full_match({given}, '[-+]?[0-9]+')"
        return f"case when {whole} then try_cast({given} as {kind}) end"
    if kind == "DATE":  # a cast alone would cut the time of day off
        day = f"try_cast({given} as DATE)"
        return f"case when {day}::timestamp = try_cast({given} as timestamp) then {day} end"
    return f"try_cast({given} as {kind})"


def misfit(column: str, kind: str, *, text: bool, offered: str = "") -> str | None:
    """The condition that there is a value and it does not fit; None when it cannot happen."""
    if kind == "VARCHAR" or (not text and offered == kind):
        return None
    value = cast(column, kind, text=text, offered=offered)
    if text or offered == "VARCHAR":
        return f"({_given(column)} is not null and {value} is null)"
    name = quoted(column)
    if kind == "FLOAT" or kind.startswith("DECIMAL"):  # who declares it wants it rounded
        return f"({name} is not null and {value} is null)"
    # Other casts between types would round or cut off in silence.
    return f"({name} is not null and try_cast({value} as {offered}) is distinct from {name})"
