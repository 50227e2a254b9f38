"""Globs, names of files, and places that may not be read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from openpyxl import Workbook

from tests.sources.lab import lab
from transformer.errors import ConfigError, LoadError


def test_many_files_are_one_table_with_columns_by_name(tmp_path: Path) -> None:
    with lab(tmp_path, path="data/**/*.csv") as here:
        here.write("data/a.csv", "Id,b\n1,x\n")
        here.write("data/deep/b.csv", "c,id\n2024-01-01,2\n")
        here.load()
        assert list(here.columns()) == ["Id", "b", "c"]
        assert [row[:2] for row in here.rows()] == [(1, "x"), (2, None)]
        assert here.sources() == ["data/a.csv#1", "data/deep/b.csv#1"]


def test_formats_may_be_mixed(tmp_path: Path) -> None:
    with lab(tmp_path, path=("a.csv", "b.ndjson", "c.parquet")) as here:
        here.write("a.csv", "a\n1\n")
        here.write("b.ndjson", '{"a": 2}\n')
        here.ask(f"copy (select 3 as a) to '{tmp_path}/c.parquet'")
        here.load()
        assert here.columns() == {"a": "BIGINT"}
        assert here.rows() == [(1,), (2,), (3,)]


def test_a_hundred_files_are_quick(tmp_path: Path) -> None:
    with lab(tmp_path, path="data/*.csv", mode="append") as here:
        for number in range(100):
            here.write(f"data/{number:03}.csv", f"id,name\n{number},x\n")
        began = time.monotonic()
        here.load()
        assert time.monotonic() - began < 10
        assert here.rows() == [(n, "x") for n in range(100)]
        assert here.reason() == ""


@pytest.mark.parametrize(
    "name",
    [
        "a[1].csv",
        "a*b.csv",
        "a?.csv",
        "it's.csv",
        "x;drop table t.csv",
        "ü\nx.csv",
        "a#1.csv",
        "a b.csv",
    ],
)
def test_names_of_files_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    with lab(tmp_path, path=name) as here:
        here.write(name, "a\n1\n")
        here.write("a1.csv", "a\n2\n")
        here.write("aXb.csv", "a\n2\n")
        here.load()
        assert here.rows() == [(1,)]
        assert here.sources() == [f"{name}#1"]
        assert here.reason() == ""


def test_a_project_in_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    root = tmp_path / "a[b] *c"
    root.mkdir()
    with lab(root, path="*.csv") as here:
        here.write("x[1].csv", "a\n1\n")
        here.load()
        assert here.sources() == ["x[1].csv#1"]


def test_names_that_begin_alike_are_kept_apart(tmp_path: Path) -> None:
    """The rows of `a.csv` are those behind `a.csv#`, but there may be a file `a.csv#1.csv`."""
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("a.csv", "a\n1\n")
        here.write("a.csv#1.csv", "a\n2\n")
        here.load()
        here.write("a.csv", "a\n10\n11\n")
        here.load()
        assert here.rows() == [(2,), (10,), (11,)]


@pytest.mark.parametrize(
    "path", ["../secret.csv", "../*.csv", "link.csv", "l*.csv", "dir/secret.csv", "dir/*"]
)
def test_a_path_outside_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    root = tmp_path / "project"
    root.mkdir()
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    (root / "dir").symlink_to(tmp_path)
    with lab(root, path=path) as here:
        for attempt in (here.load, here.peek, here.reason):
            with pytest.raises(ConfigError, match="outside the project") as caught:
                attempt()
            assert caught.value.where
            assert caught.value.where.line == 7


def test_a_path_outside_that_is_declared(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a.csv").write_text("a\n1\n")
    root = tmp_path / "project"
    root.mkdir()
    with lab(root, path="../shared/*.csv", allowed=(tmp_path / "shared",)) as here:
        here.load()
        assert here.rows() == [(1,)]


def test_no_file(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv") as here:
        with pytest.raises(LoadError, match=r"no file `\*\.csv`"):
            here.load()
        with pytest.raises(LoadError, match="no file"):
            here.change(mode="append").load()


def test_an_emptied_folder_is_no_mistake_where_files_are_only_added(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        file = here.write("a.csv", "a\n1\n")
        here.load()
        file.unlink()
        assert here.reason() == ""
        here.load()
        assert here.rows() == [(1,)]


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv") as here:
        here.write("b.csv", "a\n1\n")
        (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
        with pytest.raises((LoadError, ConfigError, RuntimeError, OSError)):
            here.load()


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet", "xlsx"])
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_letters_that_the_engine_takes_for_two_are_two_columns(
    tmp_path: Path, kind: str, mode: str
) -> None:
    with lab(tmp_path, path=f"*.{kind}", mode=mode) as here:
        for number, name in enumerate(("é", "É", "E", "e")):
            file = tmp_path / f"{number}.{kind}"
            text = {"csv": f"id,{name}\n{number},1\n", "ndjson": f'{{"id":{number},"{name}":1}}\n'}
            if kind in text:
                file.write_text(text[kind])
            elif kind == "parquet":
                here.ask(f"copy (select {number} as id, 1 as \"{name}\") to '{file}'")
            else:
                book = Workbook()
                for row in (["id", name], [number, 1]):
                    book.worksheets[0].append(row)
                book.save(file)
            here.load()
        assert here.ask('select id, "é", "É", "E" from raw.things order by id') == [
            (0, 1, None, None), (1, None, 1, None), (2, None, None, 1), (3, None, None, 1),
        ]  # fmt: skip
