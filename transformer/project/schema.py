"""The YAML schema as data: tables of `Field`.

The reader, the reference in the docs and the test that the example uses every field share them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

Kind = Literal[
    "text",  # one string
    "condition",  # a comparison with a number: `> 10`
    "texts",  # one string or a list of them -> tuple[str, ...]
    "flag",  # true / false
    "integer",
    "number",
    "share",  # a part of a whole: `20 %` or `0.2`
    "choice",  # one of `choices`
    "map",  # free mapping
    "options",  # mapping whose `kind` defines the other keys; read once the kind is known
    "any",  # any value
    "block",  # mapping with `fields`
    "blocks",  # list of such mappings
    "named",  # mapping of name -> such a mapping
    "checks",  # list of data checks
    "interval",  # {count: 12, period: hour} -> seconds
    "tree",  # configs by folder, keys with or without `+`
]


class Field(Struct, frozen=True):
    """One key of a YAML mapping: its kind, its description, its default."""

    name: str
    kind: Kind
    doc: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    aliases: tuple[str, ...] = ()
    # Whether its value may hold a secret: it is used to connect, and enters neither SQL nor names.
    secret: bool = False
    # The range of a number.
    least: float = -(2**53)
    most: float = 2**53


Fields = tuple[Field, ...]


class Vocabulary(Struct, frozen=True):
    """The extensible parts of the YAML: the fields of each kind of source, target and check.

    The flows fill it from the folders `sources/` and `targets/` and from the check table,
    so that the reader knows every key without importing them.
    """

    sources: Mapping[str, Fields] = field(default_factory=dict)
    targets: Mapping[str, Fields] = field(default_factory=dict)
    checks: Mapping[str, Fields] = field(default_factory=dict)


_TAGS = Field("tags", "texts", "Labels for selection: `--select tag:nightly`", ())
_META = Field("meta", "map", "Free-form metadata; stored, but not used by the tool")
_DESCRIPTION = Field(
    "description", "text", "Description; becomes the comment on the table or column", ""
)
_ENABLED = Field("enabled", "flag", "`false` disables it, as if it were not written", True)
_CHECKS = Field(
    "data_tests", "checks", "Checks of the data (named as in dbt)", (), aliases=("tests",)
)

CHECK_CONFIG: Fields = (
    Field("severity", "choice", "Severity of a failure", "error", choices=("error", "warn")),
    Field("where", "text", "Only rows that meet this SQL condition are checked"),
    Field("warn_if", "condition", "Number of failures that is a warning", "!= 0"),
    Field("error_if", "condition", "Number of failures that is an error", "!= 0"),
    Field("limit", "integer", "Maximum number of failing rows to count and store", least=0),
    Field(
        "store_failures",
        "flag",
        "Store the failing rows in a table in the schema `_transform_failures`",
        False,
    ),
    _TAGS,
    _META,
    _ENABLED,
)

CONTRACT: Fields = (
    Field("enforced", "flag", "The query must return the declared columns and types", False),
)

NODE_CONFIG: Fields = (
    _ENABLED,
    Field("schema", "text", "Schema of the relation; appended to the target's own schema"),
    Field("alias", "text", "Name of the relation, if it differs from the node's name"),
    _TAGS,
    _META,
)

MODEL_CONFIG: Fields = (
    Field(
        "materialized",
        "choice",
        "How the model is materialized",
        "view",
        choices=("view", "table", "incremental", "ephemeral"),
    ),
    *NODE_CONFIG,
    Field("unique_key", "texts", "Columns that identify a row (incremental)", ()),
    Field(
        "incremental_strategy",
        "choice",
        "How new rows are written to the table; default: `delete+insert` with a key, else `append`",
        choices=("append", "delete+insert", "merge"),
    ),
    Field(
        "on_schema_change",
        "choice",
        "What an incremental model does when its columns change",
        "ignore",
        choices=("ignore", "fail", "append_new_columns", "sync_all_columns"),
    ),
    Field(
        "full_refresh",
        "flag",
        "`false` protects the table from `--full-refresh`; `true` always rebuilds it",
    ),
    Field("contract", "block", "Enforce the declared columns", fields=CONTRACT),
)

SEED_CONFIG: Fields = (
    *NODE_CONFIG,
    Field("column_types", "map", "Types of columns, by name"),
    Field("delimiter", "text", "Separator between two values", ","),
)

SNAPSHOT_CONFIG: Fields = (
    *NODE_CONFIG,
    Field("unique_key", "texts", "Columns that identify a record", ()),
    Field(
        "strategy",
        "choice",
        "How changes are detected: by a timestamp column, or by comparing values",
        "timestamp",
        choices=("timestamp", "check"),
    ),
    Field("updated_at", "text", "Column with the time of the last change (strategy `timestamp`)"),
    Field("check_cols", "texts", "Columns to compare, or `all` (strategy `check`)", ()),
    Field(
        "hard_deletes",
        "choice",
        "What happens to a deleted record",
        "ignore",
        choices=("ignore", "invalidate", "new_record"),
    ),
)

COLUMN: Fields = (
    Field("name", "text", "The column's name", required=True),
    _DESCRIPTION,
    Field("data_type", "text", "Its type; enforced by a contract, and used when loading"),
    _CHECKS,
    _TAGS,
    _META,
)
_COLUMNS = Field("columns", "blocks", "The columns", (), fields=COLUMN)

MODEL: Fields = (
    Field("name", "text", "The model's name: its file name without the ending", required=True),
    _DESCRIPTION,
    _COLUMNS,
    Field("config", "block", "Configuration, as in `config(…)`", fields=MODEL_CONFIG),
    _CHECKS,
    _TAGS,
    _META,
)

SEED: Fields = (
    Field("name", "text", "The seed's name: its file name without `.csv`", required=True),
    _DESCRIPTION,
    _COLUMNS,
    Field("config", "block", "Configuration of the seed", fields=SEED_CONFIG),
    _CHECKS,
    _TAGS,
    _META,
)

SNAPSHOT: Fields = (
    Field("name", "text", "The snapshot's name", required=True),
    Field("relation", "text", "What is recorded: `ref('…')` or `source('…', '…')`", required=True),
    _DESCRIPTION,
    _COLUMNS,
    Field("config", "block", "Configuration of the snapshot", fields=SNAPSHOT_CONFIG),
    _CHECKS,
    _TAGS,
    _META,
)

FRESHNESS: Fields = (
    Field("warn_after", "interval", "Older than this is a warning: `{count: 12, period: hour}`"),
    Field("error_after", "interval", "Older than this is an error"),
    Field("filter", "text", "Only rows that meet this SQL condition count"),
)

# Keys under `load:` of every kind of source; each kind adds its own.
LOAD: Fields = (
    Field("kind", "text", "Where the data is: the name of a file in `sources/`", required=True),
    Field(
        "mode",
        "choice",
        "`replace` the table, `append` what is new, or `merge` on the key",
        "replace",
        choices=("replace", "append", "merge"),
    ),
    Field("key", "texts", "Columns that identify a row (mode `merge`)", ()),
    Field("cursor", "text", "Increasing column by which only new rows are read (tables)"),
    Field(
        "max_quarantined",
        "share",
        "Share of rows that may be quarantined; above it nothing is loaded and the table"
        " stays. Without it 20 % where the table is replaced, and no limit elsewhere",
    ),
    Field(
        "max_removed",
        "share",
        "Share of rows that a table may lose when it is replaced; above it nothing is"
        " landed and the table stays. Without it there is no limit",
    ),
    Field(
        "on_schema_change",
        "choice",
        "New or wider columns: add them, fail the load, or quarantine the rows",
        "evolve",
        choices=("evolve", "freeze", "quarantine"),
    ),
)

SOURCE_TABLE: Fields = (
    Field("name", "text", "The table's name, as `source()` calls it", required=True),
    Field("identifier", "text", "Its name in the warehouse, if it differs"),
    _DESCRIPTION,
    _COLUMNS,
    _CHECKS,
    Field("loaded_at_field", "text", "Column or expression with the time when a row was loaded"),
    Field("freshness", "block", "How old the newest row may be", fields=FRESHNESS),
    Field("load", "options", "How it is loaded; without it, someone else loads it"),
    _ENABLED,
    _TAGS,
    _META,
)

SOURCE: Fields = (
    Field("name", "text", "The source's name", required=True),
    _DESCRIPTION,
    Field("schema", "text", "Schema of its tables; default: the source's name"),
    Field("loaded_at_field", "text", "Default for tables without one"),
    Field("freshness", "block", "Default for tables without one", fields=FRESHNESS),
    Field("load", "options", "Keys that the `load:` of all tables share"),
    Field("tables", "blocks", "The tables", (), fields=SOURCE_TABLE, required=True),
    _ENABLED,
    _TAGS,
    _META,
)

# `to:` holds `kind:` and the fields of that kind of target.
ACTIVATION: Fields = (
    Field("name", "text", "The activation's name", required=True),
    _DESCRIPTION,
    Field("model", "text", "The model whose rows are sent", required=True),
    Field("key", "texts", "Columns that identify a row at the target", (), required=True),
    Field(
        "mode",
        "choice",
        "`upsert` what was added or changed, `mirror` removals too, `append` only what is new",
        "upsert",
        choices=("upsert", "mirror", "append"),
    ),
    Field(
        "fields",
        "map",
        "Field at the target: column of the model; default: all columns except those that loading "
        "adds (`_loaded_at`, `_batch`, `_source`)",
    ),
    Field("batch_size", "integer", "Rows sent at a time", 500, least=1),
    Field(
        "max_rejected",
        "share",
        "Share of rows that a target may reject; above it the activation fails",
        0.1,
    ),
    Field(
        "max_removed",
        "share",
        "Share of the sent rows that a `mirror` may remove at once; above it nothing is sent",
        0.5,
    ),
    Field("to", "options", "The target: `kind:` and its options", required=True),
    _ENABLED,
    _TAGS,
    _META,
)

PUBLISH: Fields = (
    Field(
        "mode",
        "choice",
        "`gated`: errors keep the old file; `always`: publish despite errors; "
        "`in_place`: build in the file itself",
        "gated",
        choices=("gated", "always", "in_place"),
    ),
    Field("models", "texts", "Selectors of the models in the published file; default: all", ()),
)

TARGET: Fields = (
    Field("type", "text", "The engine: the name of a file in `engines/`", "duckdb"),
    Field("path", "text", "The warehouse file, relative to the project", "warehouse.duckdb"),
    Field("schema", "text", "Schema of models without their own", "main"),
    Field("threads", "integer", "Steps that run at the same time", 1, least=1, most=1024),
    Field("publish", "block", "When to publish the file, and with which models", fields=PUBLISH),
    Field("settings", "map", "DuckDB settings, such as `memory_limit`", secret=True),
    Field("activate", "flag", "Whether activations run; default: only for the default target"),
)

PROJECT: Fields = (
    Field("name", "text", "The project's name; default: the name of its folder"),
    Field("version", "text", "The project's own version", ""),
    Field("model-paths", "texts", "Folders of models", ("models",)),
    Field("seed-paths", "texts", "Folders of seeds", ("seeds",)),
    Field("macro-paths", "texts", "Folders of macros", ("macros",)),
    Field("test-paths", "texts", "Folders of SQL files that return failing rows", ("tests",)),
    Field("allowed-paths", "texts", "Folders outside the project that may be read or written", ()),
    Field("vars", "map", "Values for `var()`"),
    Field("models", "tree", "Configuration of models, by folder", fields=MODEL_CONFIG),
    Field("seeds", "tree", "Configuration of seeds, by folder", fields=SEED_CONFIG),
    Field("snapshots", "tree", "Configuration of snapshots, by folder", fields=SNAPSHOT_CONFIG),
    Field("data_tests", "tree", "Configuration of checks", fields=CHECK_CONFIG),
    Field("targets", "named", "Warehouses, by name", fields=TARGET),
    Field("target", "text", "The default target"),
    Field(
        "removed_models",
        "choice",
        "What a build does with tables of models and seeds that were removed from the project",
        "keep",
        choices=("keep", "drop"),
    ),
)

PROPERTIES: Fields = (
    Field("version", "any", "dbt writes `2` here; not needed"),
    Field("models", "blocks", "Models", (), fields=MODEL),
    Field("seeds", "blocks", "Seeds", (), fields=SEED),
    Field("snapshots", "blocks", "Snapshots", (), fields=SNAPSHOT),
    Field("sources", "blocks", "Sources", (), fields=SOURCE),
    Field("activations", "blocks", "Activations", (), fields=ACTIVATION),
)


def walk(fields: Fields, path: str = "") -> Iterator[tuple[str, Field]]:
    """Every field with its dotted path; a block is followed by its own fields."""
    for spec in fields:
        dotted = f"{path}.{spec.name}" if path else spec.name
        yield dotted, spec
        yield from walk(spec.fields, dotted)
