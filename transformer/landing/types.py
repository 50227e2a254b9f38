"""Types of raw columns: how they are inferred from text, and which may widen into which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformer.landing.staged import Session
from transformer.names import literal, quoted

# Tried in this order; the first that all values of a column meet is its type. The patterns are
# strict on purpose: `007`, `01212020` and `+49…` are words, not numbers.
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("BIGINT", r"-?(0|[1-9][0-9]{0,17})"),
    ("DOUBLE", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?"),
    ("BOOLEAN", r"(?i:true|false)"),
    ("DATE", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    ("TIMESTAMP", r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?"),
    (
        "TIMESTAMP WITH TIME ZONE",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
        r"(Z|[-+][0-9]{2}(:?[0-9]{2})?)",
    ),
)

_WIDER: Mapping[str, tuple[str, ...]] = {
    "BOOLEAN": (),
    "TINYINT": ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "UTINYINT": ("SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "DOUBLE"),
    "SMALLINT": ("INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "USMALLINT": ("INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"),
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
}


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is one of the new type (decimals by their digits)."""
    if old.startswith("DECIMAL") and new.startswith("DECIMAL"):
        (width, scale), (wide, fine) = _digits(old), _digits(new)
        return fine >= scale and wide - fine >= width - scale
    if old.startswith("DECIMAL"):
        return new == "DOUBLE"
    return new in _WIDER.get(old, ())


def _digits(decimal: str) -> tuple[int, int]:
    inside = decimal[decimal.find("(") + 1 : decimal.rfind(")")].split(",")
    return int(inside[0]), int(inside[1])


def infer(session: Session, rows: str, columns: Sequence[str]) -> dict[str, str]:
    """The types of columns of text, from all their values in one scan; no value at all: VARCHAR."""
    if not columns:
        return {}
    figures = [
        expression
        for column in columns
        for expression in (
            f"count({_given(column)})",
            *(
                f"count(*) filter (where regexp_full_match({_given(column)}, {literal(pattern)})"
                f" and try_cast({_given(column)} as {kind}) is not null)"
                for kind, pattern in _PATTERNS
            ),
        )
    ]
    found = session.rows(f"select {', '.join(figures)} from ({rows})")[0]
    size = len(_PATTERNS) + 1
    made = {}
    for number, column in enumerate(columns):
        total, *counts = found[number * size : (number + 1) * size]
        fitting = [kind for (kind, _), n in zip(_PATTERNS, counts, strict=True) if n == total]
        made[column] = fitting[0] if total and fitting else "VARCHAR"
    return made


def _given(column: str) -> str:
    return f"nullif(trim({quoted(column)}), '')"


def cast(column: str, kind: str, *, text: bool, offered: str = "") -> str:
    """The value as that type, NULL where it does not fit; blanks around text do not count."""
    name = quoted(column)
    if text:
        if kind == "VARCHAR":
            return name
        given = _given(column)
        if kind == "BIGINT":  # a cast alone would round 1.5 to 2
            return f"case when regexp_full_match({given}, '[-+]?[0-9]+') then try_cast({given} as BIGINT) end"
        return f"try_cast({given} as {kind})"
    return name if offered == kind else f"try_cast({name} as {kind})"


def misfit(column: str, kind: str, *, text: bool, offered: str = "") -> str | None:
    """The condition that there is a value and it does not fit; None when it cannot happen."""
    if kind == "VARCHAR" or (not text and offered == kind):
        return None
    given = _given(column) if text else quoted(column)
    return f"({given} is not null and {cast(column, kind, text=text, offered=offered)} is null)"
