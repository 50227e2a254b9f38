"""Which type holds every value of another."""

from __future__ import annotations

from collections.abc import Mapping

# The digits that an integer type needs in a decimal.
INTEGER_DIGITS = {
    "TINYINT": 3, "UTINYINT": 3, "SMALLINT": 5, "USMALLINT": 5, "INTEGER": 10, "UINTEGER": 10,
    "BIGINT": 19, "UBIGINT": 20, "HUGEINT": 39, "UHUGEINT": 39,
}  # fmt: skip

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
    "TIMESTAMP_S": ("TIMESTAMP",),
    "TIMESTAMP_MS": ("TIMESTAMP",),
}  # fmt: skip


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is one of the new type (decimals by their digits).

    A DOUBLE does not hold every large whole number; callers check the stored values.
    """
    if is_decimal(old) and is_decimal(new):
        (width, scale), (wide, fine) = decimal_sizes(old), decimal_sizes(new)
        return fine >= scale and wide - fine >= width - scale
    if is_decimal(old):
        return new == "DOUBLE" and decimal_sizes(old)[0] <= 15
    if is_decimal(new) and old in INTEGER_DIGITS:
        wide, fine = decimal_sizes(new)
        return wide - fine >= INTEGER_DIGITS[old]
    return new in _WIDER.get(old, ())


def is_decimal(kind: str) -> bool:
    """Whether it is a DECIMAL (and not a list of them)."""
    return kind.startswith("DECIMAL(") and kind.endswith(")")


def decimal_sizes(decimal: str) -> tuple[int, int]:
    """The width and scale of a DECIMAL."""
    inside = decimal[decimal.find("(") + 1 : decimal.rfind(")")].split(",")
    return int(inside[0]), int(inside[1])
