"""A row's number is its place in the file, whatever lines before it are not rows; and a retry finds
each row again by that number."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.sources.lab import Lab, lab

# What a line is, and how it is written as NDJSON and as CSV; `{}` is its number.
KINDS = {
    "good": (b'{"n": %d}', b"%d,x"),
    "not utf-8": (b'{"n": "\xff\xfe"}', b"\xff,%d"),
    "no row": (b"not json", b"1,2,3"),
    "misfit": (b'{"n": "wrong"}', b"wrong,x"),
    "blank": (b"", b""),
    # It lands, though only a second and exact look tells so.
    "slow": (b'{"n": %d, "d": 0.12345678901234567890}', b"%d,x"),
}
FIXED = (
    "good", "not utf-8", "good", "misfit", "good", "no row", "misfit", "good", "not utf-8",
    "blank", "not utf-8", "slow", "misfit", "no row", "misfit", "slow", "good",
)  # fmt: skip


def written(kinds: list[str] | tuple[str, ...], form: str) -> list[bytes]:
    made, number = [], 0
    for kind in kinds:
        line = KINDS[kind][form == "csv"]
        number += kind != "blank" or form != "csv"
        made.append(line % number if b"%d" in line else line)
    return made


def put(here: Lab, name: str, kinds: list[str] | tuple[str, ...], end: bytes, last: bytes) -> None:
    form = "csv" if ".csv" in name else "ndjson"
    head = [b"n,m"] if form == "csv" else []
    data = end.join([*head, *written(kinds, form)]) + last
    here.write(name, gzip.compress(data) if name.endswith(".gz") else data)


def numbers(kinds: list[str] | tuple[str, ...], name: str) -> dict[str, list[int]]:
    """The numbers of each kind of line. CSV does not number blank lines."""
    counted = [k for k in kinds if k != "blank" or ".csv" not in name]
    made = {kind: [n for n, k in enumerate(counted, 1) if k == kind] for kind in KINDS}
    return made | {"good": sorted(made["good"] + made["slow"])}


def landed(here: Lab, name: str) -> list[int]:
    found = here.ask(f"select _source from raw.things where starts_with(_source, '{name}#')")
    return sorted(int(source.rpartition("#")[2]) for (source,) in found)


def waiting(here: Lab, name: str) -> list[int]:
    return sorted(q[1] for q in here.quarantine() if q[0] == name)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("last", ["with a line end", "without"])
@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz", "a.csv", "a.csv.gz"])
def test_rows_behind_lines_that_are_not_rows_have_their_own_numbers(
    tmp_path: Path, name: str, end: bytes, last: str
) -> None:
    with lab(tmp_path, path=name, types={"n": "int"}) as here:
        put(here, name, FIXED, end, end if last != "without" else b"")
        here.load()
        known = numbers(FIXED, name)
        assert landed(here, name) == known["good"]
        assert waiting(here, name) == sorted(known["not utf-8"] + known["no row"] + known["misfit"])
        reasons = {q[1]: (q[3], q[4]) for q in here.quarantine()}
        assert {n for n, (_, why) in reasons.items() if "UTF-8" in why} == set(known["not utf-8"])
        assert {n for n, (value, _) in reasons.items() if value == "wrong"} == set(known["misfit"])
        assert all("\\xff" in reasons[n][0] for n in known["not utf-8"]), "the bytes are shown"


@pytest.mark.parametrize("other", ["b.ndjson", "b.csv", "b.json", "b.parquet", "b.xlsx"])
@pytest.mark.parametrize("name", ["a.ndjson", "a.csv"])
def test_numbers_are_right_beside_files_of_other_formats(
    tmp_path: Path, name: str, other: str
) -> None:
    kinds = [k for k in FIXED if k != "misfit"]
    with lab(tmp_path, path=(name, other)) as here:
        put(here, name, kinds, b"\n", b"\n")
        if other == "b.parquet":
            here.ask(f"copy (select 7 as n) to '{tmp_path}/b.parquet'")
        elif other == "b.xlsx":
            book = openpyxl.Workbook()
            page: Any = book.active
            page.append(["n"])
            page.append([7])
            book.save(tmp_path / "b.xlsx")
        elif other == "b.json":
            here.write(other, '[{"n": 7}]')
        else:
            put(here, other, kinds, b"\n", b"\n")
        here.load()
        for each in [name, other] if other in ("b.ndjson", "b.csv") else [name]:
            known = numbers(kinds, each)
            assert landed(here, each) == known["good"]
            assert waiting(here, each) == sorted(known["not utf-8"] + known["no row"])
        place = "split_part(_source, '#', -1)"
        wrong = f"starts_with(_source, '{name}#') and n::varchar <> {place}"
        assert here.ask(f"from raw.things where {wrong}") == []


def test_a_row_of_a_sheet_behind_one_without_a_value_has_the_number_of_the_sheet(
    tmp_path: Path,
) -> None:
    book = openpyxl.Workbook()
    page: Any = book.active
    for row in (["n"], [2], ["=1+1"], [4], ["=1+2"], [6]):
        page.append(row)
    book.save(tmp_path / "a.xlsx")
    with lab(tmp_path, path="a.xlsx") as here:
        here.load()
        assert here.ask("select n, _source from raw.things order by n") == [
            (2, "a.xlsx#2"), (4, "a.xlsx#4"), (6, "a.xlsx#6"),
        ]  # fmt: skip
        assert waiting(here, "a.xlsx") == [3, 5]


@pytest.mark.parametrize("mode", ["append", "merge"])
@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz", "a.csv", "*"])
def test_a_retry_lands_no_row_twice_and_loses_none(tmp_path: Path, name: str, mode: str) -> None:
    """Also behind lines that are not rows, which stay in quarantine."""
    rules: dict[str, Any] = {"mode": mode} | ({"key": ("n",)} if mode == "merge" else {})
    names = ["a.ndjson", "b.ndjson", "c.csv"] if name == "*" else [name]
    with lab(tmp_path, path=tuple(names), types={"n": "int"}, **rules) as here:
        for each in names:
            kinds = FIXED if each != "c.csv" else [k for k in FIXED if k != "misfit"]
            put(here, each, kinds, b"\n", b"\n")
        here.load()
        before = here.ask("select n, _source from raw.things order by all"), here.quarantine()
        assert before[1]
        for _ in range(2):
            here.load(retry=True)
            rows = here.ask("select n, _source from raw.things order by all")
            assert rows == before[0]
            assert here.quarantine() == before[1]


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_a_retry_takes_in_what_fits_now(tmp_path: Path, form: str) -> None:
    """A column that was not known at first; rows with it stand among lines that are no rows."""
    name, other = f"b.{form}", f"a.{form}"
    rules: dict[str, Any] = {"mode": "append", "on_schema_change": "quarantine"}
    texts = {
        "ndjson": ['{"n": 1}', "\udcff", '{"n": 3, "w": 1}', "no", '{"n": 5}', '{"n": 6, "w": 2}'],
        "csv": ["1,", "\udcff,", "3,1", "no,no,no", "5,", "6,2"],
    }[form]
    with lab(tmp_path, path=f"*.{form}", **rules) as here:
        here.write(other, '{"n": 0}\n' if form == "ndjson" else "n\n0\n")
        here.load()
        head = ["n,w"] if form == "csv" else []
        data = "".join(f"{line}\n" for line in [*head, *texts])
        here.write(name, data.encode("utf-8", "surrogateescape"))
        here.load()
        assert landed(here, name) == [1, 5]
        assert waiting(here, name) == [2, 3, 4, 6]
        here.change(on_schema_change="evolve").load(retry=True)
        assert here.rows() == [(0, None), (1, None), (3, 1), (5, None), (6, 2)]
        assert landed(here, name) == [1, 3, 5, 6]
        assert waiting(here, name) == [2, 4]


def test_numbers_hold_over_many_blocks_of_a_file(tmp_path: Path) -> None:
    chance = random.Random(14)
    kinds = chance.choices([*KINDS], [100_000, 20, 20, 20, 20, 20], k=300_000)
    with lab(tmp_path, path="a.ndjson", types={"n": "int"}) as here:
        put(here, "a.ndjson", kinds, b"\r\n", b"\r\n")
        here.load()
        known = numbers(kinds, "a.ndjson")
        assert landed(here, "a.ndjson") == known["good"]
        assert waiting(here, "a.ndjson") == sorted(
            known["not utf-8"] + known["no row"] + known["misfit"]
        )
        here.load(retry=True)
        assert landed(here, "a.ndjson") == known["good"]
