"""Holds what builds and landings cost beside the floor, and that planning is linear: fails where a
ratio got worse.

    python benchmarks/gate.py [--models 150] [--related 600] [--rows 300000]

The sides take turns, so that a slow machine slows both; CPU seconds are compared, not the clock,
and of each side those of its best round: what else runs on the machine only ever adds to them.
A ratio may be a third worse than it was when it was last written down here: so much do they differ
from run to run on a busy machine. What exceeds its bound is measured up to twice more and fails
only if it exceeds it each time: slower code always does, a disturbed run once. Of so few models and
rows much is start-up, so the ratios are not those of `docs/dev/performance.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

import landing

HERE = Path(__file__).parent
# Ratios to the floor of 150 models, as they were measured; and how much worse they may be.
RATIOS = {
    "cold": 1.4,
    "same": 1.0,
    "leaf": 3.3,
    "cold, dbt": 1.7,
    "same, dbt": 1.05,
    "leaf, dbt": 4.0,
}
# Planning three times as many models, where each has a check that refers to another branch.
PLANNING = {"plan": 2.4}
# The same for files of 300,000 rows. Of CSV, 1.5 and 1.9 stood here for medians; in one hour, that
# code and this one came to 2.0 and 2.2, side by side.
LANDINGS = {"csv": 1.7, "csv, dirty": 2.1, "ndjson": 2.2, "events": 1.2, "parquet": 1.9}
MARGIN = 1.35
DBT = ", dbt"
TRIES = 3


def measured(held: Collection[str], models: int, runs: int) -> dict[str, float]:
    """The ratio of these rows."""
    if not held:
        return {}
    rows = dict.fromkeys(name.removesuffix(DBT) for name in sorted(held))
    with tempfile.TemporaryDirectory() as home:
        out = Path(home) / "out.json"
        subprocess.run(
            [
                *(sys.executable, str(HERE / "run.py"), "--models", str(models)),
                *("--runs", str(runs), "--only", ",".join(rows), "--json", str(out)),
                *(("--peers", "ours-dbt") if any(name.endswith(DBT) for name in held) else ()),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        costs = json.loads(out.read_text())["costs"]
    return {name: _best(_ours(costs, name)) / _best(costs["floor"][row_of(name)]) for name in held}


def row_of(name: str) -> str:
    """The row of `run.py`, whichever form the project has."""
    return name.removesuffix(DBT)


def _ours(costs: dict[str, dict[str, list[dict[str, float]]]], name: str) -> list[dict[str, float]]:
    return costs["ours, dbt" if name.endswith(DBT) else "ours"][row_of(name)]


def planned(held: Collection[str], models: int, runs: int) -> dict[str, float]:
    """How much more it takes to plan three times as many models."""
    if not held:
        return {}
    with tempfile.TemporaryDirectory() as home:
        few, many = (_related(Path(home) / str(n), n) for n in (models, 3 * models))
        _plan(few), _plan(many)  # compiled, and cached
        spent = [(_plan(few), _plan(many)) for _ in range(runs)]
    return {"plan": min(b for _, b in spent) / min(a for a, _ in spent)}


def _related(root: Path, models: int) -> Path:
    """A project in chains of ten models, each with a check that refers to the next chain."""
    (root / "models").mkdir(parents=True)
    (root / "transform.yml").write_text("name: related\ntargets: {dev: {path: warehouse.duckdb}}\n")
    listed = ["models:"]
    for number in range(models):
        chain, place = divmod(number, 10)
        query = f"select id from m_{chain}_{place - 1}" if place else "select 1 as id"
        (root / "models" / f"m_{chain}_{place}.sql").write_text(f"{query}\n")
        check = f"relationships: {{to: ref('m_{(chain + 1) % (models // 10)}_0'), field: id}}"
        listed.append(f"  - name: m_{chain}_{place}")
        listed.append(f"    columns: [{{name: id, data_tests: [{{{check}}}]}}]")
    (root / "models" / "models.yml").write_text("\n".join(listed) + "\n")
    return root


def _plan(root: Path) -> float:
    env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    words = [sys.executable, "-m", "transformer", "plan"]
    process = subprocess.Popen(
        words, cwd=root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"`transform plan` ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def landed(held: Collection[str], rows: int, runs: int) -> dict[str, float]:
    """The ratio of these landings."""
    if not held:
        return {}
    costs = landing.costs(rows, runs, held)
    return {kind: min(sides["ours"])[0] / min(sides["floor"])[0] for kind, sides in costs.items()}


def _best(costs: list[dict[str, float]]) -> float:
    return min(cost["cpu"] for cost in costs)


def main() -> int:
    """0 where every ratio holds."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--models", type=int, default=150)
    reader.add_argument("--related", type=int, default=600)
    reader.add_argument("--rows", type=int, default=300_000)
    reader.add_argument("--runs", type=int, default=5)
    given = reader.parse_args()
    held = {row: ratio * MARGIN for row, ratio in (RATIOS | PLANNING | LANDINGS).items()}
    for _ in range(TRIES):
        found = measured(held.keys() & RATIOS, given.models, given.runs)
        found |= planned(held.keys() & PLANNING, given.related, given.runs)
        found |= landed(held.keys() & LANDINGS, given.rows, given.runs)
        for row, ratio in found.items():
            print(f"{row}: {ratio:.2f} at most {held[row]:.2f}", flush=True)
        held = {row: most for row, most in held.items() if found[row] > most}
    return int(bool(held))


if __name__ == "__main__":
    raise SystemExit(main())
