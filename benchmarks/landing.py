"""What a load costs beside `create table as` of DuckDB's own readers: CPU seconds, peak memory.

    python benchmarks/landing.py --rows 1000000 --runs 3

Whole processes are measured, side by side in each round; medians are printed. `dirty` files are
loaded a second time with one row in a thousand that does not fit, into the types of the first.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

import duckdb

_ROWS = """
    select i as id, 'user' || (i * 7919 % 1000003) || '@example.com' as email,
        ((hash(i) % 1000000) / 100.0)::double as amount, date '2020-01-01' + (i % 2000)::int as day,
        timestamp '2020-01-01' + to_seconds(i * 37) as noted, i % 3 = 0 as active,
        ['red', 'green', 'blue'][1 + i % 3] as colour, (hash(i * 3) % 100000)::int as qty,
        case when i % 10 > 0 then 'note number ' || i end as note
    from range({rows}) r(i)
"""
_EVENTS = """
    select 'track' as type, uuid()::varchar as "messageId", 'user_' || (id % 50000) as "userId",
        strftime(noted, '%Y-%m-%dT%H:%M:%S.000Z') as timestamp, 'Order Completed' as event,
        {{order_id: 'o-' || id, total: amount, currency: 'EUR',
          items: [{{sku: 'sku-' || (id % 100), qty: id % 5}}]}} as properties,
        {{ip: '10.0.0.' || (id % 255), library: {{name: 'analytics.js', version: '2.1.0'}},
          page: {{path: '/checkout/' || (id % 1000), title: 'Checkout'}},
          userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'}} as context
    from ({rows})
"""
_FLOORS = {
    "csv": "read_csv('{path}')",
    "ndjson": "read_json('{path}')",
    "events": "read_json('{path}')",
    "parquet": "read_parquet('{path}')",
}
_DIRTY = ", dirty"
LANDINGS = ("csv", f"csv{_DIRTY}", "ndjson", "events", "parquet")
_ENDINGS = {"csv": "csv", "ndjson": "ndjson", "events": "ndjson", "parquet": "parquet"}
_FLOOR = (
    "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.execute('set threads = 2');"
    "c.execute('set enable_progress_bar = false');"
    "c.execute('create table t as select * from ' + sys.argv[2]); c.close()"
)
_MEASURE = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], capture_output=True);"
    "u = resource.getrusage(resource.RUSAGE_CHILDREN);"
    "print(u.ru_utime + u.ru_stime, u.ru_maxrss / 1024, done.returncode)"
)


def make(folder: Path, rows: int) -> dict[str, Path]:
    """The files, by format."""
    made = {kind: folder / f"{kind}.{ending}" for kind, ending in _ENDINGS.items()}
    con = duckdb.connect()
    con.execute("set enable_progress_bar = false")
    con.execute(f"create table t as {_ROWS.format(rows=rows)}")
    con.execute(f"copy t to '{made['csv']}' (header)")
    con.execute(f"copy t to '{made['ndjson']}' (format json)")
    con.execute(f"copy t to '{made['parquet']}'")
    con.execute(f"copy ({_EVENTS.format(rows='from t')}) to '{made['events']}' (format json)")
    return made


def dirty(path: Path) -> None:
    """One value of a thousand in the column of amounts is a word."""
    rows = f"from read_csv('{path}', all_varchar = true)"
    amount = "case when rowid % 1000 = 7 then 'none' else amount end as amount"
    con = duckdb.connect()
    con.execute(f"create table t as {rows}")
    con.execute(f"copy (select * replace ({amount}) from t) to '{path}' (header)")


def measured(words: list[str]) -> tuple[float, float]:
    """CPU seconds and peak MiB of a command. Raises RuntimeError when it fails."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *words], capture_output=True, text=True, check=True
    )
    seconds, peak, code = done.stdout.split()
    if code != "0":
        raise RuntimeError(f"{' '.join(words)} ended with {code}")
    return float(seconds), float(peak)


def project(folder: Path, path: Path) -> Path:
    """A project that loads one file."""
    root = folder / f"project_{path.stem}"
    (root / "models").mkdir(parents=True, exist_ok=True)
    (root / "data").mkdir(exist_ok=True)
    target = root / "data" / path.name
    target.unlink(missing_ok=True)
    target.write_bytes(path.read_bytes())
    (root / "models" / "_sources.yml").write_text(
        f"sources: [{{name: raw, tables: [{{name: t, load: {{kind: files, path: data/{path.name}}}"
        "}]}]\n"
    )
    return root


def rounds(
    folder: Path, files: dict[str, Path], runs: int
) -> Iterator[tuple[str, str, float, float]]:
    """Format, whose, CPU seconds, peak MiB: ours and the floor one after the other."""
    load = [str(Path(sys.executable).with_name("transform")), "build", "--project-dir"]
    for _ in range(runs):
        for kind, path in files.items():
            database = folder / "floor.duckdb"
            database.unlink(missing_ok=True)
            floor = _FLOORS[kind].format(path=path)
            yield kind, "floor", *measured([sys.executable, "-c", _FLOOR, str(database), floor])
            root = project(folder, path)
            for old in root.glob("warehouse*"):
                old.unlink()
            yield kind, "ours", *measured([*load, str(root)])
            if kind == "csv":
                dirty(root / "data" / path.name)
                yield kind + _DIRTY, "ours", *measured([*load, str(root)])
                database.unlink()
                yield (
                    kind + _DIRTY,
                    "floor",
                    *measured([sys.executable, "-c", _FLOOR, str(database), floor]),
                )


def costs(
    rows: int, runs: int, only: Collection[str] = LANDINGS
) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """By landing and side, the CPU seconds and peak MiB of each round."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    formats = {landing.removesuffix(_DIRTY) for landing in only}
    with tempfile.TemporaryDirectory() as folder:
        files = {f: path for f, path in make(Path(folder), rows).items() if f in formats}
        for kind, whose, seconds, peak in rounds(Path(folder), files, runs):
            found.setdefault(kind, {}).setdefault(whose, []).append((seconds, peak))
    return {kind: sides for kind, sides in found.items() if kind in only}


def _medians(measures: list[tuple[float, float]]) -> tuple[float, float]:
    seconds, peaks = zip(*measures, strict=True)
    return statistics.median(seconds), statistics.median(peaks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    print("| landing | ours, CPU s | floor | ratio | ours, MiB | floor | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind, sides in costs(asked.rows, asked.runs).items():
        ours, floor = _medians(sides["ours"]), _medians(sides["floor"])
        print(
            f"| {kind} | {ours[0]:.2f} | {floor[0]:.2f} | {ours[0] / floor[0]:.2f} |"
            f" {ours[1]:.0f} | {floor[1]:.0f} | {ours[1] / floor[1]:.2f} |"
        )


if __name__ == "__main__":
    main()
