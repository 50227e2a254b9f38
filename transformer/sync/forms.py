"""SQL that writes a value as text: for JSON, for CSV, for Postgres.

JSON is concatenated from texts, never built from DuckDB's JSON values: these store numbers as
DOUBLEs, so that long decimals would lose digits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from transformer.dialects.types import SqlType
from transformer.names import literal
from transformer.sync.types import FLOATS, JSON, MOMENTS, PLAIN, ZONED

Form = Callable[[SqlType, str], str]

# Always six digits: a value's text must not depend on neighboring values.
_ISO = "%Y-%m-%dT%H:%M:%S.%f"
_NANO = "%Y-%m-%dT%H:%M:%S.%n"
# The decimal digits that a DOUBLE keeps; JSON writes them without trailing zeros.
_SHORT = 15
_NUMBER = "'[0-9.]{16}|[0-9][eE]'"  # of more digits than DuckDB's JSON keeps
_PLAIN_IN_JSON = {**dict.fromkeys(PLAIN), "DATE": None, "UUID": None, "TIME": None}


def json_text(kind: SqlType, value: str) -> str:
    """The value as JSON text; NULL for NULL, and for NaN and the infinities, which JSON lacks."""
    return _json(kind, value, 0)


def object_text(pairs: Sequence[tuple[str, str]]) -> str:
    """A JSON object from names and SQL for JSON texts; a NULL becomes `null`."""
    fields = " || ',' || ".join(
        f"{literal(json.dumps(name, ensure_ascii=False) + ':')} || coalesce({text}, 'null')"
        for name, text in pairs
    )
    return f"('{{' || {fields} || '}}')"


def array_text(values: Sequence[str]) -> str:
    """A JSON array from SQL for JSON texts; a NULL becomes `null`."""
    listed = " || ',' || ".join(f"coalesce({value}, 'null')" for value in values)
    return f"('[' || {listed} || ']')"


def csv_text(kind: SqlType, value: str) -> str:
    """The value for CSV: times in ISO 8601, bytes in base64, nested values as JSON."""
    if kind.kind != "scalar" or kind.text in JSON:
        return json_text(kind, value)
    if kind.text == "BLOB":
        return f"base64({value})"
    if kind.text == "TIME":
        text = f"{value}::varchar"
        return f"rpad({text} || case when contains({text}, '.') then '' else '.' end, 15, '0')"
    return _moment(kind, value) if kind.text in MOMENTS else plain_text(kind, value)


def postgres_text(kind: SqlType, value: str) -> str:
    """The value as Postgres reads it; nested values as JSON."""
    if kind.kind != "scalar" or kind.text in JSON:
        return json_text(kind, value)
    if kind.text == "BLOB":
        return f"'\\x' || lower(hex({value}))"
    text = plain_text(kind, value)
    if kind.text in MOMENTS or kind.text == "DATE":
        # Postgres expects `BC` at the end.
        without_era = f"replace({text}, ' (BC)', '')"
        return f"case when contains({text}, '(BC)') then {without_era} || ' BC' else {text} end"
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
    """The value as DuckDB writes it, with a zero before a leading decimal point."""
    if kind.decimal and kind.decimal[0] == kind.decimal[1]:
        return f"regexp_replace({value}::varchar, '^(-?)\\.', '\\10.')"
    return value if kind.text == "VARCHAR" else f"{value}::varchar"


def is_wide(kind: SqlType) -> bool:
    """Whether it is a decimal with more digits than a DOUBLE keeps."""
    return kind.decimal is not None and kind.decimal[0] > _SHORT


def is_long(value: str) -> str:
    """SQL for whether a JSON text has a number that DuckDB's JSON would not keep exactly."""
    return f"regexp_matches({value}::varchar, {_NUMBER})"


def _moment(kind: SqlType, value: str) -> str:
    """A timestamp in ISO 8601; dates BC as DuckDB writes them."""
    zone = "Z" if kind.text == ZONED else ""
    form = _NANO if kind.text == "TIMESTAMP_NS" else _ISO
    iso = f"strftime({value}, '{form}{zone}')"
    text = f"{value}::varchar"
    return f"case when contains({text}, '(BC)') then {text} else {iso} end"


def _json(kind: SqlType, value: str, depth: int) -> str:
    if kind.kind == "scalar":
        return _scalar(kind, value)
    if all(leaf.text in _PLAIN_IN_JSON for leaf in kind.leaves()):
        return f"to_json({value})::varchar"
    return _NESTED[kind.kind](kind, value, depth)


def _scalar(kind: SqlType, value: str) -> str:
    if kind.text in JSON:
        # Line breaks cannot be inside JSON strings; NDJSON files have one document per line.
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
    item_value = f"coalesce({_inner(kind.parts[1][1], f'{name}.value', depth + 1)}, 'null')"
    items = f"list_transform(map_entries({value}), lambda {name}: {key} || ':' || {item_value})"
    return f"('{{' || array_to_string({items}, ',') || '}}')"


def _union(kind: SqlType, value: str, depth: int) -> str:
    cases = " ".join(
        f"when {literal(name)} then "
        + object_text([(name, _inner(part, f"union_extract({value}, {literal(name)})", depth + 1))])
        for name, part in kind.parts
    )
    return f"case union_tag({value})::varchar {cases} end"


def _inner(kind: SqlType, value: str, depth: int) -> str:
    """A nested value; its timestamps and bytes are as in DuckDB's JSON."""
    if kind.text in MOMENTS or kind.text == "BLOB":
        return f"to_json({value})::varchar"
    return _json(kind, value, depth)


def _as_list(kind: SqlType, value: str) -> str:
    """The value as a list, if it is a fixed-length array."""
    return value if kind.text.endswith("[]") else f"{value}::{kind.element.text}[]"


_NESTED = {"list": _list, "struct": _struct, "map": _map, "union": _union}
