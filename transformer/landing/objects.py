"""JSON and NDJSON: each top-level key is a column; what is nested stays JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from transformer.landing.given import LONGEST_LINE, Given
from transformer.landing.staged import PART, ROW, UNKNOWN, Session, Staged, distinct
from transformer.names import literal, quoted
from transformer.steps import Columns


def ndjson(session: Session, given: Given) -> Staged:
    """One JSON object a line."""
    lines = given.table("lines")
    errors, keep = given.rejects()
    session.run(given.fresh_rejects())
    session.run(
        f"create or replace temp table {lines} as "
        + given.bounded(f"select row_number() over () as {ROW}, line from ({given.lines(keep)})")
    )
    session.run(f"delete from {lines} where line is null or trim(line) = ''")
    is_object = "coalesce(json_type(try_cast(line as json)) = 'OBJECT', false)"
    bad = (
        f"select {given.part} as part, {ROW} as row_number, null as column_name,"
        f" line as record,"
        f" case when json_valid(line) then 'not a JSON object' else 'not JSON' end as reason"
        f" from {lines} where not {is_object} union all"
        f" select {given.part}, line, null, any_value(csv_line),"
        f" lower(any_value(error_type::varchar)) from {errors} group by line"
    )
    good = f"select {ROW}, try_cast(line as json) as object from {lines} where {is_object}"
    some = session.rows(f"select 1 from ({bad}) limit 1")
    return _objects(session, given, good, bad if some else None)


def json_array(session: Session, given: Given) -> Staged:
    """A JSON array of objects, or objects one after the other."""
    objects = given.table("objects")
    compression = given.options.get("compression")
    packed = f", compression={literal(compression)}" if compression else ""
    session.run(
        f"create or replace temp table {objects} as "
        + given.bounded(
            f"select row_number() over () as {ROW}, json as object from read_json_objects("
            f"{given.place}, format='auto', maximum_object_size={LONGEST_LINE}{packed})"
        )
    )
    bad = (
        f"select {given.part} as part, {ROW} as row_number, null as column_name,"
        f" object::varchar as record, 'not a JSON object' as reason"
        f" from {objects} where json_type(object) <> 'OBJECT'"
    )
    good = f"select {ROW}, object from {objects} where json_type(object) = 'OBJECT'"
    return _objects(session, given, good, bad)


def _objects(session: Session, given: Given, good: str, bad: str | None) -> Staged:
    structure = session.rows(f"select json_group_structure(object) from ({good})")[0][0]
    kinds: dict[str, Any] = json.loads(structure) if structure else {}
    columns = tuple(zip(distinct(kinds), (_json_type(k) for k in kinds.values()), strict=True))
    values, source = _values(kinds, columns, good)
    stage = given.table("rows")
    session.run(
        f"create or replace temp table {stage} as"
        f" select {values}{given.part} as {PART}, {ROW} from ({source})"
    )
    return Staged(f"from {stage}", columns, text=True, bad=bad)


def _values(kinds: Mapping[str, Any], columns: Columns, good: str) -> tuple[str, str]:
    """The columns as SQL, and what they are taken from.

    One pass takes all keys apart. Keys that a struct cannot tell apart – they differ in case
    only, or are empty – are taken one by one.
    """
    folded = Counter(name.lower() for name in kinds)
    whole = {n: k for (n, k) in zip(kinds, (k for _, k in columns), strict=True)
             if n and folded[n.lower()] == 1}  # fmt: skip
    shape = literal(json.dumps({n: "JSON" if k == "JSON" else "VARCHAR" for n, k in whole.items()}))
    picks = "".join(
        f"{_pick(key, kind, whole=key in whole)} as {quoted(name)}, "
        for key, (name, kind) in zip(kinds, columns, strict=True)
    )
    taken = f", json_transform(object, {shape}) as o" if whole else ""
    return picks, f"select object, {ROW}{taken} from ({good})"


def _pick(key: str, kind: str, *, whole: bool) -> str:
    if whole:
        return f"struct_extract(o, {literal(key)})::varchar"
    pointer = literal("/" + key.replace("~", "~0").replace("/", "~1"))
    function = "json_extract" if kind == "JSON" else "json_extract_string"
    return f"{function}(object, {pointer})::varchar"


def _json_type(kind: Any) -> str:
    """The column type for what DuckDB says of a key's values; nested and mixed ones stay JSON.
    Numbers are looked at again: DuckDB's types for them lose digits."""
    if not isinstance(kind, str) or kind == "JSON":
        return "JSON"
    return UNKNOWN if kind in ("NULL", "UBIGINT", "BIGINT", "HUGEINT", "DOUBLE") else kind
