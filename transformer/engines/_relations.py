"""The tables and views of a warehouse, with their columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from transformer.errors import Fault
from transformer.names import RelationName, literal
from transformer.steps import RelationState

# Up to this many are looked up one by one; beyond, listing all tables is faster.
_ONE_BY_ONE = 16

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE | re.ASCII)
_NAMES = re.compile(r"[a-z_]\w*\.[a-z_]\w*\.[a-z_]\w*", re.IGNORECASE | re.ASCII)

States = dict[tuple[str, str], RelationState]


def relations(session: Any, names: Sequence[RelationName] | None) -> States:
    """All relations, or those with these names."""
    if names is None:
        return _listed(session, "")
    states = _one_by_one(session, names) if len(names) <= _ONE_BY_ONE else {}
    rest = [name.key() for name in names if name.key() not in states]
    if not rest:
        return states
    keys = ", ".join(f"({literal(schema)}, {literal(table)})" for schema, table in rest)
    wanted = f" and (lower(c.schema_name), lower(c.table_name)) in ({keys})"
    return {**states, **_listed(session, wanted)}


def _one_by_one(session: Any, names: Sequence[RelationName]) -> States:
    """The relations up to the first that does not exist; only those with plain names, since DuckDB
    strips quotation marks in `pragma_table_info`."""
    catalog = str(session.rows("select current_database()")[0][0])
    if not _PLAIN.fullmatch(catalog):
        return {}
    views = session.rows(
        "select lower(schema_name), lower(view_name), internal from duckdb_views()"
        " where database_name = current_database()"
    )
    kinds = {(schema, view): "own" if internal else "view" for schema, view, internal in views}
    states: States = {}
    with suppress(Fault):
        for name in names:
            full_name = f"{catalog}.{name.schema}.{name.table}"
            if not _NAMES.fullmatch(full_name) or kinds.get(name.key()) == "own":
                continue
            info = session.rows(f"from pragma_table_info({literal(full_name)})")
            columns = tuple((str(row[1]), str(row[2])) for row in info)
            is_view = name.key() in kinds
            states[name.key()] = RelationState("view" if is_view else "table", columns)
    return states


def _listed(session: Any, wanted: str) -> States:
    rows = session.rows(
        "select lower(c.schema_name), lower(c.table_name),"
        " if(any_value(v.view_oid) is null, 'table', 'view'),"
        " list(c.column_name order by c.column_index),"
        " list(c.data_type order by c.column_index)"
        " from duckdb_columns() c left join duckdb_views() v"
        "  on v.database_oid = c.database_oid and v.view_oid = c.table_oid"
        f" where c.database_name = current_database() and not c.internal{wanted} group by all"
    )
    return {
        (schema, table): RelationState(kind, tuple(zip(columns, types, strict=True)))
        for schema, table, kind, columns, types in rows
    }


def comments(session: Any) -> dict[tuple[str, str], dict[str, str]]:
    """The comments by case-folded schema and name: the relation's own under an empty name, and
    those of its columns under theirs, case-folded."""
    where = "where database_name = current_database() and comment is not null"
    rows = session.rows(
        f"select schema_name, table_name, '', comment from duckdb_tables() {where}"
        f" union all select schema_name, view_name, '', comment from duckdb_views() {where}"
        " union all select schema_name, table_name, column_name, comment"
        f" from duckdb_columns() {where}"
    )
    by_relation: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, text in rows:
        by_relation.setdefault((schema.lower(), table.lower()), {})[column.lower()] = str(text)
    return by_relation


# The number of tables counted by one statement.
_AT_ONCE = 50


def rows_of_all(session: Any, size: int) -> int:
    """The total row count of a file of `size` bytes, which DuckDB knows without reading the rows.
    Raises Fault if a table cannot be read, or the file is shorter than its used blocks (free blocks
    at the end may be missing)."""
    used = "select used_blocks * block_size from pragma_database_size()"
    least = session.rows(f"{used} where database_name = current_database()")[0][0]
    if size < least:
        raise Fault(f"the file has {size:,} bytes and should have {least:,}")
    tables = session.rows(
        "select schema_name, table_name from duckdb_tables()"
        " where database_name = current_database()"
    )
    counts = [f"select count(*) as n from {RelationName(*table).sql()}" for table in tables]
    parts = [counts[at : at + _AT_ONCE] for at in range(0, len(counts), _AT_ONCE)]
    sums = [f"select sum(n)::bigint from ({' union all '.join(part)})" for part in parts]
    return sum(session.rows(query)[0][0] for query in sums)
