"""Files made at random, value for value: what landed, or waits, against another reader.

The rules, whatever the format: a landed value is the text (or number) that the other reader sees;
text lands as it stands; a number lands only with all its digits; what is blank is NULL; every row
is in the table or in quarantine, once, with the text that did not fit.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
import tempfile
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.sources.lab import Lab, lab
from transformer.landing.types import SAMPLE
from transformer.names import quoted

# No shrinking: each try lands files in a real warehouse.
QUICK = settings(
    max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
# 10,000 files a format: each try makes many.
FILES = 20
LONG = settings(QUICK, max_examples=10_000 // FILES, derandomize=False)

NUMBERS = [
    "0", "1", "-7", "007", "+49", "1.5", "1.50", "-0.0", "2e3", "1E10", "1e400", "1_000", "0x1F",
    "9007199254740993", "9223372036854775808", "12345678901234567890", "1.0000000000000000001",
    "0.30000000000000004", "123456789.123456789", "99999999999999999999999999999999999999999",
    ".5", "5.", "1,5", "NaN", "inf", "1e-7", "5e-324",
]  # fmt: skip
WORDS = [
    "x", "true", "false", "TRUE", "t", "yes", "NULL", "null", "2024-02-29", "2023-02-29",
    "2024-01-01 10:00:00", "2024-01-01T10:00:00Z", "03/04/2024", "24:00", "infinity", "epoch",
    "é日", "'", "a;b", "#", "\\N",
]  # fmt: skip
KINDS = st.sampled_from(
    [NUMBERS[:3], NUMBERS[:8], NUMBERS[13:19], NUMBERS, WORDS[1:4], WORDS[8:11], WORDS,
     NUMBERS + WORDS, [*NUMBERS[:3], " 5 ", "  "], [*WORDS, 'q"q', "a,b", "a\nb", "a\r\nb", " x "]]
)  # fmt: skip


def decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def same(kind: str, text: str | None, value: Any) -> bool:  # noqa: PLR0911 - a rule a line
    """Whether the value that landed is the text, by rules of its own."""
    if text is None or (kind != "VARCHAR" and not text.strip(" ")):
        return value is None
    if value is None:
        return False
    if kind == "VARCHAR":
        return bool(value == text)
    bare = text.strip(" ")
    if kind in ("BIGINT", "HUGEINT", "DOUBLE") or kind.startswith("DECIMAL"):
        number = re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", bare)
        return bool(number) and decimal(bare) == decimal(value)
    if kind == "BOOLEAN":
        return bool(bare.lower() == value)
    if kind == "DATE":
        return bool(bare == value)
    if kind == "TIMESTAMP":
        moment = bare.replace("T", " ")
        return bool(value in (moment, f"{moment} 00:00:00", f"{moment}:00"))
    if kind == "TIMESTAMP WITH TIME ZONE":
        return bool(value == re.sub(r"Z$|[+]00:?00$", "+00", bare.replace("T", " ")))
    raise AssertionError(kind)


def values(here: Lab) -> tuple[dict[str, str], dict[str, tuple[Any, ...]]]:
    """The types, and the landed rows as text, by their place."""
    kinds = here.columns()
    listed = "".join(f", {quoted(n)}::varchar" for n in kinds)
    return kinds, {row[0]: row[1:] for row in here.ask(f"select _source{listed} from raw.things")}


def check(
    here: Lab, truth: dict[str, dict[str, str | None]], ragged: dict[str, list[str]] | None = None
) -> None:
    """`truth` holds what another reader saw of every row: by place, then by column. `ragged` rows
    have other fields than the names say."""
    kinds, landed = values(here)
    waiting = {f"{q[0]}#{q[1]}": q for q in here.quarantine()}
    assert not landed.keys() & waiting.keys()
    for place, fields in (ragged or {}).items():
        _, _, column, value, reason = waiting.pop(place)
        assert reason.startswith(("missing columns", "too many columns")), reason
        assert value is not None
        if len(fields) < len(NAMES):
            assert column == NAMES[len(fields)]
    assert landed.keys() | waiting.keys() == truth.keys()
    for place, row in landed.items():
        for (name, kind), value in zip(kinds.items(), row, strict=True):
            stood = truth[place].get(name)
            assert same(kind, stood, value), (place, name, kind, stood, value)
    for place, (_, _, column, value, reason) in waiting.items():
        if column in kinds and reason.startswith(("is no", "`")):
            assert value == truth[place].get(column), (place, column)
            assert kinds[column] != "VARCHAR"


@st.composite
def tables(draw: Any, most: int = 8) -> list[list[str]]:
    columns = [draw(KINDS) for _ in range(3)]
    cell = [st.sampled_from(["", *kind]) for kind in columns]
    return list(draw(st.lists(st.tuples(*cell).map(list), min_size=1, max_size=most)))


# ---------------------------------------------------------------- CSV
NAMES = ["a", "b b", "É"]
ENCODINGS = {"utf-8": None, "utf-8-sig": None, "utf-16": None, "cp1252": "windows-1252"}


def csv_file(
    here: Lab, name: str, rows: list[list[str]], way: tuple[str, str, str, bool]
) -> dict[str, list[str]]:
    """Writes a file of delimited text, and reads it back with Python's own reader."""
    delimiter, end, encoding, all_quoted = way
    out = io.StringIO(newline="")
    for row in [NAMES, *rows]:
        csv.writer(
            out,
            delimiter=delimiter,
            lineterminator=end,
            quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL,
        ).writerow(row)
    content = out.getvalue().encode(encoding, "replace")
    here.write(name, content)
    read = list(csv.reader(io.StringIO(content.decode(encoding), newline=""), delimiter=delimiter))
    return {f"{name}#{number}": row for number, row in enumerate(read[1:], 1)}


def named(row: list[str]) -> dict[str, str | None]:
    """The fields of a row by name."""
    return {n: v or None for n, v in zip(NAMES, row, strict=True)}


CSV = st.tuples(
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(list(ENCODINGS)),
    st.booleans(),
)


def csv_agrees(files: list[list[list[str]]], way: tuple[str, str, str, bool], mode: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"path": "*.csv", "mode": mode}
        if ENCODINGS[way[2]]:
            options["encoding"] = ENCODINGS[way[2]]
        with lab(Path(folder), **options) as here:
            truth: dict[str, list[str]] = {}
            for number, rows in enumerate(files):
                if any("".join(row) for row in rows):
                    truth |= csv_file(here, f"{number}.csv", rows, way)
                if mode == "append" and number % 5 == 0 and truth:
                    here.load()
            if truth:
                here.load()
                whole = {
                    place: named(row) for place, row in truth.items() if len(row) == len(NAMES)
                }
                check(here, whole, {p: row for p, row in truth.items() if p not in whole})


@st.composite
def some_ragged(draw: Any) -> list[list[str]]:
    """Rows of which some have a field too few or too many."""
    made: list[list[str]] = draw(tables())
    lengths = st.sampled_from([3] * 12 + [2, 4, 5])
    return [[*row, "x", "1"][: draw(lengths)] for row in made]


CSV_CELLS = st.lists(st.one_of(tables(), some_ragged()), min_size=FILES, max_size=FILES)


@QUICK
@given(CSV_CELLS, CSV, st.sampled_from(["replace", "append"]))
def test_csv(files: list[list[list[str]]], way: tuple[str, str, str, bool], mode: str) -> None:
    csv_agrees(files, way, mode)


@pytest.mark.soak
@LONG
@given(CSV_CELLS, CSV, st.sampled_from(["replace", "append"]))
def test_many_csv(files: list[list[list[str]]], way: tuple[str, str, str, bool], mode: str) -> None:
    csv_agrees(files, way, mode)


# ---------------------------------------------------------------- JSON
RAW = st.sampled_from(
    ["1", "-7", "1.5", "2e3", "1e400", "9007199254740993", "12345678901234567890", "-0.0",
     "1.0000000000000000001", "0.30000000000000004", "123456789.123456789", "5e-324", "1E5",
     "99999999999999999999999999999999999999999", "true", "false", "null", '"x"', '"007"', '"1.50"',
     '"\\u00e9\\n"', '"2024-02-29"', '""', "[1.0000000000000000001, 2]", '{"k": 1.10}', "[]",
     '{"k": [0.1, {"z": 12345678901234567890.5}]}', '"\\"q\\""', '{"k": {"k": [[1.10, 2e400]]}}',
     '{"k": 1, "K": 2}', '{"k": 0.12345678901234567890123, "l": "0.10"}', '"a\\u0000b"']
)  # fmt: skip
OBJECT = st.lists(st.tuples(st.sampled_from(["a", "b", "C", "d e"]), RAW), min_size=1, max_size=5)


def exactly(value: Any) -> Any:
    """A JSON value with its numbers as decimals."""
    return json.loads(value, parse_float=Decimal, parse_int=Decimal)


def json_same(kind: str, raw: str | None, value: str | None) -> bool:
    """Whether a landed value is what stands in the file."""
    stood = None if raw is None else exactly(raw)
    if stood is None or value is None:
        return value is None and (stood is None or (stood == "" and kind != "VARCHAR"))
    if kind == "JSON":
        return bool(exactly(value) == stood)
    if isinstance(stood, bool):
        return value == str(stood).lower()
    if isinstance(stood, Decimal):
        return decimal(value) == stood
    if isinstance(stood, str):
        return same(kind, stood, value)
    return kind == "VARCHAR" and bool(exactly(value) == stood)


# Around the rows of a file.
JSON_FORMS = {
    "ndjson": ("", "\n", ""),
    "json": ("[", ", ", "]"),
    "pretty": ("[\n  ", ",\n  ", "\n]\n"),
    "records": ('{"n": 1, "data": {"more": [{"a": 5}], "the rows": [', ",", ']}, "z": null}'),
}


def json_agrees(files: list[list[list[tuple[str, str]]]], form: str) -> None:
    ending = "ndjson" if form == "ndjson" else "json"
    options: dict[str, Any] = {"records": "data.the rows"} if form == "records" else {}
    with (
        tempfile.TemporaryDirectory() as folder,
        lab(Path(folder), path=f"*.{ending}", **options) as here,
    ):
        truth: dict[str, dict[str, str]] = {}
        twice: set[str] = set()
        for number, objects in enumerate(files):
            lines = ["{" + ", ".join(f'"{k}": {v}' for k, v in pairs) + "}" for pairs in objects]
            before, between, after = JSON_FORMS[form]
            here.write(f"{number}.{ending}", before + between.join(lines) + after)
            for row_number, pairs in enumerate(objects, 1):
                truth[f"{number}.{ending}#{row_number}"] = dict(pairs)
                if len(dict(pairs)) < len(pairs):
                    twice.add(f"{number}.{ending}#{row_number}")
        here.load()
        kinds, landed = values(here)
        waiting = {f"{q[0]}#{q[1]}": q for q in here.quarantine()}
        assert not landed.keys() & waiting.keys()
        assert landed.keys() | waiting.keys() == truth.keys()
        assert twice <= waiting.keys()
        for place, row in landed.items():
            assert truth[place].keys() <= kinds.keys()
            for (name, kind), value in zip(kinds.items(), row, strict=True):
                raw = truth[place].get(name)
                assert json_same(kind, raw, value), (place, name, kind, raw, value)
        for place in waiting.keys() - twice:
            _, _, column, value, _ = waiting[place]
            raw = truth[place][column]
            told = exactly(raw)
            assert value == told or exactly(value) == told, (place, column, raw, value)


JSON_FILES = st.lists(st.lists(OBJECT, min_size=1, max_size=6), min_size=FILES, max_size=FILES)
FORMS = st.sampled_from(list(JSON_FORMS))


@QUICK
@given(JSON_FILES, FORMS)
def test_json(files: list[list[list[tuple[str, str]]]], form: str) -> None:
    json_agrees(files, form)


@pytest.mark.soak
@settings(LONG, max_examples=2 * 10_000 // FILES)
@given(JSON_FILES, FORMS)
def test_many_json(files: list[list[list[tuple[str, str]]]], form: str) -> None:
    json_agrees(files, form)


# ---------------------------------------------------------------- Parquet
WHOLE = st.one_of(st.integers(-100, 100), st.sampled_from([2**53 + 1, -(2**62), 2**63 - 1]))
PARQUET: dict[str, tuple[Any, Any]] = {
    "int8": (pa.int8(), st.integers(-128, 127)),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "int64": (pa.int64(), WHOLE),
    "double": (pa.float64(), st.sampled_from([0.1, 1.0, -2.5, 1e300, 5e-324, 2.0**60])),
    "cents": (pa.decimal128(10, 2), st.integers(-(10**6), 10**6).map(lambda n: Decimal(n) / 100)),
    "fine": (pa.decimal128(38, 20), st.integers(0, 10**9).map(lambda n: Decimal(n).scaleb(-20))),
    "text": (pa.string(), st.sampled_from([*NUMBERS, *WORDS, ""])),
    "bool": (pa.bool_(), st.booleans()),
}


@st.composite
def parquet(draw: Any) -> tuple[str, list[Any]]:
    name = draw(st.sampled_from(list(PARQUET)))
    return name, draw(st.lists(st.none() | PARQUET[name][1], min_size=1, max_size=5))


def parquet_same(kind: str, stood: Any, value: str | None) -> bool:
    if stood is None or value is None:
        return value is None and (stood is None or (stood == "" and kind != "VARCHAR"))
    if isinstance(stood, bool):
        return value == str(stood).lower()
    if isinstance(stood, str):
        return same(kind, stood, value)
    if isinstance(stood, float):
        return float(value) == stood
    return decimal(value) == Decimal(stood)


def parquet_agrees(files: list[tuple[str, list[Any]]], few: int) -> None:
    """A few files, of types that may differ, become one table."""
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder)) as here:
        for start in range(0, len(files), few):
            truth: dict[str, Any] = {}
            for number, (name, cells) in enumerate(files[start : start + few], start):
                path = f"{start}/{number}.parquet"
                (Path(folder) / str(start)).mkdir(exist_ok=True)
                pq.write_table(
                    pa.table({"v": pa.array(cells, PARQUET[name][0])}), f"{folder}/{path}"
                )
                read = pq.read_table(f"{folder}/{path}").column("v").to_pylist()
                truth |= {f"{path}#{n}": cell for n, cell in enumerate(read, 1)}
            here.change(path=f"{start}/*.parquet").load(full_refresh=True)
            kinds, landed = values(here)
            waiting = {f"{q[0]}#{q[1]}": q[3] for q in here.quarantine()}
            assert landed.keys() | waiting.keys() == truth.keys()
            assert not landed.keys() & waiting.keys()
            for place, (value,) in landed.items():
                assert parquet_same(kinds["v"], truth[place], value), (
                    place,
                    kinds,
                    truth[place],
                    value,
                )
            for place, value in waiting.items():
                assert parquet_same("VARCHAR", truth[place], value), (place, truth[place], value)


PARQUETS = st.lists(parquet(), min_size=FILES, max_size=FILES)


@QUICK
@given(PARQUETS, st.integers(1, 4))
def test_parquet(files: list[tuple[str, list[Any]]], few: int) -> None:
    parquet_agrees(files, few)


@pytest.mark.soak
@LONG
@given(PARQUETS, st.integers(1, 4))
def test_many_parquet(files: list[tuple[str, list[Any]]], few: int) -> None:
    parquet_agrees(files, few)


# ---------------------------------------------------------------- Excel
CELL = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**6), 10**6),
    st.dates().filter(lambda d: d.year > 1904), st.times().map(lambda t: t.replace(microsecond=0)),
    st.dates(datetime.date(1900, 1, 1), datetime.date(1900, 3, 5)),
    st.floats(-1e9, 1e9, allow_nan=False).map(lambda f: float(f"{f:.12g}")),
    st.sampled_from([*NUMBERS, *WORDS, " ", "  \n", " x ", "line\nbreak"]),
    st.datetimes().map(lambda t: t.replace(microsecond=0)).filter(lambda d: d.year > 1904),
    st.sampled_from(["#DIV/0!", "#N/A"]),
    st.sampled_from([0.1 + 0.2, 1e15, 123456789012345680.0, 1e300]),
)  # fmt: skip


def excel_text(cell: Any) -> tuple[str | None, ...]:
    """The texts that a cell may land as: what openpyxl says is in it."""
    if cell is None or cell == "":
        return (None,)
    if isinstance(cell, bool):
        return (str(cell).lower(),)
    if isinstance(cell, float) and cell == int(cell):
        return (str(int(cell)), repr(cell))
    if isinstance(cell, datetime.time):
        return (cell.isoformat(),)
    if hasattr(cell, "isoformat"):
        text = cell.isoformat(sep=" ") if hasattr(cell, "hour") else cell.isoformat()
        return (text, text.removesuffix(" 00:00:00"))
    return (str(cell),)


def excel_agrees(files: list[list[list[Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder), path="*.xlsx") as here:
        truth: dict[str, list[Any]] = {}
        for number, rows in enumerate(files):
            book = openpyxl.Workbook()
            sheet = book.active
            assert sheet is not None
            sheet.append(["a", "b", "c"])
            for row in rows:
                sheet.append(row)
            path = Path(folder) / f"{number}.xlsx"
            book.save(path)
            read = openpyxl.load_workbook(path, data_only=True).active
            assert read is not None
            for row_number, cells in enumerate(read.iter_rows(min_row=2, values_only=True), 2):
                if any(excel_text(cell) != (None,) for cell in cells):
                    truth[f"{path.name}#{row_number}"] = list(cells)
        if not truth:
            return
        here.load()
        kinds, landed = values(here)
        waiting = {f"{q[0]}#{q[1]}": q for q in here.quarantine()}
        assert landed.keys() | waiting.keys() == truth.keys()
        assert not landed.keys() & waiting.keys()
        for place, texts in landed.items():
            for (name, kind), value in zip(kinds.items(), texts, strict=True):
                cell = truth[place]["abc".index(name)]
                assert any(same(kind, text, value) for text in excel_text(cell)), (
                    place,
                    name,
                    kind,
                    cell,
                    value,
                )
        for place, (_, _, column, value, _) in waiting.items():
            assert value in excel_text(truth[place]["abc".index(column)]), (place, column, value)


# Fewer at once: a try of more cells than hypothesis draws would be thrown away.
SHEETS = 4
EXCEL = st.lists(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=5),
    min_size=SHEETS, max_size=SHEETS,
)  # fmt: skip


@QUICK
@given(EXCEL)
def test_excel(files: list[list[list[Any]]]) -> None:
    excel_agrees(files)


@pytest.mark.soak
@settings(LONG, max_examples=10_000 // SHEETS)
@given(EXCEL)
def test_many_excel(files: list[list[list[Any]]]) -> None:
    excel_agrees(files)


# ---------------------------------------------------------------- beyond the look
@pytest.mark.parametrize("late", ["007", "1.5", "x", "12345678901234567890", "2024-01-01", "true"])
@pytest.mark.parametrize("early", ["1", "2024-01-01", "true", "1.25", ""])
def test_the_look_sees_other_types_than_the_rest(tmp_path: Path, early: str, late: str) -> None:
    rows = [["id", "v"]]
    rows += [[str(n), early if n <= SAMPLE + 400 else late] for n in range(1, SAMPLE + 501)]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", out.getvalue())
        here.load()
        check(
            here,
            {
                f"a.csv#{n}": {"id": row[0], "v": row[1] or None}
                for n, row in enumerate(rows[1:], 1)
            },
        )


def test_a_key_that_comes_after_the_look(tmp_path: Path) -> None:
    lines = [f'{{"id": {n}}}' for n in range(SAMPLE + 300)]
    lines += ['{"id": 1, "late": 1.0000000000000000001}', '{"id": 2, "late": {"k": 0.1}}']
    with lab(tmp_path, path="a.ndjson") as here:
        here.write("a.ndjson", "\n".join(lines))
        here.load()
        held = [row[0] for row in here.ask("select late from raw.things where late is not null")]
        assert sorted(held) == ["1.0000000000000000001", '{"k":0.1}']
