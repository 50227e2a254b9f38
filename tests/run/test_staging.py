"""A large table is written beside its place; whatever goes wrong then, the old one stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.projects import Bench, contents, done, environment
from transformer.engines.duckdb import DuckSession
from transformer.errors import Fault, TransformError
from transformer.request import BuildOptions

ROWS = 30_000
TABLE = "{{ config(materialized='table') }}"
SHOWN = "targets: {dev: {publish: {mode: always}}}\n"
CHECKS = """
    models:
      - name: big
        columns: [{name: id, data_tests: [not_null, unique]}]
    """


def big(value: int, query: str = "i as id") -> str:
    return f"{TABLE}\nselect {query}, {value} as value\nfrom range({ROWS}) as r(i)"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path / "here")
    made.write(
        {
            "transform.yml": SHOWN,
            "models/big.sql": big(1),
            "models/big.yml": CHECKS,
            "models/after.sql": TABLE + " select sum(value) as n from big",
        }
    )
    return made


def tables(path: Path) -> set[str]:
    with duckdb.connect(str(path), read_only=True) as con:
        found = con.execute("select table_name from duckdb_tables() where schema_name = 'main'")
        return {name for (name,) in found.fetchall()}


def held(bench: Bench) -> set[str]:
    """The tables of what is published."""
    return tables(bench.root / "warehouse.duckdb")


def unfinished(bench: Bench) -> Path:
    return bench.root / ".transform" / "warehouse.duckdb" / "warehouse.duckdb"


@pytest.mark.parametrize("threads", [1, 2])
def test_it_ends_as_a_table_that_was_made_in_its_place(bench: Bench, threads: int) -> None:
    for value in (1, 2):
        bench.write({"models/big.sql": big(value)})
        report = bench.build(how=BuildOptions(threads=threads))
        assert done(report) == {"big": "success", "after": "success"}
        assert bench.rows("select count(*), sum(value) from big") == [(ROWS, ROWS * value)]
        assert bench.rows("from after") == [(ROWS * value,)]
        assert held(bench) == {"big", "after"}
    assert not bench.build().plan.steps


@pytest.mark.parametrize("threads", [1, 2])
def test_a_check_that_fails_leaves_the_old_table(bench: Bench, threads: int) -> None:
    bench.build()
    bench.write({"models/big.sql": big(2, "i // 2 as id")})
    report = bench.build(how=BuildOptions(threads=threads))
    assert done(report) == {"big": "fail", "after": "skipped"}
    assert bench.rows("select count(distinct id), any_value(value) from big") == [(ROWS, 1)]
    assert held(bench) == {"big", "after"}
    bench.write({"models/big.sql": big(3)})
    assert bench.build().ok
    assert bench.rows("from after") == [(3 * ROWS,)]


def test_a_check_that_cannot_run_leaves_the_old_table(bench: Bench) -> None:
    bench.build()
    check = "select * from {{ ref('big') }} where error('no') is null"
    bench.write({"models/big.sql": big(2), "tests/broken.sql": check})
    assert not bench.build().ok
    assert "__transform_new_big" not in held(bench)
    (bench.root / "tests/broken.sql").unlink()
    assert bench.build().ok
    assert bench.rows("from after") == [(2 * ROWS,)]


def test_a_query_that_fails_is_told_at_its_line(bench: Bench) -> None:
    bench.build()
    text = big(2).replace("i as id", "if(i = 29999, 'x', '1')::int as id")
    bench.write({"models/big.sql": text})
    (outcome, *_) = bench.build().results.outcomes
    assert isinstance(outcome.error, TransformError)
    assert "Could not convert string 'x' to INT32" in outcome.error.what
    assert str(outcome.error.where).startswith("models/big.sql:2")
    assert bench.rows("select any_value(value) from big") == [(1,)]
    assert held(bench) == {"big", "after"}


def test_a_view_that_stands_in_its_place_is_replaced(bench: Bench) -> None:
    bench.write({"models/big.sql": big(1).replace("'table'", "'view'")})
    bench.build()
    bench.write({"models/big.sql": big(2)})
    assert bench.build().ok
    assert bench.rows("from after") == [(2 * ROWS,)]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_commit_that_fails_leaves_the_old_table_and_nothing_beside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    bench.build()
    bench.write({"models/big.sql": big(2)})
    run, renamed = DuckSession.run, [False]

    def failing(self: DuckSession, sql: str, parameters: tuple[object, ...] = ()) -> None:
        if sql == "commit" and renamed[0]:
            renamed[0] = False
            raise Fault("no space left", None, "other")
        run(self, sql, parameters)

    rows = DuckSession.rows

    def noted(self: DuckSession, sql: str, parameters: tuple[object, ...] = ()) -> Any:
        renamed[0] = renamed[0] or sql.startswith("alter table")
        return rows(self, sql, parameters)

    monkeypatch.setattr(DuckSession, "run", failing)
    monkeypatch.setattr(DuckSession, "rows", noted)
    assert done(bench.build(how=BuildOptions(threads=threads)))["big"] == "error"
    monkeypatch.undo()
    assert bench.rows("select any_value(value) from big") == [(1,)]
    assert held(bench) == {"big", "after"}
    assert bench.build().ok
    assert bench.rows("from after") == [(2 * ROWS,)]


def test_what_a_killed_build_left_beside_is_removed_where_the_file_itself_is_built_in(
    bench: Bench,
) -> None:
    bench.write({"transform.yml": SHOWN.replace("always", "in_place")})
    bench.build()
    bench.write({"models/big.sql": big(2)})
    killed(bench, 3)
    with duckdb.connect(str(bench.root / "warehouse.duckdb")):
        pass
    assert "__transform_new_big" in held(bench)
    bench.write({"models/big.sql": big(1)})
    assert bench.build().ok
    assert held(bench) == {"big", "after"}


KILLED = """
import os, signal, sys
from transformer.__main__ import main
from transformer.engines.duckdb import DuckSession
left = [int(sys.argv.pop(1))]
def killing(done):
    def wrapped(self, sql, parameters=()):
        first = sql.partition("table")[0].strip()
        left[0] -= first in ("create or replace", "commit", "drop", "alter")
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done(self, sql, parameters)
    return wrapped
DuckSession.run, DuckSession.rows = killing(DuckSession.run), killing(DuckSession.rows)
main()
"""


def killed(bench: Bench, after: int) -> None:
    """Builds in a process that is killed before one of the statements that count."""
    path = f"{Path(__file__).parents[2]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(after), "build"],
        cwd=bench.root,
        env=environment({"PYTHONPATH": path}),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr


@pytest.mark.parametrize("after", range(7))
def test_a_build_that_is_killed_goes_on(bench: Bench, after: int) -> None:
    bench.build()
    bench.write({"models/big.sql": big(2)})
    killed(bench, after)
    assert bench.rows("from after") == [(ROWS,)]
    report = bench.build()
    assert report.ok
    assert report.resumed
    assert bench.rows("from after") == [(2 * ROWS,)]
    assert held(bench) == {"big", "after"}
    other = Bench(bench.root.parent / "anew")
    other.write({f"models/{p.name}": p.read_text() for p in (bench.root / "models").iterdir()})
    other.build()
    whole = contents(other.root / "warehouse.duckdb")
    assert contents(bench.root / "warehouse.duckdb") == whole


def test_what_a_killed_build_left_beside_is_removed_with_its_model(bench: Bench) -> None:
    bench.build()
    bench.write({"models/big.sql": big(2)})
    killed(bench, 3)
    assert "__transform_new_big" in tables(unfinished(bench))
    bench.write({"models/big.sql": big(1)})
    assert bench.build().ok
    assert held(bench) == {"big", "after"}
