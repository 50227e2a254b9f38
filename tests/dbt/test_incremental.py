"""Incremental models of dbt projects: strategies, keys, and columns that change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.test_build import project, results, rows, run, said

SELECTED = """
    {{{{ config(materialized='incremental', unique_key='id', on_schema_change='{policy}') }}}}
    {{% if is_incremental() %}}
    select id, customer, 'x' as note from {{{{ ref('raw_orders') }}}} where id > 2
    {{% else %}}
    select id, customer, amount from {{{{ ref('raw_orders') }}}} where id <= 2
    {{% endif %}}
"""


def twice(tmp_path: Path, policy: str, *, ok: bool = True) -> Path:
    root = project(tmp_path, **{"models/grown.sql": SELECTED.format(policy=policy)})
    run(root, "build")
    run(root, "run", "grown", ok=ok)
    return root


def test_append_new_columns_adds_what_came_and_leaves_null_what_is_gone(tmp_path: Path) -> None:
    root = twice(tmp_path, "append_new_columns")
    assert rows(root, "select id, customer, amount, note from grown order by id") == [
        (1, "ann", 10, None),
        (2, "ann", 20, None),
        (3, "bob", None, "x"),
    ]


def test_sync_all_columns_drops_what_is_gone(tmp_path: Path) -> None:
    root = twice(tmp_path, "sync_all_columns")
    assert rows(root, "select * from grown order by id") == [
        (1, "ann", None),
        (2, "ann", None),
        (3, "bob", "x"),
    ]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("fail", "the columns of `grown` changed: +note, −amount"),
        ("ignore", "the query of `grown` no longer returns `amount`"),
    ],
)
def test_a_change_of_columns_that_is_not_allowed_fails_its_model_only(
    tmp_path: Path, policy: str, words: str
) -> None:
    root = project(tmp_path, **{"models/grown.sql": SELECTED.format(policy=policy)})
    run(root, "build")
    report = run(root, "run", ok=False)
    assert words in said(report)
    assert results(root)["model.shop.grown"] == "error"
    assert results(root)["model.shop.customers"] == "success"
    assert rows(root, "select count(*) from grown") == [(2,)]


@pytest.mark.parametrize("key", ["'nobody'", "['id', 'nobody']"])
def test_a_key_that_the_query_does_not_give_is_named(tmp_path: Path, key: str) -> None:
    model = "{{ config(materialized='incremental', unique_key=KEY) }} select 1 as id"
    root = project(tmp_path, **{"models/keyed.sql": model.replace("KEY", key)})
    run(root, "run", "keyed")  # the first time nothing is compared
    report = run(root, "run", "keyed", ok=False)
    assert "the query of `keyed` does not return `nobody`, which is its `unique_key`" in said(
        report
    )


def test_an_empty_key_is_none(tmp_path: Path) -> None:
    model = "{{ config(materialized='incremental', unique_key='') }} select 1 as id"
    root = project(tmp_path, **{"models/keyed.sql": model})
    run(root, "run", "keyed")
    run(root, "run", "keyed")
    assert rows(root, "select * from keyed") == [(1,), (1,)]


def test_an_unknown_strategy_is_refused_when_it_is_needed(tmp_path: Path) -> None:
    model = "{{ config(materialized='incremental', incremental_strategy='mrege') }} select 1 as id"
    root = project(tmp_path, **{"models/wrong.sql": model})
    run(root, "run", "wrong")  # the first time, as with dbt-duckdb, nobody asks
    report = run(root, "run", "wrong", ok=False)
    said_so = "there is no incremental strategy `mrege`, and no macro `get_incremental_mrege_sql`"
    assert said_so in said(report)
    assert "did you mean `merge`?" in said(report)


def test_a_project_has_strategies_of_its_own(tmp_path: Path) -> None:
    files = {
        "macros/only_new.sql": """
            {% macro get_incremental_only_new_sql(arg_dict) %}
              {% do return(insert_only_new(arg_dict)) %}
            {% endmacro %}
            {% macro insert_only_new(given) %}
              {% set names = given.dest_columns | map(attribute='quoted') | join(', ') %}
              insert into {{ given.target_relation }} ({{ names }})
              select {{ names }} from {{ given.temp_relation }}
              where {{ given.unique_key }} not in (
                select {{ given.unique_key }} from {{ given.target_relation }}
              )
            {% endmacro %}
        """,
        "models/first_seen.sql": """
            {{ config(materialized='incremental', incremental_strategy='only_new',
                      unique_key='id') }}
            select id, amount from {{ ref('raw_orders') }}
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    seed = root / "seeds" / "raw_orders.csv"
    seed.write_text(seed.read_text().replace(",20", ",99") + "4,dan,2024-01-04,40\n")
    run(root, "build")
    assert rows(root, "select * from first_seen order by id") == [
        (1, 10),
        (2, 20),
        (3, 30),
        (4, 40),
    ]


def test_a_mistake_in_a_strategy_of_the_project_names_its_macro(tmp_path: Path) -> None:
    files = {
        "macros/bad.sql": """
            {% macro get_incremental_merge_sql(arg_dict) %} insert into nowhere select 1
            {% endmacro %}
        """,
        "models/kept.sql": """
            {{ config(materialized='incremental', incremental_strategy='merge', unique_key='id') }}
            select 1 as id
        """,
    }
    root = project(tmp_path, **files)
    run(root, "run", "kept")
    report = run(root, "run", "kept", ok=False)
    assert "the macro `get_incremental_merge_sql` failed" in said(report)
    assert "nowhere" in said(report)
