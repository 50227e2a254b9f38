"""Data tests, unit tests, contracts."""

# ruff: noqa: ARG002 - a fixture may be wanted for what it does
from __future__ import annotations

import pytest
from dbt.tests.adapter.constraints import fixtures
from dbt.tests.adapter.constraints.test_constraints import (
    BaseConstraintQuotedColumn,
    BaseConstraintsRollback,
    BaseConstraintsRuntimeDdlEnforcement,
    BaseIncrementalConstraintsColumnsEqual,
    BaseIncrementalConstraintsRollback,
    BaseIncrementalConstraintsRuntimeDdlEnforcement,
    BaseModelConstraintsRuntimeEnforcement,
    BaseTableConstraintsColumnsEqual,
    BaseViewConstraintsColumnsEqual,
)
from dbt.tests.adapter.store_test_failures_tests import basic as failures
from dbt.tests.adapter.unit_testing.test_invalid_input import BaseUnitTestInvalidInput
from dbt.tests.adapter.unit_testing.test_types import BaseUnitTestingTypes
from dbt.tests.util import read_file, run_dbt, run_dbt_and_capture, write_file

from tests.dbt_suite.taking import take

for _folder, _module, *_names in (
    ("constraints", "test_constraints", "BaseTableContractSqlHeader"),
    ("constraints", "test_constraints", "BaseIncrementalContractSqlHeader"),
    ("constraints", "test_constraints", "BaseIncrementalForeignKeyConstraint"),
    ("store_test_failures_tests", "basic", "StoreTestFailuresAsGeneric"),
    ("store_test_failures_tests", "basic", "StoreTestFailuresAsInteractions"),
    ("store_test_failures_tests", "basic", "StoreTestFailuresAsProjectLevelEphemeral"),
    ("store_test_failures_tests", "basic", "StoreTestFailuresAsProjectLevelOff"),
    ("store_test_failures_tests", "basic", "StoreTestFailuresAsProjectLevelView"),
    ("store_test_failures_tests", "test_store_test_failures", "TestStoreTestFailures"),
    ("store_test_failures_tests", "test_store_test_failures", "TestStoreTestFailuresLimit"),
    ("unit_testing", "test_case_insensitivity", "BaseUnitTestCaseInsensivity"),
    (
        "unit_testing",
        "test_quoted_reserved_word_column_names",
        "BaseUnitTestQuotedReservedWordColumnNames",
    ),
    ("unit_testing", "test_types", "BaseUnitTestingVarcharFixtureNoTruncation"),
):
    globals().update(take(_folder, _module, *_names))


class TestStoreTestFailuresAsExceptions(failures.StoreTestFailuresAsExceptions):
    """The suite looks for dbt's sentences, here ours are looked for."""

    def test_tests_run_unsuccessfully_and_raise_appropriate_exception(self, project):
        results, log = run_dbt_and_capture(["test"], expect_pass=False)
        assert len(results) == 1
        assert "`error` is not a valid value of `store_failures_as`" in results[0].message
        assert "available: ephemeral, table, view" in log


class TestUnitTestInvalidInput(BaseUnitTestInvalidInput):
    """The suite looks for dbt's sentences, here ours are looked for."""

    def test_invalid_input(self, project):
        assert len(run_dbt(["run"])) == 2
        for name, said in (
            ("input", "`my_upstream_model` has no column `invalid_column_name`"),
            ("expect", "`my_model` has no column `invalid_column_name`"),
        ):
            words = ["test", "--select", f"test_name:test_invalid_{name}_column_name"]
            _, out = run_dbt_and_capture(words, expect_pass=False)
            assert said in out


class DuckdbTypes:
    @pytest.fixture
    def int_type(self):
        return "INT"

    @pytest.fixture
    def string_type(self):
        return "VARCHAR"

    @pytest.fixture
    def data_types(self, schema_int_type, int_type, string_type):
        moment = "2013-11-03 00:00:00-07"
        return [  # a value, its type in the contract, the type in the message
            ["1", schema_int_type, int_type],
            ["'1'", string_type, string_type],
            ["true", "bool", "BOOL"],
            [f"'{moment}'::timestamp", "TIMESTAMP", "TIMESTAMP"],
            [f"'{moment}'::timestamptz", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"],
            ["ARRAY['a','b','c']", "VARCHAR[]", "VARCHAR[]"],
            ["ARRAY[1,2,3]", "INTEGER[]", "INTEGER[]"],
            ["'1'::numeric", "numeric", "DECIMAL"],
            ['\'{"bar": "baz", "balance": 7.77, "active": false}\'::json', "json", "JSON"],
        ]


class OurWords(DuckdbTypes):
    """Where the suite looks for words of dbt's message, for ours."""

    def test__constraints_wrong_column_names(self, project):
        write_file(fixtures.model_schema_yml, "models", "constraints_schema.yml")
        _, log = run_dbt_and_capture(["run", "-s", "my_model_wrong_name"], expect_pass=False)
        for said in ("declares `id`", "returns `error`, which the contract does not declare"):
            assert said in log

    def test__constraints_wrong_column_data_types(
        self, project, schema_string_type, schema_int_type, data_types
    ):
        for value, declared, named in data_types:
            number = declared.upper() == schema_int_type.upper()
            wrong = schema_string_type if number else schema_int_type
            model = fixtures.my_model_data_type_sql.format(sql_value=value)
            write_file(model, "models", "my_model_data_type.sql")
            schema = fixtures.model_data_type_schema_yml.format(data_type=wrong)
            write_file(schema, "models", "constraints_schema.yml")
            _, log = run_dbt_and_capture(["run", "-s", "my_model_data_type"], expect_pass=False)
            assert "wrong_data_type_column_name" in log
            assert named.upper() in log.upper()


class InTheTable:
    """The suite compares the text of Postgres's statement; here the table itself is asked."""

    wanted = frozenset({"NOT NULL", "PRIMARY KEY", "CHECK", "UNIQUE", "FOREIGN KEY"})

    def _made(self, project):
        text = read_file("models", "constraints_schema.yml").format(schema=project.test_schema)
        write_file(text, "models", "constraints_schema.yml")
        assert run_dbt(["run", "-s", "+my_model"])
        found = project.run_sql(
            "select distinct constraint_type from duckdb_constraints()"
            f" where schema_name = '{project.test_schema}' and table_name = 'my_model'",
            fetch="all",
        )
        columns = project.run_sql(
            "select column_name from duckdb_columns() where table_name = 'my_model'"
            " order by column_index",
            fetch="all",
        )
        assert {row[0] for row in found} >= self.wanted
        return [row[0] for row in columns]


class NotNull:
    @pytest.fixture(scope="class")
    def expected_error_messages(self):
        return ["NOT NULL constraint failed"]


class TestTableConstraintsColumnsEqual(OurWords, BaseTableConstraintsColumnsEqual):
    pass


class TestViewConstraintsColumnsEqual(OurWords, BaseViewConstraintsColumnsEqual):
    pass


class TestIncrementalConstraintsColumnsEqual(OurWords, BaseIncrementalConstraintsColumnsEqual):
    pass


class TestConstraintsRuntimeDdlEnforcement(InTheTable, BaseConstraintsRuntimeDdlEnforcement):
    def test__constraints_ddl(self, project):
        assert self._made(project) == ["id", "color", "date_day"]


class TestConstraintsRollback(NotNull, DuckdbTypes, BaseConstraintsRollback):
    pass


class TestIncrementalConstraintsRuntimeDdlEnforcement(
    InTheTable, BaseIncrementalConstraintsRuntimeDdlEnforcement
):
    def test__constraints_ddl(self, project):
        assert self._made(project) == ["id", "color", "date_day"]


class TestIncrementalConstraintsRollback(NotNull, DuckdbTypes, BaseIncrementalConstraintsRollback):
    pass


class TestModelConstraintsRuntimeEnforcement(InTheTable, BaseModelConstraintsRuntimeEnforcement):
    def test__model_constraints_ddl(self, project):
        self._made(project)


class TestConstraintQuotedColumn(InTheTable, BaseConstraintQuotedColumn):
    wanted = frozenset({"NOT NULL", "CHECK"})

    def test__constraints_ddl(self, project):
        assert self._made(project) == ["id", "from", "date_day"]


class TestUnitTestingTypes(BaseUnitTestingTypes):
    @pytest.fixture
    def data_types(self):
        capitals = "{'Alberta':'Edmonton','Manitoba':'Winnipeg'}"
        return [  # a value in SQL, in YAML
            ["1", "1"],
            ["2.0", "2.0"],
            ["'12345'", "12345"],
            ["'string'", "string"],
            ["true", "true"],
            ["DATE '2020-01-02'", "2020-01-02"],
            ["TIMESTAMP '2013-11-03 00:00:00-0'", "2013-11-03 00:00:00-0"],
            ["'2013-11-03 00:00:00-0'::TIMESTAMPTZ", "2013-11-03 00:00:00-0"],
            [capitals, capitals],
            ["ARRAY['a','b','c']", "['a','b','c']"],
            ["ARRAY[1,2,3]", "[1, 2, 3]"],
        ]
