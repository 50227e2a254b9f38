"""What every adapter must do."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.basic.expected_catalog import (
    base_expected_catalog,
    expected_references_catalog,
    no_stats,
)
from dbt.tests.adapter.basic.test_docs_generate import BaseDocsGenerate, BaseDocsGenReferences

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
    ("test_incremental", "BaseIncrementalBadStrategy"),
    ("test_singular_tests", "BaseSingularTests"),
    ("test_singular_tests_ephemeral", "BaseSingularTestsEphemeral"),
    ("test_snapshot_check_cols", "BaseSnapshotCheckCols"),
    ("test_snapshot_timestamp", "BaseSnapshotTimestamp"),
    ("test_table_materialization", "BaseTableMaterialization"),
    ("test_validate_connection", "BaseValidateConnection"),
):
    globals().update(take("basic", _module, *_names))


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
