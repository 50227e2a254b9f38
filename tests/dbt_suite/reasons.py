"""Why a class is left out, why a failure does not count, what a failure waits for."""

from __future__ import annotations

ANOTHER = "another engine's feature: "
TEXT = "dbt's own log text: "

# Classes that are not run at all.
EXCLUDED: dict[str, str] = {
    "materialized_view.*": f"{ANOTHER}DuckDB has no materialized views",
    "grants.*": f"{ANOTHER}DuckDB has no users and no grants",
    "catalog_integrations.*": f"{ANOTHER}Iceberg catalogs of Snowflake and BigQuery",
    "functions.*": f"{ANOTHER}functions in JavaScript and Python; dbt-duckdb has none of them",
    "python_model.test_spark.*": f"{ANOTHER}Spark",
    "column_types.BasePostgresColumnTypes": f"{ANOTHER}the list of Postgres's types",
    "caching.*": "looks into the memory of dbt's process: the cache of its adapter object",
    "utils.BaseValidateSqlMethod": "calls the Python adapter object itself; no command is run",
    "utils.BaseCalculateFreshnessMethod": "calls the Python adapter object; no command is run",
    "basic.BaseGetCatalogForSingleRelation": "calls the Python adapter object; dbt-duckdb has not"
    " the method",
    "dbt_clone.BaseClonePossible": f"{ANOTHER}zero-copy clones",
    "dbt_debug.*": f"{TEXT}lines of `dbt debug`",
    "relations.SimpleCopyBase.test_simple_copy_with_materialized_views": f"{ANOTHER}see above",
}

# Tests that are run, and do not count: (start of the name, reason).
NOT_OURS: dict[str, str] = {
    "TestQueryComments": f"{TEXT}SQL in `--log-format=json`",
    "TestMacroQueryComments": f"{TEXT}SQL in `--log-format=json`",
    "TestMacroArgsQueryComments": f"{TEXT}SQL in `--log-format=json`",
    "TestMacroInvalidQueryComments": f"{TEXT}the comment of a query that is only logged",
    "TestNullQueryComments": f"{TEXT}SQL in `--log-format=json`",
    "TestEmptyQueryComments": f"{TEXT}SQL in `--log-format=json`",
    "TestTypeFloat": "dbt-duckdb fails alike: a seed's number is DOUBLE, `type_float` is FLOAT",
    "TestTestEmptySeedFlag": "`dbt seed --empty` is not in dbt 1.11",
    "TestSimpleSeedColumnOverride": "dbt-duckdb fails alike: the names of Postgres's types",
    "TestMetadataWithEmptyFlag::test_run[alter_column_type]": "dbt-duckdb fails alike",
    "TestCloneSameSourceAndTarget": f"{TEXT}`skipping clone for relation`; dbt-duckdb fails alike",
}

# What a failure waits for.
OPEN: dict[str, str] = {
    "TestPrePostModelHooksOnSeeds": "hooks of seeds are not run",
    "TestHooksRefsOnSeeds": "hooks of seeds are not read: a `ref` in one is not refused",
    "TestPrePostModelHooksOnSnapshots": "hooks of snapshots are not run",
    "TestPrePostSnapshotHooksInConfigKwargs": "hooks of snapshots are not run",
    "TestDuplicateHooksInConfigs": "`pre_hook` beside `pre-hook` is not refused",
    "TestIncrementalOnSchemaChange": "columns the query no longer gives are still inserted",
    "TestIncrementalUniqueKey": "a key that is no column, an empty key",
    "TestIncrementalBadStrategy": "an unknown incremental strategy is not refused",
    "TestSampleMode": "`--sample` does not narrow",
    "TestShowLimit": "`show --inline` does not put ephemeral models in",
    "TestShowSqlHeader": "`show` does not run `sql_header`",
    "TestShowDoesNotHandleDoubleLimit": "`show --limit` with a limit in the query is not refused",
    "TestClone": "`clone` leaves no results; `--state target` is not refused",
    "TestUnitTestInvalidInput": "`test_name:` does not find unit tests",
    "TestStoreTestFailuresAsExceptions": "an unknown `store_failures_as` is not refused",
    "TestPersistDocs": "columns that are described and not there are not warned of",
    "TestEphemeralErrorHandling": "what reads a wrong ephemeral model is `error`, not `skipped`",
}
