"""An empty in-memory warehouse, in which queries are bound but not run."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb

from transformer.engines._connection import connection, faults, open_catalog, search
from transformer.errors import Fault
from transformer.names import RelationName, quoted
from transformer.steps import Columns

# The catalog name of a warehouse, whatever its file is called: a file may be named like one of its
# schemas or of DuckDB's catalogs. Views do not contain the catalog name, so it is never visible.
CATALOG = "__warehouse"
# The start of a query, and signs that the text may be more than one.
_QUERY = re.compile(r"(?i)(\(|\s)*(select|with|from|values)\b")
_MORE = re.compile(r"(?i)\b(insert|update|delete|merge)\b|;")


class DuckCatalog:
    """An empty in-memory warehouse in which queries are bound."""

    def __init__(self, catalog: str = CATALOG, folder: Path | None = None) -> None:
        self._connection = connection()
        search(self._connection, folder)
        # Nothing runs here, so better plans or more threads gain nothing. Unknown table names must
        # not be resolved to Python variables.
        self._connection.execute(
            "pragma disable_optimizer; set threads = 1; set python_enable_replacements = false"
        )
        open_catalog(self._connection, ":memory:", catalog)
        self._schemas = {"main"}

    def create(self, name: RelationName, columns: Columns) -> None:
        """Creates an empty table. Raises Fault if a type is unknown."""
        with faults():
            if name.schema.lower() not in self._schemas:
                self._connection.execute(f"create schema if not exists {quoted(name.schema)}")
                self._schemas.add(name.schema.lower())
            listed = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns)
            self._connection.execute(f"create or replace table {name.sql()} ({listed})")

    def describe(self, sql: str) -> Columns:
        """The columns of the query. Raises Fault, with its position in `sql`."""
        if _QUERY.match(sql) and not _MORE.search(sql):
            with suppress(duckdb.Error):  # the error and its position are determined below
                bound_query = self._connection.sql(
                    sql
                )  # binds it: two thirds of what `describe` costs
                return tuple(zip(bound_query.columns, map(str, bound_query.types), strict=True))
        prefix = "describe\n"
        try:
            with faults():
                rows = self._connection.execute(prefix + sql).fetchall()
        except Fault as error:
            if error.position is not None:
                # DuckDB counts bytes.
                inside = sql.encode()[: max(0, error.position - len(prefix))]
                error.position = len(inside.decode(errors="ignore"))
            raise
        return tuple((str(row[0]), str(row[1])) for row in rows)


def scratch(catalog: str = "", folder: Path | None = None) -> DuckCatalog:
    """A private catalog for binding queries; relative file names in them lead to `folder`."""
    return DuckCatalog(catalog or CATALOG, folder)


def serializer() -> Callable[[str], str]:
    """A function that returns the engine's parse tree of a query as JSON, or its error. It opens a
    connection at the first call."""
    opened: list[duckdb.DuckDBPyConnection] = []

    def serialized(text: str) -> str:
        if not opened:
            opened.append(duckdb.connect(":memory:", config={"threads": "1"}))
        query = "select json_serialize_sql(?::varchar)"
        return str(opened[0].cursor().execute(query, [text]).fetchall()[0][0])

    return serialized
