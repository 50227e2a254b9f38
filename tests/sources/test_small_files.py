"""Thousands of small files: read together, they land as each by itself would."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.sources.lab import Lab, lab
from transformer.errors import LoadError


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


@pytest.mark.parametrize("mode", [pytest.param("replace", marks=pytest.mark.soak), "append"])
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


# ------------------------------------------------------------------ JSON
LARGE = 300_000


def _value(chance: random.Random) -> Any:
    return chance.choice(
        [
            None,
            True,
            chance.randint(-5, 5),
            chance.randint(0, 10**20),
            chance.random(),
            chance.choice(["", "x", "7", "2024-05-01", 'a "quote"', "ü\n"]),
            [1, "x", {"a": 0.1}],
            {"a": chance.choice([1, "x", None])},
        ]
    )


def _object(chance: random.Random, keys: list[str]) -> str:
    picked = chance.sample(keys, chance.randint(0, len(keys)))
    fields = [f"{json.dumps(key)}: {json.dumps(_value(chance))}" for key in picked]
    if chance.random() < 0.05:
        fields.append('"n": 0.12345678901234567890')
    return "{" + ", ".join(fields) + "}"


def _content(chance: random.Random, kind: str, keys: list[str]) -> str:
    objects = [_object(chance, keys) for _ in range(chance.randint(0, 5))]
    if kind == "ndjson":
        if chance.random() < 0.2:
            broken = chance.choice(["nope", "[1]", '{"a": 1, "a": 2}', "", '{"a": '])
            objects.insert(chance.randint(0, len(objects)), broken)
        return "\n".join(objects) + chance.choice(["\n", "", "\r\n"]) or "\n"
    if kind == "records":
        return json.dumps({"data": {"items": [json.loads(each) for each in objects]}})
    return f"[{', '.join(objects)}]" if chance.random() < 0.7 else "\n".join(objects) or "[]"


def _same_as_large(folder: Path, chance: random.Random, kind: str) -> None:
    """Small files, and the same contents in files too large to be read with others, which white
    space makes of them."""
    keys = ["a", "b", "Value", "n", *chance.choice([[], ["value"], ["", "B", "_source", "it's"]])]
    contents = [_content(chance, kind, keys) for _ in range(chance.randint(2, 9))]
    ending = "ndjson" if kind == "ndjson" else "json"
    options: dict[str, Any] = {"records": "data.items"} if kind == "records" else {}
    found: list[object] = []
    for name, padding in (("small", 0), ("large", LARGE)):
        (folder / name).mkdir(parents=True)
        with lab(folder / name, path=f"data/*.{ending}", mode="append", **options) as here:
            for number, text in enumerate(contents):
                here.write(f"data/{number} [x].{ending}", text + "\n" * padding)
            try:
                columns = here.peek()
                here.load()
            except LoadError as error:
                found.append((error.what, error.hint))
            else:
                found.append((columns, _landed(here), here.columns(), here.quarantine()))
    assert found[0] == found[1], contents


@pytest.mark.parametrize("kind", ["ndjson", "json", "records"])
@pytest.mark.parametrize("seed", range(5))
def test_small_files_of_objects_land_as_each_by_itself(
    tmp_path: Path, kind: str, seed: int
) -> None:
    _same_as_large(tmp_path, random.Random(f"{kind} {seed}"), kind)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["ndjson", "json", "records"])
def test_many_small_files_of_objects_land_as_each_by_itself(tmp_path: Path, kind: str) -> None:
    for seed in range(500):
        _same_as_large(tmp_path / str(seed), random.Random(f"{kind} soak {seed}"), kind)


@pytest.mark.parametrize("ending", ["csv.gz", "ndjson.gz", "json.zst"])
def test_small_packed_files_keep_their_names_and_rows(tmp_path: Path, ending: str) -> None:
    with lab(tmp_path, path=f"data/*.{ending}") as here:
        for number in range(30):
            rows = [{"file": number, "row": row} for row in range(1, 2 + number % 4)]
            text = "\n".join(json.dumps(row) for row in rows)
            if ending.startswith("csv"):
                text = "file,row\n" + "".join(f"{number},{row['row']}\n" for row in rows)
            (tmp_path / "data").mkdir(exist_ok=True)
            packed = gzip.compress(text.encode())
            if ending.endswith("zst"):
                packed = pa.compress(text.encode(), codec="zstd", asbytes=True)
            (tmp_path / f"data/{number:02}.{ending}").write_bytes(packed)
        here.load()
        assert here.ask(
            "select count(*), count(*) filter"
            f" (_source = format('data/{{:02}}.{ending}#{{}}', file, row)) from raw.things"
        ) == [(73, 73)]


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("json", '[{"a": 1}, {"a"', "`data/17.json` cannot be read as json"),
        ("json", '{"a": 1} nope', "`data/17.json` cannot be read as json"),
        ("ndjson", '{"a\\u0000b": 1}', "`data/17.ndjson` has a key with a NUL character"),
        ("records", '{"data": {"items": 5}}', "`data/17.json` has no list at `data.items`"),
        ("records", '{"other": []}', "`data/17.json` has no list at `data.items`"),
    ],
)
def test_the_file_that_cannot_be_read_is_named_among_many(
    tmp_path: Path, kind: str, text: str, said: str
) -> None:
    ending = "ndjson" if kind == "ndjson" else "json"
    options: dict[str, Any] = {"records": "data.items"} if kind == "records" else {}
    with lab(tmp_path, path=f"data/*.{ending}", **options) as here:
        good = '{"data": {"items": [{"a": 1}]}}' if kind == "records" else '{"a": 1}'
        for number in range(25):
            here.write(f"data/{number:02}.{ending}", text if number == 17 else good)
        with pytest.raises(LoadError) as caught:
            here.load()
        assert caught.value.what.startswith(said)
        assert caught.value.where
