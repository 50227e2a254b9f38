"""Models in Python, and the kinds of relations in the catalog."""

from __future__ import annotations

import re

import pytest
from dbt.tests.adapter.catalog.relation_types import CatalogRelationTypes
from dbt.tests.adapter.python_model import test_python_model as suite

from tests.dbt_suite.taking import without_zone

BASIC = """
import pandas as pd

def model(dbt, _):
    dbt.config(
        materialized='table',
    )
    pdf = pd.DataFrame()
    df =  dbt.ref("my_sql_model")
    df2 = dbt.ref("my_versioned_sql_model", v=1)
    df3 = dbt.ref("my_versioned_sql_model", version=1)
    df4 = dbt.ref("test", "my_versioned_sql_model", v=1)
    df5 = dbt.ref("test", "my_versioned_sql_model", version=1)
    df6 = dbt.source("test_source", "test_table")
    df = df.limit(2)
    return df.df()
"""
FRAME = """

def _frame(data, names):
    import pandas as pd

    return pd.DataFrame(data, columns=names)
"""
INCREMENTAL = """
def model(dbt, session):
    dbt.config(materialized="incremental", unique_key='id')
    df = dbt.ref("m_1")
    if dbt.is_incremental:
        df = df.filter("id > 5")
    return df
"""


class TestPythonModel(suite.BasePythonModelTests):
    @pytest.fixture(scope="class")
    def models(self):
        return {
            "schema.yml": suite.schema_yml,
            "my_sql_model.sql": suite.basic_sql,
            "my_versioned_sql_model_v1.sql": suite.basic_sql,
            "my_python_model.py": BASIC,
            "second_sql_model.sql": suite.second_sql,
        }


class TestPythonIncremental(suite.BasePythonIncrementalTests):
    @pytest.fixture(scope="class")
    def project_config_update(self):
        return {"models": {"+incremental_strategy": "delete+insert"}}

    @pytest.fixture(scope="class")
    def models(self):
        return {"m_1.sql": suite.m_1, "incremental.py": INCREMENTAL}


class TestCatalogRelationTypes(CatalogRelationTypes):
    @pytest.fixture(scope="class", autouse=True)
    def models(self):
        from dbt.tests.adapter.catalog import files

        return {"my_table.sql": files.MY_TABLE, "my_view.sql": files.MY_VIEW}

    @pytest.mark.parametrize(
        ("node_name", "relation_type"),
        [
            ("seed.test.my_seed", "BASE TABLE"),
            ("model.test.my_table", "BASE TABLE"),
            ("model.test.my_view", "VIEW"),
        ],
    )
    def test_relation_types_populate_correctly(self, docs, node_name, relation_type):
        super().test_relation_types_populate_correctly(docs, node_name, relation_type)


class TestPythonMetaGet(suite.BasePythonMetaGetTests):
    """A session of DuckDB has no `createDataFrame`, which is Spark's."""

    @pytest.fixture(scope="class")
    def models(self):
        given = suite.BasePythonMetaGetTests.models.__wrapped__(self)
        return {
            name: re.sub(r"session\.createDataFrame\(data, (\[.*?\])\)", r"_frame(data, \1)", text)
            + FRAME * name.endswith(".py")
            for name, text in given.items()
        }


class Zoneless:
    @pytest.fixture(scope="class")
    def input_model_sql(self):
        return without_zone(suite._input_model_sql)


class TestPythonEmpty(Zoneless, suite.BasePythonEmptyTests):
    pass


class TestPythonSample(Zoneless, suite.BasePythonSampleTests):
    pass
