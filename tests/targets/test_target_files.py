"""The files target: formats, the whole state, and never half a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.targets.cases import WHERE, Warehouse, warehouse
from transformer.errors import ActivateError, ConfigError

ROWS = ((2, 'Bob, the "2nd"', None), (1, "=1+1", 10), (10, "", 5))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Warehouse]:
    with warehouse(tmp_path, "files", {"path": "audience.csv"}) as made:
        made.fill(*ROWS)
        yield made


def written(home: Warehouse, name: str = "audience.csv") -> str:
    return (home.folder / name).read_text(encoding="utf-8")


def to(home: Warehouse, **options: object) -> None:
    home.change(options=options)
    home.sync()


def test_csv_is_in_the_order_of_the_key_and_changes_no_value(home: Warehouse) -> None:
    assert home.sync().label == "audience.csv"
    assert written(home) == 'id,name,score\n1,=1+1,10\n2,"Bob, the ""2nd""",\n10,"",5\n'


def test_header_and_delimiter_are_options(home: Warehouse) -> None:
    to(home, path="a.txt", header=False, delimiter="\t")
    assert written(home, "a.txt").splitlines()[0] == "1\t=1+1\t10"


def test_csv_times_are_iso(home: Warehouse) -> None:
    home.con.execute("""create or replace table people as select 1 as id,
        timestamptz '2026-01-02 03:04:05+02' as instant, timestamp '2026-01-02 03:04:05' as moment,
        date '2026-01-02' as day, time '03:04:05' as hour, 'x'::blob as bytes""")
    home.sync()
    assert written(home).splitlines()[1] == (
        "1,2026-01-02T01:04:05.000000Z,2026-01-02T03:04:05.000000,2026-01-02,03:04:05.000000,eA=="
    )


@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "a.jsonl"])
def test_json_by_ending(home: Warehouse, name: str) -> None:
    to(home, path=name)
    text = written(home, name)
    rows = json.loads(text) if name == "a.json" else [json.loads(x) for x in text.splitlines()]
    assert rows[1] == {"id": 2, "name": 'Bob, the "2nd"', "score": None}


def test_parquet_keeps_types(home: Warehouse) -> None:
    to(home, path="a.parquet")
    table = pq.read_table(home.folder / "a.parquet")
    assert [str(each) for each in table.schema.types] == ["int32", "string", "int32"]
    assert table.column("id").to_pylist() == [1, 2, 10]


def test_a_format_may_be_named(home: Warehouse) -> None:
    to(home, path="a.txt", format="json")
    assert len(json.loads(written(home, "a.txt"))) == 3


def test_an_empty_model_gives_an_empty_file(home: Warehouse) -> None:
    home.fill()
    home.sync()
    assert written(home) == "id,name,score\n"
    to(home, path="a.json")
    assert json.loads(written(home, "a.json")) == []


def test_the_same_rows_give_the_same_bytes(home: Warehouse) -> None:
    home.sync()
    first = written(home)
    home.reset()
    home.fill(*reversed(ROWS))
    home.sync()
    assert written(home) == first


def test_nothing_to_do_leaves_the_file_alone(home: Warehouse) -> None:
    home.sync()
    path = home.folder / "audience.csv"
    before = path.stat()
    assert home.sync().sent == 0
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_deleted_file_is_written_again_with_rows_that_left(home: Warehouse) -> None:
    home.sync()
    home.fill((1, "=1+1", 10))
    home.sync()
    first = written(home)
    (home.folder / "audience.csv").unlink()
    home.sync()
    assert written(home) == first
    assert len(first.splitlines()) == 4


def test_append_keeps_what_was_written_first(home: Warehouse) -> None:
    home.change(mode="append")
    home.sync()
    home.fill((1, "changed", 11), (3, "new", 3))
    home.sync()
    assert [line.split(",")[0] for line in written(home).splitlines()[1:]] == ["1", "2", "3", "10"]
    assert "changed" not in written(home)


def test_a_failed_write_leaves_the_old_file_and_no_rest(
    home: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.sync()
    first = written(home)
    home.fill((5, "x", 5))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(
            ActivateError, match=r"cannot write `audience\.csv`: No space"
        ) as caught:
            home.sync()
    assert "is unchanged" in caught.value.hint
    assert written(home) == first
    assert not list(home.folder.glob(".audience*"))
    home.sync()
    assert "5,x,5" in written(home)


def test_the_path_stays_in_the_project(home: Warehouse) -> None:
    home.change(options={"path": "../out.csv"})
    with pytest.raises(ConfigError, match="points outside") as caught:
        home.sync()
    assert caught.value.where == WHERE


def test_a_folder_is_no_file(home: Warehouse) -> None:
    (home.folder / "out").mkdir()
    home.change(options={"path": "out"})
    with pytest.raises(ConfigError, match="is a folder"):
        home.sync()


def test_a_new_file_has_the_usual_permissions_and_an_old_one_keeps_its_own(
    home: Warehouse,
) -> None:
    home.sync()
    path = home.folder / "audience.csv"
    plain = home.folder / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    home.fill((5, "x", 5))
    home.sync()
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_a_killed_sync_left_beside_the_file_is_removed(home: Warehouse) -> None:
    """It may hold rows, and the next one would leave another."""
    home.sync()
    path = home.folder / "audience.csv"
    left = path.with_name(f".{path.name}.k3x_12ab.new")
    other = path.with_name(f".other-{path.name}.k3x_12ab.new")
    for each in (left, other):
        each.write_text("half of it")
    home.fill((1, "Ann", 11))
    home.sync()
    assert not left.exists()
    assert other.exists()
