"""Which type carries a value to a target.

No value depends on this for its content; it says which SQL writes it, and which type can carry it.
"""

from __future__ import annotations

from transformer.dialects.types import SqlType, composed, read

# These are what they are everywhere: no target writes them in another way than DuckDB does.
WHOLE = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
PLAIN = frozenset({*WHOLE, "BOOLEAN", "VARCHAR"})
FLOATS = frozenset({"FLOAT", "DOUBLE"})
ZONED = "TIMESTAMP WITH TIME ZONE"
MOMENTS = frozenset({"TIMESTAMP", ZONED, "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
JSON = frozenset({"JSON", "VARIANT"})
# What Arrow and its readers have a type for.
_CARRIED = frozenset({*PLAIN, *FLOATS, "DATE", "TIME", "BLOB", "TIMESTAMP", ZONED, "TIMESTAMP_NS"})
_CARRIED_AS = {
    "HUGEINT": "DECIMAL(38, 0)",  # what `sum` makes of whole numbers
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
}


def carried(kind: SqlType) -> str | None:
    """The type that carries every value of this one in Arrow; None where none does, and the value
    goes as JSON."""
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
    """The same with lists in place of arrays of a fixed length, of which DuckDB can do less."""
    return read(_listed(kind))


def _listed(kind: SqlType) -> str:
    if kind.kind == "scalar":
        return kind.text
    return composed(kind, [_listed(part) for _, part in kind.parts])


def texts(kind: SqlType) -> str:
    """The same with text in place of every value: all of DuckDB's types can be cast to it and back
    without a loss."""
    if kind.kind == "scalar":
        return "VARCHAR"
    return composed(kind, [texts(part) for _, part in kind.parts])
