"""Thousands of small files: read together, they land as each by itself would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.lab import Lab, lab


def _landed(here: Lab) -> list[tuple[object, ...]]:
    return here.ask(
        "select _source, * exclude (_source, _loaded_at, _batch) from raw.things order by all"
    )


CONTENTS = {
    "01.csv": "a,b\n1,x\n2,y\n",
    "02.csv": "a,b\n3,x\n4\n5,z\n",  # a line that is no row
    "03.csv": "a,b\n",  # no row at all
    "04.csv": 'a,b\n6,"two\nlines"\n7,x',
    "05.csv": "a;b\n8;x\n",  # another delimiter
    "06.csv": "b,a\nx,9\n",  # another order
    "07.csv": "a,b\n10,x\n,\n\n11,y\n",
    "08.csv": "a,b\n12,x,extra\n13,y\n",
    "odd [1]*?.csv": "a,b\n14,x\n",
    "é ü.csv": "a,b\n15,x\n",
}


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_small_files_land_as_each_by_itself(tmp_path: Path, mode: str) -> None:
    """The same contents, each too large to be read with others: padded with blank lines."""
    found = []
    for name, padding in (("small", 0), ("large", 1_100_000)):
        folder = tmp_path / name
        folder.mkdir()
        with lab(folder, path="data/*.csv", mode=mode) as here:
            for file, text in CONTENTS.items():
                here.write(f"data/{file}", text + "\n" * padding)
            here.load()
            found.append((_landed(here), here.columns(), here.quarantine()))
    assert found[0] == found[1]
    rows, _, quarantine = found[0]
    assert ("data/02.csv#3", 5, "z") in rows
    assert ("data/04.csv#2", 7, "x") in rows
    assert ("data/odd [1]*?.csv#1", 14, "x") in rows
    assert {q[0] for q in quarantine} == {"data/02.csv", "data/08.csv"}


def test_rows_of_files_that_are_read_together_keep_their_place(tmp_path: Path) -> None:
    """With as many threads as there are: each row has its own file's name and number."""
    with lab(tmp_path, path="data/*.csv") as here:
        for file in range(300):
            rows = "".join(f"{file},{row}\n" for row in range(1, 3 + file % 50))
            here.write(f"data/{file:03}.csv", f"file,row\n{rows}")
        here.load()
        wrong = here.ask(
            "select * from raw.things"
            " where _source <> format('data/{:03}.csv#{}', file, row) limit 3"
        )
        assert wrong == []
        assert len(here.rows()) == sum(2 + file % 50 for file in range(300))


def test_a_misfit_in_one_of_many_files_is_found_in_its_place(tmp_path: Path) -> None:
    with lab(tmp_path, path="data/*.csv", types={"a": "int"}, mode="merge", key=("a",)) as here:
        for file in range(50):
            wrong = "nope" if file == 31 else file
            here.write(f"data/{file:02}.csv", f"a,b\n1000,{file}\n{wrong},x\n")
        here.load()
        assert [q[:4] for q in here.quarantine()] == [("data/31.csv", 2, "a", "nope")]
        assert here.ask("select b, _source from raw.things where a = 1000") == [
            ("49", "data/49.csv#1")
        ]
        here.write("data/31.csv", "a,b\n31,x\n")
        here.load(retry=True)
        assert here.quarantine() == []


def test_a_column_named_as_the_file_is_inside_lands(tmp_path: Path) -> None:
    with lab(tmp_path, path="data/*.csv") as here:
        for file in range(3):
            here.write(f"data/{file}.csv", f"__file,filename\n{file},x\n")
        here.load()
        assert here.columns() == {"__file_2": "BIGINT", "filename": "VARCHAR"}
        assert len(here.rows()) == 3
