"""What the tool costs on top of DuckDB, as ratios taken side by side in one run.

    python benchmarks/spine.py [--runs 7]

1. A full build of the repository's own warehouse, against the floor: the same statements (loads,
   models, seeds, snapshots, checks, and the Python model's own function) one after the other over
   one connection in one process. The time of imports is taken off both sides. The build is shown
   whole, and without its start-up, which is what `transform plan` does too: reading, compiling
   and binding the project, and looking at the sources.
2. The start of the command: `transform --help` and `transform --version`, in seconds.

Runs alternate between the two sides; the median is shown. The statements of the floor are
recorded from the build itself: what the tool runs for its own sake (ledger, versions of contents,
comments, transactions) is left out of the floor and so counts against the tool.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("transform.yml", "models", "seeds", "macros", "data", "tests/checks")
OWN = re.compile(
    r"_transform\.|__delta|__transform|^(begin|commit|describe|comment on|use |set )|sum\(hash\("
    r"|information_schema|duckdb_(tables|views|columns)|create schema",
    re.IGNORECASE,
)


def project(home: Path) -> Path:
    for part in PARTS:
        source, target = ROOT / part, home / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    return home


def build_once(folder: str, record: str | None) -> None:
    """In a process of its own: builds, prints the seconds inside; may record its statements."""
    from transformer.asking import Ask, How, Outside

    from transformer.engines import duckdb as engine
    from transformer.flows.build import build, preview

    said: list[tuple[str, list[Any]]] = []
    if record:
        run, rows = engine.DuckSession.run, engine.DuckSession.rows
        looks: set[int] = set()
        loose = engine.loose

        @contextmanager
        def noted_loose() -> Any:
            with loose() as session:
                looks.add(id(session.connection))
                yield session

        def note(session: Any, sql: str, parameters: Any) -> None:
            if id(session.connection) not in looks:
                said.append((sql, list(parameters)))

        engine.loose = noted_loose

        def noted_run(self: Any, sql: str, parameters: Any = ()) -> None:
            note(self, sql, parameters)
            run(self, sql, parameters)

        def noted_rows(self: Any, sql: str, parameters: Any = ()) -> Any:
            note(self, sql, parameters)
            return rows(self, sql, parameters)

        engine.DuckSession.run, engine.DuckSession.rows = noted_run, noted_rows  # type: ignore[method-assign]
    import polars  # noqa: F401 - the example's Python model imports them: start-up, on both sides
    import pyarrow.dataset  # noqa: F401

    ask, outside = Ask(Path(folder)), Outside(dict(os.environ))
    begun, began = time.process_time(), time.perf_counter()
    preview(ask, outside)
    said.clear()
    started, cpu = time.perf_counter(), time.process_time()
    build(ask, How(threads=1 if record else 0), outside, lambda _: None)
    ended = time.process_time()
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, ended - cpu, cpu - begun, started - began]))
    if record:
        kept = [sql for sql, parameters in said if not parameters and not OWN.search(sql)]
        Path(record).write_text(json.dumps(kept))


def floor_once(folder: str, recorded: str) -> None:
    """In a process of its own: the recorded statements over one connection."""
    import duckdb
    import polars  # noqa: F401
    import pyarrow.dataset  # noqa: F401

    statements = json.loads(Path(recorded).read_text())
    path = Path(folder) / "warehouse.duckdb"
    started, cpu = time.perf_counter(), time.process_time()
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"attach '{path}' as warehouse (storage_version 'v1.4.0'); use warehouse")
    con.execute("create schema _transform")
    for schema in ("staging", "history", "activation", "raw_crm", "raw_shop", "raw_web",
                   "raw_ads", "raw_finance", "_transform_failures", "marts"):  # fmt: skip
        con.execute(f"create schema if not exists {schema}")
    left = 0
    for statement in statements:
        try:
            if "customer_rfm" in statement:
                python_model(con, folder)
            con.execute(statement).fetchall()
        except duckdb.Error as error:
            left += 1
            print(str(error).splitlines()[0][:150], "|", statement[:100], file=sys.stderr)
    con.execute("use memory; checkpoint warehouse; detach warehouse")
    print(json.dumps([time.perf_counter() - started, time.process_time() - cpu, left]))


def python_model(con: Any, folder: str) -> None:
    """What the example's Python model does, between the statements that read what it makes."""
    found = con.execute("select 1 from duckdb_tables() where table_name = 'customer_rfm'")
    if not found.fetchall():
        path = Path(folder) / "models" / "marts" / "customer_scores.py"
        module: dict[str, Any] = {}
        exec(path.read_text(), module)  # noqa: S102 - our own model
        frame = module["model"](_Reads(con))
        con.register("frame", frame)
        con.execute("create table customer_rfm as from frame")


class _Reads:
    def __init__(self, con: Any) -> None:
        self.con = con

    def ref(self, name: str) -> Any:
        return self.con.execute(f"from {name}").pl()

    def var(self, name: str, default: Any = None) -> Any:
        return {"today": "2024-07-01", "lapsed_after_days": 180}.get(name, default)

    def config(self, **_: Any) -> None: ...


def child(*words: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, __file__, *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    if done.stderr:
        print(done.stderr, file=sys.stderr)
    made: list[float] = json.loads(done.stdout.splitlines()[-1])
    return made


def seconds_of(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "transformer", *command], capture_output=True, check=True)
    return time.perf_counter() - started


def ratio(ours: list[Any], floor: list[Any], of: Callable[[Any, Any], float]) -> float:
    return statistics.median(of(o, f) for o, f in zip(ours, floor, strict=True))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--runs", type=int, default=7)
    words.add_argument("--build")
    words.add_argument("--floor", nargs=2)
    words.add_argument("--record")
    words.add_argument("--json", action="store_true")
    given = words.parse_args()
    if given.build:
        build_once(given.build, given.record)
        return
    if given.floor:
        floor_once(*given.floor)
        return
    measure(given.runs, as_json=given.json)


def measure(runs: int, *, as_json: bool) -> None:
    with tempfile.TemporaryDirectory() as home:
        recorded = str(Path(home) / "statements.json")
        child("--build", str(project(Path(home) / "recorded")), "--record", recorded)
        ours, floor = [], []
        for run in range(runs):
            ours.append(child("--build", str(project(Path(home) / f"ours_{run}"))))
            floor.append(child("--floor", str(project(Path(home) / f"floor_{run}")), recorded))
        helps = [seconds_of("--help") for _ in range(runs)]
        versions = [seconds_of("--version") for _ in range(runs)]
    made = {
        "build seconds": statistics.median(o[0] for o in ours),
        "floor seconds": statistics.median(f[0] for f in floor),
        "ratio of wall seconds": ratio(ours, floor, lambda o, f: o[0] / f[0]),
        "  without start-up": ratio(ours, floor, lambda o, f: (o[0] - o[3]) / f[0]),
        "ratio of CPU seconds": ratio(ours, floor, lambda o, f: o[1] / f[1]),
        "  CPU without start-up": ratio(ours, floor, lambda o, f: (o[1] - o[2]) / f[1]),
        "floor statements left out": floor[0][2],
        "--help seconds": statistics.median(helps),
        "--version seconds": statistics.median(versions),
    }
    for name, value in made.items():
        print(json.dumps({name: value}) if as_json else f"{name:<28}{value:>8.2f}")


if __name__ == "__main__":
    main()
