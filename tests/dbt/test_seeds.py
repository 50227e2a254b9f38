"""Seeds of dbt projects: columns get the types that dbt infers, and values come out as dbt's.

The table was found by running dbt-core 1.11 with dbt-duckdb on the same files.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt.test_build import project, rows, run

DAY = date(2024, 1, 5)
TEN = datetime(2024, 1, 5, 10, 0, tzinfo=UTC).replace(tzinfo=None)

# What a file holds below the line `c`: the type of the column, and its values.
AS_DBT: dict[str, tuple[str, list[Any]]] = {
    "13.0|14.0": ("INTEGER", [13, 14]),
    "1.0|2": ("INTEGER", [1, 2]),
    '1.0|""': ("INTEGER", [1, None]),
    "5.|.0": ("INTEGER", [5, 0]),
    "-5.0|-0": ("INTEGER", [-5, 0]),
    "1e3|1.5E3|10e-1|0e-5": ("INTEGER", [1000, 1500, 1, 0]),
    "02139|10001": ("INTEGER", [2139, 10001]),
    '"007"': ("INTEGER", [7]),
    "+5|1_000": ("INTEGER", [5, 1000]),
    " 1|2 |\t3|\v4": ("INTEGER", [1, 2, 3, 4]),
    "2147483647.0|-2147483648": ("INTEGER", [2147483647, -2147483648]),
    "1|0": ("INTEGER", [1, 0]),
    "20240105": ("INTEGER", [20240105]),
    '""|""': ("INTEGER", [None, None]),
    "1||2": ("INTEGER", [1, None, 2]),
    '1.5|""': ("DOUBLE", [1.5, None]),
    "15e-1|5.e-1|1.5e0": ("DOUBLE", [1.5, 0.5, 1.5]),
    ".5|-.5|+1.5|1_000.5": ("DOUBLE", [0.5, -0.5, 1.5, 1000.5]),
    "1e-400|1": ("DOUBLE", [0, 1]),
    "1e300|1": ("DOUBLE", [1e300, 1]),
    "1.5|inf|-Infinity": ("DOUBLE", [1.5, math.inf, -math.inf]),
    "true|FALSE|True": ("BOOLEAN", [True, False, True]),
    'true|""': ("BOOLEAN", [True, None]),
    "true|1": ("VARCHAR", ["true", "1"]),
    "yes|no": ("VARCHAR", ["yes", "no"]),
    "t|f": ("VARCHAR", ["t", "f"]),
    "0x10|1": ("VARCHAR", ["0x10", "1"]),
    "1e|2": ("VARCHAR", ["1e", "2"]),
    "1 000": ("VARCHAR", ["1 000"]),
    "10:00|11:00": ("VARCHAR", ["10:00", "11:00"]),
    "2024-01-05|2024-1-5| 2024-01-05 ": ("DATE", [DAY, DAY, DAY]),
    "05/01/2024": ("VARCHAR", ["05/01/2024"]),
    "2024-02-30": ("VARCHAR", ["2024-02-30"]),
    "0000-01-01": ("VARCHAR", ["0000-01-01"]),
    "2024-01-05 10:00:00|2024-1-5 10:0:0|2024-01-05  10:00:00": ("TIMESTAMP", [TEN, TEN, TEN]),
    "2024-01-05 10:00": ("VARCHAR", ["2024-01-05 10:00"]),
    "2024-01-05 10:00:60": ("VARCHAR", ["2024-01-05 10:00:60"]),
    "2024-01-05 24:00:00": ("VARCHAR", ["2024-01-05 24:00:00"]),
    "2024-01-05 10:00:00+02": ("VARCHAR", ["2024-01-05 10:00:00+02"]),
    "2024-01-05T10:00|2024-01-05T10:00:00Z|2024-01-05T10:00:00.000": ("TIMESTAMP", [TEN] * 3),
    "2024-01-05T10:00:00z": ("VARCHAR", ["2024-01-05T10:00:00z"]),
    "2024-01-05T24:00:00": ("VARCHAR", ["2024-01-05T24:00:00"]),
    "2024-01-05|2024-01-05T10:00:00": ("VARCHAR", ["2024-01-05", "2024-01-05T10:00:00"]),
    "2024-01-05 10:00:00|2024-01-05": ("VARCHAR", ["2024-01-05 10:00:00", "2024-01-05"]),
    "2024-01-05 10:00:00|2024-01-05T10:00:00": (
        "VARCHAR",
        ["2024-01-05 10:00:00", "2024-01-05T10:00:00"],
    ),
    'null|a|""| ': ("VARCHAR", ["null", "a", None, " "]),
    "None|1": ("VARCHAR", ["None", "1"]),
    "'1'|'2'": ("VARCHAR", ["1", "2"]),
    '"abc" def|x': ("VARCHAR", ['"abc" def', "x"]),
    '"a ""b"""|c': ("VARCHAR", ['a "b"', "c"]),
}
# dbt stops at these: its table cannot hold what it took for numbers, dates and flags.
BEYOND_DBT: dict[str, tuple[str, list[Any]]] = {
    "3000000000|1": ("BIGINT", [3000000000, 1]),
    "99999999999999999999|1": ("VARCHAR", ["99999999999999999999", "1"]),
    "5%|6": ("VARCHAR", ["5%", "6"]),
    "$3": ("VARCHAR", ["$3"]),
    '"1,000"|2': ("VARCHAR", ["1,000", "2"]),
    "Inf|1": ("VARCHAR", ["Inf", "1"]),
    "--5": ("VARCHAR", ["--5"]),
    "1__0": ("VARCHAR", ["1__0"]),
    "null|1": ("VARCHAR", ["null", "1"]),
    " |1": ("VARCHAR", [" ", "1"]),
    " true|false": ("VARCHAR", [" true", "false"]),
    "2024-01-05|null": ("VARCHAR", ["2024-01-05", "null"]),
    "2024-01-05T10:00Z": ("VARCHAR", ["2024-01-05T10:00Z"]),
    "2024-W01-1T10:00:00": ("VARCHAR", ["2024-W01-1T10:00:00"]),
}
# By declared type: what the file holds, the type of the column, and its value.
DECLARED: dict[str, tuple[str, str, Any]] = {
    "text": ("007", "VARCHAR", "007"),
    "bigint": ("13.0", "BIGINT", 13),
    "boolean": ("yes", "BOOLEAN", True),
    "date": ("13/02/2024", "DATE", date(2024, 2, 13)),
}


def loaded(root: Path, name: str) -> tuple[str, list[Any]]:
    """The type and the values of a seed's column."""
    [(kind,)] = rows(root, f"select column_type from (describe {name})")
    return kind, [value for (value,) in rows(root, f"from {name}")]


def text(values: str) -> str:
    return "\n".join(("c", *values.split("|"))) + "\n"


@pytest.mark.parametrize("table", [AS_DBT, BEYOND_DBT], ids=["as dbt", "where dbt stops"])
def test_the_text_of_all_values_decides(
    tmp_path: Path, table: dict[str, tuple[str, list[Any]]]
) -> None:
    root = project(tmp_path)
    for number, values in enumerate(table):
        (root / "seeds" / f"s{number}.csv").write_text(text(values), encoding="utf-8")
    run(root, "seed")
    found = {values: loaded(root, f"s{number}") for number, values in enumerate(table)}
    assert found == table


def test_declared_types_win(tmp_path: Path) -> None:
    kinds = "".join(f"      s_{kind}: {{+column_types: {{c: {kind}}}}}\n" for kind in DECLARED)
    other = "      s_other: {+column_types: {C: text, z: text}}\n"
    root = project(tmp_path)
    with (root / "dbt_project.yml").open("a", encoding="utf-8") as settings:
        settings.write(f"seeds:\n  shop:\n{kinds}{other}")
    for kind, (value, _, _) in DECLARED.items():
        (root / "seeds" / f"s_{kind}.csv").write_text(text(value), encoding="utf-8")
    (root / "seeds" / "s_other.csv").write_text(text("007"), encoding="utf-8")
    run(root, "seed")
    found = {kind: loaded(root, f"s_{kind}") for kind in DECLARED}
    assert found == {kind: (shown, [value]) for kind, (_, shown, value) in DECLARED.items()}
    assert loaded(root, "s_other") == ("INTEGER", [7])  # no column is named just so


def test_a_mark_at_the_start_another_delimiter_and_no_rows(tmp_path: Path) -> None:
    root = project(tmp_path)
    with (root / "dbt_project.yml").open("a", encoding="utf-8") as settings:
        settings.write('seeds: {shop: {piped: {+delimiter: "|"}}}\n')
    (root / "seeds" / "marked.csv").write_text("\ufeffc\n1.0\n", encoding="utf-8")
    (root / "seeds" / "piped.csv").write_text("a|b\n007|1,5\n", encoding="utf-8")
    (root / "seeds" / "bare.csv").write_text("c\n", encoding="utf-8")
    run(root, "seed")
    assert loaded(root, "marked") == ("INTEGER", [1])
    assert rows(root, "from piped") == [(7, "1,5")]
    assert loaded(root, "bare") == ("INTEGER", [])


def test_a_single_value_far_down_counts(tmp_path: Path) -> None:
    root = project(tmp_path)
    lines = ["a,b", *["1,x"] * 30_000, '1.5,"y,z"']
    (root / "seeds" / "long.csv").write_text("\n".join(lines), encoding="utf-8")
    run(root, "seed")
    assert rows(root, "select typeof(a), b from long order by a desc limit 1") == [
        ("DOUBLE", "y,z")
    ]


# A header, a row below it, and what dbt-core 1.12 calls the columns; the values come out as text.
HEADERS = {
    ("id,,a", "1,2,3"): ["id", "b", "a"],
    ("a,a,a", "x,y,z"): ["a", "a_2", "a_3"],
    ("a,a_2,a", "x,y,z"): ["a", "a_2", "a_3"],
    ('"say ""so""","x, y",z', "1,2,3"): ['say "so"', "x, y", "z"],
    (" a ,b c,d-e", "1,2,3"): [" a ", "b c", "d-e"],
    ("#id,1st,select", "1,2,3"): ["#id", "1st", "select"],
}


@pytest.mark.parametrize(("header", "row"), HEADERS)
def test_columns_are_named_as_in_dbt(header: str, row: str, tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "seeds" / "named.csv").write_text(f"{header}\n{row}\n")
    run(root, "seed", "named")
    found = rows(root, "select column_name from (describe named)")
    assert [name for (name,) in found] == HEADERS[header, row]
    assert len(rows(root, "from named")) == 1


# Lines of which a reader could take something for more than text, and the type of the first column.
LINES = {
    "1,a\n#2,b\n3,c\n": "VARCHAR",
    "#1,a\n#2,b\n": "VARCHAR",
    "1,it's\n2,b\n": "INTEGER",
    "1,a\n\n2,b\n": "INTEGER",
    '1,"a ""b"", c"\n2,"# no"\n': "INTEGER",
    "1,a # b\n2,c\n": "INTEGER",
    '1,"two\nlines"\n2,b\n': "INTEGER",
    "# a line, alone\n1,b\n": "VARCHAR",
}


@pytest.mark.parametrize("lines", LINES)
def test_rows_are_those_that_the_engine_copies_as_for_dbt(lines: str, tmp_path: Path) -> None:
    root = project(tmp_path)
    path = root / "seeds" / "plain.csv"
    path.write_text(f"k,v\n{lines}")
    kind = LINES[lines]
    con = duckdb.connect()
    con.execute(f"create table dbts (k {kind}, v varchar)")
    try:
        con.execute(f"copy dbts from '{path}' (format csv, header true, delimiter ',')")
    except duckdb.Error:
        run(root, "seed", "plain", ok=False)
        return
    run(root, "seed", "plain")
    assert rows(root, "from plain") == con.execute("from dbts").fetchall()
