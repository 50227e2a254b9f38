"""SQL that reads JSON into a struct, list or map that was declared, value for value.

The engine's own cast would round `1.5` to a whole number and make NULL of what is none. So all
values are taken as texts first, each by itself becomes what it is declared to be, and those that
did not are counted.
"""

from __future__ import annotations

from collections.abc import Callable

from transformer.dialects.types import SqlType, composed, read
from transformer.names import literal, quoted

# The SQL of a text as a value of a type, or NULL.
Leaf = Callable[[str, str], str]

# A text, or a value of another kind: the text comes first, so that what stands in one is no value.
_TEXT_OR_VALUE = r'("(?:[^"\\]|\\.)*")|(-?[0-9][0-9.]*[eE]?[-+]?[0-9]*|true|false)'


def readable(kind: str) -> bool:
    """Whether values of this type can be read so: what holds others, none of it a union."""
    found = read(kind)
    return found.kind in ("list", "struct", "map") and all(
        leaf.kind == "scalar" and leaf.text != "JSON" for leaf in found.leaves()
    )


def texts(kind: str, json: str) -> str:
    """A JSON text as this type with a text in place of each value."""
    return f"try_cast({_as_texts(json)} as {_of_texts(read(kind))})"


def value(kind: str, json: str, leaf: Leaf) -> str:
    """A JSON text as this type; NULL in place of each value that is none of its type."""
    return f"try_cast({_value(read(kind), texts(kind, json), leaf, 0)} as {kind})"


def whole(kind: str, json: str, made: str) -> str:
    """The condition that no value of a JSON text became NULL or has no place in the type."""
    taken, found = texts(kind, json), read(kind)
    return (
        f"coalesce(json_contains(to_json({taken})::json, {_as_texts(json)}), false)"
        f" and {_count(found, taken, 0)} = {_count(found, made, 0)}"
    )


def marked(json: str, pattern: str) -> str:
    """JSON with `chr(1)` before and `chr(2)` behind what the second group of a pattern finds; its
    first group finds texts, which stay as they are."""
    both = "concat('\\1', chr(1), '\\2', chr(2))"
    tokens = f"regexp_replace({json}, {literal(pattern)}, {both}, 'g')"
    return f"replace({tokens}, chr(1) || chr(2), '')"


def _as_texts(json: str) -> str:
    """JSON with a text in place of each value, so that all its digits are kept."""
    marks = marked(json, _TEXT_OR_VALUE)
    quoted_values = f"translate({marks}, chr(1) || chr(2), '\"\"')"
    return f"try_cast({quoted_values} as json)"


def _of_texts(kind: SqlType) -> str:
    if kind.kind == "scalar":
        return "VARCHAR"
    return composed(kind, [_of_texts(part) for _, part in kind.parts])


def _value(kind: SqlType, text: str, leaf: Leaf, depth: int) -> str:
    if kind.kind == "scalar":
        return leaf(kind.text, text)
    item = f"e{depth}"
    if kind.kind == "list":
        inner = _value(kind.element, item, leaf, depth + 1)
        return f"list_transform({text}, lambda {item}: {inner})"
    if kind.kind == "map":
        pair = [f"{n} := {_value(p, f'{item}.{n}', leaf, depth + 1)}" for n, p in kind.parts]
        entries = (
            f"list_transform(map_entries({text}), lambda {item}: struct_pack({', '.join(pair)}))"
        )
        return f"map_from_entries({entries})"
    fields = ", ".join(
        f"{quoted(name)} := {_value(part, _field(text, name), leaf, depth)}"
        for name, part in kind.parts
    )
    return f"case when {text} is not null then struct_pack({fields}) end"


def _count(kind: SqlType, held: str, depth: int) -> str:
    """How many values are in it, and how many things that hold some."""
    own = f"case when {held} is null then 0 else 1 end"
    item = f"e{depth}"
    if kind.kind == "list":
        items = f"list_transform({held}, lambda {item}: {_count(kind.element, item, depth + 1)})"
        return f"({own} + coalesce(list_sum({items}), 0))"
    if kind.kind == "map":
        each = " + ".join(_count(part, f"{item}.{n}", depth + 1) for n, part in kind.parts)
        items = f"list_transform(map_entries({held}), lambda {item}: {each})"
        return f"({own} + coalesce(list_sum({items}), 0))"
    fields = [_count(part, _field(held, name), depth) for name, part in kind.parts]
    return f"({' + '.join([own, *fields])})"


def _field(held: str, name: str) -> str:
    return f"struct_extract({held}, {literal(name)})"
