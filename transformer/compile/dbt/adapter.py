"""The adapter: how templates query and change the warehouse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec import Struct

from transformer.compile.dbt import constraints, external
from transformer.compile.dbt.column import AdapterColumn
from transformer.compile.dbt.inert import Inert
from transformer.compile.dbt.relation import Relation, folded
from transformer.compile.dbt.results import (
    BOOLEAN,
    DATE,
    DATETIME,
    INTEGER,
    NUMBER,
    TEXT,
    ColumnKind,
    ResultTable,
    empty_table,
)
from transformer.errors import RenderError
from transformer.names import literal, quoted

# Statements that return rows, after optional comments and brackets.
_QUERY = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:select|with|from|values|table|pivot|unpivot|describe|desc|show|summarize|pragma|call|explain)\b",
    re.IGNORECASE | re.DOTALL,
)
STRATEGIES = ("append", "delete+insert", "merge", "microbatch")
_TYPES: Mapping[ColumnKind, str] = {
    INTEGER: "integer",
    NUMBER: "float8",
    BOOLEAN: "boolean",
    DATE: "date",
    DATETIME: "timestamp without time zone",
    TEXT: "text",
}


class NeedsWarehouse(Exception):  # noqa: N818 - a reason to render later, not an error
    """The template needs an open warehouse: it is rendered again once there is one."""


class WarehouseConnection(Protocol):
    """An open warehouse, as the adapter uses it.

    Example: `rows("select 1 as a")` returns `(["a"], ["INTEGER"], [(1,)])`.
    """

    def rows(self, sql: str) -> tuple[Sequence[str], Sequence[str], list[tuple[Any, ...]]]:
        """Names and types of a query's columns, and its rows."""
        ...

    def run(self, sql: str) -> None:
        """Runs statements for their effect."""
        ...

    def relations(self, schema: str | None) -> Iterable[tuple[str, str, str, str]]:
        """(database, schema, identifier, "table" or "view") of one schema, or of all (None)."""
        ...

    def columns(
        self, database: str | None, schema: str | None, identifier: str
    ) -> list[tuple[str, str]] | None:
        """(name, type) of a relation's columns; None if it does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """The adapter's environment. `tell` prints a message, `warn` a warning."""

    kind: str = "duckdb"
    version: str = ""
    external_root: str = "."
    tell: Callable[[str], object] = field(default=str, repr=False)
    warn: Callable[[str], object] = field(default=str, repr=False)
    config: Callable[[], Any] = field(default=dict, repr=False)


class AdapterResponse(Struct, frozen=True):
    """The result of a statement, without rows."""

    message: str = "OK"
    code: str = "OK"
    rows_affected: int | None = None

    def __str__(self) -> str:
        return self.message


class Adapter(Inert):
    """`adapter`. Without a warehouse, methods that need one raise NeedsWarehouse.

    Methods with effects only return "", so that `{{ … }}` adds nothing to the SQL.
    """

    def __init__(
        self,
        warehouse: WarehouseConnection | None,
        dispatch: Callable[..., Any],
        here: AdapterSettings | None = None,
    ) -> None:
        self._warehouse, self._dispatch, self._here = warehouse, dispatch, here or AdapterSettings()
        self._warned: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """Raises RenderError for unknown methods, which would otherwise render as empty text."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise RenderError(
            f"the adapter has no `{name}`", hint="see dbt's documentation of the adapter methods"
        )

    def _open(self) -> WarehouseConnection:
        if self._warehouse is None:
            raise NeedsWarehouse
        return self._warehouse

    def dispatch(self, macro_name: str, macro_namespace: str | None = None, **rest: Any) -> Any:
        """The macro for this name: the user's, the engine's or the default."""
        return self._dispatch(macro_name, macro_namespace, **rest)

    def type(self) -> str:
        """The type of the warehouse."""
        return self._here.kind

    @property
    def config(self) -> Any:
        """The settings of the run: project, profile, target, quoting, `credentials`."""
        return self._here.config()

    # ------------------------------------------------------------ names and types
    def quote(self, identifier: str) -> str:
        """The name in quotes."""
        return quoted(str(identifier))

    def quote_as_configured(self, identifier: str, quote_key: str = "identifier") -> str:
        """The name in quotes, which are never omitted."""
        return self.quote(identifier) if quote_key else str(identifier)

    def quote_seed_column(self, column: str, quote_config: bool | None = None) -> str:
        """The name of a seed's column, in quotes unless `quote_config` is False."""
        if quote_config not in (None, True, False):
            raise RenderError(f"`quote_columns` must be true or false, not `{quote_config}`")
        return str(column) if quote_config is False else self.quote(column)

    def convert_type(self, agate_table: ResultTable, col_idx: int) -> str:
        """The engine's type for a column of a result."""
        return _TYPES[agate_table.column_types[col_idx]]

    def is_before_version(self, version: str) -> bool:
        """Whether the engine is older than this version."""
        return _version(self._here.version) < _version(version)

    def is_at_or_after_version(self, version: str) -> bool:
        """Whether the engine is of this version or newer."""
        return not self.is_before_version(version)

    def is_current_version(self, version: str) -> bool:
        """Whether the engine is of this version."""
        return _version(self._here.version) == _version(version)

    # ------------------------------------------------------------ existing relations
    def get_relation(
        self, database: str | None = None, schema: str | None = None, identifier: str | None = None
    ) -> Relation | None:
        """The relation of this name, or None."""
        for relation in self.list_relations(database, schema):
            if folded(relation.identifier) == folded(identifier):
                return relation
        return None

    def load_relation(self, relation: Relation) -> Relation | None:
        """The relation with its type, or None if it does not exist."""
        return self.get_relation(relation.database, relation.schema, relation.identifier)

    def list_relations(
        self, database: str | None = None, schema: str | None = None
    ) -> list[Relation]:
        """The tables and views of a schema."""
        wanted_schema = folded(schema) or None
        return [
            Relation(relation_database, relation_schema, name, kind)
            for relation_database, relation_schema, name, kind in self._open().relations(
                wanted_schema
            )
            if (wanted_schema is None or folded(relation_schema) == wanted_schema)
            and (database is None or folded(relation_database) == folded(database))
        ]

    def list_relations_without_caching(self, schema_relation: Relation) -> list[Relation]:
        """The tables and views of a schema."""
        return self.list_relations(schema_relation.database, schema_relation.schema)

    def list_schemas(self, database: str | None = None) -> list[str]:
        """The schemas of a database."""
        within = f" where lower(catalog_name) = {literal(folded(database))}" if database else ""
        sql = f"select schema_name from system.information_schema.schemata{within}"
        return [str(row[0]) for row in self._open().rows(sql)[2]]

    def check_schema_exists(self, database: str | None, schema: str) -> bool:
        """Whether the schema exists."""
        return folded(schema) in {folded(name) for name in self.list_schemas(database)}

    def already_exists(self, schema: str, name: str) -> bool:
        """Whether a relation of this name exists."""
        return self.get_relation(None, schema, name) is not None

    def get_columns_in_relation(self, relation: Any) -> list[AdapterColumn]:
        """The columns of a relation; empty if it does not exist."""
        if not isinstance(relation, Relation):
            raise RenderError(
                f"`{relation}` is not a relation",
                hint="pass the result of `ref` or `source`, or `this`",
            )
        if relation.text is not None:
            return self.get_column_schema_from_query(f"select * from {relation.text}", flat=False)
        if relation.identifier is None or relation.is_cte:
            return []
        columns = self._open().columns(relation.database, relation.schema, relation.identifier)
        return [AdapterColumn(name, kind) for name, kind in columns or ()]

    def get_column_schema_from_query(self, sql: str, *, flat: bool = True) -> list[AdapterColumn]:
        """The columns that a query returns, structs flattened."""
        names, kinds, _ = self._open().rows(f"select * from (\n{sql}\n) limit 0")
        columns = [AdapterColumn(name, kind) for name, kind in zip(names, kinds, strict=True)]
        return [inner for column in columns for inner in column.flatten()] if flat else columns

    def get_missing_columns(
        self, from_relation: Relation, to_relation: Relation
    ) -> list[AdapterColumn]:
        """The columns of the first relation that are missing in the second."""
        existing = {column.name for column in self.get_columns_in_relation(to_relation)}
        return [c for c in self.get_columns_in_relation(from_relation) if c.name not in existing]

    def location_exists(self, location: str) -> bool:
        """Whether a file can be read at this location."""
        try:
            self._open().rows(f"select 1 from {literal(location)} where 1 = 0")
        except NeedsWarehouse:
            raise
        except Exception:
            return False
        return True

    # ------------------------------------------------------------ statements
    def execute(
        self,
        sql: str,
        auto_begin: bool = False,  # noqa: ARG002
        fetch: bool = False,
        limit: int | None = None,
    ) -> tuple[AdapterResponse, ResultTable]:
        """Runs SQL; returns the response, and the rows if `fetch`."""
        warehouse = self._open()
        if not fetch:
            warehouse.run(sql)
            return AdapterResponse(), empty_table()
        if not _QUERY.match(sql):
            warehouse.run(sql)
            return AdapterResponse(), empty_table()
        names, _, rows = warehouse.rows(sql)
        table = ResultTable.of(names, rows[:limit], self._here.tell)
        return AdapterResponse(rows_affected=len(table)), table

    def add_query(self, sql: str, *_: Any, **__: Any) -> tuple[AdapterResponse, ResultTable]:
        """Runs SQL for its effect."""
        return self.execute(sql)

    def create_schema(self, relation: Relation) -> str:
        """Creates the relation's schema."""
        return self._run(f"create schema if not exists {relation.without_identifier()}")

    def drop_schema(self, relation: Relation) -> str:
        """Drops the relation's schema with all its contents."""
        return self._run(f"drop schema if exists {relation.without_identifier()} cascade")

    def drop_relation(self, relation: Relation | None) -> str:
        """Drops the relation if it exists."""
        kind = self._kind(relation)
        return self._run(f"drop {kind} if exists {relation} cascade") if kind else ""

    def truncate_relation(self, relation: Relation) -> str:
        """Deletes all rows of the table."""
        return self._run(f"truncate {relation}")

    def rename_relation(self, from_relation: Relation, to_relation: Relation) -> str:
        """Renames the relation within its schema."""
        kind = self._kind(from_relation) or "table"
        name = self.quote(to_relation.identifier or "")
        return self._run(f"alter {kind} {from_relation} rename to {name}")

    def clean_up_table(self, relation: Relation) -> str:
        """Drops the relation if it exists."""
        return self.drop_relation(relation)

    def _kind(self, relation: Relation | None) -> str:
        """`table` or `view`: the actual kind of the relation; "" if it does not exist."""
        if relation is None:
            return ""
        if relation.schema is None and relation.type:  # temporary, without a schema
            return relation.type
        existing = self.load_relation(relation)
        return existing.type or "table" if existing else ""

    def _run(self, sql: str) -> str:
        self._open().run(sql)
        return ""

    # ------------------------------------------------------------ rules and locations
    def valid_incremental_strategies(self) -> list[str]:
        """The incremental strategies."""
        return list(STRATEGIES)

    def standardize_grants_dict(self, grants_table: ResultTable) -> dict[str, list[str]]:
        """Grantees by privilege, from a result with `grantee` and `privilege_type`."""
        grants: dict[str, list[str]] = {}
        for row in grants_table:
            grants.setdefault(row["privilege_type"], []).append(row["grantee"])
        return grants

    def render_raw_columns_constraints(self, raw_columns: Mapping[str, Any]) -> list[str]:
        """The columns of a contract as in `create table`."""
        return constraints.columns(raw_columns)

    def render_raw_model_constraints(self, raw_constraints: Iterable[Any]) -> list[str]:
        """The table-level constraints of a contract."""
        return constraints.table(raw_constraints)

    def external_root(self) -> str:
        """The folder for files written by models."""
        return self._here.external_root

    def external_read_location(self, location: str, options: Mapping[str, Any]) -> str:
        """The file or pattern to read what a model wrote to this location."""
        return external.read_location(location, options)

    def external_write_options(self, location: str, options: Mapping[str, Any]) -> str:
        """The options of `copy … to` for this location."""
        return external.write_options(location, options)

    def store_relation(self, plugin: str, relation: Relation, *_: Any) -> str:
        """Raises RenderError: plug-ins of dbt-duckdb are not supported."""
        raise RenderError(
            f"`{relation.identifier}` uses the plug-in `{plugin}` of dbt-duckdb",
            hint="plug-ins are not supported; use an activation instead",
        )

    def warn_once(self, message: str) -> str:
        """Warns, once per message."""
        if message not in self._warned:
            self._warned.add(message)
            self._here.warn(message)
        return ""


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
