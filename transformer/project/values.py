"""What the user wrote, as frozen values: the only form the rest of the tool knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from transformer.errors import TransformError, Where

Options = Mapping[str, Any]

# `warn_if` and `error_if`: a comparison of the number of failures with a whole number.
COMPARISON = re.compile(r"\s*(!=|<>|==|=|>=|<=|>|<)\s*(\d+)\s*\Z")


class CheckConfig(Struct, frozen=True):
    """How a check's result counts; the fields are dbt's."""

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

    A kind of a package is written `package.kind`. `package` is whose file it stands in, and
    `suffix` what follows the name in the id, where names alone do not tell checks apart.
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
    # Its folders and its name, for selection; the name of its table, where it is another; and the
    # configuration that stands in YAML, which beats what the kind says of itself.
    fqn: tuple[str, ...] = ()
    alias: str = ""
    given: frozenset[str] = frozenset()


class Column(Struct, frozen=True):
    """What is written of a column."""

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
    """What YAML says of a node that has a file of its own, or nothing. `facts` are what only
    artifacts and templates ask for, by dbt's names."""

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

    `package` is the package it comes from, empty for the project itself. `fqn` are its folders
    and its name, for selection. One of several versions says which it is, and whether a plain
    `ref` means it.
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
    # What the project says of a package's model: it beats `config()` in the file.
    over: Options = {}
    # A user-defined function is made like a model, and called instead of read; an analysis is
    # compiled only.
    resource: Literal["model", "function", "analysis"] = "model"


class Seed(Struct, frozen=True):
    """A CSV file of the project that becomes a table."""

    name: str
    path: str
    digest: str
    config: Options = {}
    described: Described = NOTHING
    package: str = ""
    fqn: tuple[str, ...] = ()
    # Whether its columns get the types that dbt infers.
    plain_types: bool = False


class Snapshot(Struct, frozen=True):
    """A record of how a relation changed (SCD2). `relation` is a Jinja expression: `ref('x')`; or
    there is none, and `text` is the template of a query, the body of a `{% snapshot %}` block."""

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
    """How old the newest row may be, in seconds: a column says how old one is, or a `query` gives
    the newest moment."""

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
    # The share of rows that may go to quarantine; None: a fifth where the table is replaced.
    max_quarantined: float | None = None
    # The share of its rows that a table may lose when it is replaced; None: any.
    max_removed: float | None = None
    # Places of what was written under `load:`, for messages.
    places: Mapping[str, Where] = field(default_factory=dict, repr=False, compare=False)
    # Whether what was written is a mistake, so that nothing can be read by it.
    broken: bool = False

    def place(self, key: str) -> Where:
        """Where the value of the key stands, or all of `load:`."""
        found: Where = self.places.get(key, self.where)
        return found


class SourceTable(Struct, frozen=True):
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
    package: str = ""
    fqn: tuple[str, ...] = ()
    # The catalog it lies in, where that is not the warehouse; and how DuckDB reads it, where it
    # is no table but a file: `read_parquet('…')`.
    database: str = ""
    reads: str = ""
    config: Options = {}


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
    max_rejected: float = 0.1
    max_removed: float = 0.5
    description: str = ""
    tags: tuple[str, ...] = ()
    # Places of what was written, for messages.
    places: Mapping[str, Where] = field(default_factory=dict, repr=False, compare=False)

    def place(self, key: str) -> Where:
        """Where the value of the key stands, or the activation."""
        found: Where = self.places.get(key, self.where)
        return found


class SqlCheck(Struct, frozen=True):
    """A SQL file that returns failing rows."""

    name: str
    path: str
    text: str
    config: CheckConfig = CheckConfig()
    package: str = ""
    fqn: tuple[str, ...] = ()
    described: Described = NOTHING
    # Options that what its own `config(…)` says does not change.
    given: frozenset[str] = frozenset()


class MacroFile(Struct, frozen=True):
    """A file of macros and `{% test %}` blocks."""

    path: str
    text: str
    package: str = ""


class Hook(Struct, frozen=True):
    """SQL, as a template, that runs before or after a build. `moment` is `on-run-start` or
    `on-run-end`, `place` counts the hooks of that moment in its package."""

    text: str
    where: Where
    package: str = ""
    moment: str = ""
    place: int = 0


class ArtifactOnly(Struct, frozen=True):
    """What is read and kept for others, and not acted on: an exposure, a metric, a group …"""

    kind: str
    name: str
    content: Options
    where: Where
    package: str = ""


class Package(Struct, frozen=True):
    """What a package says of itself, and what is said of it. `vars` are those that its own files
    see; `folder` is where it lies, relative to the project."""

    name: str
    folder: str = ""
    version: str = ""
    vars: Options = {}


class Publish(Struct, frozen=True):
    """When the file is replaced, and which models it then shows (none: all). With `keep_failed`
    a table whose check fails stays as it was built."""

    mode: Literal["gated", "always", "in_place"] = "gated"
    models: tuple[str, ...] = ()
    keep_failed: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A warehouse file to build."""

    name: str = "dev"
    type: str = "duckdb"
    path: str = "warehouse.duckdb"
    schema: str = "main"
    threads: int = 1
    # Whether activations run.
    activate: bool = True
    publish: Publish = field(default_factory=Publish)
    settings: Options = field(default_factory=dict)
    # The name that queries may give the warehouse itself, as in `warehouse.main.orders`.
    catalog: str = ""
    profile: str = ""
    extensions: tuple[str, ...] = ()
    attach: tuple[Options, ...] = ()
    # What a template may know of the target beyond all that, such as keys of its profile.
    words: Options = field(default_factory=dict, repr=False)
    # Where its path and its settings stand, for messages.
    places: Mapping[str, Where] = field(default_factory=dict, repr=False, compare=False)
    # What opens other places, as `CREATE SECRET` takes it.
    secrets: tuple[Options, ...] = field(default=(), repr=False)


class Project(Struct, frozen=True):
    """Everything the user wrote. `mistakes` are those of its files, found while reading; `unread`
    are the paths of files that could not be read at all; `notices` is what is to be said once.

    `dispatch` is where macros of a namespace are looked for, in order. In an `open` project
    queries may read what the project does not know of, and a model that cannot be bound fails
    when it is built, alone. `selectors` are selections by name.
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
    # What a build says first: which project it is, where that is not plain.
    heading: str = ""
    packages: Mapping[str, Package] = {}
    dispatch: Mapping[str, tuple[str, ...]] = {}
    on_run_start: tuple[Hook, ...] = ()
    on_run_end: tuple[Hook, ...] = ()
    analyses: tuple[Model, ...] = ()
    kept: tuple[ArtifactOnly, ...] = ()
    disabled: tuple[str, ...] = ()
    selectors: Options = {}
    open: bool = False
    # The folder of artifacts for other tools; none are written where there is no name.
    target_path: str = ""
    # Folders of the project's own files.
    folders: tuple[str, ...] = ()
    # Folders that documentation shows files of.
    asset_paths: tuple[str, ...] = ()
    # Whether a build drops the tables of models that are gone.
    drops_removed: bool = False
    flags: Options = {}
