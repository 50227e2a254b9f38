"""The table of figures: ours, the floor, and other tools, on the same project.

    python benchmarks/run.py [--models 1000] [--runs 3] [--peers dbt-core,sqlmesh,lea,dbt2]
        [--only start,ls-new,ls,cold,same,leaf] [--ours CMD] [--json OUT] [--heavy] [--instructions]

Figures are CPU seconds (user and system) of the whole process tree of a command, the median of so
many runs; tools take turns. A wall clock says little on a machine that others use too. Memory is
the largest resident set of one process in the tree. After the first turn the tables of every tool
are compared with those of the floor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import peers
import projects
from peers import FLOOR, WAREHOUSE, Tool

ROWS = {
    "start": "start (`--version`)",
    "ls-new": "`ls`, no cache",
    "ls": "`ls`, cache",
    "cold": "build, cold",
    "same": "build, nothing changed",
    "leaf": "build, one leaf's SQL changed",
}
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took."""

    cpu: float
    wall: float
    peak: float  # MB


@dataclass(slots=True)
class Stand:
    """A tool, its project, and what was measured."""

    tool: Tool
    root: Path
    project: projects.Project
    runs: int
    costs: dict[str, list[Cost]] = field(default_factory=dict)
    note: str = ""
    compared: str = ""

    def median(self, row: str, of: str = "cpu") -> float | None:
        """The median of a row; None when it was not measured."""
        found = [getattr(cost, of) for cost in self.costs.get(row, ())]
        return statistics.median(found) if found else None


# ---------------------------------------------------------------- measuring


def cost(command: Iterable[str], folder: Path, env: dict[str, str], limit: float) -> Cost:
    """Runs a command to its end; one that fails ends the measuring with what it said.

    A child's peak is never less than this process's own size, which is smaller than a Python
    that holds DuckDB.
    """
    words = list(command)
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=said, stderr=said)
        timer = threading.Timer(limit, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            text = said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(words)} (exit {process.returncode})\n{text}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def measure(
    stand: Stand, row: str, turn: int, limit: float, under: Iterable[str] = ()
) -> Cost | None:
    """Brings the project into the state a row begins with, and measures the row's command; it
    may run `under` another program."""
    command = getattr(stand.tool, {"ls-new": "ls", "cold": "build"}.get(row, row))
    if not command:
        return None
    if row == "cold":
        _clear(stand)
    if row == "ls-new":
        stand.tool.forget(stand.root)
    if row == "leaf":
        stand.project = projects.change(stand.project, stand.root, stand.tool.form, turn + 2)
    leaf = stand.project.models[-1].name
    env = {k: v for k, v in os.environ.items() if k in KEPT} | dict(stand.tool.env)
    words = (*under, *(word.format(leaf=leaf) for word in command))
    made = cost(words, stand.root, env, limit)
    if row == "cold":
        stand.tool.built(stand.root)
    return made


def instructions(stand: Stand, rows: list[str], limit: float) -> Iterator[str]:
    """The rows of ours counted by callgrind, where time is too noisy: in 10⁹ instructions."""
    measure(stand, "same", 0, limit)  # what listing without a cache has thrown away
    for row in _needed(rows, first=False):
        with tempfile.NamedTemporaryFile() as said:
            under = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
            measure(stand, row, stand.runs + 1, limit, (*under, f"--log-file={said.name}"))
            found = re.search(rb"Collected : (\d+)", Path(said.name).read_bytes())
        yield f"{ROWS[row]}: {int(found[1]) / 1e9:.2f}" if found else f"{ROWS[row]}: –"


def _clear(stand: Stand) -> None:
    stand.tool.forget(stand.root)
    for name in (WAREHOUSE, f"{WAREHOUSE}.wal"):
        (stand.root / name).unlink(missing_ok=True)


def measure_all(stands: list[Stand], rows: list[str], limit: float) -> None:
    """All rows of all tools, in turns; a tool that fails is noted, and left out from there."""
    for turn in range(max(stand.runs for stand in stands)):
        for row in _needed(rows, first=turn == 0):
            for stand in [s for s in stands if turn < s.runs and not s.note]:
                _take(stand, row, turn, limit, kept=row in rows)
        if turn == 0 and rows != ["start"] and not stands[0].project.heavy:
            compare(stands)


def _needed(rows: list[str], *, first: bool) -> list[str]:
    """The rows in the order of the table, but what needs a warehouse comes after one is built."""
    order = ("start", "cold", "same", "leaf", "ls-new", "ls")
    wanted: list[str] = [row for row in order if row in rows]
    if first and "cold" not in wanted and wanted != ["start"]:
        wanted.insert(0, "cold")
    return wanted


def _take(stand: Stand, row: str, turn: int, limit: float, *, kept: bool) -> None:
    try:
        made = measure(stand, row, turn, limit)
    except (RuntimeError, OSError) as error:
        stand.note = f"{row}: {error}"
        print(f"{stand.tool.name}: {stand.note}", file=sys.stderr)
        return
    if made and kept:
        stand.costs.setdefault(row, []).append(made)
        shown = f"{made.cpu:.2f} s CPU, {made.wall:.2f} s, {made.peak:.0f} MB"
        print(f"  {turn + 1}  {row:<7} {stand.tool.name:<10} {shown}", file=sys.stderr)


def compare(stands: list[Stand]) -> None:
    """Notes whether every tool made the floor's tables, the changed leaf with them."""
    floor = digest(stands[1].root)
    for stand in [each for each in stands if not each.note]:
        made = digest(stand.root)
        wrong = [name for name, value in floor.items() if made.get(name) != value]
        stand.compared = f"{len(wrong)} of {len(floor)} tables differ from the floor's"
        if not wrong:
            stand.compared = f"all {len(floor)} tables as the floor's"


def digest(root: Path) -> dict[str, object]:
    """Each table's rows in one number."""
    words = [sys.executable, FLOOR, "digest", WAREHOUSE]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    made: dict[str, object] = json.loads(done.stdout)
    return made


# ---------------------------------------------------------------- the table


def table(stands: list[Stand], rows: list[str]) -> str:
    """The figures as a Markdown table."""
    names = [stand.tool.name for stand in stands]
    lines = [
        "| CPU seconds | " + " | ".join([*names[:2], "ratio", *names[2:]]) + " |",
        "|---|" + "---:|" * (len(names) + 1),
    ]
    for row in rows:
        lines.append(_line(ROWS[row], [stand.median(row) for stand in stands], ".2f"))
    if "cold" in rows:
        peaks = [stand.median("cold", "peak") for stand in stands]
        lines.append(_line("peak memory of the cold build, MiB", peaks, ".0f"))
    return "\n".join(lines)


def _line(title: str, values: list[float | None], form: str) -> str:
    shown = ["–" if value is None else format(value, form) for value in values]
    ours, floor = values[:2]
    ratio = f"{ours / floor:.1f}" if ours and floor else "–"
    return "| " + " | ".join([title, *shown[:2], ratio, *shown[2:]]) + " |"


def facts(stands: list[Stand]) -> dict[str, str]:
    """What the figures were taken with."""
    model = platform.processor()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        named = [line for line in cpus.read_text().splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    made = {
        "machine": f"{os.cpu_count()} cores, {model}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for stand in stands:
        made[stand.tool.name] = f"{stand.tool.version} (n = {stand.runs}) {stand.compared}"
    return made


def write_json(path: Path, stands: list[Stand], known: dict[str, str]) -> None:
    """Every single measurement."""
    made = {
        "facts": known,
        "models": len(stands[0].project.models),
        "costs": {
            stand.tool.name: {
                row: [asdict(each) for each in costs] for row, costs in stand.costs.items()
            }
            for stand in stands
        },
        "failed": {stand.tool.name: stand.note for stand in stands if stand.note},
    }
    path.write_text(json.dumps(made, indent=2))


# ---------------------------------------------------------------- the command


def options() -> argparse.Namespace:
    """What the caller wants."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--models", type=int, default=1000)
    words.add_argument("--rows", type=projects.span, help="rows of a raw table: 100..1000")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--runs", type=int, default=3)
    words.add_argument("--peers", default="", help=f"of {', '.join(peers.PEERS)}, ours-dbt")
    words.add_argument("--peer-runs", type=int, default=1)
    words.add_argument("--only", default=",".join(ROWS), help="rows of the table")
    words.add_argument("--ours", default="", help="the command to measure, if not this checkout's")
    words.add_argument("--json", type=Path, help="where every measurement is written")
    words.add_argument("--heavy", action="store_true", help="20 models over 20 million rows")
    words.add_argument("--instructions", action="store_true", help="count ours by callgrind too")
    words.add_argument("--home", type=Path, help="where the projects are written")
    words.add_argument("--limit", type=float, default=3600, help="seconds a command may take")
    return words.parse_args()


def tools(given: argparse.Namespace) -> list[tuple[Tool, int]]:
    """The tools with the number of their runs; a peer that cannot be installed is named."""
    made = [(peers.ours(given.ours), given.runs), (peers.floor(), given.runs)]
    for name in [each for each in given.peers.split(",") if each]:
        try:
            if name == "ours-dbt":
                made.append((peers.ours(given.ours, "dbt"), given.runs))
            else:
                made.append((peers.PEERS[name](), given.peer_runs))
        except subprocess.CalledProcessError as error:
            print(f"{name} could not be installed: {error}", file=sys.stderr)
    return made


def stand_up(given: argparse.Namespace, home: Path) -> list[Stand]:
    """Writes a project for each tool."""
    if given.heavy:
        project = projects.heavy((given.rows or (0, 20_000_000))[1], given.seed)
    else:
        project = projects.plan(given.models, given.rows or (100, 1000), given.seed)
    made = []
    for tool, runs in tools(given):
        root = home / tool.name.replace(", ", "-").replace(" ", "")
        shutil.rmtree(root, ignore_errors=True)
        projects.write(project, root, tool.form)
        made.append(Stand(tool, root, project, runs))
    return made


def main() -> None:
    """Measures, and prints the table."""
    given = options()
    rows = [row for row in ROWS if row in given.only.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        stands = stand_up(given, given.home or Path(temporary))
        measure_all(stands, rows, given.limit)
        known = facts(stands)
        print(f"\n{len(stands[0].project.models)} models")
        for name, fact in known.items():
            print(f"{name:<10} {fact}")
        print(f"\n{table(stands, rows)}")
        if given.instructions:
            print("\n10⁹ instructions, ours:")
            print("\n".join(instructions(stands[0], rows, given.limit)))
    if given.json:
        write_json(given.json, stands, known)


if __name__ == "__main__":
    main()
