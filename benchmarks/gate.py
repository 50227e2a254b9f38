"""Holds what a cold build and an idle one cost beside the floor: fails where a ratio got worse.

    python benchmarks/gate.py [--models 150]

The sides take turns, so that a slow machine slows both; CPU seconds are compared, not the clock.
A ratio may be a third worse than it was when it was last written down here: so much do they differ
from run to run on a busy machine. Of so few models much is start-up, so the ratios are not those
of `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# Ratios to the floor of 150 models, as they were measured; and how much worse they may be.
RATIOS = {"cold": 1.4, "same": 1.0}
MARGIN = 1.35


def measured(models: int, runs: int) -> dict[str, float]:
    """The ratio of every row that is held."""
    with tempfile.TemporaryDirectory() as home:
        out = Path(home) / "out.json"
        subprocess.run(
            [
                *(sys.executable, str(HERE / "run.py"), "--models", str(models)),
                *("--runs", str(runs), "--only", ",".join(RATIOS), "--json", str(out)),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        costs = json.loads(out.read_text())["costs"]
    return {row: _median(costs["ours"][row]) / _median(costs["floor"][row]) for row in RATIOS}


def _median(costs: list[dict[str, float]]) -> float:
    return statistics.median(cost["cpu"] for cost in costs)


def main() -> int:
    """0 where every ratio holds."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--models", type=int, default=150)
    reader.add_argument("--runs", type=int, default=3)
    given = reader.parse_args()
    found = measured(given.models, given.runs)
    for row, ratio in found.items():
        most = RATIOS[row] * MARGIN
        print(f"{row}: {ratio:.2f} of the floor, at most {most:.2f}")
    return int(any(ratio > RATIOS[row] * MARGIN for row, ratio in found.items()))


if __name__ == "__main__":
    raise SystemExit(main())
