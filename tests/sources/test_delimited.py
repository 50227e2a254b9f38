"""CSV and TSV as they really come."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.sources.lab import lab
from transformer.errors import TransformError


def landed(folder: Path, data: str | bytes, name: str = "a.csv", **options: Any) -> Any:
    """What a first load of one file makes: rows, and quarantine without the file's name."""
    with lab(folder, path=name, **options) as here:
        here.write(name, data)
        here.peek()
        here.load()
        return here.rows(), [q[1:] for q in here.quarantine()]


def refused(folder: Path, data: str | bytes, name: str = "a.csv", **options: Any) -> TransformError:
    with pytest.raises(TransformError) as caught:
        landed(folder, data, name, **options)
    assert caught.value.where is not None, caught.value
    assert caught.value.where.line == 7
    return caught.value


GOOD: dict[str, tuple[Any, dict[str, Any], list[tuple[Any, ...]]]] = {
    "plain": ("a,b\n1,x\n2,y\n", {}, [(1, "x"), (2, "y")]),
    "semicolons": ("a;b\n1;x,y\n", {}, [(1, "x,y")]),
    "pipe": ("a|b\n1|x\n", {}, [(1, "x")]),
    "delimiter of two characters": ("a||b\n1||x\n", {"delimiter": "||"}, [(1, "x")]),
    "other quote": ("a,b\n1,'x,''y'\n", {"quote": "'"}, [(1, "x,'y")]),
    "no quote": ('a,b\n1,5" disk\n', {"quote": ""}, [(1, '5" disk')]),
    "line breaks in quotes": ('a,b\n1,"x\ny"\n2,z\n', {}, [(1, "x\ny"), (2, "z")]),
    "crlf": ("a,b\r\n1,x\r\n2,y\r\n", {}, [(1, "x"), (2, "y")]),
    "cr": ("a,b\r1,x\r2,y\r", {}, [(1, "x"), (2, "y")]),
    "byte order mark": ("\ufeffa,b\n1,x\n", {}, [(1, "x")]),
    "byte order mark and quotes": ('\ufeff"a","b"\n1,x\n', {}, [(1, "x")]),
    "blank lines": ("a,b\n1,x\n\n\n2,y\n\n", {}, [(1, "x"), (2, "y")]),
    "blank lines before the names": ("\n\na,b\n1,x\n", {}, [(1, "x")]),
    "no line break at the end": ("a,b\n1,x", {}, [(1, "x")]),
    "names only": ("a,b\n", {}, []),
    "names only, no line break": ("a,b", {}, []),
    "no names": ("1,x\n2,y\n", {"header": False}, [(1, "x"), (2, "y")]),
    "one column": ("a\n1\n2\n", {}, [(1,), (2,)]),
    "empty last value": ("a,b\n1,\n", {}, [(1, None)]),
    "line ends with a delimiter": ("a,b\n1,x,\n", {}, [(1, "x")]),
    "nul byte": ("a,b\n1,x\x00y\n", {}, [(1, "x\x00y")]),
    "null words are words": ("a,b\n1,NA\n2,NULL\n", {}, [(1, "NA"), (2, "NULL")]),
    "null words as asked for": ("a,b\n1,NA\nNA,2\n", {"null_values": ("NA",)}, [(1, None), (None, 2)]),  # noqa: E501
    "leading zeros": ("a,b\n007,1\n010,2\n", {}, [("007", 1), ("010", 2)]),
    "utf-16": ("a,b\n1,é\n".encode("utf-16"), {"encoding": "utf-16"}, [(1, "é")]),
    "utf-16 unsaid": ("a,b\n1,é\n".encode("utf-16"), {}, [(1, "é")]),
    "big-endian": (b"\xfe\xff" + "a,b\n1,é\n".encode("utf-16-be"), {}, [(1, "é")]),
    "windows-1252": (b"a,b\n1,\x80\xf6\n", {"encoding": "windows-1252"}, [(1, "€ö")]),
    "mixed line ends": ('a,b\r\n1,"x\r\ny"\n3,4\r5,6\n', {}, [(1, "x\r\ny"), (3, "4"), (5, "6")]),
    "mixed line ends in windows-1252": (
        b"a|b\r\n1|\xf6\n3|4\r", {"encoding": "windows-1252"}, [(1, "ö"), (3, "4")]
    ),
    "utf-16 without a mark": ("a,b\n1,é\n".encode("utf-16-le"), {"encoding": "utf-16"}, [(1, "é")]),
    "latin-1": ("a,b\n1,é\n".encode("latin-1"), {"encoding": "latin-1"}, [(1, "é")]),
    "a name over two lines": ('"a\nz",b\n1,2\n', {}, [(1, 2)]),
    "a very long value": ("a,b\n1," + "z" * 3_000_000 + "\n", {}, [(1, "z" * 3_000_000)]),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_lands_as_it_stands(tmp_path: Path, case: str) -> None:
    data, options, expected = GOOD[case]
    assert landed(tmp_path, data, **options) == (expected, [])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.csv.gz", {}),
        ("a.gz", {"format": "csv", "compression": "gzip"}),
        ("a.tsv.gz", {}),
        ("a.csv.zst", {}),
    ],
)
def test_packed_files(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    text = "a\tb\n1\tx\n" if "tsv" in name else "a,b\n1,x\n"
    data = gzip.compress(text.encode())
    if name.endswith(".zst"):
        with lab(tmp_path) as here:
            target = tmp_path / name
            here.ask(f"copy (select 1 as a, 'x' as b) to '{target}' (format csv, compression zstd)")
        data = target.read_bytes()
    assert landed(tmp_path, data, name, **options) == ([(1, "x")], [])


def test_utf_16_packed(tmp_path: Path) -> None:
    data = gzip.compress("a,b\n1,é\n".encode("utf-16"))
    assert landed(tmp_path, data, "a.csv.gz", encoding="utf-16") == ([(1, "é")], [])


BAD: dict[str, tuple[str | bytes, list[tuple[Any, ...]], list[tuple[Any, str]]]] = {
    "too many": ("a,b\n1,2\n3,4,5\n6,7\n", [(1, 2), (6, 7)], [(2, "3,4,5")]),
    "too few": ("a,b\n1,2\n3\n6,7\n", [(1, 2), (6, 7)], [(2, "3")]),
    "twice too many": ("a,b\n1,2,3,4\n", [], [(1, "1,2,3,4")]),
    "in crlf": ("a,b\r\n1,2\r\n3,4,5\r\n6,7\r\n", [(1, 2), (6, 7)], [(2, "3,4,5")]),
    "after line breaks": ('a,b\n1,"x\ny"\n3,4,5\n6,7\n', [(1, "x\ny"), (6, "7")], [(2, "3,4,5")]),
    "not utf-8": (b"a,b\n1,2\n3,\xe9\n6,7\n", [(1, 2), (6, 7)], [(2, "3,\\xe9")]),
    "text behind a quote": ('a,b\n1,2\n3,"x"y\n6,7\n', [(1, 2), (6, 7)], [(2, '3,"x"y')]),
    "an open quote": ('a,b\n1,2\n3,"x\n6,7\n', [(1, 2)], [(2, '3,"x\n6,7\n')]),
    "blanks": ("a,b\n1,2\n  \n6,7\n", [(1, 2), (6, 7)], [(2, "  ")]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_line_that_is_no_row_waits_in_quarantine(tmp_path: Path, case: str) -> None:
    data, rows, bad = BAD[case]
    found, quarantine = landed(tmp_path, data)
    assert found == rows
    assert [(q[0], q[2]) for q in quarantine] == bad
    assert all(q[3] for q in quarantine)


def test_row_numbers_count_rows_that_were_refused(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", "a,b\n1,2\nx\n3,4\ny\nz\n5,6\n")
        here.load()
        assert here.sources() == ["a.csv#1", "a.csv#3", "a.csv#6"]
        assert [q[1] for q in here.quarantine()] == [2, 4, 5]


def test_an_open_quote_that_takes_the_rest_of_a_file_is_refused(tmp_path: Path) -> None:
    """What DuckDB keeps of such a line would not hold all the rows that it took."""
    rows = "".join(f"{n},{n}\n" for n in range(5_000))
    error = refused(tmp_path, 'a,b\n1,2\n3,"x\n' + rows)
    assert "a quote in row 2 of `a.csv` is never closed" in str(error)


def test_a_line_longer_than_16_mb_is_quarantined(tmp_path: Path) -> None:
    rows, quarantine = landed(tmp_path, "a,b\n" + "z" * 17_000_000 + ",2\n3,4\n")
    assert rows == [(3, 4)]
    assert quarantine[0][0] == 1
    assert "maximum" in quarantine[0][3].lower()


REFUSED: dict[str, tuple[bytes | str, str]] = {
    "empty": (b"", "is empty"),
    "no names": ("\n\n", "no header"),
    "only delimiters": (",,\n1,2,3\n", "no header"),
    "a header that is not utf-8": (b"nr,gr\xf6\xdfe\n1,2\n", "with `encoding: windows-1252`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_said(tmp_path: Path, case: str) -> None:
    data, said = REFUSED[case]
    assert said in str(refused(tmp_path, data))


def test_another_delimiter_is_found_or_proposed(tmp_path: Path) -> None:
    error = refused(tmp_path, "a;b\n1;2\n", delimiter=",")
    assert error.hint == 'set `delimiter: ";"`'


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("a,a,A", ["a", "a_2", "A_3"]),
        ("a,,", ["a", "column_2", "column_3"]),
        ("_source,_batch,__row", ["_source_2", "_batch_2", "__row_2"]),
        ('"x""; drop table t; --",select,"a, b"', ['x"; drop table t; --', "select", "a, b"]),
        ("r,o,rowid", ["r", "o", "rowid"]),
        ("i,t,__part", ["i", "t", "__part_2"]),
        ("é,日本,👍", ["é", "日本", "👍"]),
    ],
)
def test_names_of_columns(tmp_path: Path, header: str, names: list[str]) -> None:
    with lab(tmp_path, path="a.csv", types={}) as here:
        here.write("a.csv", f"{header}\n1,2,3\n")
        here.load()
        assert list(here.columns()) == names
        assert here.rows() == [(1, 2, 3)]
        here.write("a.csv", f"{header}\n1,2,3\nx,5,6\n")
        here.load()
        assert [q[2:] for q in here.quarantine()] == [(names[0], "x", "is not a valid BIGINT")]


def test_names_without_header_come_from_yaml(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv", header=False, types={"id": "bigint", "who": "text"}) as here:
        here.write("a.csv", "1, x \n2,\n")
        here.load()
        assert here.columns() == {"id": "BIGINT", "who": "VARCHAR"}
        assert here.rows() == [(1, " x "), (2, None)]


TYPES = {
    "whole": (["1", "-2", ""], "BIGINT"),
    "nineteen digits": (["1234567890123456789", "1"], "BIGINT"),
    "more than 64 bits": (["12345678901234567890", "1"], "HUGEINT"),
    "more than 128 bits": (["1" * 60, "1"], "VARCHAR"),
    "many digits beside fractions": (["9007199254740993", "1.5"], "VARCHAR"),
    "fractions": (["1.5", "2", "-3e7"], "DOUBLE"),
    "no numbers": (["NaN", "Infinity"], "VARCHAR"),
    "yes and no": (["true", "FALSE"], "BOOLEAN"),
    "words for it": (["yes", "no"], "VARCHAR"),
    "days": (["2024-02-29", "1999-01-01"], "DATE"),
    "a day that is none": (["2023-02-29"], "VARCHAR"),
    "days and times": (["2024-02-29", "2024-02-29T10:00:00"], "TIMESTAMP"),
    "offsets": (["2024-02-29 10:00:00+02", "2024-02-29T10:00:00.5Z"], "TIMESTAMP WITH TIME ZONE"),
    "some offsets": (["2024-02-29 10:00+02", "2024-02-29 10:00"], "VARCHAR"),
    "nanoseconds": (["2024-02-29 10:00:00.123456789"], "VARCHAR"),
    "telephone": (["+49123", "+1"], "VARCHAR"),
    "nothing": (["", ""], "VARCHAR"),
    "blanks around": ([" 1", "2 "], "BIGINT"),
}


@pytest.mark.parametrize("case", TYPES)
def test_types_are_what_all_values_say(tmp_path: Path, case: str) -> None:
    values, kind = TYPES[case]
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", "a,b\n" + "".join(f"{v},x\n" for v in values))
        here.load()
        assert here.columns()["a"] == kind
        assert here.quarantine() == []


DECLARED = {
    "int": (["1", "2.5", "x"], [(1,)], ["2.5", "x"], "INTEGER"),
    "smallint": (["1", "70000", "1e2"], [(1,)], ["1e2", "70000"], "SMALLINT"),
    "date": (["2024-01-01", "2024-01-01 10:00", "2024-01-01T00:00:00"], 2, ["2024-01-01 10:00"], "DATE"),  # noqa: E501
    "decimal(10,2)": (["1.25", "x"], 1, ["x"], "DECIMAL(10,2)"),
    "json": (['"{""a"":1}"', "nope"], 1, ["nope"], "JSON"),
    "string": ([" x "], [(" x ",)], [], "VARCHAR"),
}  # fmt: skip


@pytest.mark.parametrize("declared", DECLARED)
def test_declared_types_hold(tmp_path: Path, declared: str) -> None:
    values, rows, bad, kind = DECLARED[declared]
    with lab(tmp_path, path="a.csv", types={"A": declared}) as here:
        here.write("a.csv", "a\n" + "".join(f"{v}\n" for v in values))
        assert here.peek()[0] == ("a", kind)
        here.load()
        assert here.columns() == {"a": kind}
        assert len(here.rows()) == rows if isinstance(rows, int) else here.rows() == rows
        assert sorted(q[3] for q in here.quarantine()) == bad


def test_a_declared_type_that_is_none(tmp_path: Path) -> None:
    error = refused(tmp_path, "a\n1\n", types={"a": "nonsense"})
    assert "`nonsense` is not a type" in str(error)
