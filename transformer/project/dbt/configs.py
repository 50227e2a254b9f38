"""Configuration by folder as dbt reads it, and how two layers of it become one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transformer.project.dbt.words import ReadingNotes, mapping, texts

_UNITED = ("meta", "docs", "column_types", "persist_docs", "quoting", "grants")
_HOOKS = {"pre-hook": "pre_hook", "post-hook": "post_hook"}

# Configuration that dbt itself or a well-known adapter understands: what is near one of these
# and none of them is most likely misspelt.
_WORDS = """
access alias batch_size begin bind_params catalog check_cols cluster_by column_types columns
concurrent_batches constraints contract copy_grants csv_read_options database dataset
dbt_valid_to_current delimiter description dist docs enabled engine error_if event_time
external_location fail_calc file_format format freshness full_refresh grants group hard_deletes
hours_to_expiration identifier include_full_name_in_path incremental_predicates
incremental_strategy indexes intermediate_format invalidate_hard_deletes json_read_options
kms_key_name labels limit loaded_at_field loaded_at_query location location_root lookback
matched_condition materialized maturity merge_clauses merge_exclude_columns merge_insert_condition
merge_on_using_columns merge_update_columns merge_update_condition merge_update_set_expressions
meta name node_color on_configuration_change on_schema_change options order_by overwrite owner
packages parquet_compression parquet_read_options partition_expiration_days partitioned_by
partitions persist_docs plugin policy_tags post_hook pre_hook predicates primary_key private
project properties query_tag quote_columns quoting relation require_partition_filter schema
settings severity show snapshot_meta_column_names snowflake_warehouse sort sort_type sorted_by
sql_header static_analysis store_failures store_failures_as strategy submission_method sync
table_properties table_type tags target_database target_schema tblproperties
time_ingestion_partitioning timeout transient ttl type unique_key unique_tmp_table_suffix unlogged
updated_at updates_on url version warn_if where
"""
# What dbt or dbt-duckdb would do something for, and nothing here does.
_IDLE = """
as_of_datetime as_of_version fast glue_database glue_register iceberg_table
latest_version_pointer merge_returning_columns on_error partition_by partition_columns
partitioned_by save_mode sorted_by
"""
IDLE = frozenset(_IDLE.split())
KNOWN = frozenset(_WORDS.split()) | IDLE


def cleaned(config: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration under its one spelling: hooks as lists, tags as a tuple."""
    made: dict[str, Any] = {}
    for key, value in config.items():
        name = _HOOKS.get(key, key)
        if name in _HOOKS.values():
            made[name] = (*made.get(name, ()), *_hooks(value))
        elif name == "tags":
            made[name] = texts(value)
        else:
            made[name] = value
    return made


def _hooks(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def united(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Layers of configuration, outer first: tags and hooks add up, a few mappings are united,
    all else is replaced."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            lower = merged.get(key)
            if key == "tags":
                merged[key] = tuple(dict.fromkeys((*texts(lower), *texts(value))))
            elif key in _HOOKS.values():
                merged[key] = (*_hooks(lower), *_hooks(value))
            elif key in _UNITED and isinstance(lower, Mapping) and isinstance(value, Mapping):
                merged[key] = {**lower, **value}
            else:
                merged[key] = value
    return merged


def options(tree: Mapping[str, Any], fqn: Sequence[str]) -> dict[str, Any]:
    """What a tree says of the node at `fqn` – package, folders, name – outer levels first."""
    merged = united(_level(tree))
    level: Any = tree
    for part in fqn:
        level = level.get(part)
        if not isinstance(level, Mapping):
            break
        merged = united(merged, _level(level))
    return merged


def _level(level: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of one level: keys with `+`, and those that hold no mapping."""
    found = {
        key.removeprefix("+").strip(): value
        for key, value in level.items()
        if key.startswith("+") or not isinstance(value, Mapping)
    }
    return cleaned(found)


def tree_keys(tree: Mapping[str, Any]) -> Iterator[str]:
    """Every configuration key of a tree, at any level."""
    for key, value in tree.items():
        if key.startswith("+") or not isinstance(value, Mapping):
            yield key.removeprefix("+").strip()
        else:
            yield from tree_keys(value)


def watch_spelling(keys: Iterator[str] | Sequence[str], place: str, notes: ReadingNotes) -> None:
    """Says which keys look like a known one and are none, and which have no effect here; others
    belong to other adapters."""
    for key in keys:
        name = key.replace("-", "_")
        if name in IDLE:
            notes.say(f"`{key}` in {place} has no effect here")
        if name in KNOWN or len(name) < 4:
            continue
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.85)
        if near:
            notes.say(f"`{key}` in {place} means nothing: did you mean `{near[0]}`?")


def with_top_level(entry: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The `config:` of an entry with what older projects write beside it."""
    beside = {
        key: entry[key]
        for key in ("tags", "meta", "docs", "access", "group", "contract", "enabled")
        if entry.get(key) is not None
    }
    return united(cleaned(beside), cleaned(mapping(config)))
