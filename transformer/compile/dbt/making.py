"""Macros with which dbt creates relations, and which the tool itself does not call.

A project may override them. Templates and custom materializations use the overrides, but relations
created by the tool are not affected, which the user is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from transformer.compile.jinja.macros import BUILT_IN, Macro, MacroLibrary

_PREFIXES = ("", "default__", "duckdb__")
_MACRO_NAMES = """
alter_column_comment alter_column_type alter_relation_add_remove_columns alter_relation_comment
apply_grants assert_columns_equivalent build_snapshot_staging_table build_snapshot_table
call_dcl_statements can_clone_table check_for_schema_changes check_time_data_types collect_freshness
collect_freshness_custom_sql create_columns create_csv_table create_indexes create_or_replace_clone
create_schema create_table_as create_view_as drop_relation drop_relation_if_exists drop_schema
drop_table drop_view format_row get_assert_columns_equivalent get_batch_size get_catalog
get_catalog_relations get_create_backup_sql get_create_index_sql get_create_intermediate_sql
get_create_sql get_create_table_as_sql get_create_view_as_sql get_csv_sql get_dbt_valid_to_current
get_dcl_statement_list get_drop_backup_sql get_drop_sql get_empty_schema_sql get_empty_subquery_sql
get_expected_sql get_fixture_sql get_limit_sql get_limit_subquery_sql get_rename_intermediate_sql
get_rename_sql get_rename_table_sql get_rename_view_sql get_replace_sql get_replace_table_sql
get_replace_view_sql get_seed_column_quoted_csv get_select_subquery get_show_grant_sql
get_snapshot_get_time_data_type get_snapshot_table_column_names get_table_columns_and_constraints
get_test_sql get_unit_test_sql get_updated_at_column_data_type incremental_validate_on_schema_change
list_relations_without_caching list_schemas load_csv_rows make_backup_relation
make_intermediate_relation make_temp_relation persist_docs post_snapshot process_schema_changes
py_write_table rename_relation render_write_options reset_csv_table run_hooks should_full_refresh
should_revoke should_store_failures snapshot_get_time snapshot_hash_arguments snapshot_merge_sql
snapshot_staging_table snapshot_check_strategy snapshot_timestamp_strategy strategy_dispatch
store_relation sync_column_schemas table_columns_and_constraints truncate_relation validate_sql
write_to_file
"""
DBT_MACROS = frozenset(f"{form}{name}" for form in _PREFIXES for name in _MACRO_NAMES.split())
# Materializations of other resources than models: the tool implements them itself.
_STEPS = ("seed", "snapshot", "test", "unit", "clone")


def ineffective_macros(library: MacroLibrary) -> Iterator[str]:
    """Notices for the project's macros that override such macros without effect."""
    search_order = ("", *library.dispatch.get(BUILT_IN, ()))
    packages = dict.fromkeys(package for package in search_order if package != BUILT_IN)
    for package in packages:
        macros = library.packages.get("" if package == library.root else package, {})
        for name in sorted(DBT_MACROS & macros.keys()):
            yield _notice(
                macros[name],
                f"`{name}`",
                "the tool does not call it when it creates relations itself",
            )
    for name, macro in sorted(library.macros.items()):
        kind = next((k for k in _STEPS if name.startswith(f"materialization_{k}_")), "")
        if kind:
            yield _notice(macro, f"materialization `{kind}`", "it has no effect")


def _notice(macro: Macro, what: str, consequence: str) -> str:
    return f"{macro.path}:{macro.line} overrides dbt's {what}: {consequence}"
