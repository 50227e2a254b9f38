"""Which type carries a value to a target.

This never changes a value's content, only the SQL that writes it and the type that carries it.
"""

from __future__ import annotations

from transformer.dialects.types import SqlType, composed, read

# Written by every target as DuckDB does.
WHOLE = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
PLAIN = frozenset({*WHOLE, "BOOLEAN", "VARCHAR"})
FLOATS = frozenset({"FLOAT", "DOUBLE"})
ZONED = "TIMESTAMP WITH TIME ZONE"
MOMENTS = frozenset({"TIMESTAMP", ZONED, "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
JSON = frozenset({"JSON", "VARIANT"})
# Types that Arrow and its readers support.
_CARRIED = frozenset({*PLAIN, *FLOATS, "DATE", "TIME", "BLOB", "TIMESTAMP", ZONED, "TIMESTAMP_NS"})
_CARRIED_AS = {
    "HUGEINT": "DECIMAL(38, 0)",  # the type of `sum` over integers
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
}


def carried(kind: SqlType) -> str | None:
    """The type that carries every value of this one in Arrow; None if the value is sent as JSON."""
    if kind.kind == "scalar":
        if kind.text in JSON:
            return None
        if kind.text in _CARRIED or kind.decimal:
            return kind.text
        return _CARRIED_AS.get(kind.text, "VARCHAR")
    parts = [carried(part) for _, part in kind.parts]
    if kind.kind == "union" or None in parts:
        return None
    return composed(kind, [str(part) for part in parts])


def listed(kind: SqlType) -> SqlType:
    """The type with lists instead of fixed-length arrays, for which DuckDB has fewer functions."""
    return read(_listed(kind))


def _listed(kind: SqlType) -> str:
    if kind.kind == "scalar":
        return kind.text
    return composed(kind, [_listed(part) for _, part in kind.parts])


def texts(kind: SqlType) -> str:
    """The type with VARCHAR for every value: DuckDB's types can be cast to it and back without
    loss."""
    if kind.kind == "scalar":
        return "VARCHAR"
    return composed(kind, [texts(part) for _, part in kind.parts])
