"""Builds on a disk that is full, has no names left, or cannot be written to. Run as a module, in a
namespace in which it may mount one:

    unshare -rm python -m tests.small_disk KIND COUNT SEED

It prints a line of JSON for each trial.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.projects import contents, query, transform, write

FILES = {
    "transform.yml": "name: shop\ntargets: {dev: {path: warehouse.duckdb, threads: 2}}\n",
    "models/_all.yml": """
        sources:
          - name: crm
            load: {kind: files, mode: append}
            tables:
              - name: people
                load: {path: "data/people_*.csv"}
                columns: [{name: id, data_type: BIGINT}]
        models: [{name: everyone, columns: [{name: id, data_tests: [unique, not_null]}]}]
        snapshots:
          - name: names
            relation: ref('everyone')
            config: {unique_key: id, strategy: check, check_cols: [name]}
        activations:
          - name: out
            model: everyone
            key: id
            mode: mirror
            to: {kind: files, path: exports/out.csv}
    """,
    "models/everyone.sql": """
        {{ config(materialized='table') }}
        select id, name, md5(name) as a, sha256(name) as b from crm.people
    """,
}
ROWS = 4_000


def more(root: Path, number: int) -> None:
    (root / "data").mkdir(exist_ok=True)
    rows = "".join(f"{number * ROWS + i},name {i} of {number}\n" for i in range(ROWS))
    (root / "data" / f"people_{number}.csv").write_text(f"id,name\n{rows}none,bad\n")


def state(root: Path) -> Mapping[str, object]:
    warehouse = root / "warehouse.duckdb"
    bad = "select node, source, row_number, value, reason from _transform.quarantine order by all"
    return {
        **contents(warehouse),
        "quarantine": query(warehouse, bad),
        "out": (root / "exports" / "out.csv").read_text(),
    }


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


@contextmanager
def disk(place: Path, options: str) -> Iterator[None]:
    mount("-t", "tmpfs", "-o", options, "none", str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def used(root: Path) -> int:
    return sum(each.stat().st_size for each in root.rglob("*") if each.is_file())


def filled(place: Path, kind: str, left: int) -> None:
    """Leaves so many bytes, or so many names; or nothing can be written."""
    if kind == "space":
        free = shutil.disk_usage(place).free
        (place / "filler").write_bytes(bytes(max(0, free - left)))
    elif kind == "names":
        (place / "fill").mkdir()
        for number in itertools.count():
            try:
                (place / "fill" / str(number)).touch()
            except OSError:
                break
        for each in itertools.islice(sorted((place / "fill").iterdir()), left):
            each.unlink()
    else:
        mount("-o", "remount,ro", str(place))


def emptied(place: Path, kind: str) -> None:
    if kind == "space":
        (place / "filler").unlink()
    elif kind == "names":
        shutil.rmtree(place / "fill")
    else:
        mount("-o", "remount,rw", str(place))


def trial(base: Path, place: Path, kind: str, left: int, expected: object) -> dict[str, object]:
    """One build with so much left, and the one after there is room again."""
    with disk(place, "size=300m,nr_inodes=400"):
        root = place / "project"
        shutil.copytree(base, root)
        more(root, 2)
        before = (root / "warehouse.duckdb").read_bytes()
        filled(place, kind, left)
        first = transform(root, "build", check=False)
        published = (root / "warehouse.duckdb").read_bytes()
        emptied(place, kind)
        second = transform(root, "build", check=False)
        return {
            "left": left,
            "code": first.returncode,
            "words": first.stdout + first.stderr,
            "untouched": published == before,
            "then": second.returncode,
            "then_words": second.stdout + second.stderr,
            "equal": second.returncode == 0 and state(root) == expected,
            "behind": sorted(p.name for p in (root / ".transform" / "warehouse.duckdb").iterdir()),
        }


def main(kind: str, count: int, seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        base, quiet, place = (Path(name) / each for each in ("base", "quiet", "disk"))
        place.mkdir()
        more(write(base, FILES), 1)
        transform(base, "build")
        shutil.copytree(base, quiet)
        more(quiet, 2)
        transform(quiet, "build")
        most = {"space": 2 * used(quiet), "names": count, "reading": 1}[kind]
        for number in range(count):
            left = most * number // count
            left += chance.randrange(most // count) if kind == "space" else seed
            print(json.dumps(trial(base, place, kind, left, state(quiet))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
