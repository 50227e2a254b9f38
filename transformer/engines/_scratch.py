"""An empty warehouse in memory, in which queries are bound and nothing runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

import duckdb

from transformer.engines._connection import connection, faults, open_catalog
from transformer.errors import Fault
from transformer.names import RelationName, quoted
from transformer.steps import Columns

# What a warehouse is attached as, whatever its file is called: a file may have the name of one of
# its schemas, or of one of DuckDB's own catalogs. Views name no catalog, so nobody sees it.
CATALOG = "__warehouse"
# What begins as a query, and what says that it may be more than one.
_QUERY = re.compile(r"(?i)(\(|\s)*(select|with|from|values)\b")
_MORE = re.compile(r"(?i)\b(insert|update|delete|merge)\b|;")


class DuckCatalog:
    """An empty in-memory warehouse in which queries are bound."""

    def __init__(self, catalog: str = CATALOG) -> None:
        self._connection = connection()
        # Nothing runs here, so nothing is to be gained by a better plan, or by more threads. A name
        # that is no table is not looked for among Python's.
        self._connection.execute(
            "pragma disable_optimizer; set threads = 1; set python_enable_replacements = false"
        )
        open_catalog(self._connection, ":memory:", catalog)
        self._schemas = {"main"}

    def create(self, name: RelationName, columns: Columns) -> None:
        """An empty table. Raises Fault when a type is unknown."""
        with faults():
            if name.schema.lower() not in self._schemas:
                self._connection.execute(f"create schema if not exists {quoted(name.schema)}")
                self._schemas.add(name.schema.lower())
            listed = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns)
            self._connection.execute(f"create or replace table {name.sql()} ({listed})")

    def describe(self, sql: str) -> Columns:
        """The columns the query would give. Raises Fault, its position counted in `sql`."""
        if _QUERY.match(sql) and not _MORE.search(sql):
            with suppress(duckdb.Error):  # what is wrong, and where, is asked for below
                told = self._connection.sql(sql)  # binds it: two thirds of what `describe` costs
                return tuple(zip(told.columns, map(str, told.types), strict=True))
        prefix = "describe\n"
        try:
            with faults():
                found = self._connection.execute(prefix + sql).fetchall()
        except Fault as error:
            if error.position is not None:
                # DuckDB counts bytes.
                inside = sql.encode()[: max(0, error.position - len(prefix))]
                error.position = len(inside.decode(errors="ignore"))
            raise
        return tuple((str(row[0]), str(row[1])) for row in found)


def scratch(catalog: str = "") -> DuckCatalog:
    """A private catalog to bind queries in."""
    return DuckCatalog(catalog or CATALOG)


def serializer() -> Callable[[str], str]:
    """What gives the engine's own tree of a query as JSON, or its error. It opens a connection
    when it is first asked."""
    opened: list[duckdb.DuckDBPyConnection] = []

    def serialized(text: str) -> str:
        if not opened:
            opened.append(duckdb.connect(":memory:", config={"threads": "1"}))
        asked = "select json_serialize_sql(?::varchar)"
        return str(opened[0].cursor().execute(asked, [text]).fetchall()[0][0])

    return serialized
