"""JSON that holds no object, or objects without a key: an error that says so, never SQL's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.lab import lab
from transformer.errors import LoadError
from transformer.steps import LOAD_COLUMNS

NONE = ["[]", "[ ]\n", "[{}, {}]", "[1, 2]", "[[]]", "[null]"]


@pytest.mark.parametrize("text", NONE)
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_first_load_without_columns_is_refused(tmp_path: Path, text: str, mode: str) -> None:
    with lab(tmp_path, path="a.json", mode=mode) as here:
        here.write("a.json", text)
        assert {name for name, _ in here.peek()} == {name for name, _ in LOAD_COLUMNS}
        with pytest.raises(LoadError, match="has no columns"):
            here.load()
        here.write("a.json", '[{"x": 1}]')
        here.load()
        assert here.rows() == [(1,)]


@pytest.mark.parametrize("text", ["{}\n{}", "nothing\nof it\n", '{"a": 1} {"a": 2}', "\n\n"])
def test_lines_without_a_key_are_refused(tmp_path: Path, text: str) -> None:
    with lab(tmp_path, path="a.ndjson") as here:
        here.write("a.ndjson", text)
        with pytest.raises(LoadError, match="has no columns"):
            here.load()


@pytest.mark.parametrize("text", NONE)
def test_a_table_that_is_there_keeps_its_rows(tmp_path: Path, text: str) -> None:
    with lab(tmp_path, path="a.json") as here:
        here.write("a.json", '[{"x": 1}]')
        here.load()
        here.write("a.json", text)
        with pytest.raises(LoadError, match="the table is unchanged"):
            here.load()
        assert here.rows() == [(1,)]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_an_empty_list_adds_nothing(tmp_path: Path, mode: str) -> None:
    with lab(tmp_path, path="*.json", mode=mode, key=("x",) if mode == "merge" else ()) as here:
        here.write("1.json", '[{"x": 1}]')
        here.load()
        here.write("2.json", "[]")
        here.load()
        here.write("3.json", '[{"x": 2, "y": 0}]')
        here.load()
        assert here.rows() == [(1, None), (2, 0)]


def test_objects_without_the_key_of_a_merge_are_refused(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.json", mode="merge", key=("x",)) as here:
        here.write("1.json", '[{"x": 1}]')
        here.load()
        here.write("2.json", "[{}]")
        with pytest.raises(LoadError, match="no column `x`"):
            here.load()
        assert here.rows() == [(1,)]


def test_a_key_that_no_column_can_have_is_named(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.ndjson") as here:
        here.write("a.ndjson", '{"a\\u0000b": 1}')
        with pytest.raises(LoadError, match="a key with a NUL character"):
            here.load()
        here.write("a.ndjson", '{"a": "x\\u0000y"}')
        here.load()
        assert here.rows() == [("x\0y",)]


@pytest.mark.parametrize("late", ["2024-01-01 24:00:00", "2024-01-01 24:00", "2024-01-01T25:00:00"])
def test_an_hour_that_no_clock_shows_is_text(tmp_path: Path, late: str) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("1.csv", f"at\n{late}\n2024-01-02 00:00:00\n")
        here.load()
        assert here.columns() == {"at": "VARCHAR"}
        here.change(mode="replace").write("1.csv", "at\n2024-01-02 00:00:00\n")
        here.load(full_refresh=True)
        here.change(mode="append").write("2.csv", f"at\n{late}\n")
        here.load()
        assert [q[3] for q in here.quarantine()] == [late]


@pytest.mark.parametrize("line", ["[1]", "[]", "5", '"x"', "null"])
def test_what_is_no_object_is_kept_apart_where_its_file_has_no_keys(
    tmp_path: Path, line: str
) -> None:
    with lab(tmp_path, path="*.ndjson", mode="append") as here:
        here.write("1.ndjson", '{"x": 1}\n')
        here.write("2.ndjson", f"{line}\n{{}}\n")
        here.load()
        assert here.rows() == [(1,), (None,)]
        assert [q[:4] for q in here.quarantine()] == [("2.ndjson", 1, None, line)]
