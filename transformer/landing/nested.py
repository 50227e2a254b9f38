"""Nested types: the type that holds the values of two others, and which casts are possible."""

from __future__ import annotations

from collections.abc import Callable

from transformer.dialects.types import SqlType, composed, read
from transformer.names import fold

Leaf = Callable[[str, str], str | None]


def merge_nested(old: str, new: str, leaf: Leaf) -> str | None:
    """The struct, list or map with the fields of both, typed by `leaf`; None if the two are not of
    the same kind, or `leaf` returns None for a field."""
    old_type, new_type = read(old), read(new)
    if old_type.kind != new_type.kind or old_type.kind in ("scalar", "union"):
        return None
    if old_type.kind == "struct":
        return _struct(old_type, new_type, leaf)
    parts = [
        _both(a, b, leaf) for (_, a), (_, b) in zip(old_type.parts, new_type.parts, strict=True)
    ]
    merged = [part for part in parts if part]
    if len(merged) < len(parts):
        return None
    if old_type.kind == "list":
        length = _length(old_type)
        return f"{merged[0]}{length if length == _length(new_type) else '[]'}"
    return composed(old_type, merged)


def _struct(old: SqlType, new: SqlType, leaf: Leaf) -> str | None:
    new_fields = {fold(name): part for name, part in new.parts}
    fields: list[tuple[str, SqlType]] = []
    for name, part in old.parts:
        both = _both(part, new_fields.get(fold(name), part), leaf)
        if both is None:
            return None
        fields.append((name, read(both)))
    old_names = {fold(name) for name, _ in old.parts}
    fields += [(name, part) for name, part in new.parts if fold(name) not in old_names]
    for original in (old, new):  # written as the engine does
        if original.parts == tuple(fields):
            return original.text
    return composed(SqlType("", "struct", tuple(fields)), [part.text for _, part in fields])


def _length(kind: SqlType) -> str:
    return kind.text[kind.text.rindex("[") :]


def _both(old: SqlType, new: SqlType, leaf: Leaf) -> str | None:
    return old.text if old.text == new.text else leaf(old.text, new.text)


def is_nested(kind: str) -> bool:
    """Whether it is a list, struct or map."""
    return read(kind).kind in ("list", "struct", "map")


def castable(old: str, new: str) -> bool:
    """Whether the engine casts between these nested types field by field, without booleans becoming
    numbers. Structs without a common field cannot be cast."""
    old_type, new_type = read(old), read(new)
    if old_type.kind != new_type.kind:
        return False
    if old_type.kind == "scalar":
        return (old_type.text == "BOOLEAN") == (new_type.text == "BOOLEAN")
    if old_type.kind == "union":
        return old_type.text == new_type.text
    if old_type.kind != "struct":
        pairs = zip(old_type.parts, new_type.parts, strict=True)
        return all(castable(a.text, b.text) for (_, a), (_, b) in pairs)
    new_fields = {fold(name): part for name, part in new_type.parts}
    common = [(part, new_fields[fold(n)]) for n, part in old_type.parts if fold(n) in new_fields]
    return bool(common) and all(castable(a.text, b.text) for a, b in common)
