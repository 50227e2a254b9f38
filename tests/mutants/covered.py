"""Which tests run which lines of the tool, found by running all of them once.

The map is a DuckDB file: `ran(test, file, lines)` and `seconds(test, seconds)`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

HERE = Path(__file__).parent


def collect(copy: Path, home: Path, packages: Path, tests: Sequence[str], out: Path) -> None:
    """Runs these tests of the copy, and writes the map. `packages` holds `coverage`. Raises
    SystemExit where a test fails."""
    for name in ("now", "ran"):
        (home / name).mkdir(parents=True)
    shutil.copy2(HERE / "tracing.py", home / "sitecustomize.py")
    (home / "code").write_text(str(copy / "transformer"))
    (home / "coverage").symlink_to(packages / "coverage")
    env = {**os.environ, "PYTHONPATH": f"{copy}:{home}", "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"]
    words += ["-p", "no:cacheprovider", "-p", "tests.mutants.plugin", *tests]
    if subprocess.run(words, cwd=copy, env=env, check=False).returncode:
        raise SystemExit("the tests fail without a change: nothing can be told")
    _written(home / "ran", out)


def _written(ran: Path, out: Path) -> None:
    lines: dict[tuple[str, str], set[int]] = {}
    for path in ran.iterdir():
        if path.name == "seconds":
            continue
        for each in path.read_text().splitlines():
            test, files = json.loads(each)
            for file, numbers in files.items():
                lines.setdefault((test, file), set()).update(numbers)
    pairs = (each.split(" ", 1) for each in (ran / "seconds").read_text().splitlines())
    seconds = {test: float(spent) for spent, test in pairs}
    rows = pa.table(
        {
            "test": [test for test, _ in lines],
            "file": [file for _, file in lines],
            "lines": [sorted(numbers) for numbers in lines.values()],
        }
    )
    times = pa.table({"test": list(seconds), "seconds": list(seconds.values())})
    out.unlink(missing_ok=True)
    with duckdb.connect(str(out)) as con:
        con.register("rows", rows)
        con.register("times", times)
        con.execute("create table ran as from rows; create table seconds as from times")


def tests_of(known: Path, file: str, lines: Sequence[int]) -> list[tuple[str, float]]:
    """The tests that run one of these lines and their seconds, those that run least of all first.
    What runs as a module is imported is every test's of the file."""
    with duckdb.connect(str(known), read_only=True) as con:
        found = con.execute(
            "with sizes as (select test, sum(len(lines)) as size from ran group by test)"
            " select test, coalesce(seconds, 1) from ran join sizes using (test)"
            " left join seconds using (test) where file = ?"
            " and (len(?::bigint[]) = 0 or list_has_any(lines, ?::bigint[])) order by size, test",
            [file, list(lines), list(lines)],
        ).fetchall()
    return [(test, float(spent)) for test, spent in found]
