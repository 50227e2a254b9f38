"""CSV files of the project."""

# ruff: noqa: ARG002 - a fixture may be wanted for what it does
from __future__ import annotations

import pytest
from dbt.tests.adapter.simple_seed import test_seed as suite
from dbt.tests.util import run_dbt

from tests.dbt_suite.taking import take

for _module, *_names in (
    ("test_seed", "BaseSeedConfigFullRefreshOff", "BaseSeedCustomSchema", "BaseSeedParsing"),
    ("test_seed", "BaseSeedWithUniqueDelimiter"),
    ("test_seed", "BaseSeedWithWrongDelimiter", "BaseSimpleSeedEnabledViaConfig"),
    ("test_seed", "BaseTestEmptySeed"),
    ("test_seed_type_override", "BaseSimpleSeedColumnOverride"),
):
    globals().update(take("simple_seed", _module, *_names))


class TestSeedWithEmptyDelimiter(suite.SeedUniqueDelimiterTestBase):
    """The suite looks for `compilation error`, dbt's heading of it."""

    @pytest.fixture(scope="class")
    def project_config_update(self):
        return {"seeds": {"quote_columns": False, "delimiter": ""}}

    def test_seed_with_empty_delimiter(self, project):
        seed_result = run_dbt(["seed"], expect_pass=False)
        assert "`delimiter` is empty" in seed_result.results[0].message


class ViewStays:
    """DuckDB's `drop … cascade` leaves the views that stand on a table."""

    def _check_relation_end_state(self, run_result, project, exists):
        super()._check_relation_end_state(run_result, project, exists=True)


class TestBasicSeedTests(ViewStays, suite.BaseBasicSeedTests):
    pass


class TestSeedConfigFullRefreshOn(ViewStays, suite.BaseSeedConfigFullRefreshOn):
    pass


class TestSimpleSeedWithBOM(suite.BaseSimpleSeedWithBOM):
    """The file with the mark lies beside the suite's own module."""

    @pytest.fixture(scope="class", autouse=True)
    def setUp(self, project):
        from pathlib import Path

        project.test_dir = str(Path(suite.__file__).parent)
        suite.BaseSimpleSeedWithBOM.setUp.__wrapped__(self, project)


class TestSeedSpecificFormats(suite.BaseSeedSpecificFormats):
    @pytest.fixture(scope="class")
    def test_data_dir(self, tmp_path_factory):
        return tmp_path_factory.mktemp("data") / "big"
