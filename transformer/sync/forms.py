"""SQL that writes a value as text: for JSON, for CSV, for Postgres.

JSON is put together from texts, never from DuckDB's JSON values: these hold a number as a DOUBLE,
and a decimal of many digits would lose some.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from transformer.dialects.types import SqlType
from transformer.names import literal
from transformer.sync.types import FLOATS, JSON, MOMENTS, PLAIN, ZONED

Form = Callable[[SqlType, str], str]

# Always six digits: the text of a value must not depend on the value beside it.
_ISO = "%Y-%m-%dT%H:%M:%S.%f"
_NANO = "%Y-%m-%dT%H:%M:%S.%n"
# A DOUBLE holds so many digits of a decimal, and JSON writes them without zeros at the end.
_SHORT = 15
_NUMBER = "'[0-9.]{16}|[0-9][eE]'"  # of more digits than DuckDB's JSON keeps
_AT_HOME = {**dict.fromkeys(PLAIN), "DATE": None, "UUID": None, "TIME": None}


def json_text(kind: SqlType, value: str) -> str:
    """The value as a JSON text; NULL for NULL. NaN and the infinities, for which JSON has no word,
    are NULL too."""
    return _json(kind, value, 0)


def object_text(pairs: Sequence[tuple[str, str]]) -> str:
    """A JSON object of names and SQL of JSON texts; a NULL among them is `null`."""
    fields = " || ',' || ".join(
        f"{literal(json.dumps(name, ensure_ascii=False) + ':')} || coalesce({text}, 'null')"
        for name, text in pairs
    )
    return f"('{{' || {fields} || '}}')"


def array_text(values: Sequence[str]) -> str:
    """A JSON array of SQL of JSON texts."""
    listed = " || ',' || ".join(f"coalesce({each}, 'null')" for each in values)
    return f"('[' || {listed} || ']')"


def csv_text(kind: SqlType, value: str) -> str:
    """The value as CSV has it: times in ISO 8601, bytes in base64, what holds others as JSON."""
    if kind.kind != "scalar" or kind.text in JSON:
        return json_text(kind, value)
    if kind.text == "BLOB":
        return f"base64({value})"
    if kind.text == "TIME":
        text = f"{value}::varchar"
        return f"rpad({text} || case when contains({text}, '.') then '' else '.' end, 15, '0')"
    return _moment(kind, value) if kind.text in MOMENTS else plain_text(kind, value)


def postgres_text(kind: SqlType, value: str) -> str:
    """The value as Postgres reads it, what holds others as JSON."""
    if kind.kind != "scalar" or kind.text in JSON:
        return json_text(kind, value)
    if kind.text == "BLOB":
        return f"'\\x' || lower(hex({value}))"
    text = plain_text(kind, value)
    if kind.text in MOMENTS or kind.text == "DATE":
        # It has its `BC` at the end.
        bare = f"replace({text}, ' (BC)', '')"
        return f"case when contains({text}, '(BC)') then {bare} || ' BC' else {text} end"
    return text


def postgres_array(kind: SqlType, value: str, depth: int = 0) -> str:
    """A list as Postgres writes arrays: `{1,NULL,"a b"}`."""
    name = f"e{depth}"
    inner = kind.element
    if inner.kind == "list":
        written = postgres_array(inner, name, depth + 1)
    else:
        text = postgres_text(inner, name)
        written = f"""'"' || replace(replace({text}, '\\', '\\\\'), '"', '\\"') || '"'"""
    items = f"list_transform({_as_list(kind, value)}, lambda {name}: coalesce({written}, 'NULL'))"
    return f"('{{' || array_to_string({items}, ',') || '}}')"


def plain_text(kind: SqlType, value: str) -> str:
    """The value as DuckDB writes it, with a zero before the point of a decimal."""
    if kind.decimal and kind.decimal[0] == kind.decimal[1]:
        return f"regexp_replace({value}::varchar, '^(-?)\\.', '\\10.')"
    return value if kind.text == "VARCHAR" else f"{value}::varchar"


def is_wide(kind: SqlType) -> bool:
    """Whether a decimal may have more digits than a DOUBLE keeps."""
    return kind.decimal is not None and kind.decimal[0] > _SHORT


def is_long(value: str) -> str:
    """SQL of whether a JSON text holds a number that DuckDB's JSON would not keep."""
    return f"regexp_matches({value}::varchar, {_NUMBER})"


def _moment(kind: SqlType, value: str) -> str:
    """A timestamp in ISO 8601, and as DuckDB writes it before our era."""
    zone = "Z" if kind.text == ZONED else ""
    form = _NANO if kind.text == "TIMESTAMP_NS" else _ISO
    iso = f"strftime({value}, '{form}{zone}')"
    text = f"{value}::varchar"
    return f"case when contains({text}, '(BC)') then {text} else {iso} end"


def _json(kind: SqlType, value: str, depth: int) -> str:
    if kind.kind == "scalar":
        return _scalar(kind, value)
    if all(leaf.text in _AT_HOME for leaf in kind.leaves()):
        return f"to_json({value})::varchar"
    return _NESTED[kind.kind](kind, value, depth)


def _scalar(kind: SqlType, value: str) -> str:
    if kind.text in JSON:
        # A line break is none of a string's in JSON; a file has one document on each line.
        raw = f"translate({value}::varchar, chr(10) || chr(13), '  ')"
        return f"case when {is_long(value)} then {raw} else to_json({value}::json)::varchar end"
    if kind.text == "BLOB":
        return f"to_json(base64({value}))::varchar"
    if kind.text in MOMENTS:
        return f"to_json({_moment(kind, value)})::varchar"
    if kind.text in FLOATS:
        return f"case when isfinite({value}) then to_json({value})::varchar end"
    if is_wide(kind):
        return plain_text(kind, value)
    return f"to_json({value})::varchar"


def _list(kind: SqlType, value: str, depth: int) -> str:
    name = f"e{depth}"
    item = f"coalesce({_inner(kind.element, name, depth + 1)}, 'null')"
    items = f"list_transform({_as_list(kind, value)}, lambda {name}: {item})"
    return f"('[' || array_to_string({items}, ',') || ']')"


def _struct(kind: SqlType, value: str, depth: int) -> str:
    pairs = [
        (name, _inner(part, f"struct_extract({value}, {literal(name)})", depth + 1))
        for name, part in kind.parts
    ]
    return f"case when {value} is not null then {object_text(pairs)} end"


def _map(kind: SqlType, value: str, depth: int) -> str:
    name = f"e{depth}"
    key = f"to_json({plain_text(kind.parts[0][1], f'{name}.key')})::varchar"
    held = f"coalesce({_inner(kind.parts[1][1], f'{name}.value', depth + 1)}, 'null')"
    items = f"list_transform(map_entries({value}), lambda {name}: {key} || ':' || {held})"
    return f"('{{' || array_to_string({items}, ',') || '}}')"


def _union(kind: SqlType, value: str, depth: int) -> str:
    cases = " ".join(
        f"when {literal(name)} then "
        + object_text([(name, _inner(part, f"union_extract({value}, {literal(name)})", depth + 1))])
        for name, part in kind.parts
    )
    return f"case union_tag({value})::varchar {cases} end"


def _inner(kind: SqlType, value: str, depth: int) -> str:
    """A value inside another: its times and bytes are as DuckDB's JSON has them."""
    if kind.text in MOMENTS or kind.text == "BLOB":
        return f"to_json({value})::varchar"
    return _json(kind, value, depth)


def _as_list(kind: SqlType, value: str) -> str:
    """The value as a list, where it is an array of a fixed length."""
    return value if kind.text.endswith("[]") else f"{value}::{kind.element.text}[]"


_NESTED = {"list": _list, "struct": _struct, "map": _map, "union": _union}
