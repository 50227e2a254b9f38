"""What a minimal build may not overlook in a dbt project: hooks, contracts, what queries call."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tests.dbt.test_build import project, rows, run

TABLE = "{{ config(materialized='table') }} "


def test_what_a_hook_reads_is_read(tmp_path: Path) -> None:
    hook = "insert into {{ this }} select b from {{ ref('p') }}"
    text = f"{{{{ config(materialized='table', post_hook=\"{hook}\") }}}} select a from ref_p"
    text = text.replace("ref_p", "{{ ref('p') }}")
    for value in (1, 2):
        made = {"models/m.sql": text, "models/p.sql": TABLE + f"select 0 as a, {value} as b"}
        root = project(tmp_path, **made)
        run(root, "build")
        assert rows(root, "select a from m order by a") == [(0,), (value,)]


def test_a_model_that_asks_the_warehouse_is_read_for_time_and_chance(tmp_path: Path) -> None:
    text = "select {{ run_query('select 7').columns[0][0] }} as a"
    for more, labels in ((", random() as r", ["m"]), ("", [])):
        root = project(tmp_path, **{"models/m.sql": TABLE + text + more})
        run(root, "build")
        assert [step.label for step in run(root, "build").plan] == labels


def test_where_hooks_run_nobody_is_told_of_raw_tables(tmp_path: Path) -> None:
    """They may write to these themselves."""
    hook = "pre_hook='update ext.orders set a = b'"
    files = {
        "models/_s.yml": "sources: [{name: ext, tables: [{name: orders}]}]\n",
        "models/z.sql": TABLE + "select a from {{ source('ext', 'orders') }}",
        "models/b.sql": TABLE + "select b from {{ source('ext', 'orders') }}",
    }
    root = project(tmp_path, **files)
    with duckdb.connect(str(root / "warehouse.duckdb")) as con:
        con.execute("create schema ext; create table ext.orders as select 1 as a, 1 as b")
    for value in (1, 2):
        config = f"{{{{ config(materialized='table', {hook}) }}}}"
        project(tmp_path, **{"models/first.sql": f"{config} select {value} as n"})
        with duckdb.connect(str(root / "warehouse.duckdb")) as con:
            con.execute("update ext.orders set b = ?", [value])
        run(root, "build")
        assert rows(root, "select a from z") == [(value,)]


CONTRACT = """
    models:
      - name: m
        config: {contract: {enforced: true}}
        columns:
          - {name: a, data_type: integer, constraints: [{type: not_null}]}
          - {name: b, data_type: integer, constraints: [{type: not_null}]}
"""


def test_the_columns_and_constraints_of_a_contract_are_part_of_the_model(tmp_path: Path) -> None:
    lines = CONTRACT.splitlines()
    turned = "\n".join([*lines[:-2], lines[-1], lines[-2]])
    loose = turned.replace(", constraints: [{type: not_null}]", "")
    for text, names in ((CONTRACT, ["a", "b"]), (turned, ["b", "a"]), (loose, ["b", "a"])):
        root = project(
            tmp_path, **{"models/m.sql": TABLE + "select 1 as a, 2 as b", "models/m.yml": text}
        )
        report = run(root, "build", "m")
        assert "m" in [step.label for step in report.plan]
        told = rows(root, "describe m")
        if text is not loose:
            assert [row[0] for row in told] == names


def test_a_table_function_lets_through_what_it_reads(tmp_path: Path) -> None:
    files = {
        "models/f.sql": "{{ config(materialized='table_function', parameters=['n']) }}"
        " select a, b from {{ ref('p') }} where c > n",
        "models/m.sql": TABLE + "select a from {{ ref('f') }}(0)",
    }
    ended = []
    for b, c in ((1, 1), (2, 1), (2, 0)):
        values = f"select 1 as a, {b} as b, {c} as c"
        root = project(tmp_path, **files, **{"models/p.sql": TABLE + values})
        report = run(root, "build", "p+")
        ended += [o.status for o in report.results.outcomes if o.label == "m"]
        assert not run(root, "build").plan.steps or b == 1
    assert ended == ["success", "skipped", "success"]
    assert rows(root, "from m") == []
