"""SQL that reads JSON into a declared struct, list or map, value by value.

The engine's cast would round `1.5` to a whole number and turn invalid values into NULL. So all
values are read as text first, each is converted to its declared type on its own, and those that
fail are counted.
"""

from __future__ import annotations

from collections.abc import Callable

from transformer.dialects.types import SqlType, composed, read
from transformer.names import literal, quoted

# The SQL of a text as a value of a type, or NULL.
Leaf = Callable[[str, str], str]

# A text, or a value of another kind: texts match first, so that nothing inside one is a value.
_TEXT_OR_VALUE = r'("(?:[^"\\]|\\.)*")|(-?[0-9][0-9.]*[eE]?[-+]?[0-9]*|true|false)'


def readable(kind: str) -> bool:
    """Whether values of this type can be read this way: nested, without unions or JSON."""
    sql_type = read(kind)
    return sql_type.kind in ("list", "struct", "map") and all(
        leaf.kind == "scalar" and leaf.text != "JSON" for leaf in sql_type.leaves()
    )


def texts(kind: str, json: str) -> str:
    """A JSON text as this type, but with VARCHAR for every value."""
    return f"try_cast({_as_texts(json)} as {_of_texts(read(kind))})"


def value(kind: str, json: str, leaf: Leaf) -> str:
    """A JSON text as this type, with NULL for each value that does not fit its type."""
    return f"try_cast({_value(read(kind), texts(kind, json), leaf, 0)} as {kind})"


def whole(kind: str, json: str, typed: str) -> str:
    """The condition that every value of a JSON text is in the `typed` value, none as NULL."""
    as_texts, sql_type = texts(kind, json), read(kind)
    return (
        f"coalesce(json_contains(to_json({as_texts})::json, {_as_texts(json)}), false)"
        f" and {_count(sql_type, as_texts, 0)} = {_count(sql_type, typed, 0)}"
    )


def marked(json: str, pattern: str) -> str:
    """JSON with `chr(1)` before and `chr(2)` after each match of a pattern's second group; matches
    of its first group (texts) are left unchanged."""
    both = "concat('\\1', chr(1), '\\2', chr(2))"
    tokens = f"regexp_replace({json}, {literal(pattern)}, {both}, 'g')"
    return f"replace({tokens}, chr(1) || chr(2), '')"


def _as_texts(json: str) -> str:
    """JSON with each value turned into a text, so that all digits are kept."""
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


def _count(kind: SqlType, container: str, depth: int) -> str:
    """SQL that counts the values in it, and the lists, structs and maps."""
    own = f"case when {container} is null then 0 else 1 end"
    item = f"e{depth}"
    if kind.kind == "list":
        items = (
            f"list_transform({container}, lambda {item}: {_count(kind.element, item, depth + 1)})"
        )
        return f"({own} + coalesce(list_sum({items}), 0))"
    if kind.kind == "map":
        counts = " + ".join(_count(part, f"{item}.{n}", depth + 1) for n, part in kind.parts)
        items = f"list_transform(map_entries({container}), lambda {item}: {counts})"
        return f"({own} + coalesce(list_sum({items}), 0))"
    fields = [_count(part, _field(container, name), depth) for name, part in kind.parts]
    return f"({' + '.join([own, *fields])})"


def _field(struct: str, name: str) -> str:
    return f"struct_extract({struct}, {literal(name)})"
