"""Configuration by folder as dbt reads it, and how its layers are merged."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transformer.project.dbt.words import ReadingNotes, as_mapping, texts

_UNITED = ("meta", "docs", "column_types", "persist_docs", "quoting", "grants")
_HOOKS = {"pre-hook": "pre_hook", "post-hook": "post_hook"}

# Configuration of dbt itself and of well-known adapters: a key that is close to one of these but
# not among them is most likely a typo.
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
# Options with an effect in dbt or dbt-duckdb, but none here.
_IDLE = """
as_of_datetime as_of_version fast glue_database glue_register iceberg_table
latest_version_pointer merge_returning_columns on_error partition_by partition_columns
partitioned_by save_mode sorted_by
"""
IDLE = frozenset(_IDLE.split())
KNOWN = frozenset(_WORDS.split()) | IDLE


def normalized_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration in normalized form: one spelling per key, hooks and tags as tuples."""
    normalized: dict[str, Any] = {}
    for key, value in config.items():
        name = _HOOKS.get(key, key)
        if name in _HOOKS.values():
            normalized[name] = (*normalized.get(name, ()), *_as_tuple(value))
        elif name == "tags":
            normalized[name] = texts(value)
        else:
            normalized[name] = value
    return normalized


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def merge_layers(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Layers of configuration merged, outer first: tags and hooks are appended, a few mappings
    are merged, everything else is replaced."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            if key == "tags":
                merged[key] = tuple(dict.fromkeys((*texts(below), *texts(value))))
            elif key in _HOOKS.values():
                merged[key] = (*_as_tuple(below), *_as_tuple(value))
            elif key in _UNITED and isinstance(below, Mapping) and isinstance(value, Mapping):
                merged[key] = {**below, **value}
            else:
                merged[key] = value
    return merged


def options(tree: Mapping[str, Any], fqn: Sequence[str]) -> dict[str, Any]:
    """A tree's configuration for the node at `fqn` (package, folders, name), outer levels first."""
    merged = merge_layers(_level(tree))
    level: Any = tree
    for part in fqn:
        level = level.get(part)
        if not isinstance(level, Mapping):
            break
        merged = merge_layers(merged, _level(level))
    return merged


def _level(level: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of one level: keys with `+`, and keys whose value is not a mapping."""
    config = {
        key.removeprefix("+").strip(): value
        for key, value in level.items()
        if key.startswith("+") or not isinstance(value, Mapping)
    }
    return normalized_config(config)


def tree_keys(tree: Mapping[str, Any]) -> Iterator[str]:
    """Every configuration key of a tree, at any level."""
    for key, value in tree.items():
        if key.startswith("+") or not isinstance(value, Mapping):
            yield key.removeprefix("+").strip()
        else:
            yield from tree_keys(value)


def watch_spelling(keys: Iterator[str] | Sequence[str], place: str, notes: ReadingNotes) -> None:
    """Notes keys that look like typos, and keys without effect here. Other unknown keys are taken
    to belong to other adapters."""
    for key in keys:
        name = key.replace("-", "_")
        if name in IDLE:
            notes.say(f"`{key}` in {place} has no effect here")
        if name in KNOWN or len(name) < 4:
            continue
        close = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.85)
        if close:
            notes.say(f"`{key}` in {place} is not a known option: did you mean `{close[0]}`?")


def with_top_level(entry: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The `config:` of an entry, merged with the top-level keys of older projects."""
    beside = {
        key: entry[key]
        for key in ("tags", "meta", "docs", "access", "group", "contract", "enabled")
        if entry.get(key) is not None
    }
    return merge_layers(normalized_config(beside), normalized_config(as_mapping(config)))
