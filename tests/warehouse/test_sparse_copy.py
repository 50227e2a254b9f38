"""A copy reads as the file does, whatever gaps and zeros that has, and takes no more room."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

from tests.projects import Bench
from transformer.engines import duckdb as engine
from transformer.warehouse.file import WarehouseFiles, publish
from transformer.warehouse.sparse_copy import clone, is_hollow, occupied

HEAD, BLOCK, PAGE = 3 * 4096, 256 << 10, 4096
# How a block is filled.
KINDS = ("full", "zeros", "front", "back", "middle", "edges", "gap")


def block(kind: str, chance: random.Random) -> bytes:
    size = chance.choice([1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, BLOCK // 2, BLOCK // 2 + 5])
    data, rest = b"\1" * size, bytes(BLOCK - size)
    return {
        "full": b"\1" * BLOCK,
        "front": data + rest,
        "back": rest + data,
        "middle": rest[: len(rest) // 2] + data + rest[len(rest) // 2 :],
        "edges": b"\1" + bytes(BLOCK - 2) + b"\1",
    }.get(kind, bytes(BLOCK))


def written(path: Path, kinds: list[str], chance: random.Random, tail: int) -> None:
    """A file of such blocks behind its head; what is a gap is never written."""
    with path.open("wb") as file:
        file.write(b"\2" * HEAD)
        for kind in kinds:
            if kind == "gap":
                file.seek(BLOCK, os.SEEK_CUR)
            else:
                file.write(block(kind, chance))
        file.truncate(HEAD + len(kinds) * BLOCK - tail)


@pytest.mark.parametrize("seed", range(40))
def test_a_copy_reads_as_the_file_does(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    one, two, three = tmp_path / "one", tmp_path / "two", tmp_path / "three"
    kinds = chance.choices(KINDS, k=chance.randint(1, 9))
    written(one, kinds, chance, chance.choice([0, 0, 1, 5000, BLOCK - 1]))
    clone(one, two)
    assert two.read_bytes() == one.read_bytes(), kinds
    assert occupied(two) <= occupied(one)
    clone(two, three)
    assert three.read_bytes() == one.read_bytes(), kinds
    assert occupied(three) <= occupied(two)


@pytest.mark.parametrize("size", [0, 1, PAGE, HEAD, HEAD + 1, BLOCK, BLOCK + HEAD + 1])
def test_a_small_or_empty_file_is_copied(tmp_path: Path, size: int) -> None:
    for fill in (b"\0", b"\1"):
        (tmp_path / "one").write_bytes(fill * size)
        clone(tmp_path / "one", tmp_path / "two")
        assert (tmp_path / "two").read_bytes() == fill * size


def test_what_stood_at_the_copys_place_is_gone(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(BLOCK))
    (tmp_path / "two").write_bytes(b"\1" * 3 * BLOCK)
    clone(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == bytes(BLOCK)


def test_a_file_of_another_file_system_is_copied(tmp_path: Path) -> None:
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    folder = Path(tempfile.mkdtemp(dir=memory))
    try:
        written(folder / "one", ["full", "front", "gap", "full", "full"], random.Random(1), 0)
        clone(folder / "one", tmp_path / "two")
        assert (tmp_path / "two").read_bytes() == (folder / "one").read_bytes()
    finally:
        shutil.rmtree(folder)


def test_where_neither_gaps_nor_the_kernel_help_it_is_copied_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> int:
        raise OSError(errno.EINVAL, "not here")

    written(tmp_path / "one", ["full", "front", "gap", "edges"], random.Random(1), 7)
    monkeypatch.setattr(os, "lseek", cannot)
    monkeypatch.setattr(os, "copy_file_range", cannot)
    clone(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()


def test_a_read_that_gives_less_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "one", ["back", "front", "back"], random.Random(1), 0)
    pread = os.pread

    def less(file: int, size: int, at: int) -> bytes:
        return pread(file, min(size, 100_000), at)

    monkeypatch.setattr(os, "pread", less)
    monkeypatch.delattr(os, "copy_file_range")
    clone(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_what_another_system_says_of_gaps_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    """macOS tells of the data behind the next gap, and of no gap where there is none."""
    written(tmp_path / "one", ["full", "gap", "front", "full"], random.Random(1), 0)

    def told(_: int, at: int, how: int) -> int:
        if how == os.SEEK_DATA and system == "linux":
            return at
        raise OSError(errno.ENXIO, "no such place")

    monkeypatch.setattr(os, "lseek", told)
    monkeypatch.setattr(sys, "platform", system)
    clone(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()


def test_a_file_that_loses_its_end_meanwhile_is_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "one", ["full", "full"], random.Random(1), 0)
    pread = os.pread

    def shorter(file: int, size: int, at: int) -> bytes:
        found = pread(file, size, at)
        os.truncate(tmp_path / "one", HEAD)
        return found

    monkeypatch.setattr(os, "pread", shorter)
    with pytest.raises(OSError, match="shorter"):
        clone(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (["front"] * 100, True),
        (["full"] * 100, False),
        (["front"] * 20, False),  # too little to be worth it
        (["full", "full", "front"] * 40, False),
        (["front", "front", "full"] * 40, True),
        (["gap"] * 100, False),  # it takes no room as it is
    ],
)
def test_a_file_is_hollow_when_most_of_it_is_zeros_that_take_room(
    tmp_path: Path, kinds: list[str], told: bool
) -> None:
    written(tmp_path / "one", kinds, random.Random(1), 0)
    os.sync()
    assert is_hollow(tmp_path / "one") is told


def small_tables(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as con:
        for number in range(80):
            con.execute(f"create table t{number} as select i as a from range(9) t(i)")


@pytest.mark.parametrize("name", ["warehouse.duckdb", "w.copying"])
def test_a_thin_file_takes_the_place_of_the_full_one(tmp_path: Path, name: str) -> None:
    warehouse = WarehouseFiles(tmp_path / name)
    small_tables(warehouse.private)
    warehouse.base.write_text('{"live": null}')
    publish(warehouse, engine)
    assert occupied(warehouse.live) < warehouse.live.stat().st_size / 4
    with duckdb.connect(str(warehouse.live), read_only=True) as con:
        assert con.execute("select sum(a) from t79").fetchall() == [(36,)]
    assert not [path for path in warehouse.room.iterdir() if path.name != "tmp"]


def test_where_there_is_no_room_to_thin_it_the_file_is_published_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", full)
    warehouse = WarehouseFiles(tmp_path / "warehouse.duckdb")
    small_tables(warehouse.private)
    warehouse.base.write_text('{"live": null}')
    publish(warehouse, engine)
    with duckdb.connect(str(warehouse.live), read_only=True) as con:
        assert con.execute("select sum(a) from t79").fetchall() == [(36,)]
    assert not list(warehouse.room.glob("*.copying"))


def test_a_warehouse_of_small_tables_takes_little_room(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "here")
    head = "{{ config(materialized='table') }} "
    bench.write(
        {f"models/m{i}.sql": f"{head}select {i} as a, 'x' as b from range(9)" for i in range(80)}
    )
    for text in ("select 1 as a", "select 2 as a"):  # built anew, and on a copy
        bench.write({"models/last.sql": head + text})
        assert bench.build().ok
        shown = bench.root / "warehouse.duckdb"
        assert shown.stat().st_size > 80 * BLOCK
        assert occupied(shown) < shown.stat().st_size / 4
        with duckdb.connect(str(shown), read_only=True) as con:
            assert con.execute("select sum(a) from m79").fetchall() == [(79 * 9,)]
