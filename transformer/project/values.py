"""What the user wrote, as frozen values: the only form the rest of the tool knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from transformer.errors import TransformError, Where

Options = Mapping[str, Any]

# `warn_if` and `error_if`: a comparison of the number of failures with a whole number.
COMPARISON = re.compile(r"\s*(!=|<>|==|=|>=|<=|>|<)\s*(\d+)\s*\Z")


@dataclass(frozen=True, slots=True)
class CheckConfig:
    """How a check's result counts; the fields are dbt's."""

    severity: str = "error"
    where: str | None = None
    warn_if: str = "!= 0"
    error_if: str = "!= 0"
    limit: int | None = None
    store_failures: bool = False
    tags: tuple[str, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A check as written under a node or a column: `kind` and its arguments."""

    kind: str
    args: Options
    config: CheckConfig
    where: Where
    name: str | None = None
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """What is written of a column."""

    name: str
    where: Where
    description: str = ""
    data_type: str | None = None
    checks: tuple[CheckSpec, ...] = ()
    tags: tuple[str, ...] = ()
    meta: Options = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Described:
    """What YAML says of a node that has a file of its own, or nothing."""

    description: str = ""
    columns: tuple[Column, ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    meta: Options = field(default_factory=dict)
    where: Where | None = None


NOTHING = Described()


@dataclass(frozen=True, slots=True)
class Model:
    """A model file. `config` is folder tree and YAML merged; `config()` in the file comes later."""

    name: str
    path: str
    text: str
    language: Literal["sql", "python"] = "sql"
    config: Options = field(default_factory=dict)
    described: Described = NOTHING


@dataclass(frozen=True, slots=True)
class Seed:
    """A CSV file of the project that becomes a table."""

    name: str
    path: str
    digest: str
    config: Options = field(default_factory=dict)
    described: Described = NOTHING


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A record of how a relation changed (SCD2). `relation` is a Jinja expression: `ref('x')`."""

    name: str
    relation: str
    where: Where
    config: Options = field(default_factory=dict)
    described: Described = NOTHING


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the newest row may be, in seconds."""

    field: str
    warn_after: int | None = None
    error_after: int | None = None
    filter: str | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """How a source table is loaded: the kind of source and its options, all read and checked."""

    kind: str
    options: Options
    where: Where
    mode: str = "replace"
    key: tuple[str, ...] = ()
    cursor: str | None = None
    on_schema_change: str = "evolve"
    # Places of what was written under `load:`, for messages.
    places: Options = field(default_factory=dict, repr=False, compare=False)
    # Whether what was written is a mistake, so that nothing can be read by it.
    broken: bool = False

    def place(self, key: str) -> Where:
        """Where the value of the key stands, or all of `load:`."""
        found: Where = self.places.get(key, self.where)
        return found


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table of a silo, as it lies in the warehouse."""

    source: str
    name: str
    schema: str
    identifier: str
    where: Where
    described: Described = NOTHING
    freshness: Freshness | None = None
    load: Load | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Activation:
    """Rows of a model to be kept in step with a place outside.

    `fields` maps a field at the target to a column of the model; empty means every column
    under its own name. `key` are columns of the model. `options` are the target kind's own.
    """

    name: str
    model: str
    kind: str
    options: Options
    key: tuple[str, ...]
    where: Where
    mode: Literal["upsert", "mirror", "append"] = "upsert"
    fields: Mapping[str, str] = field(default_factory=dict)
    batch_size: int = 500
    description: str = ""
    tags: tuple[str, ...] = ()
    # Places of what was written, for messages.
    places: Options = field(default_factory=dict, repr=False, compare=False)

    def place(self, key: str) -> Where:
        """Where the value of the key stands, or the activation."""
        found: Where = self.places.get(key, self.where)
        return found


@dataclass(frozen=True, slots=True)
class SqlCheck:
    """A SQL file that returns failing rows."""

    name: str
    path: str
    text: str
    config: CheckConfig = CheckConfig()


@dataclass(frozen=True, slots=True)
class MacroFile:
    """A file of macros and `{% test %}` blocks."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Publish:
    """When the file is replaced, and which models it then shows (none: all)."""

    mode: Literal["gated", "always", "in_place"] = "gated"
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A warehouse file to build."""

    name: str = "dev"
    type: str = "duckdb"
    path: str = "warehouse.duckdb"
    schema: str = "main"
    threads: int = 1
    publish: Publish = Publish()
    settings: Options = field(default_factory=dict)
    # Where its path and its settings stand, for messages.
    places: Options = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Project:
    """Everything the user wrote. `mistakes` are those of its files, found while reading; `unread`
    are the paths of files that could not be read at all."""

    root: str
    name: str
    target: Target
    models: tuple[Model, ...] = ()
    seeds: tuple[Seed, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    sources: tuple[SourceTable, ...] = ()
    activations: tuple[Activation, ...] = ()
    sql_checks: tuple[SqlCheck, ...] = ()
    macros: tuple[MacroFile, ...] = ()
    vars: Options = field(default_factory=dict)
    allowed_paths: tuple[str, ...] = ()
    mistakes: tuple[TransformError, ...] = ()
    unread: frozenset[str] = frozenset()
