"""Steps that share a transaction end as if each had its own, whatever goes wrong in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.projects import Bench, contents, done, environment
from transformer.engines.duckdb import DuckSession
from transformer.errors import Fault
from transformer.request import BuildOptions
from transformer.run import transactions

TABLE = "{{ config(materialized='table') }} "
SHOWN = "targets: {dev: {publish: {mode: always}}}\n"
COUNT = 9


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path / "here")
    made.write({"transform.yml": SHOWN, **models(1)})
    return made


def models(value: int) -> dict[str, str]:
    """Some tables, and one that reads each of them, by turns in the order of their names."""
    found = {f"models/t{i}.sql": TABLE + f"select {value} as a, {i} as b" for i in range(COUNT)}
    return found | {f"models/t{i}x.sql": TABLE + f"select a from t{i}" for i in range(COUNT)}


def anew(bench: Bench) -> dict[str, object]:
    """What a build in an empty folder gives."""
    other = bench.root.parent / "anew"
    shutil.rmtree(other, ignore_errors=True)
    for folder in ("models", "seeds", "tests"):
        if (bench.root / folder).exists():
            shutil.copytree(bench.root / folder, other / folder)
    Bench(other).build()
    return dict(contents(other / "warehouse.duckdb"))


def ledger(bench: Bench) -> dict[str, str]:
    return dict(bench.rows("select id, status from _transform.nodes"))


@pytest.mark.parametrize("at", range(0, COUNT, 2))
def test_a_check_that_fails_in_the_middle_undoes_its_own_table_only(bench: Bench, at: int) -> None:
    rule = "{accepted_values: {values: [1]}}"
    text = f"models: [{{name: t{at}, columns: [{{name: a, data_tests: [{rule}]}}]}}]\n"
    bench.write({"models/_m.yml": text})
    assert bench.build().ok
    bench.write(models(2))
    report = bench.build()
    assert Counter(o.label for o in report.results.outcomes).most_common(1)[0][1] == 1
    wanted = dict.fromkeys((f"t{i}{x}" for i in range(COUNT) for x in ("", "x")), "success")
    wanted |= {f"t{at}": "fail", f"t{at}x": "skipped"}
    assert done(report) == wanted
    for i in range(COUNT):
        values = [(1 if i == at else 2,)]
        assert bench.rows(f"select a from t{i}") == values
        assert bench.rows(f"select a from t{i}x") == values
    bad = {i for i, status in ledger(bench).items() if status != "success"}
    assert {i.split(".")[-1] for i in bad} == {f"t{at}", f"accepted_values_t{at}_a"}
    bench.write({"models/_m.yml": text.replace("[1]", "[2]")})
    assert set(done(bench.build())) == {f"t{at}", f"t{at}x"}
    assert contents(bench.root / "warehouse.duckdb") == anew(bench)
    assert not bench.build().plan.steps


def test_a_statement_that_fails_in_the_middle_undoes_nothing_else(bench: Bench) -> None:
    bench.build()
    bench.write(models(2))
    bench.write({"models/t4.sql": TABLE + "select error('no')::int as a, 4 as b"})
    bench.write({"models/t6.sql": TABLE + "select error('neither')::int as a, 4 as b"})
    report = bench.build()
    ended = done(report)
    assert [n for n, s in ended.items() if s == "error"] == ["t4", "t6"]
    assert sorted(n for n, s in ended.items() if s == "skipped") == ["t4x", "t6x"]
    assert bench.rows("select a from t3x") == bench.rows("select a from t5x") == [(2,)]
    assert bench.rows("select a from t4x") == [(1,)]
    bench.write(models(2))
    assert set(done(bench.build())) == {"t4", "t4x", "t6", "t6x"}
    assert contents(bench.root / "warehouse.duckdb") == anew(bench)


def test_what_readers_were_told_in_a_lost_transaction_is_told_again(bench: Bench) -> None:
    """Nothing moves for the readers; the check in the middle takes the telling with it."""
    text = (
        "models: [{name: t5, columns: [{name: b, data_tests: [{accepted_values: {values: [5]}}]}]}]"
    )
    bench.write({"models/_m.yml": text})
    bench.build()
    for i in range(COUNT):
        bench.write({f"models/t{i}.sql": TABLE + f"select 1 as a, {i + (i == 5)} as b, 0 as c"})
    ended = done(bench.build())
    assert ended["t5"] == "fail"
    assert {ended[f"t{i}x"] for i in range(COUNT)} == {"skipped"}
    bench.write({"models/_m.yml": text.replace("[5]", "[6]")})
    assert done(bench.build()) == {"t5": "success", "t5x": "skipped"}
    assert not bench.build().plan.steps
    assert contents(bench.root / "warehouse.duckdb") == anew(bench)


@pytest.mark.parametrize("which", range(1, 5))
def test_a_commit_that_fails_is_done_again(
    bench: Bench, which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.build()
    bench.write(models(2))
    run, commits = DuckSession.run, iter(range(1000))

    def failing(self: DuckSession, sql: str, parameters: tuple[object, ...] = ()) -> None:
        if sql == "commit" and next(commits) == which:
            raise Fault("no space left", None, "other")
        run(self, sql, parameters)

    monkeypatch.setattr(DuckSession, "run", failing)
    monkeypatch.setattr(transactions, "_MOST", 5)
    report = bench.build(how=BuildOptions(fail_fast=False))
    monkeypatch.undo()
    twice = [
        label for label, n in Counter(o.label for o in report.results.outcomes).items() if n > 1
    ]
    assert report.ok
    assert not twice
    assert contents(bench.root / "warehouse.duckdb") == anew(bench)
    assert not bench.build().plan.steps


KILLED = """
import os, signal, sys
from transformer.__main__ import main
from transformer.engines.duckdb import DuckSession
left = [int(sys.argv.pop(1))]
def killing(done):
    def wrapped(self, sql, parameters=()):
        left[0] -= sql.startswith(("create or replace table", "commit", "update _transform"))
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done(self, sql, parameters)
    return wrapped
DuckSession.run, DuckSession.rows = killing(DuckSession.run), killing(DuckSession.rows)
main()
"""


@pytest.mark.parametrize("after", [1, 4, 8, 11, 15, 19, 20])
def test_a_build_that_is_killed_in_a_shared_transaction_goes_on(bench: Bench, after: int) -> None:
    (bench.root / "transform.yml").unlink()
    bench.build()
    bench.write(models(2))
    bench.write({"models/t4.sql": TABLE + "select 1 as a, 7 as b"})
    path = f"{Path(__file__).parents[2]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(after), "build"],
        cwd=bench.root,
        env=environment({"PYTHONPATH": path}),
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    assert bench.rows("select a from t3") == [(1,)]
    report = bench.build()
    assert report.ok, report.results.bad
    assert contents(bench.root / "warehouse.duckdb") == anew(bench)
    assert not bench.build().plan.steps
