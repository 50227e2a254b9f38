"""Tests of dbt projects: where failing rows are kept, whose configuration counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.test_build import project, results, rows, run, said
from transformer.errors import Mistakes

KINDS = """
    select table_name, table_type from information_schema.tables
    where table_schema like '%dbt_test__audit' order by table_name
"""


def test_failing_rows_are_kept_as_a_table_a_view_or_not_at_all(tmp_path: Path) -> None:
    files = {
        f"tests/{name}.sql": f"{{{{ config({config}) }}}} select 1 as id"
        for name, config in {
            "as_table": "store_failures_as='table'",
            "as_view": "store_failures_as='view'",
            "as_plain": "store_failures=true",
            "as_none": "store_failures=true, store_failures_as='ephemeral'",
        }.items()
    }
    root = project(tmp_path, **files)
    run(root, "test", ok=False)
    assert rows(root, KINDS) == [
        ("as_plain", "BASE TABLE"),
        ("as_table", "BASE TABLE"),
        ("as_view", "VIEW"),
    ]


def test_what_was_kept_as_a_table_may_be_a_view_the_next_time(tmp_path: Path) -> None:
    text = "{{ config(store_failures_as='KIND') }} select 1 as id"
    for kind in ("table", "view", "table"):
        root = project(tmp_path, **{"tests/kept.sql": text.replace("KIND", kind)})
        run(root, "test", ok=False)
        assert rows(root, KINDS) == [("kept", {"table": "BASE TABLE", "view": "VIEW"}[kind])]


def test_a_way_of_keeping_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    files = {
        "tests/odd.sql": "{{ config(store_failures_as='veiw') }} select 1 as id",
        "tests/even.sql": "select 1 as id limit 0",
    }
    root = project(tmp_path, **files)
    report = run(root, "test", ok=False)
    assert "`veiw` is not a valid value of `store_failures_as`" in said(report)
    assert "tests/odd.sql:1:1" in said(report)
    assert "did you mean `view`?" in said(report)
    assert results(root) == {"test.shop.odd": "error", "test.shop.even": "pass"}


def test_a_test_of_an_ephemeral_model_reads_its_query(tmp_path: Path) -> None:
    files = {
        "models/passing.sql": "{{ config(materialized='ephemeral') }} select 1 as id",
        "tests/finds_it.sql": "with a as (select * from {{ ref('passing') }}) select * from a",
        "tests/finds_none.sql": "select * from {{ ref('passing') }} where id > 1",
    }
    root = project(tmp_path, **files)
    run(root, "test", ok=False)
    assert results(root)["test.shop.finds_it"] == "fail"
    assert results(root)["test.shop.finds_none"] == "pass"


def test_a_test_that_stands_on_a_wrong_ephemeral_model_adds_no_mistake(tmp_path: Path) -> None:
    files = {
        "models/wrong.sql": "{{ config(materialized='ephemeral') }} {{ adapter.nothing() }} select",
        "models/reads.sql": "select * from {{ ref('wrong') }}",
    }
    root = project(tmp_path, **files)
    with pytest.raises(Mistakes) as caught:
        run(root, "run")
    assert [error.what for error in caught.value.errors] == ["the adapter has no `nothing`"]


def test_the_projects_tree_beats_what_a_test_of_a_package_says(tmp_path: Path) -> None:
    settings = """
        name: shop
        version: "1.0"
        profile: shop
        data_tests: {lent: {+severity: warn}}
    """
    files = {
        "dbt_project.yml": settings,
        "packages.yml": "packages: [{local: lent}]",
        "lent/dbt_project.yml": 'name: lent\nversion: "1.0"\n',
        "lent/tests/strict.sql": "{{ config(severity='error') }} select 1 as id",
        "dbt_packages/lent/dbt_project.yml": 'name: lent\nversion: "1.0"\n',
        "dbt_packages/lent/tests/strict.sql": "{{ config(severity='error') }} select 1 as id",
    }
    root = project(tmp_path, **files)
    run(root, "test")
    assert results(root)["test.lent.strict"] == "warn"


SEEN = """
    models:
      - name: customers
        config: {persist_docs: {relation: true, columns: true}}
        columns:
          - {name: customer, description: who}
          - {name: CUSTOMER, description: shouted, quote: true}
          - {name: nobody, description: not there}
"""


def test_described_columns_that_are_not_there_are_told_of(tmp_path: Path) -> None:
    from transformer.flows.build import build
    from transformer.request import BuildOptions, Environment, Request

    root = project(tmp_path, **{"models/marts/schema.yml": SEEN})
    heard: list[str] = []
    report = build(
        Request(root),
        BuildOptions(),
        Environment({"HOME": str(root)}),
        lambda event: heard.append(event.label),
    )
    assert report.ok, said(report)
    words = (
        "`customers`: The following columns are specified in the schema but are not present in the"
        " database: CUSTOMER, nobody"
    )
    assert words in heard
    comment = "select comment from duckdb_columns() where table_name = 'customers' order by all"
    assert ("who",) in rows(root, comment)


@pytest.mark.parametrize("files", [
    {"dbt_project.yml": """
        name: shop
        version: "1.0"
        profile: shop
        seeds: {+post-hook: "select * from {{ ref('customers') }}"}
    """},
])  # fmt: skip
def test_a_seeds_hook_that_refers_to_a_model_is_refused(
    tmp_path: Path, files: dict[str, str]
) -> None:
    root = project(tmp_path, **files)
    with pytest.raises(Mistakes) as caught:
        run(root, "seed")
    (error,) = caught.value.errors
    assert error.what.startswith("Seeds cannot depend on other nodes")


def test_what_a_snapshots_hook_refers_to_is_made_before_it(tmp_path: Path) -> None:
    files = {
        "snapshots/orders.yml": """
            snapshots:
              - name: kept
                relation: ref('raw_orders')
                config:
                  strategy: check
                  check_cols: all
                  unique_key: id
                  pre_hook: "create table seen as select count(*) as n from {{ ref('customers') }}"
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "select n from seen") == [(1,)]


def test_a_hook_under_two_spellings_is_refused(tmp_path: Path) -> None:
    model = """{{ config(**{'pre-hook': 'select 1', 'pre_hook': 'select 2'}) }} select 1 as id"""
    root = project(tmp_path, **{"models/twice.sql": model})
    with pytest.raises(Mistakes) as caught:
        run(root, "run")
    (error,) = caught.value.errors
    assert error.what == "`pre_hook` and `pre-hook` are both set: they are the same option"


WHERE = """
    {% macro get_where_subquery(relation) %}
      {% set text = config.get('where', '') | replace('__lately__', "day >= '2024-01-03'") %}
      {{ return('(select * from ' ~ relation ~ ' where ' ~ text ~ ')' if text else relation) }}
    {% endmacro %}
"""
CHECKED = """
    models:
      - name: stg_orders
        columns:
          - name: customer
            data_tests: [{accepted_values: {values: [VALUE], config: {where: "__lately__"}}}]
"""


@pytest.mark.parametrize("form", ["", "default__", "duckdb__"])
@pytest.mark.parametrize(("value", "ends"), [("bob", "pass"), ("ann", "fail")])
def test_the_rows_that_a_test_reads_are_those_that_the_project_s_macro_says(
    tmp_path: Path, form: str, value: str, ends: str
) -> None:
    macro = WHERE.replace("get_where", f"{form}get_where")
    files = {"macros/w.sql": macro, "models/s.yml": CHECKED.replace("VALUE", value)}
    root = project(tmp_path, **files)
    run(root, "build", ok=ends == "pass")
    assert [s for i, s in results(root).items() if i.startswith("test.")] == [ends]


def test_the_macro_of_a_test_reads_the_test_s_configuration(tmp_path: Path) -> None:
    files = {
        "macros/kinds.sql": """
            {% test as_told(model, column_name) %}
              select '{{ config.get('severity') }} {{ config.get('meta').why }}' as told
              where '{{ config.get('severity') }} {{ config.get('meta').why }}' <> 'warn checked'
            {% endtest %}
        """,
        "models/s.yml": """
            models:
              - name: stg_orders
                columns:
                  - name: id
                    data_tests:
                      - as_told: {config: {severity: warn, meta: {why: checked}, where: "id > 0"}}
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert [s for i, s in results(root).items() if i.startswith("test.")] == ["pass"]
