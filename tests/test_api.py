"""The Python API: as the command does it, several projects in one process, nothing process-wide."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

import transformer
from tests.projects import contents, query, transform, write
from transformer import Project
from transformer.errors import Mistakes, UsageError
from transformer.request import BuildOptions, Event

NATIVE = {
    "transform.yml": "name: shop\ntargets: {dev: {path: warehouse.duckdb}}\n",
    "models/raw.yml": """
        sources:
          - name: raw
            tables: [{name: orders, load: {kind: files, path: "data/*.csv"}}]
        models:
          - {name: orders, columns: [{name: id, data_tests: [unique]}]}
        """,
    "models/orders.sql": "select id, {{ var('factor', 1) }} * amount as amount from raw.orders",
    "models/listed.sql": "select count(*) as n from read_csv('lists/*.csv')",
    "data/1.csv": "id,amount\n1,10\n2,20\n",
    "lists/a.csv": "x\n1\n2\n3\n",
}
DBT = {
    "dbt_project.yml": "{name: shop, version: '1', profile: shop}",
    "profiles.yml": "shop: {target: dev, outputs: {dev: {type: duckdb, path: w.duckdb}}}",
    "models/a.sql": "{{ config(materialized='table') }} select '{{ env_var(\"WHO\") }}' as who",
    "models/listed.sql": "{{ config(materialized='table') }} select count(*) n from 'lists/*.csv'",
    "lists/a.csv": "x\n1\n2\n",
}


@pytest.fixture
def native(tmp_path: Path) -> Path:
    return write(tmp_path / "native", NATIVE)


def test_a_build_is_that_of_the_command(native: Path, tmp_path: Path) -> None:
    report = Project(native, env={}).build()
    assert report.ok
    assert report.published
    assert next(outcome.label for outcome in report.results.outcomes) == "raw.orders"
    other = write(tmp_path / "other", NATIVE)
    transform(other, "build")
    assert contents(native / "warehouse.duckdb") == contents(other / "warehouse.duckdb")


def test_files_in_sql_are_the_projects_wherever_the_process_runs(native: Path) -> None:
    assert Path.cwd() != native
    project = Project(native, env={})
    project.build()
    assert query(native / "warehouse.duckdb", "from listed") == [(3,)]
    assert not Project(native, env={}).build().results.outcomes
    write(native, {"lists/b.csv": "x\n4\n"})
    assert [o.label for o in project.build().results.outcomes] == ["listed"]
    assert project.show("listed").rows == [(4,)]


def test_two_projects_are_built_at_once_in_one_process(native: Path, tmp_path: Path) -> None:
    folder, environment = Path.cwd(), dict(os.environ)
    roots = [native, *(write(tmp_path / f"dbt{n}", DBT) for n in range(3))]
    projects = [Project(root, env={"WHO": root.name}) for root in roots]
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda project: project.build(), projects))
    assert all(report.ok for report in reports)
    for root in roots[1:]:
        assert query(root / "w.duckdb", "from a") == [(root.name,)]
        assert query(root / "w.duckdb", "from listed") == [(2,)]
    assert (Path.cwd(), dict(os.environ)) == (folder, environment)


def test_nothing_to_do_is_known_from_files(native: Path) -> None:
    project = Project(native, env={})
    project.build()
    heard: list[Event] = []
    idle = Project(native, env={}, on_event=heard.append).build()
    assert idle.ok
    assert not idle.plan.steps
    assert not heard
    assert {skip.label for skip in idle.plan.skips} >= {"orders", "raw.orders", "listed"}


def test_events_come_as_steps_end(native: Path) -> None:
    heard: list[Event] = []
    Project(native, env={}, on_event=heard.append).build("orders+", "source:raw.orders")
    ended = [event.outcome.label for event in heard if event.outcome]
    assert ended == ["raw.orders", "orders"]


def test_parts_of_a_build(native: Path) -> None:
    project = Project(native, env={}, variables={"factor": 2})
    assert [o.action for o in project.run("load").results.outcomes] == ["load"]
    assert [o.label for o in project.run("run", "orders").results.outcomes] == ["orders"]
    assert project.show("orders", limit=None).rows == [(1, 20), (2, 40)]
    assert project.run("test").ok
    with pytest.raises(ValueError, match="`deploy` is not one of run, load"):
        project.run("deploy")


def test_a_failure_is_in_the_report(native: Path) -> None:
    write(native, {"data/2.csv": "id,amount\n1,30\n"})
    report = Project(native, env={}).build(options=BuildOptions(fail_fast=True))
    assert not report.ok
    assert report.published is None
    assert {outcome.status for outcome in report.results.bad} == {"fail"}


def test_mistakes_are_raised(native: Path) -> None:
    write(native, {"models/bad.sql": "select nothing from raw.orders"})
    with pytest.raises(Mistakes, match="nothing"):
        Project(native, env={}).plan()
    with pytest.raises(UsageError):
        Project(native / "models", env={}).build()


def test_plan_and_ls_change_nothing(native: Path) -> None:
    project = Project(native, env={})
    assert [step.label for step in project.plan("orders").steps] == ["orders"]
    ids = [resource.id for resource in project.ls()]
    assert ids.index("source.shop.raw.orders") < ids.index("model.shop.orders")
    assert not (native / "warehouse.duckdb").exists()


def test_the_clock_is_the_callers(native: Path) -> None:
    write(native, {"models/now.sql": "select '{{ run_started_at }}' as at"})
    moment = datetime(2001, 2, 3, 4, 5, tzinfo=UTC)
    Project(native, env={}, clock=lambda: moment).build()
    assert query(native / "warehouse.duckdb", "from now")[0][0].startswith("2001-02-03 04:05")


def test_the_package_is_imported_without_the_api() -> None:
    words = "import transformer, sys; assert 'duckdb' not in sys.modules; transformer.Project"
    subprocess.run([sys.executable, "-c", words], check=True)
    with pytest.raises(AttributeError, match="no attribute `Nothing`"):
        _ = transformer.Nothing


def test_the_repr_tells_no_environment(native: Path) -> None:
    project = Project(native, env={"TRANSFORM_SECRET_X": "of-nobody-else"})
    assert "of-nobody" not in repr(project)
