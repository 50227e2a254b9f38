"""The command line: exit codes, what goes where, and a quick start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import environment, transform, write

GOOD = {
    "models/a.sql": "{{ config(materialized='table') }} select {{ var('n', 1) }} as n",
    "models/_m.yml": """
        models:
          - name: a
            columns: [{name: n, data_tests: [{accepted_range: {max_value: 5}}]}]
    """,
}


def test_exit_codes(tmp_path: Path) -> None:
    root = write(tmp_path, GOOD)
    assert transform(root, "build").returncode == 0
    assert transform(root, "build", "--vars", "{n: 9}", check=False).returncode == 1
    assert transform(root, "build", "--target", "none", check=False).returncode == 2
    assert transform(root, "build", "--no-such-option", check=False).returncode == 2
    assert transform(root / "models", "build", check=False).returncode == 2


def test_json_is_one_object_a_line_and_the_summary_is_the_last(tmp_path: Path) -> None:
    root = write(tmp_path, GOOD)
    done = transform(root, "build", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["event"] for e in events] == ["step", "step", "summary"]
    assert events[-1]["status"] == "ok"
    assert events[-1]["models"] == 1
    failed = transform(root, "build", "--json", "--vars", "{n: 9}", check=False)
    summary = json.loads(failed.stdout.splitlines()[-1])
    assert (summary["status"], summary["failures"], summary["published"]) == ("failed", 2, None)
    wrong = write(tmp_path / "wrong", {"models/b.sql": "select x from nowhere"})
    said = [
        json.loads(x) for x in transform(wrong, "build", "--json", check=False).stdout.splitlines()
    ]
    assert said[0]["event"] == "error"
    assert said[0]["path"] == "models/b.sql"
    assert said[-1] == {"event": "summary", "status": "error", "errors": 1,
                        "state": "nothing was built"}  # fmt: skip


def test_data_goes_to_stdout_and_all_else_to_stderr(tmp_path: Path) -> None:
    root = write(tmp_path, GOOD)
    built = transform(root, "build")
    assert not built.stdout
    shown = transform(root, "show", "a")
    assert shown.stdout == "n\n1\n"
    assert not shown.stderr


def test_a_quiet_build_is_under_ten_lines(tmp_path: Path) -> None:
    root = write(tmp_path, GOOD)
    assert len(transform(root, "build").stderr.splitlines()) < 10


def test_a_quiet_build_has_no_colour_and_no_cursor_movements(tmp_path: Path) -> None:
    root = write(tmp_path, GOOD)
    assert "\x1b" not in transform(root, "build").stderr


def test_run_does_again_what_is_asked_for(tmp_path: Path) -> None:
    root = write(tmp_path, GOOD)
    transform(root, "build")
    assert "built     1 model" in transform(root, "run").stderr
    assert "checked   1 check" in transform(root, "test").stderr


@pytest.mark.parametrize("word", ["--full", "--full-refresh", "-f"])
def test_full_does_anew_what_is_unchanged(tmp_path: Path, word: str) -> None:
    root = write(tmp_path, GOOD)
    transform(root, "build")
    assert transform(root, "build").stderr.startswith("nothing to do")
    assert "built     1 model" in transform(root, "build", word).stderr
    assert "full refresh" in transform(root, "plan", word).stdout


def test_project_dir_works_from_anywhere(tmp_path: Path) -> None:
    root = write(tmp_path / "project", GOOD)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    transform(elsewhere, "build", "--project-dir", str(root))
    assert (root / "warehouse.duckdb").exists()
    assert not list(elsewhere.iterdir())


def test_init_makes_a_project_that_builds_and_refuses_a_full_folder(tmp_path: Path) -> None:
    done = transform(tmp_path, "init", "shop")
    assert "created shop: 16 models, 2 seeds" in done.stderr
    assert transform(tmp_path, "init", "shop", check=False).returncode == 2


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["build", "--help"]])
def test_what_needs_no_project_loads_no_engine(words: list[str]) -> None:
    code = (
        "import sys; sys.argv = ['transform', *sys.argv[1:]]\n"
        "from transformer.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'duckdb', 'polars', 'pyarrow', 'sqlglot', 'jinja2', 'yaml', 'rich', 'httpx'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_compile_writes_the_sql_that_runs(tmp_path: Path) -> None:
    root = write(tmp_path, GOOD)
    done = transform(root, "compile", "--select", "a", "--exclude", "test_name:accepted_range")
    assert done.stdout == " select 1 as n\n"
    assert list((root / "target" / "compiled").rglob("a.sql"))


def test_clean_removes_what_a_failed_build_left(tmp_path: Path) -> None:
    root = write(tmp_path, GOOD)
    transform(root, "build")
    transform(root, "build", "--vars", "{n: 9}", check=False)
    copy = root / ".transform" / "warehouse.duckdb" / "warehouse.duckdb"
    assert copy.exists()
    told = transform(root, "clean").stderr
    assert told == "removed .transform/warehouse.duckdb, the project cache\n"
    assert not copy.exists()
    assert (root / "warehouse.duckdb").exists()
    left = [path.name for path in (root / ".transform").rglob("*") if path.is_file()]
    assert left == ["lock"]
