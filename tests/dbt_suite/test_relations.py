"""Names, places and kinds of relations."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.simple_copy.test_copy_uppercase import BaseSimpleCopyUppercase
from dbt.tests.adapter.simple_copy.test_simple_copy import SimpleCopyBase

from tests.dbt_suite.taking import take

for _folder, _module, *_names in (
    ("aliases", "test_aliases", "BaseAliases", "BaseAliasErrors"),
    ("aliases", "test_aliases", "BaseSameAliasDifferentSchemas"),
    ("aliases", "test_aliases", "BaseSameAliasDifferentDatabases"),
    ("concurrency", "test_concurrency", "BaseConcurrency"),
    ("relations", "test_changing_relation_type", "BaseChangeRelationTypeValidator"),
    ("relations", "test_dropping_schema_named", "BaseDropSchemaNamed"),
    ("simple_copy", "test_simple_copy", "EmptyModelsArentRunBase"),
):
    globals().update(take(_folder, _module, *_names))


class TestSimpleCopy(SimpleCopyBase):
    test_simple_copy_with_materialized_views = None  # DuckDB has none


class TestSimpleCopyUppercase(BaseSimpleCopyUppercase):
    @pytest.fixture(scope="class")
    def dbt_profile_target(self, tmp_path_factory):
        path = tmp_path_factory.mktemp("dbs") / "dbtMixedCase.duckdb"
        return {"type": "duckdb", "threads": 4, "path": str(path)}
