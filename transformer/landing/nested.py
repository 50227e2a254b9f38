"""Types that hold others: which one holds the values of two of them, and what can be cast."""

from __future__ import annotations

from collections.abc import Callable

from transformer.dialects.types import SqlType, composed, read
from transformer.names import fold

Leaf = Callable[[str, str], str | None]


def woven(old: str, new: str, leaf: Leaf) -> str | None:
    """The struct, list or map with the fields of both, each as wide as `leaf` says; None where the
    two are of another make, or `leaf` has no type for a field."""
    one, two = read(old), read(new)
    if one.kind != two.kind or one.kind in ("scalar", "union"):
        return None
    if one.kind == "struct":
        return _struct(one, two, leaf)
    parts = [_both(a, b, leaf) for (_, a), (_, b) in zip(one.parts, two.parts, strict=True)]
    made = [part for part in parts if part]
    if len(made) < len(parts):
        return None
    if one.kind == "list":
        length = _length(one)
        return f"{made[0]}{length if length == _length(two) else '[]'}"
    return composed(one, made)


def _struct(one: SqlType, two: SqlType, leaf: Leaf) -> str | None:
    theirs = {fold(name): part for name, part in two.parts}
    fields: list[tuple[str, SqlType]] = []
    for name, part in one.parts:
        both = _both(part, theirs.get(fold(name), part), leaf)
        if both is None:
            return None
        fields.append((name, read(both)))
    mine = {fold(name) for name, _ in one.parts}
    fields += [(name, part) for name, part in two.parts if fold(name) not in mine]
    for known in (one, two):  # its name is as the engine writes it
        if known.parts == tuple(fields):
            return known.text
    return composed(SqlType("", "struct", tuple(fields)), [part.text for _, part in fields])


def _length(kind: SqlType) -> str:
    return kind.text[kind.text.rindex("[") :]


def _both(old: SqlType, new: SqlType, leaf: Leaf) -> str | None:
    return old.text if old.text == new.text else leaf(old.text, new.text)


def is_nested(kind: str) -> bool:
    """Whether its values hold others."""
    return read(kind).kind in ("list", "struct", "map")


def castable(old: str, new: str) -> bool:
    """Whether the engine casts between these nested types, field by field, and makes no number of
    a truth value. It refuses structs that have no field in common."""
    one, two = read(old), read(new)
    if one.kind != two.kind:
        return False
    if one.kind == "scalar":
        return (one.text == "BOOLEAN") == (two.text == "BOOLEAN")
    if one.kind == "union":
        return one.text == two.text
    if one.kind != "struct":
        pairs = zip(one.parts, two.parts, strict=True)
        return all(castable(a.text, b.text) for (_, a), (_, b) in pairs)
    theirs = {fold(name): part for name, part in two.parts}
    common = [(part, theirs[fold(n)]) for n, part in one.parts if fold(n) in theirs]
    return bool(common) and all(castable(a.text, b.text) for a, b in common)
