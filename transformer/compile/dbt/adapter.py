"""The adapter: what templates may ask of the warehouse, and do in it."""

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

# What gives rows; comments and brackets may stand before it.
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
    """There is no warehouse now: the rendering is to be repeated when there is one."""


class WarehouseConnection(Protocol):
    """What the adapter asks of a warehouse that is open."""

    def rows(self, sql: str) -> tuple[Sequence[str], Sequence[str], list[tuple[Any, ...]]]:
        """Names and types of a query's columns, and its rows."""
        ...

    def run(self, sql: str) -> None:
        """Runs statements for their effect."""
        ...

    def relations(self, schema: str | None) -> Iterable[tuple[str, str, str, str]]:
        """(database, schema, identifier, "table" or "view") of one schema, or of every one."""
        ...

    def columns(
        self, database: str | None, schema: str | None, identifier: str
    ) -> list[tuple[str, str]] | None:
        """(name, type) of a relation's columns; None when it does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """What the adapter knows of the place it works in. `tell` is given what is shown to the
    user, `warn` what he is warned of."""

    kind: str = "duckdb"
    version: str = ""
    external_root: str = "."
    tell: Callable[[str], object] = field(default=str, repr=False)
    warn: Callable[[str], object] = field(default=str, repr=False)
    config: Callable[[], Any] = field(default=dict, repr=False)


class AdapterResponse(Struct, frozen=True):
    """What came of a statement."""

    message: str = "OK"
    code: str = "OK"
    rows_affected: int | None = None

    def __str__(self) -> str:
        return self.message


class Adapter(Inert):
    """`adapter`. Without a warehouse, whatever asks for one raises NeedsWarehouse.

    What only has an effect gives "", so that it writes nothing where it is called in `{{ … }}`.
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
        """Refuses what no adapter has: nothing would be written for it otherwise."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise RenderError(f"the adapter has no `{name}`", hint="see the adapter's methods in dbt")

    def _open(self) -> WarehouseConnection:
        if self._warehouse is None:
            raise NeedsWarehouse
        return self._warehouse

    def dispatch(self, macro_name: str, macro_namespace: str | None = None, **rest: Any) -> Any:
        """The macro that stands for this name here: the user's, the engine's or the default."""
        return self._dispatch(macro_name, macro_namespace, **rest)

    def type(self) -> str:
        """The kind of the warehouse."""
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
        """The name in quotes: they are never left out."""
        return self.quote(identifier) if quote_key else str(identifier)

    def quote_seed_column(self, column: str, quote_config: bool | None = None) -> str:
        """The name of a seed's column, in quotes unless the project says no."""
        if quote_config not in (None, True, False):
            raise RenderError(f"`quote_columns` is true or false, not `{quote_config}`")
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

    # ------------------------------------------------------------ what is there
    def get_relation(
        self, database: str | None = None, schema: str | None = None, identifier: str | None = None
    ) -> Relation | None:
        """The relation of this name, when it exists."""
        for relation in self.list_relations(database, schema):
            if folded(relation.identifier) == folded(identifier):
                return relation
        return None

    def load_relation(self, relation: Relation) -> Relation | None:
        """The relation with its type, when it exists."""
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
        """The columns of a relation; none when it does not exist."""
        if not isinstance(relation, Relation):
            raise RenderError(f"`{relation}` is no relation", hint="give what `ref` or `this` is")
        if relation.text is not None:
            return self.get_column_schema_from_query(f"select * from {relation.text}", flat=False)
        if relation.identifier is None or relation.is_cte:
            return []
        columns = self._open().columns(relation.database, relation.schema, relation.identifier)
        return [AdapterColumn(name, kind) for name, kind in columns or ()]

    def get_column_schema_from_query(self, sql: str, *, flat: bool = True) -> list[AdapterColumn]:
        """The columns a query gives, structs taken apart."""
        names, kinds, _ = self._open().rows(f"select * from (\n{sql}\n) limit 0")
        columns = [AdapterColumn(name, kind) for name, kind in zip(names, kinds, strict=True)]
        return [inner for column in columns for inner in column.flatten()] if flat else columns

    def get_missing_columns(
        self, from_relation: Relation, to_relation: Relation
    ) -> list[AdapterColumn]:
        """The columns of the first relation that the second has not."""
        existing = {column.name for column in self.get_columns_in_relation(to_relation)}
        return [c for c in self.get_columns_in_relation(from_relation) if c.name not in existing]

    def location_exists(self, location: str) -> bool:
        """Whether a file can be read at this place."""
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
        """Runs SQL: what came of it, and its rows when they are wanted."""
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
        """Makes the schema the relation stands in."""
        return self._run(f"create schema if not exists {relation.without_identifier()}")

    def drop_schema(self, relation: Relation) -> str:
        """Drops the schema the relation stands in, with all that is in it."""
        return self._run(f"drop schema if exists {relation.without_identifier()} cascade")

    def drop_relation(self, relation: Relation | None) -> str:
        """Drops the relation, when it exists."""
        kind = self._kind(relation)
        return self._run(f"drop {kind} if exists {relation} cascade") if kind else ""

    def truncate_relation(self, relation: Relation) -> str:
        """Deletes every row of the table."""
        return self._run(f"truncate {relation}")

    def rename_relation(self, from_relation: Relation, to_relation: Relation) -> str:
        """Gives the relation another name in its schema."""
        kind = self._kind(from_relation) or "table"
        name = self.quote(to_relation.identifier or "")
        return self._run(f"alter {kind} {from_relation} rename to {name}")

    def clean_up_table(self, relation: Relation) -> str:
        """Drops the relation, when it exists."""
        return self.drop_relation(relation)

    def _kind(self, relation: Relation | None) -> str:
        """`table` or `view`: what the relation really is; "" when it does not exist."""
        if relation is None:
            return ""
        if relation.schema is None and relation.type:  # temporary: it stands in no schema
            return relation.type
        existing = self.load_relation(relation)
        return existing.type or "table" if existing else ""

    def _run(self, sql: str) -> str:
        self._open().run(sql)
        return ""

    # ------------------------------------------------------------ rules and other places
    def valid_incremental_strategies(self) -> list[str]:
        """The ways to bring a table up to date."""
        return list(STRATEGIES)

    def standardize_grants_dict(self, grants_table: ResultTable) -> dict[str, list[str]]:
        """Who may do what, of a result with the columns `grantee` and `privilege_type`."""
        grants: dict[str, list[str]] = {}
        for row in grants_table:
            grants.setdefault(row["privilege_type"], []).append(row["grantee"])
        return grants

    def render_raw_columns_constraints(self, raw_columns: Mapping[str, Any]) -> list[str]:
        """The columns of a contract as they stand in `create table`."""
        return constraints.columns(raw_columns)

    def render_raw_model_constraints(self, raw_constraints: Iterable[Any]) -> list[str]:
        """The constraints of a contract that are the whole table's."""
        return constraints.table(raw_constraints)

    def external_root(self) -> str:
        """The folder for files that models write."""
        return self._here.external_root

    def external_read_location(self, location: str, options: Mapping[str, Any]) -> str:
        """What to read where a model wrote to this place."""
        return external.read_location(location, options)

    def external_write_options(self, location: str, options: Mapping[str, Any]) -> str:
        """The options of `copy … to` for this place."""
        return external.write_options(location, options)

    def store_relation(self, plugin: str, relation: Relation, *_: Any) -> str:
        """Refuses: there are no plug-ins of dbt-duckdb."""
        raise RenderError(
            f"`{relation.identifier}` is to be stored with the plug-in `{plugin}` of dbt-duckdb",
            hint="activate it with a target instead",
        )

    def warn_once(self, message: str) -> str:
        """Warns, when it was not said before."""
        if message not in self._warned:
            self._warned.add(message)
            self._here.warn(message)
        return ""


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
