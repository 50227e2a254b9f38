"""What may be written in YAML, as data: tables of `Field`, read by one reader.

The reader, the docs' reference and the test that every field is alive in the example
all read the same tables.
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
    "options",  # mapping whose `kind` says what else stands in it; read where that is known
    "any",  # whatever stands there
    "block",  # mapping with `fields`
    "blocks",  # list of such mappings
    "named",  # mapping of name -> such a mapping
    "checks",  # list of data checks
    "interval",  # {count: 12, period: hour} -> seconds
    "tree",  # configs by folder, keys with or without `+`
]


class Field(Struct, frozen=True):
    """One key of a YAML mapping: what it holds, what it is for, what it is when absent."""

    name: str
    kind: Kind
    doc: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    aliases: tuple[str, ...] = ()
    # Whether its value may hold a secret: it is used to connect, and enters no SQL and no name.
    secret: bool = False
    # The range of a number.
    least: float = -(2**53)
    most: float = 2**53


Fields = tuple[Field, ...]


class Vocabulary(Struct, frozen=True):
    """The open ends of the YAML: what each kind of source, target and check understands.

    The flows fill it from the folders `sources/` and `targets/` and from the check table,
    so that the reader knows every key and still imports none of them.
    """

    sources: Mapping[str, Fields] = field(default_factory=dict)
    targets: Mapping[str, Fields] = field(default_factory=dict)
    checks: Mapping[str, Fields] = field(default_factory=dict)


_TAGS = Field("tags", "texts", "Words to select by: `--select tag:nightly`", ())
_META = Field("meta", "map", "Anything you like; kept, never read by the tool")
_DESCRIPTION = Field(
    "description", "text", "What it is; becomes the comment on the table or column", ""
)
_ENABLED = Field("enabled", "flag", "`false` leaves it out, as if it were not written", True)
_CHECKS = Field(
    "data_tests", "checks", "Checks of the data (dbt's name for them)", (), aliases=("tests",)
)

CHECK_CONFIG: Fields = (
    Field("severity", "choice", "What a failure is", "error", choices=("error", "warn")),
    Field("where", "text", "Only rows that meet this SQL condition are checked"),
    Field("warn_if", "condition", "When the number of failures is a warning", "!= 0"),
    Field("error_if", "condition", "When the number of failures is an error", "!= 0"),
    Field("limit", "integer", "At most so many failing rows are counted and kept", least=0),
    Field(
        "store_failures",
        "flag",
        "Keep the failing rows as a table in the schema `_transform_failures`",
        False,
    ),
    _TAGS,
    _META,
    _ENABLED,
)

CONTRACT: Fields = (
    Field("enforced", "flag", "Declared columns and types must be what the query gives", False),
)

NODE_CONFIG: Fields = (
    _ENABLED,
    Field("schema", "text", "Schema of the relation; appended to the target's own schema"),
    Field("alias", "text", "Name of the relation, when it is not the node's name"),
    _TAGS,
    _META,
)

MODEL_CONFIG: Fields = (
    Field(
        "materialized",
        "choice",
        "How the model becomes a relation",
        "view",
        choices=("view", "table", "incremental", "ephemeral"),
    ),
    *NODE_CONFIG,
    Field("unique_key", "texts", "Columns that tell rows apart (incremental)", ()),
    Field(
        "incremental_strategy",
        "choice",
        "How new rows reach the table; without one: `delete+insert` with a key, else `append`",
        choices=("append", "delete+insert", "merge"),
    ),
    Field(
        "on_schema_change",
        "choice",
        "What an incremental model does when its columns changed",
        "ignore",
        choices=("ignore", "fail", "append_new_columns", "sync_all_columns"),
    ),
    Field(
        "full_refresh",
        "flag",
        "`false` guards the table against `--full-refresh`; `true` always rebuilds it",
    ),
    Field("contract", "block", "Hold the query to the declared columns", fields=CONTRACT),
)

SEED_CONFIG: Fields = (
    *NODE_CONFIG,
    Field("column_types", "map", "Types of columns, by name"),
    Field("delimiter", "text", "What stands between two values", ","),
)

SNAPSHOT_CONFIG: Fields = (
    *NODE_CONFIG,
    Field("unique_key", "texts", "Columns that identify a record", ()),
    Field(
        "strategy",
        "choice",
        "How a change is seen: a column that says when, or the values themselves",
        "timestamp",
        choices=("timestamp", "check"),
    ),
    Field("updated_at", "text", "The column that says when (strategy `timestamp`)"),
    Field("check_cols", "texts", "Columns to compare, or `all` (strategy `check`)", ()),
    Field(
        "hard_deletes",
        "choice",
        "What a record that vanished means",
        "ignore",
        choices=("ignore", "invalidate", "new_record"),
    ),
)

COLUMN: Fields = (
    Field("name", "text", "The column's name", required=True),
    _DESCRIPTION,
    Field("data_type", "text", "Its type; held to by a contract, and used when loading"),
    _CHECKS,
    _TAGS,
    _META,
)
_COLUMNS = Field("columns", "blocks", "What is known of the columns", (), fields=COLUMN)

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

# What every kind of source understands under `load:`; each kind adds its own keys.
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
    Field("cursor", "text", "Column that grows, so that only new rows are read (tables)"),
    Field(
        "max_quarantined",
        "share",
        "The share of its rows that may go to quarantine; above it nothing is landed and the table"
        " stays. Without it 20 % where the table is replaced, and no limit elsewhere",
    ),
    Field(
        "max_removed",
        "share",
        "The share of its rows that a table may lose when it is replaced; above it nothing is"
        " landed and the table stays. Without it there is no limit",
    ),
    Field(
        "on_schema_change",
        "choice",
        "New or wider columns: take them in, refuse the load, or quarantine the rows",
        "evolve",
        choices=("evolve", "freeze", "quarantine"),
    ),
)

SOURCE_TABLE: Fields = (
    Field("name", "text", "The table's name, as `source()` calls it", required=True),
    Field("identifier", "text", "Its name in the warehouse, when it is another"),
    _DESCRIPTION,
    _COLUMNS,
    _CHECKS,
    Field("loaded_at_field", "text", "Column or expression that says how old a row is"),
    Field("freshness", "block", "How old the newest row may be", fields=FRESHNESS),
    Field("load", "options", "How it is loaded; without it, someone else loads it"),
    _ENABLED,
    _TAGS,
    _META,
)

SOURCE: Fields = (
    Field("name", "text", "The silo's name", required=True),
    _DESCRIPTION,
    Field("schema", "text", "Schema of its tables; without one, the silo's name"),
    Field("loaded_at_field", "text", "The same for every table that has none of its own"),
    Field("freshness", "block", "The same for every table", fields=FRESHNESS),
    Field("load", "options", "What the tables' `load:` have in common"),
    Field("tables", "blocks", "The tables", (), fields=SOURCE_TABLE, required=True),
    _ENABLED,
    _TAGS,
    _META,
)

# `to:` holds `kind:` and what that kind of target understands.
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
        "Field at the target: column of the model; without it, all columns but those that loading "
        "adds (`_loaded_at`, `_batch`, `_source`)",
    ),
    Field("batch_size", "integer", "Rows sent at a time", 500, least=1),
    Field(
        "max_rejected",
        "share",
        "The share of its rows that a target may reject; above it the activation has failed",
        0.1,
    ),
    Field(
        "max_removed",
        "share",
        "The share of what was sent that a `mirror` may take away at a time; above it nothing is "
        "sent",
        0.5,
    ),
    Field("to", "options", "Where to: `kind:` and its options", required=True),
    _ENABLED,
    _TAGS,
    _META,
)

PUBLISH: Fields = (
    Field(
        "mode",
        "choice",
        "`gated`: an error keeps the old file; `always`: publish what was built; "
        "`in_place`: build in the file itself",
        "gated",
        choices=("gated", "always", "in_place"),
    ),
    Field("models", "texts", "Selectors of what the published file shows; without it, all", ()),
)

TARGET: Fields = (
    Field("type", "text", "The engine: the name of a file in `engines/`", "duckdb"),
    Field("path", "text", "The warehouse file, relative to the project", "warehouse.duckdb"),
    Field("schema", "text", "Schema of models without one of their own", "main"),
    Field("threads", "integer", "Steps that run at the same time", 1, least=1, most=1024),
    Field("publish", "block", "When and what the file shows", fields=PUBLISH),
    Field("settings", "map", "DuckDB settings, such as `memory_limit`", secret=True),
    Field("activate", "flag", "Run activations; without it, only the default target does"),
)

PROJECT: Fields = (
    Field("name", "text", "The project's name; without one, its folder's"),
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
    Field("targets", "named", "Warehouses to build, by name", fields=TARGET),
    Field("target", "text", "The target to build when none is named"),
    Field(
        "removed_models",
        "choice",
        "What a build does with the tables of models and seeds that are gone from the project",
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
    """Every field below, with its dotted path; a block's own fields after it."""
    for each in fields:
        here = f"{path}.{each.name}" if path else each.name
        yield here, each
        yield from walk(each.fields, here)
