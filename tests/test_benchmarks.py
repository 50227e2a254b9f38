"""The benchmark compares like with like: the tool makes the tables that the floor makes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .projects import query, transform

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODELS = 30


def script(name: str, *words: object, folder: Path | None = None) -> str:
    command = [sys.executable, str(BENCHMARKS / name), *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def digest(warehouse: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(script("floor.py", "digest", warehouse))
    return made


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("floor")
    script("projects.py", home, "--models", MODELS)
    script("floor.py", "build", "floor.sql", "floor.duckdb", folder=home)
    return digest(home / "floor.duckdb")


@pytest.mark.parametrize("form", ["native", "dbt"])
def test_a_generated_project_becomes_the_tables_of_the_floor(
    form: str, tmp_path: Path, floor: dict[str, Any]
) -> None:
    script("projects.py", tmp_path, "--models", MODELS, "--form", form)
    said = transform(tmp_path, "build").stderr
    assert f"checked   {2 * MODELS} checks" in said
    assert len(floor) == MODELS
    assert digest(tmp_path / "warehouse.duckdb") == floor


def test_tables_have_as_many_rows_as_were_asked_for(floor: dict[str, Any]) -> None:
    counts = [count for count, _ in floor.values()]
    assert min(counts) >= 100
    assert max(counts) <= 1000


def test_one_seed_makes_one_project(tmp_path: Path) -> None:
    for name in ("one", "two"):
        script("projects.py", tmp_path / name, "--models", MODELS, "--seed", 7)
    one, two = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert one == two


def test_a_heavy_project_is_twenty_models_that_pass_their_checks(tmp_path: Path) -> None:
    script("projects.py", tmp_path, "--heavy", "--rows", 2000)
    script("floor.py", "build", "floor.sql", "warehouse.duckdb", folder=tmp_path)
    assert len(digest(tmp_path / "warehouse.duckdb")) == 20
    assert query(tmp_path / "warehouse.duckdb", "select count(*) from int_0001") == [(2000,)]


def test_a_failing_check_ends_the_floor(tmp_path: Path) -> None:
    (tmp_path / "floor.sql").write_text("select 1;\n")
    words = [sys.executable, str(BENCHMARKS / "floor.py"), "build", "floor.sql", "w.duckdb"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 failures" in done.stderr


def test_the_table_is_printed_with_ours_the_floor_and_their_ratio(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    said = script("run.py", "--models", 8, "--runs", 1, "--only", "start,cold", "--json", out)
    assert "| CPU seconds | ours | floor | ratio |" in said
    assert "(n = 1) all 8 tables as the floor's" in said
    costs = json.loads(out.read_text())["costs"]
    assert set(costs["ours"]) == set(costs["floor"]) == {"start", "cold"}


def test_the_shapes_are_measured() -> None:
    said = script("shapes.py", "--columns", 20, "--files", 5, "--runs", 1)
    assert said.count("\n|") == 7
    assert "| 20 |" in said
    assert all(f"| 5 | {kind} |" in said for kind in ("csv", "ndjson", "json"))
