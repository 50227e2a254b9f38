"""Every record of a text file lands or is in quarantine, however long its lines are."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import pytest

from tests.projects import query, transform, write
from tests.sources.lab import lab
from transformer.errors import LoadError
from transformer.landing.counting import ExpectedRows, count_lines, expected_rows, rows_again

MIB = 1 << 20


def _ndjson(folder: Path, name: str, *lengths: int) -> None:
    with (folder / name).open("wb") as out:
        for n, length in enumerate(lengths):
            out.write(b'{"a": %d, "b": "' % n + b"x" * length + b'"}\n')


@pytest.mark.parametrize("length", [1 * MIB, 5 * MIB, 15 * MIB])
def test_a_long_line_lands(tmp_path: Path, length: int) -> None:
    _ndjson(tmp_path, "a.ndjson", 3, length, 3, 3)
    with lab(tmp_path, path="a.ndjson") as here:
        here.load()
        assert here.ask("select a, length(b) from raw.things order by a") == [
            (0, 3), (1, length), (2, 3), (3, 3),
        ]  # fmt: skip


@pytest.mark.parametrize(
    "length", [17 * MIB, 40 * MIB, pytest.param(70 * MIB, marks=pytest.mark.soak)]
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_an_overlong_line_waits_in_quarantine_with_its_start(
    tmp_path: Path, length: int, place: int
) -> None:
    lengths = [3, 3, 3]
    lengths.insert(place, length)
    _ndjson(tmp_path, "a.ndjson", *lengths)
    with (tmp_path / "a.csv").open("wb") as out:
        out.write(b"a,b\n")
        for n, wide in enumerate(lengths):
            out.write(b"%d," % n + b"x" * wide + b"\n")
    for name in ("a.ndjson", "a.csv"):
        with lab(tmp_path, path=name) as here:
            here.load()
            kept = [n for n in range(4) if n != place]
            assert here.ask("select a from raw.things order by a") == [(n,) for n in kept]
            ((_, row, _, value, reason),) = here.quarantine()
            assert row == place + 1
            assert "line size" in reason
            assert value.startswith(f'{{"a": {place}, "b": "xxx' if "nd" in name else f"{place},xx")


@pytest.mark.soak
@pytest.mark.parametrize("length", [250 * MIB, 300 * MIB, 700 * MIB, 1100 * MIB])
def test_a_line_of_hundreds_of_megabytes_never_vanishes(tmp_path: Path, length: int) -> None:
    _ndjson(tmp_path, "a.ndjson", 3, length, 3)
    with lab(tmp_path, path="a.ndjson") as here:
        if length > 1 << 30:
            with pytest.raises(LoadError, match=r"line 2 of `a\.ndjson` is 1,100 MiB long"):
                here.load()
            return
        here.load()
        assert here.ask("select a from raw.things order by a") == [(0,), (2,)]
        assert [(row, value[:9]) for _, row, _, value, _ in here.quarantine()] == [(2, '{"a": 1, ')]


def test_a_small_file_needs_little_memory(tmp_path: Path) -> None:
    rows = [{"a": n, "b": "word"} for n in range(100)]
    write(
        tmp_path,
        {
            "transform.yml": "name: small\ntargets:\n  dev:\n    path: w.duckdb\n    settings: {memory_limit: 60MB, threads: 1}\n",  # noqa: E501
            "models/_raw.yml": "sources:\n  - name: raw\n    tables:\n"
            + "".join(
                f"      - name: t{n}\n        load: {{kind: files, path: 'data/{name}'}}\n"
                for n, name in enumerate(("a.ndjson", "a.json", "a.csv", "b.csv"))
            ),
            "data/a.ndjson": "".join(json.dumps(row) + "\n" for row in rows),
            "data/a.json": json.dumps(rows),
            "data/a.csv": "a,b\n" + "1,word\n" * 100,
            "data/b.csv": "a,b\n" + '1,"wo\nrd"\n' * 100,
        },
    )
    transform(tmp_path, "build")
    for n in range(4):
        assert query(tmp_path / "w.duckdb", f"select count(*) from raw.t{n}") == [(100,)]


def test_a_quote_that_takes_more_than_can_be_read_with_it_is_refused(tmp_path: Path) -> None:
    text = b"a,b\n1,x\n" + b'2,"never closed\n' + b"3,some more words in a line\n" * 3_000_000
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", text)
        with pytest.raises(LoadError, match="an unclosed quote"):
            here.load()


# ------------------------------------------------------------------ the count itself
MARKS = {"plain": "", "quoted": '"', "breaks": '"'}


def _values(chance: random.Random, kind: str) -> list[str]:
    alphabet = {"plain": "ab ", "quoted": 'ab", ', "breaks": 'ab",\n'}[kind]
    return ["".join(chance.choices(alphabet, k=chance.randint(1, 6))) for _ in range(2)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("kind", list(MARKS))
def test_the_count_of_records_is_that_of_pythons_reader(kind: str, end: str) -> None:
    chance = random.Random(f"{kind}{end}")
    for _ in range(300):
        rows = [_values(chance, kind) for _ in range(chance.randint(1, 30))]
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(rows)
        content = text.getvalue().removesuffix(end if chance.random() < 0.5 else "")
        found = count_lines(io.BytesIO(content.encode()), '"')
        if not found.alike:
            continue  # it is counted as it is copied, all line ends alike
        assert found.records == len(rows), content
        assert found.longest <= found.size
        assert expected_rows(found, 0, 2).misses(len(rows)) == 0
        if not found.blank:
            assert expected_rows(found, 0, 2).misses(len(rows) - 1) == 1


@pytest.mark.parametrize(
    "content", ["", "\n", "a", "a\n", "a\n\n", "a\n  \nb", "a\n\n\nb\n  ", "  "]
)
def test_blank_lines_may_be_rows_or_not(content: str) -> None:
    lines = content.split("\n")[: -1 if content.endswith("\n") or not content else None]
    made = expected_rows(count_lines(io.BytesIO(content.encode())), 0, 2)
    assert (made.most, made.least) == (len(lines), sum(bool(line.strip(" ")) for line in lines))


def test_the_longest_line_is_found_in_whatever_block_it_lies() -> None:
    for before, length in [(0, 100_000), (4_194_000, 70_000), (4_194_304, 9_000_000), (9, 65_600)]:
        content = b"y\n" * (before // 2) + b"x" * length + b"\n" + b"y\n" * 3_000_000
        found = count_lines(io.BytesIO(content))
        assert (found.longest, found.where) == (length, before // 2 + 1)
        assert found.records == content.count(b"\n")


def test_quotes_in_the_middle_of_values_are_counted_by_another_reader(tmp_path: Path) -> None:
    text = 'a,b\n1,5" disk\n2,x\n3,3" disk\n4,"a\nb"\n'
    with lab(tmp_path, path="a.csv") as here:
        file = here.write("a.csv", text)
        here.load()
        assert len(here.rows()) == 4
        assert rows_again(file, 0, 1, (",", '"', '"')) == 4


def test_good_rows_are_never_refused_for_their_count(tmp_path: Path) -> None:
    assert ExpectedRows(5, 5).misses(4) == 1
    assert ExpectedRows(5, 5).misses(6) == 1
    assert ExpectedRows(5, 5, lambda: 4).misses(4) == 0
    assert ExpectedRows(5, 5, lambda: 4).misses(3) == 2
    assert ExpectedRows(5, 5, lambda: 1 << 40).misses(9) == 4
    assert ExpectedRows(5, 5, lambda: 0).misses(1) == 0
    chance = random.Random(5)
    for number in range(40):
        alphabet = ["a", "b", '"', '""', ",", "\n", "\n\n", " ", "1"]
        text = "a,b\n" + "".join(chance.choices(alphabet, k=60)) + "\n"
        folder = tmp_path / str(number)
        folder.mkdir()
        with lab(folder, path="a.csv") as here:
            here.write("a.csv", text)
            here.load()
