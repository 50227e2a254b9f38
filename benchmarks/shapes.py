"""What odd shapes of raw data cost: one file of very many columns, and very many small files.

    python benchmarks/shapes.py --columns 1000,10000 --files 1000,4000,20000 --formats csv,ndjson

CPU seconds of the command, median of `--runs`: a first build, and for files the next build, when
one more has arrived.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

SETTINGS = "name: shapes\ntargets:\n  dev:\n    path: warehouse.duckdb\n"
SOURCE = """
sources:
  - name: raw
    tables:
      - name: things
        load: {{kind: files, path: '{path}', mode: append}}
"""


def project(folder: Path, path: str) -> Path:
    """A project with one source."""
    (folder / "models").mkdir()
    (folder / "data").mkdir()
    (folder / "transform.yml").write_text(SETTINGS)
    (folder / "models" / "_raw.yml").write_text(SOURCE.format(path=path))
    return folder


def build(folder: Path) -> float:
    """The CPU seconds of the command."""
    start = _spent()
    done = subprocess.run(
        [sys.executable, "-m", "transformer", "build"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return _spent() - start


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wide(folder: Path, columns: int) -> list[float]:
    """One row of so many numbers."""
    project(folder, "data/wide.csv")
    names = ",".join(f"column_{n}" for n in range(columns))
    values = ",".join(str(n) for n in range(columns))
    (folder / "data" / "wide.csv").write_text(f"{names}\n{values}\n")
    return [build(folder)]


def many(kind: str, folder: Path, files: int) -> list[float]:
    """So many files of three rows; then one more."""
    project(folder, f"data/*.{kind}")
    for n in range(files):
        _file(folder, n, kind)
    first = build(folder)
    _file(folder, files, kind)
    return [first, build(folder)]


def _file(folder: Path, number: int, kind: str) -> None:
    rows = [{"file": number, "row": row, "text": f"word {row}"} for row in range(3)]
    texts = {
        "csv": lambda: (
            "file,row,text\n" + "".join(f"{number},{row},word {row}\n" for row in range(3))
        ),
        "ndjson": lambda: "".join(json.dumps(row) + "\n" for row in rows),
        "json": lambda: json.dumps(rows),
    }
    (folder / "data" / f"{number:06}.{kind}").write_text(texts[kind]())


def measured(measure: Callable[[Path, int], list[float]], size: int, runs: int) -> list[float]:
    """The medians of what is measured, each time in a folder of its own."""
    found = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure(Path(folder), size))
    return [statistics.median(times) for times in zip(*found, strict=True)]


def main() -> None:
    """Prints a table for each shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", default="1000,2000,4000,10000")
    parser.add_argument("--files", default="1000,4000,20000")
    parser.add_argument("--formats", default="csv,ndjson,json")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    print("| columns | build, CPU s |\n|---:|---:|")
    for size in (int(n) for n in given.columns.split(",") if n):
        (first,) = measured(wide, size, given.runs)
        print(f"| {size:,} | {first:.1f} |", flush=True)
    print("\n| files | format | first build, CPU s | ms a file | one more file, CPU s |")
    print("|---:|---|---:|---:|---:|")
    for size in (int(n) for n in given.files.split(",") if n):
        for kind in given.formats.split(","):
            first, more = measured(partial(many, kind), size, given.runs)
            each = 1000 * first / size
            print(f"| {size:,} | {kind} | {first:.1f} | {each:.2f} | {more:.1f} |", flush=True)


if __name__ == "__main__":
    main()
