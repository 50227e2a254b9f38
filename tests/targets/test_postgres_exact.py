"""A table of Postgres that was there before holds what was sent, or the row waits."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path

import psycopg
import pytest

from tests.postgres import new_database
from tests.targets.cases import warehouse
from transformer.errors import ActivateError

# The model's type, the column's type, values that land as they are, values that would be changed.
PAIRS: dict[str, tuple[str, str, list[str], list[str]]] = {
    "a smaller scale": ("decimal(12,4)", "numeric(10,2)", ["1.2500", "-0.10"], ["1.2550"]),
    "a smaller precision": ("decimal(12,2)", "numeric(5,2)", ["999.99"], ["1000.00"]),
    "a negative scale": ("bigint", "numeric(6,-2)", ["1200", "-300"], ["1250"]),
    "a whole column": ("decimal(12,2)", "integer", ["5.00", "-7"], ["1.50", "3000000000.00"]),
    "whole numbers of doubles": ("double", "bigint", ["5", "1e15"], ["0.5", "'nan'", "'inf'"]),
    "a smaller whole number": ("bigint", "smallint", ["7"], ["70000"]),
    "a real": ("double", "real", ["0.5", "0.1", "'nan'", "'-inf'"], ["123456789.125"]),
    "whole numbers in a real": ("integer", "real", ["16777216"], ["16777217"]),
    "whole numbers in a double": ("bigint", "float8", ["9007199254740992"], ["9007199254740993"]),
    "decimals in a double": ("decimal(38,10)", "float8", ["0.1"], ["12345678901234567890.5"]),
    "doubles in a numeric": ("double", "numeric(20,3)", ["0.125", "0.1", "'nan'"], ["0.12345"]),
    "money": ("decimal(12,4)", "money", ["1.2500"], ["1.2550"]),
    "numbers in short texts": ("decimal(12,2)", "varchar(5)", ["12.50"], ["123.50"]),
    "blanks at the end": ("varchar", "varchar(3)", ["'abc'", "'a '"], ["'abc  '", "'abcd'"]),
    "fixed width": ("varchar", "char(3)", ["'abc'", "'a'"], ["'a '", "'abcd'"]),
    "a name": ("varchar", "name", ["'a'"], [f"'{'x' * 70}'"]),
    "whole seconds": ("timestamp", "timestamp(0)", ["'2024-01-01 10:00:00'", "'infinity'"],
                      ["'2024-01-01 10:00:00.5'"]),
    "whole seconds with a zone": ("timestamptz", "timestamptz(0)", ["'2024-01-01 10:00:00+00'"],
                                  ["'2024-01-01 10:00:00.25+00'"]),
    "days of moments": ("timestamp", "date", ["'2024-01-01'"], ["'2024-01-01 10:00:00'"]),
    "whole seconds of a clock": ("time", "time(0)", ["'10:00:00'"], ["'10:00:00.5'"]),
    "texts of numbers": ("varchar", "numeric(6,2)", ["'1.50'", "'NaN'"], ["'1.555'", "'x'"]),
    "texts of moments": ("varchar", "timestamp", ["'2024-01-01 10:00:00'"],
                         ["'2024-01-01 10:00:00+05'", "'2024-01-01 10:00:00.1234567'"]),
    "texts of days": ("varchar", "date", ["'2024-01-01'"], ["'2024-01-01 10:00:00'"]),
    "texts of clocks": ("varchar", "time", ["'10:00:00'"], ["'2024-01-01 10:00:00'"]),
    "nanoseconds": ("timestamp_ns", "timestamp", ["'2024-01-01 10:00:00.123456'"],
                    ["'2024-01-01 10:00:00.123456789'"]),
    "intervals": ("interval", "interval(0)", ["'3 months 2 seconds'"], ["'1.5 seconds'"]),
    "arrays": ("decimal(12,4)[]", "numeric(10,2)[]", ["[1.25, null]", "[]"], ["[1.25, 1.2555]"]),
    "arrays of reals": ("double[]", "real[]", ["[0.5, 0.1]"], ["[123456789.125]"]),
    "arrays of days": ("timestamp[]", "date[]", ["['2024-01-01'::timestamp]"],
                       ["['2024-01-01 10:00:00'::timestamp]"]),
    "a domain": ("decimal(12,4)", "cents", ["1.2500"], ["1.2550"]),
    "39 digits": ("hugeint", "numeric", [f"'{'1' * 39}'::hugeint"], []),
}  # fmt: skip


def shown(text: str | None) -> list[str]:
    """What a value says, however it is written: numbers by their digits, a day as a moment."""
    made = []
    for word in (text or "NULL").strip("[]{}").split(","):
        bare = word.strip("' \"").replace(" mons", " months").removesuffix("+00")
        bare = bare.removesuffix(" 00:00:00").lower()
        try:
            made.append(str(Decimal(bare).normalize()))
        except InvalidOperation:
            made.append(bare)
    return made


@pytest.mark.parametrize("pair", PAIRS)
def test_a_column_holds_the_value_or_its_row_waits(tmp_path: Path, pair: str) -> None:
    sent, column, good, bad = PAIRS[pair]
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("create domain cents as numeric(10,2)")
        there.execute(f"create table people (id int primary key, v {column})".encode())
    with warehouse(tmp_path, "postgres", {"url": url, "table": "people"}) as home:
        home.con.execute("set TimeZone = 'UTC'")
        home.con.execute(f"create or replace table people (id integer, v {sent})")
        for n, value in enumerate([*good, "null", *bad]):
            home.con.execute(f"insert into people values ({n}, {value})")
        done = home.sync()
        assert sorted(each["key"] for each in home.quarantine()) == [
            f"[{n}]" for n in range(len(good) + 1, len(good) + 1 + len(bad))
        ]
        assert (done.sent, done.rejected) == (len(good) + 1, len(bad))
        held = home.con.execute("select id, v::varchar from people order by id").fetchall()
        with psycopg.connect(url) as reader:
            reader.execute("set timezone = 'UTC'")
            value = "v::numeric" if column == "money" else "v"
            found = reader.execute(f"select id, {value}::text from people order by id".encode())
            assert [(key, shown(text)) for key, text in found.fetchall()] == [
                (key, shown(text)) for key, text in held[: len(good) + 1]
            ]


def test_the_reason_names_column_type_and_value(tmp_path: Path) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there:
        there.execute(
            "create table people (id int primary key, price numeric(8,2), transformer_row int)"
        )
    with warehouse(tmp_path, "postgres", {"url": url, "table": "people"}) as home:
        home.con.execute("""create or replace table people as select n::int as id,
            (n + case when n % 3 = 0 then 0.125 else 0.5 end)::decimal(10,3) as price,
            n::int as transformer_row from range(1, 8) t(n)""")
        home.change(mode="mirror", max_removed=1.0)
        assert home.sync().sent == 5
        assert [each["reason"] for each in home.quarantine()] == [
            "column `price` is numeric(8,2) in Postgres, which would change 3.125",
            "column `price` is numeric(8,2) in Postgres, which would change 6.125",
        ]
        # A row that is removed in the same batch does not shift the others.
        home.con.execute("delete from people where id = 1")
        home.con.execute("insert into people values (100, 1.125, 1), (101, 1.5, 1)")
        home.sync()
        assert "[100]" in [each["key"] for each in home.quarantine()]
        with psycopg.connect(url) as reader:
            found = reader.execute("select id from people order by 1").fetchall()
        assert [row[0] for row in found] == [2, 4, 5, 7, 101]


@pytest.mark.parametrize("sent", ["timestamp", "timestamptz", "date"])
def test_a_column_that_would_cut_every_value_is_refused(tmp_path: Path, sent: str) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("create table people (id int primary key, v time)")
    with warehouse(tmp_path, "postgres", {"url": url, "table": "people"}) as home:
        home.con.execute(f"create or replace table people as select 1 as id, now()::{sent} as v")
        with pytest.raises(ActivateError, match="would lose a part of every") as error:
            home.sync()
        assert error.value.where == home.activation.where
        with psycopg.connect(url) as reader:
            assert reader.execute("select * from people").fetchall() == []


def test_a_moment_does_not_depend_on_the_zone_of_the_server(tmp_path: Path) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there:
        name = there.info.dbname
        there.execute(f"alter database {name} set timezone = 'Asia/Tokyo'".encode())
        there.execute(f"alter database {name} set intervalstyle = 'sql_standard'".encode())
        there.execute(
            "create table people (id int primary key, a timestamptz, b timestamp, c interval)"
        )
    with warehouse(tmp_path, "postgres", {"url": url, "table": "people"}) as home:
        home.con.execute("""create or replace table people as select 1 as id,
            timestamp '2024-01-01 10:00:00' as a, timestamptz '2024-01-01 10:00:00+00' as b,
            interval '-1 day' + interval '2 hours' as c""")
        assert home.sync().sent == 1
        with psycopg.connect(url) as reader:
            reader.execute("set timezone = 'UTC'")
            reader.execute("set intervalstyle = 'postgres'")
            found = reader.execute("select a::text, b::text, c::text from people").fetchall()
    assert found == [("2024-01-01 10:00:00+00", "2024-01-01 10:00:00", "-1 days +02:00:00")]


def test_a_number_that_parquet_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    with warehouse(tmp_path, "files", {"path": "out.parquet"}) as home:
        home.con.execute(
            f"create or replace table people as select 1 as id, '{'1' * 39}'::hugeint as big"
        )
        with pytest.raises(ActivateError, match="a value of `big` cannot be sent") as error:
            home.sync()
        assert "cast `big`" in str(error.value.hint)
        assert not (tmp_path / "out.parquet").exists()
