"""What the user wrote, as frozen values: the only form that the rest of the tool uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from transformer.errors import TransformError, Where

Options = Mapping[str, Any]

# `warn_if` and `error_if`: compares the number of failures with an integer.
COMPARISON = re.compile(r"\s*(!=|<>|==|=|>=|<=|>|<)\s*(\d+)\s*\Z")


class CheckConfig(Struct, frozen=True):
    """How a check's result is rated; the fields are dbt's."""

    severity: str = "error"
    where: str | None = None
    warn_if: str = "!= 0"
    error_if: str = "!= 0"
    limit: int | None = None
    store_failures: bool = False
    tags: tuple[str, ...] = ()
    enabled: bool = True
    fail_calc: str = "count(*)"
    schema: str | None = None
    meta: Options = {}
    store_failures_as: str | None = None
    alias: str | None = None
    database: str | None = None
    group: str | None = None
    sql_header: str | None = None


class CheckSpec(Struct, frozen=True):
    """A check as written under a node or a column: `kind` and its arguments.

    A package's kind is written `package.kind`. `package` owns the file with the check; `suffix`
    follows the name in the id, where names alone are not unique.
    """

    kind: str
    args: Options
    config: CheckConfig
    where: Where
    name: str | None = None
    column: str | None = None
    package: str = ""
    suffix: str = ""
    description: str = ""
    # Its folders and name, for selection; the name of its table, if it differs; and the options
    # set in YAML, which override the kind's own `config()`.
    fqn: tuple[str, ...] = ()
    alias: str = ""
    pinned: frozenset[str] = frozenset()


class Column(Struct, frozen=True):
    """A column as described in YAML."""

    name: str
    where: Where
    description: str = ""
    data_type: str | None = None
    checks: tuple[CheckSpec, ...] = ()
    tags: tuple[str, ...] = ()
    meta: Options = {}
    quote: bool = False
    constraints: tuple[Options, ...] = ()
    granularity: str | None = None


class Described(Struct, frozen=True):
    """The YAML description of a node, empty if there is none. `facts` are used by artifacts and
    templates only, by dbt's names."""

    description: str = ""
    columns: tuple[Column, ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    meta: Options = {}
    where: Where | None = None
    constraints: tuple[Options, ...] = ()
    facts: Options = {}


NOTHING = Described()


class Model(Struct, frozen=True):
    """A model file. `config` is folder tree and YAML merged; `config()` in the file comes later.

    `package` is its package, empty for the root project. `fqn` are its folders and its name, for
    selection. `version` and `latest` (the target of a plain `ref`) are for versioned models.
    """

    name: str
    path: str
    text: str
    language: Literal["sql", "python"] = "sql"
    config: Options = {}
    described: Described = NOTHING
    package: str = ""
    fqn: tuple[str, ...] = ()
    version: str | None = None
    latest: bool = True
    # The root project's configuration of a package's model, which overrides `config()`.
    over: Options = {}
    # A user-defined function is built like a model but called, not read; an analysis is only
    # compiled.
    resource: Literal["model", "function", "analysis"] = "model"


class Seed(Struct, frozen=True):
    """A CSV file in the project that becomes a table."""

    name: str
    path: str
    digest: str
    config: Options = {}
    described: Described = NOTHING
    package: str = ""
    fqn: tuple[str, ...] = ()
    # Whether column types are inferred as in dbt.
    plain_types: bool = False


class Snapshot(Struct, frozen=True):
    """The history of a relation (SCD2). `relation` is a Jinja expression such as `ref('x')`; if it
    is empty, `text` is the query template in a `{% snapshot %}` block."""

    name: str
    relation: str
    where: Where
    config: Options = {}
    described: Described = NOTHING
    package: str = ""
    fqn: tuple[str, ...] = ()
    text: str = ""
    over: Options = {}


class Freshness(Struct, frozen=True):
    """How old the newest row may be, in seconds. Its time is the maximum of `field`, or the result
    of `query`."""

    field: str
    warn_after: int | None = None
    error_after: int | None = None
    filter: str | None = None
    query: str = ""


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
    # The share of rows that may be quarantined; None: a fifth if the table is replaced.
    max_quarantined: float | None = None
    # The share of rows that a table may lose when it is replaced; None: any.
    max_removed: float | None = None
    # Places of the values under `load:`, for messages.
    places: Mapping[str, Where] = field(default_factory=dict, repr=False, compare=False)
    # Whether it contains a mistake, so that it cannot be used.
    broken: bool = False

    def place(self, key: str) -> Where:
        """The place of the key's value, or of `load:`."""
        where: Where = self.places.get(key, self.where)
        return where


class SourceTable(Struct, frozen=True):
    """A table of a source, as stored in the warehouse."""

    source: str
    name: str
    schema: str
    identifier: str
    where: Where
    described: Described = NOTHING
    freshness: Freshness | None = None
    load: Load | None = None
    tags: tuple[str, ...] = ()
    package: str = ""
    fqn: tuple[str, ...] = ()
    # Its catalog, if not the warehouse; and how DuckDB reads it, if it is a file rather than a
    # table: `read_parquet('…')`.
    database: str = ""
    reads: str = ""
    config: Options = {}


@dataclass(frozen=True, slots=True)
class Activation:
    """Rows of a model to be synchronized to an external target.

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
    max_rejected: float = 0.1
    max_removed: float = 0.5
    description: str = ""
    tags: tuple[str, ...] = ()
    # Places of the written values, for messages.
    places: Mapping[str, Where] = field(default_factory=dict, repr=False, compare=False)

    def place(self, key: str) -> Where:
        """The place of the key's value, or of the activation."""
        where: Where = self.places.get(key, self.where)
        return where


class SqlCheck(Struct, frozen=True):
    """A SQL file that returns failing rows."""

    name: str
    path: str
    text: str
    config: CheckConfig = CheckConfig()
    package: str = ""
    fqn: tuple[str, ...] = ()
    described: Described = NOTHING
    # Options that its own `config(…)` does not override.
    pinned: frozenset[str] = frozenset()


class MacroFile(Struct, frozen=True):
    """A file of macros and `{% test %}` blocks."""

    path: str
    text: str
    package: str = ""


class Hook(Struct, frozen=True):
    """A SQL template that runs before or after a build. `moment` is `on-run-start` or
    `on-run-end`, `place` the index among the package's hooks of that moment."""

    text: str
    where: Where
    package: str = ""
    moment: str = ""
    place: int = 0


class ArtifactOnly(Struct, frozen=True):
    """An entry that is only passed on to artifacts: an exposure, a metric, a group …"""

    kind: str
    name: str
    content: Options
    where: Where
    package: str = ""


class Package(Struct, frozen=True):
    """A package. `vars` are the variables visible in its files; `folder` is its folder, relative
    to the project."""

    name: str
    folder: str = ""
    version: str = ""
    vars: Options = {}


class Publish(Struct, frozen=True):
    """When the file is replaced, and which models it contains (none: all). With `keep_failed` a
    table whose check fails is kept."""

    mode: Literal["gated", "always", "in_place"] = "gated"
    models: tuple[str, ...] = ()
    keep_failed: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """The warehouse file to build."""

    name: str = "dev"
    type: str = "duckdb"
    path: str = "warehouse.duckdb"
    schema: str = "main"
    threads: int = 1
    # Whether activations run.
    activate: bool = True
    publish: Publish = field(default_factory=Publish)
    settings: Options = field(default_factory=dict)
    # The catalog name of the warehouse in queries, as in `warehouse.main.orders`.
    catalog: str = ""
    profile: str = ""
    extensions: tuple[str, ...] = ()
    attach: tuple[Options, ...] = ()
    # Further values of `target` in templates, such as keys of its profile.
    words: Options = field(default_factory=dict, repr=False)
    # Places of its path and settings, for messages.
    places: Mapping[str, Where] = field(default_factory=dict, repr=False, compare=False)
    # Options of `CREATE SECRET` for other locations.
    secrets: tuple[Options, ...] = field(default=(), repr=False)


class Project(Struct, frozen=True):
    """Everything the user wrote. `mistakes` were detected while reading; `unread` are the paths of
    unreadable files; `notices` are messages for the user.

    `dispatch` is the search order for macros of a namespace. In an `open` project queries may read
    relations unknown to the project, and a model that cannot be bound fails alone, when it is
    built. `selectors` are selections by name.
    """

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
    vars: Options = {}
    allowed_paths: tuple[str, ...] = ()
    mistakes: tuple[TransformError, ...] = ()
    unread: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()
    # The first line of a build's output, if any: which project it is.
    heading: str = ""
    packages: Mapping[str, Package] = {}
    dispatch: Mapping[str, tuple[str, ...]] = {}
    on_run_start: tuple[Hook, ...] = ()
    on_run_end: tuple[Hook, ...] = ()
    analyses: tuple[Model, ...] = ()
    artifact_only: tuple[ArtifactOnly, ...] = ()
    disabled: tuple[str, ...] = ()
    selectors: Options = {}
    open: bool = False
    # The folder of artifacts for other tools; none are written if it is empty.
    target_path: str = ""
    # Folders of the project's own files.
    folders: tuple[str, ...] = ()
    # Folders with files for the documentation site.
    asset_paths: tuple[str, ...] = ()
    # Whether a build drops the tables of removed models.
    drops_removed: bool = False
    flags: Options = {}
