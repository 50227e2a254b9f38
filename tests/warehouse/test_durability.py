"""What is put in place of a file is on the disk before, and its name after; nobody can write to the
file while it is copied or replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Bench, write
from tests.warehouse.test_publication import CLEAN, PAIR
from transformer.errors import WarehouseError
from transformer.warehouse import file

Said = tuple[str, str, int]


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[Said]:
    """What is written through and what is renamed, in their order: the kind, the name, and the
    number of the file with its size. Both are really done."""
    said: list[Said] = []
    flush, rename = os.fsync, os.replace

    def fsync(handle: int) -> None:
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        flush(handle)
        said.append(("flushed", path, mark(path)))

    def replace(source: Any, target: Any, **words: Any) -> None:
        held = mark(source)
        rename(source, target, **words)
        said.append(("named", str(Path(target).resolve()), held))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "rename", replace)
    return said


def mark(path: Any) -> int:
    """What tells a file as it is now; nothing of a folder."""
    found = Path(path).stat()
    return 0 if Path(path).is_dir() else hash((found.st_ino, found.st_size, found.st_mtime_ns))


def endures(order: list[Said], path: Path) -> None:
    """The file was flushed as it is before it got its name, and its folder after that."""
    place = next(n for n, said in enumerate(order) if said[:2] == ("named", str(path.resolve())))
    assert any(said[0] == "flushed" and said[2] == order[place][2] for said in order[:place]), order
    home = str(path.resolve().parent)
    assert ("flushed", home, 0) in order[place:], order


SOME = "targets: {dev: {publish: {models: [two]}}}\n"


def test_a_published_file_endures(tmp_path: Path, order: list[Said]) -> None:
    bench = Bench(write(tmp_path, PAIR))
    for n in (1, 2):
        order.clear()
        bench.build(vars={"n": n})
        endures(order, tmp_path / "warehouse.duckdb")


def test_an_extract_endures_with_what_tells_that_it_is_ours(
    tmp_path: Path, order: list[Said]
) -> None:
    bench = Bench(write(tmp_path, {**PAIR, "transform.yml": SOME}))
    bench.build()
    endures(order, tmp_path / "warehouse.full.duckdb")
    endures(order, tmp_path / "warehouse.duckdb")
    note = tmp_path / ".transform" / "warehouse.full.duckdb"
    shown = order.index(next(s for s in order if s[1] == str(tmp_path / "warehouse.duckdb")))
    assert ("flushed", str(note), 0) in order[:shown], "it is known as ours before it is there"


def test_an_extract_of_a_warehouse_that_is_built_in_place_endures(
    tmp_path: Path, order: list[Said]
) -> None:
    text = "targets: {dev: {publish: {mode: in_place, models: [two]}}}\n"
    bench = Bench(write(tmp_path, {**PAIR, "transform.yml": text}))
    bench.build()
    endures(order, tmp_path / "warehouse.duckdb")


def test_what_becomes_the_whole_of_a_shown_file_endures(tmp_path: Path, order: list[Said]) -> None:
    bench = Bench(write(tmp_path, PAIR))
    bench.build()
    order.clear()
    bench.write({"transform.yml": SOME})
    bench.build()
    endures(order, tmp_path / "warehouse.full.duckdb")


def test_a_copy_endures(tmp_path: Path, order: list[Said]) -> None:
    source, target = tmp_path / "source", tmp_path / "there" / "target"
    source.write_bytes(b"rows")
    target.parent.mkdir()
    file.copy_file(source, target)
    assert [said[:2] for said in order] == [
        ("flushed", f"{target}.copying"),
        ("named", str(target)),
        ("flushed", str(target.parent)),
    ]


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "parquet"])
def test_a_file_of_an_activation_endures(tmp_path: Path, order: list[Said], form: str) -> None:
    out = """
        activations:
          - {name: out, model: two, key: n, mode: mirror, to: {kind: files, path: out/x.FORM}}
    """
    bench = Bench(write(tmp_path, {**PAIR, "models/_a.yml": out.replace("FORM", form)}))
    bench.write({"transform.yml": "targets: {dev: {activate: true}}\n"})
    bench.build()
    endures(order, tmp_path / "out" / f"x.{form}")


def writes(path: Path) -> bool:
    """Whether another process can write to the file now."""
    done = subprocess.run(
        [sys.executable, "-c", CLEAN, str(path)], check=False, capture_output=True
    )
    return done.returncode == 0


# Each time the first step that is done while the file has to be held, and the last.
STEPS = {
    "it is copied": ("_put_copy", 0),
    "it was copied": ("like", 3),
    "it is replaced": ("like", 2),
}


@pytest.mark.parametrize("when", STEPS)
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name: shop\n", "warehouse.duckdb"),
        (SOME, "warehouse.full.duckdb"),
        (SOME, "warehouse.duckdb"),
    ],
)
def test_nobody_can_write_to_the_file_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, text: str, name: str
) -> None:
    bench = Bench(write(tmp_path, {**PAIR, "transform.yml": text}))
    bench.build()
    live = tmp_path / name
    wrote: list[bool] = []
    step, number = STEPS[when]
    plain: Callable[..., None] = getattr(file, step)

    def meanwhile(*words: Any) -> None:
        if live in words[:2] and number in (0, len(words)):
            wrote.append(writes(live))
        plain(*words)

    monkeypatch.setattr(file, step, meanwhile)
    assert bench.build(vars={"n": 2}).ok
    shown = text == SOME and name == "warehouse.duckdb"  # it is not copied
    assert wrote == ([] if shown and "copied" in when else [False])
    monkeypatch.undo()
    assert writes(live), "it can before and after"


def test_what_a_writer_holds_is_not_copied(tmp_path: Path) -> None:
    bench = Bench(write(tmp_path, PAIR))
    bench.build()
    script = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "warehouse.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert writer.stdout
        assert writer.stdout.readline() == b"1\n"
        with pytest.raises(WarehouseError, match=f"process {writer.pid}"):
            bench.build(vars={"n": 2})
    finally:
        writer.communicate(b"\n")
    assert bench.build(vars={"n": 2}).ok


# Commits rows into the copy that a build left unfinished, and is killed before a checkpoint.
def test_the_log_of_an_unfinished_copy_does_not_come_into_the_next(tmp_path: Path) -> None:
    bench = Bench(write(tmp_path, PAIR))
    bench.build()
    private = tmp_path / ".transform" / "warehouse.duckdb" / "warehouse.duckdb"
    killed = CLEAN.replace("con.close()", "os.kill(os.getpid(), 9)")
    subprocess.run([sys.executable, "-c", killed, str(private)], check=False)
    assert private.with_name("warehouse.duckdb.wal").stat().st_size
    assert bench.build(vars={"n": 2}).ok
    assert bench.rows("select n from two") == [(2,)]
    assert bench.rows("select table_name from duckdb_tables() where table_name = 'theirs'") == []
    assert [p.name for p in private.parent.iterdir()] == ["lock"]
