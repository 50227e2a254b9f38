"""Incremental models: keys of any name, dbt's keys and merges, and tables that keep old rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dbt.test_build import project, rows, run
from tests.projects import Bench, done, transform

NAMES = ["line id", "a.b", "a-b", 'say "so"', "order", "select", "größe", "a b-c.d", "(x)", "1st"]


@pytest.mark.parametrize("strategy", ["delete+insert", "merge"])
@pytest.mark.parametrize("name", NAMES)
def test_a_key_may_have_any_name(name: str, strategy: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    column = '"' + name.replace('"', '""') + '"'
    bench.write(
        {
            "transform.yml": "name: keys\nvars: {n: 0}\n",
            "models/kept.yml": f"""
                models:
                  - name: kept
                    config:
                      materialized: incremental
                      incremental_strategy: {strategy}
                      unique_key: {name!r}
            """,
            "models/kept.sql": (
                f"select k as {column}, 1 as a, 0 as b, 0 as x, {{{{ var('n') }}}} as v"
                " from range({{ 1 if is_incremental() else 3 }}) r(k)"
            ),
        }
    )
    for n in (0, 7):
        report = bench.build(vars={"n": n})
        assert done(report)["kept"] == "success", str(report.results.outcomes)
    assert bench.rows(f"select {column}, v from kept order by 1") == [(0, 7), (1, 0), (2, 0)]


DBT_KEYS = ["'\"a b\"'", "['\"a b\"', 'i']", "'i % 10'", "'i || \\'-\\''", "['i', '(i + 1)']"]


@pytest.mark.parametrize("key", DBT_KEYS)
def test_dbts_keys_may_be_sql(key: str, tmp_path: Path) -> None:
    config = f"materialized='incremental', incremental_strategy='delete+insert', unique_key={key}"
    query = 'select i, i as "a b", {{ var("n", 0) }} as v from range({{ var("m", 3) }}) r(i)'
    root = project(tmp_path, **{"models/kept.sql": f"{{{{ config({config}) }}}} {query}"})
    run(root, "build", "kept")
    run(root, "build", "kept", vars={"n": 5, "m": 1})
    assert rows(root, "select i, v from kept order by i") == [(0, 5), (1, 0), (2, 0)]


# Options of a merge, and what stands in the table after 1 → 5 met 1 → 2 and 3 → 9; as dbt-duckdb
# 1.11 makes it.
MERGES: list[tuple[str, list[tuple[int, int]]]] = [
    ("unique_key='id'", [(1, 2), (3, 9)]),
    ("unique_key='id', merge_update_condition='DBT_INTERNAL_SOURCE.v > 4'", [(1, 5), (3, 9)]),
    ("unique_key='id', merge_insert_condition='DBT_INTERNAL_SOURCE.v > 99'", [(1, 2)]),
    (
        (
            "unique_key='id', merge_update_set_expressions="
            "{'v': 'DBT_INTERNAL_DEST.v * 10 + DBT_INTERNAL_SOURCE.v'}"
        ),
        [(1, 52), (3, 9)],
    ),
    ("merge_on_using_columns=['id']", [(1, 2), (3, 9)]),
    ("unique_key='v', merge_on_using_columns=['id']", [(1, 2), (3, 9)]),
    ("unique_key='id', merge_exclude_columns=['v']", [(1, 5), (3, 9)]),
    (
        "unique_key='id', merge_clauses={'when_matched': [{'action': 'delete'}]}",
        [(3, 9)],
    ),
    (
        (
            "unique_key='id', merge_clauses={'when_matched': [{'action': 'do_nothing',"
            " 'condition': 'DBT_INTERNAL_SOURCE.v < 4'}, {'action': 'update', 'mode': 'by_name'}],"
            " 'when_not_matched': [{'action': 'insert', 'mode': 'explicit', 'insert':"
            " {'columns': ['id', 'v'], 'values': ['DBT_INTERNAL_SOURCE.id', '-1']}}]}"
        ),
        [(1, 5), (3, -1)],
    ),
    (
        "unique_key='id', merge_clauses={'when_not_matched': [{'action': 'do_nothing'}]}",
        [(1, 2)],
    ),
]


@pytest.mark.parametrize(("options", "expected"), MERGES, ids=[options for options, _ in MERGES])
def test_every_option_of_a_merge_takes_effect(
    options: str, expected: list[Any], tmp_path: Path
) -> None:
    config = f"materialized='incremental', incremental_strategy='merge', {options}"
    query = (
        "{% if is_incremental() %} select * from (values (1, 2), (3, 9)) t(id, v)"
        " {% else %} select 1 as id, 5 as v {% endif %}"
    )
    root = project(tmp_path, **{"models/kept.sql": f"{{{{ config({config}) }}}} {query}"})
    run(root, "build", "kept")
    run(root, "run", "kept")
    assert rows(root, "select id, v from kept order by id") == expected


WRONG = {
    "merge_clauses={'when_matched': []}": "must be a list of clauses",
    "merge_clauses={'when_matched': [{'action': 'upsert'}]}": "cannot `upsert`",
    "merge_clauses={'matched': [{'action': 'delete'}]}": "needs `when_matched`",
    "merge_clauses={'when_matched': [{'action': 'delete'}]}, merge_exclude_columns=['v']": (
        "cannot be combined"
    ),
    "merge_update_columns=['v'], merge_exclude_columns=['v']": "both set",
}


@pytest.mark.parametrize("options", WRONG)
def test_options_of_a_merge_that_do_not_go_together_fail(options: str, tmp_path: Path) -> None:
    config = f"materialized='incremental', incremental_strategy='merge', unique_key='v', {options}"
    text = f"{{{{ config({config}) }}}} select 1 as v"
    root = project(tmp_path, **{"models/kept.sql": text})
    run(root, "build", "kept")
    report = run(root, "run", "kept", ok=False)
    assert WRONG[options] in str([o.error for o in report.results.bad])


KEPT = {
    "transform.yml": "name: keeps\nvars: {upto: 2}\n",
    "models/numbers.sql": (
        "{{ config(materialized='table') }} select i from range({{ var('upto') }}) r(i)"
    ),
    "models/sums.sql": """
        {{ config(materialized='incremental', unique_key='i') }}
        select i, i * 10 as v from numbers
        {% if is_incremental() %} where i > (select max(i) from {{ this }}) {% endif %}
    """,
}


def test_a_changed_query_says_that_old_rows_stay_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(KEPT)
    bench.build()
    bench.write({"models/sums.sql": KEPT["models/sums.sql"].replace("* 10", "* 11")})
    assert "--select sums --full-refresh" in transform(tmp_path, "plan").stderr
    bench.build(vars={"upto": 3})
    (said,) = bench.notices
    assert said.startswith("`sums` was changed: existing rows of its table are")
    assert bench.rows("select v from sums order by i") == [(0,), (10,), (22,)]
    bench.build(vars={"upto": 4})
    assert len(bench.notices) == 1
    bench.build("sums", full_refresh=True)
    assert bench.rows("select v from sums order by i") == [(0,), (11,), (22,), (33,)]
    assert len(bench.notices) == 1


def test_comments_and_layout_are_no_change_of_a_query(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(KEPT)
    bench.build()
    bench.write(
        {"models/sums.sql": KEPT["models/sums.sql"].replace("select i,", "select  i, -- i\n")}
    )
    bench.build(vars={"upto": 3})
    assert not bench.notices


def test_a_column_that_a_query_no_longer_gives_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    appends = KEPT["models/sums.sql"].replace(
        "config(", "config(on_schema_change='append_new_columns', "
    )
    bench.write({**KEPT, "models/sums.sql": appends})
    bench.build()
    bench.write({"models/sums.sql": appends.replace("i * 10 as v", "1 as w")})
    bench.build(vars={"upto": 3})
    assert any("`v` of `sums` is no longer in its query" in said for said in bench.notices)
    assert bench.rows("select v, w from sums where i = 2") == [(None, 1)]
