"""The tables and views of a warehouse, with their columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from transformer.errors import Fault
from transformer.names import RelationName, literal
from transformer.steps import RelationState

# So many are looked up one by one: to list a thousand tables takes longer than that.
_FEW = 16

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE | re.ASCII)
_NAMES = re.compile(r"[a-z_]\w*\.[a-z_]\w*\.[a-z_]\w*", re.IGNORECASE | re.ASCII)

Found = dict[tuple[str, str], RelationState]


def relations(session: Any, names: Sequence[RelationName] | None) -> Found:
    """All that there are, or those of these names."""
    if names is None:
        return _listed(session, "")
    found = _each(session, names) if len(names) <= _FEW else {}
    rest = [name.key() for name in names if name.key() not in found]
    if not rest:
        return found
    keys = ", ".join(f"({literal(schema)}, {literal(table)})" for schema, table in rest)
    wanted = f" and (lower(c.schema_name), lower(c.table_name)) in ({keys})"
    return {**found, **_listed(session, wanted)}


def _each(session: Any, names: Sequence[RelationName]) -> Found:
    """As many as are found before one is not; only those with plain names, for DuckDB takes
    quotation marks out of the name in `pragma_table_info`."""
    catalog = str(session.rows("select current_database()")[0][0])
    if not _PLAIN.fullmatch(catalog):
        return {}
    views = session.rows(
        "select lower(schema_name), lower(view_name), internal from duckdb_views()"
        " where database_name = current_database()"
    )
    kinds = {(schema, view): "own" if internal else "view" for schema, view, internal in views}
    found: Found = {}
    with suppress(Fault):
        for name in names:
            whole = f"{catalog}.{name.schema}.{name.table}"
            if not _NAMES.fullmatch(whole) or kinds.get(name.key()) == "own":
                continue
            told = session.rows(f"from pragma_table_info({literal(whole)})")
            columns = tuple((str(row[1]), str(row[2])) for row in told)
            is_view = name.key() in kinds
            found[name.key()] = RelationState("view" if is_view else "table", columns)
    return found


def _listed(session: Any, wanted: str) -> Found:
    found = session.rows(
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
        for schema, table, kind, columns, types in found
    }


def comments(session: Any) -> dict[tuple[str, str], dict[str, str]]:
    """The comments of every relation by folded schema and name: its own under an empty name, and
    those of its columns by theirs, folded."""
    here = "database_name = current_database() and comment is not null"
    listed = session.rows(
        f"select schema_name, table_name, '', comment from duckdb_tables() where {here}"
        f" union all select schema_name, view_name, '', comment from duckdb_views() where {here}"
        " union all select schema_name, table_name, column_name, comment"
        f" from duckdb_columns() where {here}"
    )
    found: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, said in listed:
        found.setdefault((schema.lower(), table.lower()), {})[column.lower()] = str(said)
    return found


# So many tables are counted by one statement.
_AT_ONCE = 50


def rows_of_all(session: Any, size: int) -> int:
    """The rows of all tables of a file of this size, which DuckDB knows without reading them.
    Raises Fault where a table cannot be read, or the file is shorter than what is used of it: free
    blocks at its end may be cut off."""
    said = "select used_blocks * block_size from pragma_database_size()"
    least = session.rows(f"{said} where database_name = current_database()")[0][0]
    if size < least:
        raise Fault(f"the file has {size:,} bytes and should have {least:,}")
    tables = session.rows(
        "select schema_name, table_name from duckdb_tables()"
        " where database_name = current_database()"
    )
    counts = [f"select count(*) as n from {RelationName(*table).sql()}" for table in tables]
    parts = [counts[at : at + _AT_ONCE] for at in range(0, len(counts), _AT_ONCE)]
    sums = [f"select sum(n)::bigint from ({' union all '.join(part)})" for part in parts]
    return sum(session.rows(each)[0][0] for each in sums)
