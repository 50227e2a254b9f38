"""Why a class is left out, why a failure does not count, what a failure waits for."""

from __future__ import annotations

ANOTHER = "another engine's feature: "
TEXT = "dbt's own log text: "

# Classes that are not run at all.
EXCLUDED: dict[str, str] = {
    "materialized_view.*": f"{ANOTHER}DuckDB has no materialized views",
    "grants.*": f"{ANOTHER}DuckDB has no users and no grants",
    "catalog_integrations.*": f"{ANOTHER}Iceberg catalogs of Snowflake and BigQuery",
    "functions.*": "look into the events of dbt's process for a `create function` that DuckDB has"
    " not; dbt-duckdb fails all of them. Functions in SQL have tests of our own",
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
    "TestTypeFloat": "dbt-duckdb fails alike: a seed's number is DOUBLE, `type_float` is FLOAT",
    "TestTestEmptySeedFlag": "`seed --empty` is not in dbt 1.11: seeds are loaded whole",
    "TestIncrementalBadStrategy": "dbt-duckdb fails alike: the first run asks for no strategy",
    "TestSimpleSeedColumnOverride": "dbt-duckdb fails alike: the names of Postgres's types",
    "TestMetadataWithEmptyFlag::test_run[alter_column_type]": "dbt-duckdb fails alike",
    "TestCloneSameSourceAndTarget": f"{TEXT}`skipping clone for relation`; dbt-duckdb fails alike",
}

# What a failure waits for.
OPEN: dict[str, str] = {}

OURS = "the suite looks for dbt's sentence, here ours is looked for"
BEFORE = "the suite expects a failed result; here the mistake is found before anything runs"
IN_TABLE = "the suite compares the text of Postgres's `create table`; here the table is asked"

# Tests that do not look for what the suite's own look for.
WEAKER: dict[str, str] = {
    "every test that expects an exception": "a refusal of the command is of all of dbt's exception"
    " classes at once: one kind is not told from another",
    "TestIncrementalOnSchemaChange::test_run_incremental_fail_on_schema_change": OURS,
    "TestStoreTestFailuresAsExceptions": OURS,
    "TestUnitTestInvalidInput": OURS,
    "TestSeedWithEmptyDelimiter": OURS,
    "Test…ConstraintsColumnsEqual": OURS,
    "TestSnapshotInvalidColumnNames": f"{OURS}; dbt's two lines are then added to the log",
    "TestEphemeralErrorHandling": BEFORE,
    "TestCloneSameTargetAndState": BEFORE,
    "TestConstraintsRuntimeDdlEnforcement": IN_TABLE,
    "TestIncrementalConstraintsRuntimeDdlEnforcement": IN_TABLE,
    "TestModelConstraintsRuntimeEnforcement": IN_TABLE,
    "TestConstraintQuotedColumn": IN_TABLE,
    "TestEphemeralMulti, TestEphemeralNested": "the suite compares Postgres's statement; here the"
    " compiled query",
    "TestShowLimit": "rows are counted; that the limit stands in the compiled text"
    " is not looked at",
    "TestShowDoesNotHandleDoubleLimit": "a limit in the query is an error with dbt, a known fault;"
    " here the row is expected",
    "TestBasicSeedTests, TestSeedConfigFullRefreshOn": "a seed's full refresh may leave the views"
    " that stand on it",
    "TestPrePostModelHooks…": "hooks analyze where the suite's vacuum: DuckDB's `vacuum` takes no"
    " table; the target's words are DuckDB's",
}
