"""A project under another name, or in a folder of another name, is the same project."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from tests.dbt.test_build import project, rows, run
from tests.projects import Bench, query, transform

FILES = {
    "models/web.yml": """
        sources:
          - name: web
            load: {kind: files, mode: append}
            tables: [{name: events, load: {path: data/*.csv}}]
    """,
    "models/counted.sql": """
        {{ config(materialized='incremental') }}
        select count(*) as n from web.events
    """,
    "models/other.sql": "{{ config(alias='called otherwise') }} select * from counted",
    "data/one.csv": "id\n1\n2\n",
}


def held(root: Path) -> tuple[int, int]:
    path = root / "warehouse.duckdb"
    ((events,),) = query(path, "select count(*) from web.events")
    ((made,),) = query(path, "select count(*) from counted")
    return events, made


def older(root: Path, name: str) -> None:
    """Makes the ledger one of the time before it noted the project's name."""
    with duckdb.connect(str(root / "warehouse.duckdb")) as con:
        con.execute("delete from _transform.meta where key = 'project'")
        for table, column in (("nodes", "id"), ("loads", "node"), ("nodes", "inputs")):
            con.execute(
                f"update _transform.{table} set {column} = regexp_replace({column},"
                f" '(source|model)\\.[^.]+\\.', '\\1.{name}.', 'g')"
            )


@pytest.mark.parametrize("name", ["folder", "with.dot", "it's 100% (\\1)", "übung"])
def test_nothing_is_landed_twice_when_the_folder_has_another_name(
    name: str, tmp_path: Path
) -> None:
    root = tmp_path / "first"
    Bench(root).write({**FILES, "transform.yml": ""})
    transform(root, "build")
    moved = root.rename(tmp_path / name)
    assert "load" not in transform(moved, "plan").stdout
    transform(moved, "build")
    assert held(moved) == (2, 1)
    Bench(moved).write({"transform.yml": "name: named\n", "data/two.csv": "id\n3\n"})
    transform(moved, "build")
    assert held(moved) == (3, 2)
    ids = {row[0] for row in query(moved / "warehouse.duckdb", "select id from _transform.nodes")}
    assert all(re.match(r"\w+\.named\.", each) for each in ids)


@pytest.mark.parametrize("name", ["before", "be-fore"])
def test_a_warehouse_built_before_names_were_noted_goes_on(name: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write({**FILES, "transform.yml": "name: now\n"})
    bench.build()
    older(tmp_path, name)
    assert not bench.build().plan.steps
    assert held(tmp_path) == (2, 1)
    bench.write({"data/two.csv": "id\n3\n"})
    bench.build()
    assert held(tmp_path) == (3, 2)


def test_a_warehouse_of_two_names_keeps_what_stands_under_the_present_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write({**FILES, "transform.yml": "name: now\n"})
    bench.build()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        con.execute("delete from _transform.meta where key = 'project'")
        con.execute(
            "insert into _transform.loads select replace(node, '.now.', '.old.'),"
            " * exclude (node) from _transform.loads"
        )
    bench.write({"data/two.csv": "id\n3\n"})
    bench.build()
    assert held(tmp_path) == (3, 2)


def test_a_dbt_project_may_be_renamed_and_shows_its_name(tmp_path: Path) -> None:
    text = "{{ config(materialized='incremental') }} select 1 as a"
    root = project(tmp_path, **{"models/kept.sql": text})
    run(root, "build", "kept")
    path = root / "dbt_project.yml"
    path.write_text(path.read_text().replace("name: shop", "name: store"))
    assert not run(root, "build", "kept").plan.steps
    assert rows(root, "select count(*) from kept") == [(1,)]
    ids = rows(root, "select id from _transform.nodes where id like 'model.%'")
    assert ("model.store.kept",) in ids
