"""JSON, Parquet and Excel as they really come."""

from __future__ import annotations

import datetime
import gzip
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.sources.lab import Lab, lab
from tests.sources.test_delimited import refused
from transformer.errors import LoadError


def lines(*objects: Any) -> str:
    return "".join((o if isinstance(o, str) else json.dumps(o)) + "\n" for o in objects)


def test_ndjson_keys_that_come_later_and_values_that_are_nested(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.ndjson") as here:
        here.write(
            "a.ndjson",
            lines({"a": 1}, {"a": 2, "b": {"c": [1]}}, {"b": None, "d": "007", "e": [True], "f": None}),  # noqa: E501
        )  # fmt: skip
        here.load()
        assert here.columns() == {
            "a": "BIGINT", "b": "JSON", "d": "VARCHAR", "e": "JSON", "f": "VARCHAR",
        }  # fmt: skip
        assert here.rows() == [
            (1, None, None, None, None),
            (2, '{"c":[1]}', None, None, None),
            (None, None, "007", "[true]", None),
        ]


def test_ndjson_mixed_values_stay_json(tmp_path: Path) -> None:
    """A string among numbers keeps its quotes, and is no misfit; nor is it one later on."""
    with lab(tmp_path, path="*.ndjson", mode="append") as here:
        here.write("a.ndjson", lines({"a": 1}, {"a": "x"}, {"a": {"b": 2}}))
        here.load()
        assert here.columns() == {"a": "JSON"}
        assert here.rows() == [('"x"',), ("1",), ('{"b":2}',)]
        here.write("b.ndjson", lines({"a": "y"}, {"a": "z"}))
        here.load()
        assert here.quarantine() == []
        assert ('"y"',) in here.rows()


def test_ndjson_numbers_keep_their_digits(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.ndjson") as here:
        text = '{"a": 9223372036854775808, "b": 1.5, "c": -1, "d": 9007199254740993}\n'
        here.write("a.ndjson", text + '{"a": 1, "b": 2, "c": 9223372036854775807, "d": 1.5}\n')
        here.load()
        assert here.rows() == [
            (1, 2.0, 9223372036854775807, "1.5"),
            (9223372036854775808, 1.5, -1, "9007199254740993"),
        ]


def test_ndjson_lines_that_are_no_objects(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.ndjson") as here:
        here.write("a.ndjson", lines({"a": 1}, "{broken", "", [1], "5", {"a": 2}))
        here.load()
        assert here.rows() == [(1,), (2,)]
        assert [(q[3], q[4]) for q in here.quarantine()] == [
            ("{broken", "not JSON"), ("[1]", "not a JSON object"), ("5", "not a JSON object"),
        ]  # fmt: skip


def test_ndjson_that_is_not_utf_8_loses_no_other_line(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.ndjson") as here:
        here.write("a.ndjson", b'{"a": "\xc3\xa9"}\n{"a": "\xe9"}\n{"a": "z\x01"}\n{"a": "x"}\n')
        here.load()
        assert here.rows() == [("x",), ("é",)]
        assert len(here.quarantine()) == 2


@pytest.mark.parametrize(
    "keys",
    [
        ["Id", "id", "ID"],
        ["", "a"],
        ["a.b", "a/b~c", 'a"b', "a'b"],
        ["_source", "__row", "o", "object", "line"],
        ["a\nb", "select", "日本"],
    ],
)
def test_json_keys(tmp_path: Path, keys: list[str]) -> None:
    with lab(tmp_path, path="a.ndjson") as here:
        here.write("a.ndjson", lines(dict(zip(keys, range(1, 9), strict=False))))
        here.load()
        assert here.rows() == [tuple(range(1, len(keys) + 1))]
        assert here.quarantine() == []


def test_json_arrays_and_objects(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.json") as here:
        here.write("a.json", json.dumps([{"a": 1}, {"a": 2}, "x"]))
        here.write("b.json", json.dumps({"a": 3}, indent=2))
        here.write("c.json", "[]")
        (tmp_path / "d.json.gz").write_bytes(gzip.compress(b'[{"a": 4}]'))
        here.change(path=("*.json", "d.json.gz")).load()
        assert here.rows() == [(1,), (2,), (3,), (4,)]
        assert [q[3] for q in here.quarantine()] == ['"x"']


@pytest.mark.parametrize("text", ["[{", "nothing", '[{"a": 1}, {"a" 2}]'])
def test_broken_json(tmp_path: Path, text: str) -> None:
    assert "`a.json` cannot be read as json" in str(refused(tmp_path, text, "a.json"))


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.parquet", mode="append") as here:
        query = (
            "select 1::integer a, 1.25::decimal(10,2) b, 'x'::enum('x', 'y') c, {'d': [1]} s,"
            " map {'k': 1} m, '\\x00'::blob r, null::date n, 5 as \"_source\""
        )
        here.ask(f"copy ({query}) to '{tmp_path}/a.parquet' (format parquet)")
        here.load()
        assert here.columns() == {
            "a": "INTEGER", "b": "DECIMAL(10,2)", "c": "VARCHAR", "s": "STRUCT(d INTEGER[])",
            "m": "MAP(VARCHAR, INTEGER)", "r": "BLOB", "n": "DATE", "_source_2": "INTEGER",
        }  # fmt: skip
        assert here.rows()[0][:4] == (1, pytest.approx(1.25), "x", {"d": [1]})
        assert here.sources() == ["a.parquet#1"]


def test_parquet_types_widen_and_misfits_wait(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.parquet", mode="append") as here:
        here.ask(f"copy (select 1::int a, 1::int b, {{'c': 1}} s) to '{tmp_path}/1.parquet'")
        here.load()
        here.ask(
            f"copy (select unnest([5000000000, 6]) a, unnest([true, null]) b, {{'c': 1}} s"
            f" union all select 7, false, {{'c': 1}}) to '{tmp_path}/2.parquet'"
        )
        here.load()
        assert here.columns()["a"] == "BIGINT"
        assert [(q[2], q[3]) for q in here.quarantine()] == [("b", "true"), ("b", "false")]
        here.ask(f"copy (select 1 a, 1 b, {{'c': 1, 'd': 2}} s) to '{tmp_path}/3.parquet'")
        here.load()
        assert here.columns()["s"] == "STRUCT(c INTEGER, d INTEGER)"
        assert {"c": 1, "d": 2} in [row[-1] for row in here.rows()]


def sheet(here: Lab, rows: list[list[Any]], name: str = "a.xlsx", title: str = "Sheet") -> Any:
    book = openpyxl.Workbook()
    page = book.active
    page.title = title
    for row in rows:
        page.append(row)
    book.save(here.folder / name)
    return book


MOMENT = datetime.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001 - Excel has no time zones


def test_excel_days_and_booleans_are_told_by_their_style(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.xlsx") as here:
        day = datetime.date(2024, 1, 2)
        sheet(here, [["id", "at", "on", "ok", "n"], [1, None, day, True, 2.55], [2, MOMENT, None, False, 1]])  # fmt: skip  # noqa: E501
        here.load()
        assert here.columns() == {
            "id": "BIGINT", "at": "TIMESTAMP", "on": "DATE", "ok": "BOOLEAN", "n": "DOUBLE",
        }  # fmt: skip
        assert here.rows() == [(1, None, day, True, 2.55), (2, MOMENT, None, False, 1.0)]


def test_excel_errors_formulas_and_text_in_a_column_of_days(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.xlsx", null_values=("#N/A",)) as here:
        sheet(here, [["a", "at"], [1, MOMENT], ["#N/A", "unknown"], ["#DIV/0!", None], ["=1+1", 1]])
        here.load()
        assert here.columns() == {"a": "VARCHAR", "at": "VARCHAR"}
        found = dict(here.rows())
        assert found["1"] == "2024-01-02 03:04:05"
        assert found[None] in ("unknown", "1899-12-31 00:00:00")
        assert found["#DIV/0!"] is None


def test_excel_title_rows_and_ragged_rows(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.xlsx", header_row=3) as here:
        rows: list[list[Any]] = [
            ["Report", None, None],
            [],
            ["id", "name"],
            [1, "x"],
            [],
            [2, "y", "late"],
        ]
        book = sheet(
            here, [*rows, *[[n, "z"] for n in range(3, 300)], [300, "z", None, None, "far"]]
        )
        book.active.merge_cells("A1:C1")
        book.save(tmp_path / "a.xlsx")
        here.load()
        assert list(here.columns()) == ["id", "name", "column_3", "column_4"]
        assert len(here.rows()) == 300
        assert here.rows()[1] == (2, "y", "late", None)
        assert here.rows()[-1] == (300, "z", None, "far")
        assert here.sources()[0] == "a.xlsx#10"


def test_excel_ranges_sheets_and_no_names(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.xlsx", sheet="O'Brien; \"drop", range="B2:C3", header=False) as here:
        sheet(
            here,
            [["x", "x", "x"], ["x", 1, "p"], ["x", 2, "q"], ["x", "x", "x"]],
            title="O'Brien; \"drop",
        )
        here.load()
        assert here.rows() == [(1, "p"), (2, "q")]
        assert list(here.columns()) == ["column_1", "column_2"]
        here.change(header=True).load(full_refresh=True)
        assert list(here.columns()) == ["1", "p"]


def test_excel_that_is_none(tmp_path: Path) -> None:
    assert "`a.xlsx` is not an Excel workbook" in str(refused(tmp_path, "a,b\n", "a.xlsx"))
    with lab(tmp_path, path="a.xlsx", range="oops") as here:
        sheet(here, [["a"], [1]])
        with pytest.raises(LoadError, match="`oops` is not a cell range"):
            here.load()


def test_excel_without_the_sheet(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.xlsx", sheet="Nope") as here:
        sheet(here, [["a"], [1]])
        with pytest.raises(LoadError, match="no sheet `Nope`"):
            here.load()


def test_formats_that_have_to_be_said(tmp_path: Path) -> None:
    assert "does not follow from its extension" in str(refused(tmp_path, "a\n1\n", "a.dat"))
    with lab(tmp_path, path="a.dat", format="csv") as here:
        here.load()
        assert here.rows() == [(1,)]
