"""What every adapter must do."""

# ruff: noqa: ARG002 - a fixture may be wanted for what it does
from __future__ import annotations

import pytest
from dbt.tests.adapter.basic.expected_catalog import (
    base_expected_catalog,
    expected_references_catalog,
    no_stats,
)
from dbt.tests.adapter.basic.test_docs_generate import BaseDocsGenerate, BaseDocsGenReferences
from dbt.tests.adapter.basic.test_incremental import BaseIncrementalBadStrategy
from dbt.tests.util import run_dbt

from tests.dbt_suite.taking import take

TYPES = {
    "role": None,
    "id_type": "INTEGER",
    "text_type": "VARCHAR",
    "time_type": "TIMESTAMP",
    "view_type": "VIEW",
    "table_type": "BASE TABLE",
}
for _module, *_names in (
    ("test_adapter_methods", "BaseAdapterMethod"),
    ("test_base", "BaseSimpleMaterializations"),
    ("test_empty", "BaseEmpty"),
    ("test_ephemeral", "BaseEphemeral"),
    ("test_generic_tests", "BaseGenericTests"),
    ("test_incremental", "BaseIncremental", "BaseIncrementalNotSchemaChange"),
    ("test_singular_tests", "BaseSingularTests"),
    ("test_singular_tests_ephemeral", "BaseSingularTestsEphemeral"),
    ("test_snapshot_check_cols", "BaseSnapshotCheckCols"),
    ("test_snapshot_timestamp", "BaseSnapshotTimestamp"),
    ("test_table_materialization", "BaseTableMaterialization"),
    ("test_validate_connection", "BaseValidateConnection"),
):
    globals().update(take("basic", _module, *_names))


class TestIncrementalBadStrategy(BaseIncrementalBadStrategy):
    """The suite looks for dbt's sentence, here ours is looked for."""

    def test_incremental_invalid_strategy(self, project):
        assert len(run_dbt(["seed"])) == 2
        results = run_dbt(["run"], expect_pass=False)
        assert len(results.results) == 1
        assert (
            "there is no incremental strategy `bad_strategy`, and no macro"
            " `get_incremental_bad_strategy_sql`" in results.results[0].message
        )


class TestDocsGenerate(BaseDocsGenerate):
    @pytest.fixture(scope="class")
    def expected_catalog(self, project):
        return base_expected_catalog(project, model_stats=no_stats(), **TYPES)


class TestDocsGenReferences(BaseDocsGenReferences):
    @pytest.fixture(scope="class")
    def expected_catalog(self, project):
        return expected_references_catalog(
            project, model_stats=no_stats(), bigint_type="BIGINT", **TYPES
        )
