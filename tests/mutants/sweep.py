"""How many random changes of the code the tests notice, for one room of it.

    python -m tests.mutants.sweep landing --count 15 --seed 1

cosmic-ray makes the changes, one at a time, in a copy of the checkout; the sample is seeded. The
tests that run a changed line are tried (`noticed.py`), by a map that is made once for a state of
the code by running all of them (`covered.py`). A change in an annotation is none: it is never
evaluated. What lives is printed with its difference, to be argued or tested. Map and results are
kept beside cosmic-ray for that state of the code: a sweep that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import random
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

from tests.mutants.covered import collect

ROOT = Path(__file__).parents[2]
TOP = "top"
# Not of any room: they look at the code, the pages, or at speed.
ELSEWHERE = ("test_house", "test_docs", "test_benchmarks", "test_argv")
LIMIT = 600.0  # seconds for the tests of one change: they end before


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("rooms", nargs="+", help=f"folders of transformer/, or `{TOP}`")
    words.add_argument("--count", type=int, default=15, help="changes of each room")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--cosmic-ray", required=True, help="the command, in its environment")
    given = words.parse_args()
    ray = str(Path(given.cosmic_ray).absolute())
    lived = 0
    with tempfile.TemporaryDirectory(prefix="mutants_") as name:
        copy, original = Path(name) / "copy", Path(name) / "original"
        copied(copy)
        shutil.copytree(copy / "transformer", original / "transformer")
        kept = Path(ray).parent.parent / state_of(copy)
        kept.mkdir(exist_ok=True)
        known = the_map(copy, Path(name), Path(ray), kept / "covered.duckdb")
        env = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        for room in given.rooms:
            session = kept / f"{room}-{given.count}-{given.seed}.sqlite"
            config = configured(copy, room, [str(known), str(original)])
            if not session.exists():
                subprocess.run([ray, "init", config, session], cwd=copy, env=env, check=True)
                sample(copy, session, given.count, given.seed)
            subprocess.run([ray, "exec", config, session], cwd=copy, env=env, check=True)
            lived += report(session, room, given.seed)
    return int(lived > 0)


def state_of(copy: Path) -> str:
    """A name for the code and its tests as they are."""
    state = hashlib.sha256()
    for folder in ("transformer", "tests"):
        for path in sorted((copy / folder).rglob("*.py")):
            if "mutants" not in path.parts[len(copy.parts) :]:
                state.update(path.read_bytes())
    return state.hexdigest()[:12]


def the_map(copy: Path, home: Path, cosmic_ray: Path, known: Path) -> Path:
    """The file that says which tests run which lines."""
    if not known.exists():
        packages = next(cosmic_ray.parent.parent.glob("lib/python*/site-packages"))
        collect(copy, home / "tracing", packages, _tests(copy), known)
    return known


def _tests(copy: Path) -> list[str]:
    return sorted(
        str(path.relative_to(copy))
        for path in (copy / "tests").rglob("test_*.py")
        if not path.name.startswith(ELSEWHERE) and not {"dbt_suite", "hostile"} & set(path.parts)
    )


def copied(copy: Path) -> None:
    """The files of the checkout that git knows, as they are now."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout
    for each in filter(None, listed.decode().split("\0")):
        if (ROOT / each).is_file():
            (copy / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / each, copy / each, follow_symlinks=False)


def configured(copy: Path, room: str, given: Sequence[str]) -> Path:
    modules = sorted(
        str(path.relative_to(copy))
        for path in (copy / "transformer").glob("*.py" if room == TOP else f"{room}/**/*.py")
    )
    if not modules:
        raise SystemExit(f"there is no room `{room}`")
    config = copy / "cosmic-ray.toml"
    words = [sys.executable, "-m", "tests.mutants.noticed"]
    config.write_text(
        "[cosmic-ray]\n"
        f"module-path = {json.dumps(modules)}\n"
        f"timeout = {LIMIT}\n"
        "excluded-modules = []\n"
        f"test-command = {json.dumps(shlex.join([*words, *given]))}\n"
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    return config


def sample(copy: Path, session: Path, count: int, seed: int) -> None:
    """Leaves so many changes in the session, none of them in an annotation."""
    with closing(sqlite3.connect(session)) as con, con:
        rows = con.execute(
            "select job_id, module_path, start_pos_row, start_pos_col from mutation_specs"
            " order by module_path, operator_name, operator_args, occurrence"
        ).fetchall()
        real = [job for job, path, *at in rows if not _in_annotation(copy / path, *at)]
        kept = set(random.Random(seed).sample(real, min(count, len(real))))
        gone = [(job,) for job, *_ in rows if job not in kept]
        con.executemany("delete from mutation_specs where job_id = ?", gone)
        con.executemany("delete from work_items where job_id = ?", gone)
        print(f"{len(kept)} of {len(real)} changes, seed {seed}", flush=True)


@cache
def _annotations(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.AnnAssign | ast.arg):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.returns)
    return [
        ((each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0))
        for each in found
        if each
    ]


def _in_annotation(path: Path, row: int, column: int) -> bool:
    return any(start <= (row, column) < end for start, end in _annotations(path))


def report(session: Path, room: str, seed: int) -> int:
    """Prints what came of it; how many lived."""
    with closing(sqlite3.connect(session)) as con:
        rows = con.execute(
            "select lower(test_outcome), output, module_path, start_pos_row, operator_name, diff"
            " from work_results join mutation_specs using (job_id) order by module_path"
        ).fetchall()
    late = lived = 0
    for outcome, output, path, row, operator, diff in rows:
        first = next((x for x in str(output).splitlines() if x.startswith("FAILED")), "")
        by_clock = output == "timeout"
        late += by_clock
        lived += outcome != "killed"
        print(f"{outcome}{' by the clock' * by_clock} {path}:{row} {operator} {first[:120]}")
        if outcome != "killed":
            print(diff)
    killed = len(rows) - lived
    print(
        f"\n{room}: {killed} of {len(rows)} noticed, {late} by the clock; seed {seed}", flush=True
    )
    return lived


if __name__ == "__main__":
    sys.exit(main())
