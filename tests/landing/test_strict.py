"""What lands is what stood there: inferred types stay strict, and nothing is half lost."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sources.lab import lab
from transformer.errors import LoadError

# A column's first values, and a value that a lenient cast would change.
CODES = {
    "leading zeros": (["7", "8"], "007"),
    "plus sign": (["49", "50"], "+491"),
    "underscore": (["1", "2"], "1_0"),
    "hexadecimal": (["1", "2"], "0x1F"),
    "exponent without a point": (["1", "2"], "1E3"),
    "many digits in a DOUBLE": (["1.5", "2.5"], "12345678901234567890.5"),
    "too large for a DOUBLE": (["1.5", "2.5"], "1e400"),
    "a digit too many": (["1.5", "2.5"], "1.0000000000000000001"),
    "yes for a BOOLEAN": (["true", "false"], "yes"),
    "one for a BOOLEAN": (["true", "false"], "1"),
    "a word for a DATE": (["2024-01-01", "2024-01-02"], "epoch"),
    "a short DATE": (["2024-01-01", "2024-01-02"], "2024-1-5"),
    "an offset": (["2024-01-01 10:00:00", "2024-01-01 11:00:00"], "2024-01-01 10:00:00+02"),
    "nanoseconds": (
        ["2024-01-01 10:00:00", "2024-01-01 11:00:00"],
        "2024-01-01 10:00:00.123456789",
    ),
}


@pytest.mark.parametrize("mode", ["replace", "append", "merge"])
@pytest.mark.parametrize("case", CODES)
def test_an_inferred_type_stays_strict(tmp_path: Path, case: str, mode: str) -> None:
    first, odd = CODES[case]
    with lab(tmp_path, path="*.csv", mode=mode, key=("id",)) as here:
        here.write("a.csv", "id,v\n" + "".join(f"{n},{v}\n" for n, v in enumerate(first)))
        here.load()
        here.write("b.csv", f"id,v\n9,{odd}\n")
        here.load()
        landed = here.ask("select v::varchar from raw.things where id = 9")
        waiting = [(q[2], q[3]) for q in here.quarantine()]
        assert landed == [(odd,)] or (landed, waiting) == ([], [("v", odd)])


@pytest.mark.parametrize("case", CODES)
def test_which_file_comes_first_does_not_matter(tmp_path: Path, case: str) -> None:
    first, odd = CODES[case]
    with lab(tmp_path, path="*.csv") as here:
        here.write("b.csv", "id,v\n" + "".join(f"{n},{v}\n" for n, v in enumerate(first)))
        here.write("a.csv", f"id,v\n9,{odd}\n")
        here.load()
        assert here.columns()["v"] == "VARCHAR"
        assert here.ask("select v from raw.things where id = 9") == [(odd,)]


@pytest.mark.parametrize("case", CODES)
def test_rows_beyond_the_sample_count_too(tmp_path: Path, case: str) -> None:
    first, odd = CODES[case]
    rows = "".join(f"{n},{first[n % 2]}\n" for n in range(2_500))
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", f"id,v\n{rows}9999,{odd}\n")
        here.load()
        assert here.columns() == {"id": "BIGINT", "v": "VARCHAR"}
        assert here.ask("select v from raw.things where id in (0, 9999) order by id") == [
            (first[0],),
            (odd,),
        ]
        assert here.quarantine() == []


def test_a_column_that_is_empty_in_the_sample_gets_the_type_of_its_values(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv") as here:
        rows = "".join(f"{n},,\n" for n in range(2_500))
        here.write("a.csv", f"id,v,w\n{rows}9999,5,2024-01-01\n")
        here.load()
        assert here.columns() == {"id": "BIGINT", "v": "BIGINT", "w": "DATE"}


JSON_NUMBERS = [
    "1.0000000000000000001", "0.1", "0.30000000000000004", "123456789.123456789123",
    "100000000000000000001e-19", "12345678901234567890", "-0.5", "1e-7", "1.50", "9007199254740993",
    "1234567890.1234567",
]  # fmt: skip


@pytest.mark.parametrize("ending", ["ndjson", "json"])
@pytest.mark.parametrize("number", JSON_NUMBERS)
def test_a_json_number_keeps_its_digits(tmp_path: Path, number: str, ending: str) -> None:
    """Alone, in a list, in an object, and beside texts that look like numbers."""
    nest = f'[{number}, {{"x": {number}}}]'
    row = f'{{"a": {number}, "l": {nest}, "t": "{number}", "q": "\\"{number}"}}'
    text = row + "\n" if ending == "ndjson" else f"[{row}]"
    with lab(tmp_path, path=f"a.{ending}") as here:
        here.write(f"a.{ending}", text)
        here.load()
        a, nested, told, quoted = here.ask("select a::varchar, l::varchar, t, q from raw.things")[0]
        assert Decimal(a) == Decimal(number)
        found = json.loads(nested, parse_float=Decimal, parse_int=Decimal)
        assert found == [Decimal(number), {"x": Decimal(number)}]
        assert (told, quoted) == (number, f'"{number}')


def test_json_keys_beyond_the_sample_become_columns(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"a": n, "n": None} for n in range(2_500)]
    rows += [{"a": 1, "late": "007"}, {"a": 2, "n": {"x": 1}}, {"a": 3.5}]
    with lab(tmp_path, path="a.ndjson") as here:
        here.write("a.ndjson", "".join(json.dumps(r) + "\n" for r in rows))
        here.load()
        assert here.columns() == {"a": "DOUBLE", "n": "JSON", "late": "VARCHAR"}
        assert here.ask("select late from raw.things where late is not null") == [("007",)]
        assert here.ask("select n::varchar from raw.things where n is not null") == [('{"x":1}',)]
        assert here.quarantine() == []


def test_a_key_that_stands_twice_is_not_chosen_in_silence(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.ndjson") as here:
        here.write("a.ndjson", '{"a": 1}\n{"a": 2, "a": 3}\n')
        here.load()
        assert here.rows() == [(1,)]
        assert [q[4] for q in here.quarantine()] == ["a key occurs twice"]


def test_rows_at_a_path_of_the_document(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.json", records="data.items") as here:
        here.write(
            "a.json", '{"data": {"items": [{"a": 1.0000000000000000001}, {"a": 2}], "n": 2}}'
        )
        here.load()
        assert here.rows() == [("1.0000000000000000001",), ("2",)]
        here.write("a.json", '{"data": {"items": {"a": 1}}}')
        with pytest.raises(LoadError, match=r"no list at `data\.items`"):
            here.load()


TYPED = {
    "a finer scale": ("1.25::decimal(10,2)", "1.105::decimal(10,3)", "1.105"),
    "whole and fractional": ("9007199254740993::bigint", "1.5::double", "1.5"),
    "whole numbers as doubles": ("9007199254740993::bigint", "5::double", "5"),
    "flags and numbers": ("true", "5::bigint", "5"),
    "a wider integer": ("1::integer", "5000000000::bigint", "5000000000"),
    "signed and unsigned": ("-1::bigint", "18446744073709551615::ubigint", "18446744073709551615"),
    "a double after a decimal": ("1.25::decimal(18,2)", "1.105::double", "1.105"),
    "days and moments": (
        "date '2024-01-01'", "timestamp '2024-01-01 10:00:00'", "2024-01-01 10:00:00"
    ),
}  # fmt: skip


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("case", TYPED)
def test_parquet_files_of_different_types_lose_nothing(
    tmp_path: Path, case: str, apart: bool
) -> None:
    first, second, shown = TYPED[case]
    with lab(tmp_path, path="*.parquet", mode="append") as here:
        here.ask(f"copy (select 1 as id, {first} as v) to '{tmp_path}/1.parquet'")
        if apart:
            here.load()
        here.ask(f"copy (select 2 as id, {second} as v) to '{tmp_path}/2.parquet'")
        here.load()
        before = here.ask(f"select ({first})::varchar")[0][0]
        landed = dict(here.ask("select id, v::varchar from raw.things"))
        waiting = {str(q[0])[0]: q[3] for q in here.quarantine()}
        assert _same(landed.get(1), before) or waiting.get("1") == before
        assert _same(landed.get(2), shown) or _same(waiting.get("2"), shown)


def _same(found: Any, wanted: str) -> bool:
    if found is None:
        return False
    try:
        return Decimal(found) == Decimal(wanted)
    except ArithmeticError:
        return str(found) == wanted or str(found) == f"{wanted} 00:00:00"


def test_too_much_in_quarantine_keeps_the_old_table(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv", max_quarantined=None) as here:
        here.write("a.csv", "id,v\n" + "".join(f"{n},{n}.5\n" for n in range(20)))
        here.load()
        bad = "".join(f"{n},x{n}\n" for n in range(5))
        here.write("a.csv", "id,v\n" + bad + "".join(f"{n},{n}.5\n" for n in range(5, 20)))
        with pytest.raises(LoadError, match=r"5 of 20 rows .* do not fit") as caught:
            here.load()
        assert "a.csv#1: `v`: is not a valid DOUBLE ('x0')" in str(caught.value)
        assert (len(here.rows()), here.quarantine()) == (20, [])
        here.change(max_quarantined=0.25).load()
        assert (len(here.rows()), len(here.quarantine())) == (15, 5)


def test_a_replaced_table_never_ends_empty(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv", max_quarantined=0.999) as here:
        here.write("a.csv", "id,v\n1,2.5\n")
        here.load()
        here.write("a.csv", 'id,v\n1,"2,5"\n')
        with pytest.raises(LoadError, match="1 of 1 rows"):
            here.load()
        assert here.rows() == [(1, 2.5)]


def test_in_append_the_limit_counts_where_it_is_set(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append", max_quarantined=None) as here:
        here.write("a.csv", "id,v\n1,2.5\n")
        here.load()
        here.write("b.csv", "id,v\n2,x\n")
        here.load()
        assert (here.rows(), len(here.quarantine())) == ([(1, 2.5)], 1)
        here.write("c.csv", "id,v\n3,y\n")
        with pytest.raises(LoadError):
            here.change(max_quarantined=0.5).load()
        assert len(here.quarantine()) == 1


WRITTEN = {
    "a decimal comma": ({"decimal": ","}, "-1234,50", -1234.5),
    "groups of three": ({"decimal": ",", "thousands": "."}, "1.234.567,5", 1234567.5),
    "groups with blanks": ({"thousands": " "}, "1 234 567", 1234567),
    "groups that are none": ({"thousands": ","}, "1,23,4", "1,23,4"),
    "a point beside a decimal comma": ({"decimal": ","}, "1.5", "1.5"),
    "leading zeros all the same": ({"decimal": ","}, "007", "007"),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_numbers_as_they_are_written(tmp_path: Path, case: str) -> None:
    options, text, value = WRITTEN[case]
    with lab(tmp_path, path="a.csv", delimiter=";", **options) as here:
        here.write("a.csv", f"id;v\n1;{text}\n")
        here.load()
        assert here.rows() == [(1, value)]


def test_days_as_they_are_written(tmp_path: Path) -> None:
    with lab(
        tmp_path, path="a.csv", date_format="%d.%m.%Y", timestamp_format="%d/%m/%Y %H:%M"
    ) as here:
        here.write("a.csv", "d,t,u\n03.04.2024,31/12/2024 18:30,03/04/2024\n")
        here.load()
        assert here.columns() == {"d": "DATE", "t": "TIMESTAMP", "u": "VARCHAR"}
        assert here.ask("select d::varchar, t::varchar from raw.things") == [
            ("2024-04-03", "2024-12-31 18:30:00")
        ]
        here.write("a.csv", "d,t,u\n31.02.2024,31/12/2024 18:30,x\n")
        here.load()
        assert [q[3] for q in here.quarantine()] == ["31.02.2024"]


REPORT = "Report\n\n# a note\nid,v\n# not a row\n1,#2\n"


def test_lines_before_the_header_and_comments(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv", skip=1, comment="#") as here:
        here.write("a.csv", REPORT.replace("#2", "2"))
        here.load()
        assert here.rows() == [(1, 2)]
        here.change(comment="", skip=0, header_row=4)
        here.write("a.csv", REPORT.replace("# not a row\n", ""))
        here.load(full_refresh=True)
        assert here.rows() == [(1, "#2")]


ENCODINGS = [
    "windows-1252",
    "iso-8859-15",
    "utf-16-le",
    "utf-16-be",
    "cp437",
    "shift_jis",
    "koi8-r",
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_that_python_knows(tmp_path: Path, encoding: str) -> None:
    word = "ёж" if encoding == "koi8-r" else "テスト" if encoding == "shift_jis" else "größe"
    with lab(tmp_path, path="a.csv", encoding=encoding) as here:
        here.write("a.csv", f"{word},v\n{word},1\n".encode(encoding))
        here.load()
        assert here.columns() == {word: "VARCHAR", "v": "BIGINT"}
        assert here.rows() == [(word, 1)]


def test_bytes_of_another_encoding_are_never_a_header(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", "nr,größe\n1,2\n".encode("latin-1"))
        with pytest.raises(LoadError, match="line 1 has the byte 0xF6"):
            here.load()
        here.change(encoding="ascii-art")
        with pytest.raises(LoadError, match="`ascii-art` is not an encoding"):
            here.load()


def test_all_faults_of_a_row_are_named(tmp_path: Path) -> None:
    types = {"a": "int", "b": "date"}
    with lab(tmp_path, path="a.csv", types=types) as here:
        here.write("a.csv", "a,b\n1,2024-01-01\nx,y\n2\n")
        here.load()
        reasons = [q[4] for q in here.quarantine()]
        assert reasons[0] == "`a` is not a valid INTEGER; `b` is not a valid DATE"
        assert "no value for `b`" in reasons[1]


def test_a_table_that_would_lose_too_many_rows_stays(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv", max_removed=0.5) as here:
        here.write("a.csv", "id\n" + "".join(f"{n}\n" for n in range(10)))
        here.load()
        here.write("a.csv", "id\n1\n2\n3\n4\n")
        with pytest.raises(LoadError, match=r"would lose 6 of its 10 rows .`max_removed` is 50 %"):
            here.load()
        assert len(here.rows()) == 10
        here.load(full_refresh=True)
        assert len(here.rows()) == 4


def test_much_quarantine_in_append_is_said(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv", mode="append", max_quarantined=None) as here:
        here.types["v"] = "int"
        here.write("a.csv", "id,v\n1,1\n2,x\n")
        assert here.load().message == "50 % of the rows read are in quarantine"


def test_bytes_that_are_no_text_are_shown_as_they_are(tmp_path: Path) -> None:
    rows = b"".join(b"%d,ok\n" % n for n in range(20))
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", b"\xef\xbb\xbfid,zip\n" + rows + b'1,\xe9x\n2,"a\nb\xf6"\n3,c\n')
        here.load()
        assert [(q[1], q[3]) for q in here.quarantine()] == [
            (21, "1,\\xe9x"),
            (22, '2,"a\nb\\xf6"'),
        ]
    (tmp_path / "n").mkdir()
    with lab(tmp_path / "n", path="a.ndjson") as here:
        here.write("a.ndjson", b'{"a": "x"}\n{"a": "\xe9"}\n')
        here.load()
        assert [(q[1], q[3]) for q in here.quarantine()] == [(2, '{"a": "\\xe9"}')]
