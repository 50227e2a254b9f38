"""Tables of other databases, value for value: what landed, or waits, against another reader."""

from __future__ import annotations

import math
import random
import sqlite3
import struct
import tempfile
from contextlib import closing
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.postgres import new_database
from tests.sources.lab import Lab, lab

QUICK = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True,
    phases=[Phase.generate],
)  # fmt: skip
LONG = settings(
    max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
)  # fmt: skip

DIGITS = st.decimals(allow_nan=False, allow_infinity=False, places=9).map(lambda d: f"{d:f}")
WIDE = st.one_of(
    st.sampled_from(
        ["NaN", "0", "-0.00", "1e-30", "12345678901234567890123456789.0123456789",
         "99999999999999999999999999999999999999999", "0.1234567890123456789012345678901234567",
         "9007199254740993", "1.10", "2.3333333333333333"]
    ),
    st.decimals(-(10**12), 10**12, allow_nan=False).map(lambda d: f"{d:f}"),
)  # fmt: skip
CENTS = st.one_of(
    st.just("NaN"), st.integers(-(10**9), 10**9).map(lambda n: f"{Decimal(n) / 100:.2f}")
)
MOMENT = st.one_of(
    st.sampled_from(
        ["infinity", "-infinity", "294276-12-31 23:59:59.999999", "294247-01-10 04:00:54.775807",
         "294246-12-31 23:59:59.999999", "4713-01-02 00:00:00 BC", "0044-03-15 12:00:00.5 BC",
         "0001-01-01 00:00:00", "10000-01-01 00:00:00", "1582-10-10 00:00:00"]
    ),
    st.datetimes().map(lambda t: f"{t.year:04}{t:-%m-%d %H:%M:%S.%f}"),
)  # fmt: skip
# Not the last days of DuckDB: its text has no way to say them.
DAY = st.one_of(
    st.sampled_from(["infinity", "-infinity", "5874897-12-31", "4713-01-02 BC", "0001-01-01"]),
    st.dates().map(lambda d: f"{d.year:04}{d:-%m-%d}"),
)
SPAN = st.sampled_from(
    ["1 year 2 mons", "-3 days 04:05:06.789", "100:00:00", "1 mon -1 day 00:00:00.000001",
     "00:00:00", "infinity"]
)  # fmt: skip
CLOCK = st.sampled_from(["24:00:00", "00:00:00", "23:59:59.999999", "12:00:00.5"])
ZONED = st.sampled_from(["24:00:00+00", "12:00:00+05:30", "00:00:00.1-15:59", "23:59:59+15:59:59"])
MONEY = st.sampled_from(["-92233720368547758.08", "0.01", "1234567.89"])
LIST = st.sampled_from(
    ["{1.10,NULL,-2.55}", "{}", "{NaN}", "{12345678901234567890.12}", "{{1,2},{3,4}}", "{0.10}"]
)
BOUND_LIST = st.sampled_from(["{1.10,NULL}", "{NaN}", "{99999999.99}", "{}"])
FLOAT = st.sampled_from(["NaN", "Infinity", "-0", "0.1", "1e308", "5e-324"])
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5)

POSTGRES: dict[str, tuple[str, st.SearchStrategy[str]]] = {
    "wide": ("numeric", WIDE),
    "fine": ("numeric(45,30)", st.one_of(st.just("NaN"), DIGITS.filter(lambda t: len(t) < 22))),
    "cents": ("numeric(12,2)", CENTS),
    "coarse": ("numeric(5,-2)", st.sampled_from(["12345", "-9949999", "NaN", "0"])),
    "seen": ("timestamp", MOMENT),
    "zoned": ("timestamptz", MOMENT.map(lambda t: t.replace(" BC", "+00 BC"))),
    "day": ("date", DAY),
    "span": ("interval", SPAN),
    "clock": ("time", CLOCK),
    "there": ("timetz", ZONED),
    "paid": ("money", MONEY),
    "many": ("numeric[]", LIST),
    "bound_many": ("numeric(10,2)[]", BOUND_LIST),
    "ratio": ("float8", FLOAT),
    "big": ("bigint", st.sampled_from(["9223372036854775807", "-9223372036854775808", "0"])),
    "note": ("text", TEXT),
}
ROW = st.fixed_dictionaries({n: st.none() | values for n, (_, values) in POSTGRES.items()})


def decimal(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def shown(name: str, value: Any) -> Any:
    """A value in a form that two readers share."""
    kind = POSTGRES[name][0]
    if value is None:
        return None
    if kind.startswith("numeric") and not kind.endswith("]"):
        return "NaN" if value.lower() == "nan" else decimal(value)
    if kind.endswith("[]"):
        bare = value.translate(str.maketrans("[]{}", "    ")).replace('"', "")
        items = [item.strip() for item in bare.split(",")]
        return [None if i.lower() == "null" else i if i == "NaN" else decimal(i) for i in items]
    if " (BC)" in value:
        return f"{value.replace(' (BC)', '')} BC"
    if kind == "float8":
        return str(float(value))
    return value


def intervals(text: str) -> str:
    """The months, days and microseconds of an interval: the two write it differently."""
    return (
        f"case when not {text} then null else (extract(year from span) * 12"
        " + extract(month from span))::int || ' ' || extract(day from span)::int || ' ' ||"
        " (extract(hour from span) * 3600000000 + extract(minute from span) * 60000000"
        " + extract(microseconds from span))::bigint end"
    )


def differs(here: Lab, truth: dict[int, dict[str, Any]]) -> None:
    """Every row landed with these values, or waits with the true text of what did not fit."""
    kinds = here.columns()
    assert len(kinds) == len(POSTGRES) + 1
    # With a zone, DuckDB writes the microseconds of far years wrongly, though it has them right.
    utc = "make_timestamp(epoch_us(zoned))::varchar || '+00'"
    ways = {
        "INTERVAL": intervals("span is not null"),
        "TIMESTAMP WITH TIME ZONE": f"if(isfinite(zoned), {utc}, zoned::varchar)",
    }
    casts = ", ".join(ways.get(kinds[n], f'"{n}"::varchar') for n in POSTGRES)
    landed = {row[0]: row[1:] for row in here.ask(f"select id, {casts} from raw.things")}
    waiting: dict[int, list[tuple[str, str]]] = {}
    for number, column, value in here.ask(
        "select json_extract_string(record, '$.id')::int, column_name, value"
        " from _transform.quarantine"
    ):
        waiting.setdefault(number, []).append((column, value))
    assert landed.keys() | waiting.keys() == truth.keys()
    assert not landed.keys() & waiting.keys()
    for number, values in landed.items():
        for name, value in zip(POSTGRES, values, strict=True):
            assert shown(name, value) == shown(name, truth[number][name]), (name, kinds[name])
    for number, refused in waiting.items():
        for name, value in refused:
            assert shown(name, value) == shown(name, truth[number][name]), name


@pytest.fixture(scope="module")
def server() -> str:
    """One database for all examples: each would take its megabytes."""
    return new_database()


def compared(url: str, rows: list[dict[str, str | None]], style: str) -> None:
    with psycopg.connect(url, autocommit=True) as there, tempfile.TemporaryDirectory() as folder:
        listed = ", ".join(f"{n} {kind}" for n, (kind, _) in POSTGRES.items())
        name = there.info.dbname
        there.execute("drop table if exists t")
        there.execute(f"create table t (id int, {listed})".encode())
        for setting in ("timezone = 'UTC'", "datestyle = 'ISO'", "intervalstyle = 'postgres'"):
            there.execute(f"set {setting}".encode())
        places = ", ".join(f"%s::text::{kind}" for kind, _ in POSTGRES.values())
        sent = [[number, *(row[n] for n in POSTGRES)] for number, row in enumerate(rows)]
        with there.cursor() as writer:
            writer.executemany(f"insert into t values (%s, {places})".encode(), sent)
        texts = ", ".join(
            f"{intervals('isfinite(span)')}" if n == "span" else f"{n}::text" for n in POSTGRES
        )
        found = there.execute(f"select id, {texts} from t".encode()).fetchall()
        truth = {r[0]: dict(zip(POSTGRES, r[1:], strict=True)) for r in found}
        for number, row in enumerate(rows):
            if row["span"] == "infinity":
                truth[number]["span"] = "infinity"
        # What the server's owner likes to see changes no value.
        there.execute(f"alter database {name} reset all".encode())
        there.execute(f"alter database {name} set {style}".encode())
        with lab(Path(folder), "database", url=url, table="t") as here:
            here.load()
            differs(here, truth)


STYLES = st.sampled_from(
    ["datestyle = 'German'", "timezone = 'Asia/Kolkata'", "intervalstyle = 'sql_standard'"]
)


@QUICK
@given(rows=st.lists(ROW, min_size=1, max_size=12), style=STYLES)
def test_postgres_values_are_exact_or_wait(
    server: str, rows: list[dict[str, str | None]], style: str
) -> None:
    compared(server, rows, style)


@pytest.mark.soak
@LONG
@given(rows=st.lists(ROW, min_size=20, max_size=60), style=STYLES)
def test_many_postgres_tables(server: str, rows: list[dict[str, str | None]], style: str) -> None:
    compared(server, rows, style)


# ---------------------------------------------------------------- numerics over time
def test_a_finer_numeric_widens_its_column_and_nan_waits(tmp_path: Path) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("create table t (id int, n numeric(10,2), u numeric)")
        there.execute("insert into t values (1, 12345678.91, 1.5)")
        with lab(tmp_path, "database", url=url, table="t", mode="append", cursor="id") as here:
            here.load()
            there.execute("alter table t alter n type numeric(12,3)")
            there.execute("insert into t values (2, 0.125, 12345678901234567890.123)")
            there.execute("insert into t values (3, 'NaN', 0)")
            there.execute("insert into t values (4, null, 'Infinity')")
            here.load()
            assert here.columns()["n"] == "DECIMAL(12,3)"
            assert here.rows() == [
                (1, Decimal("12345678.91"), Decimal("1.5")),
                (2, Decimal("0.125"), Decimal("12345678901234567890.123")),
            ]
            assert [q[2:4] for q in here.quarantine()] == [("n", "NaN"), ("u", "Infinity")]
            here.load()
            assert len(here.quarantine()) == 2


def test_the_source_may_only_hold_what_a_frozen_table_can(tmp_path: Path) -> None:
    """The held type has fewer digits: what needs more waits, nothing is rounded."""
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("create table t (id int, n numeric(10,2), m numeric(10,2)[])")
        there.execute("insert into t values (1, 1.25, '{1.25}')")
        rules: dict[str, Any] = {"mode": "append", "cursor": "id", "on_schema_change": "quarantine"}
        with lab(tmp_path, "database", url=url, table="t", **rules) as here:
            here.load()
            there.execute("alter table t alter n type numeric(10,4)")
            there.execute("alter table t alter m type numeric(10,4)[]")
            there.execute("insert into t values (2, 1.2501, '{}'), (3, 1.2500, '{1.25,1.2501}')")
            there.execute("insert into t values (4, 2.5, '{2.5,null}')")
            here.load()
            assert [row[0] for row in here.rows()] == [1, 4]
            assert [q[2:4] for q in here.quarantine()] == [
                ("m", "[1.2500,1.2501]"), ("n", "1.2501"),
            ]  # fmt: skip


# ---------------------------------------------------------------- SQLite and DuckDB
LITE = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), TEXT,
    st.sampled_from(["007", "1.10", "1e400", "2024-01-01", "", " 5 ", 0.1 + 0.2, 2.0**60]),
)  # fmt: skip


@QUICK
@given(rows=st.lists(st.tuples(LITE, LITE, LITE), min_size=1, max_size=12))
def test_sqlite_values_are_exact_or_wait(rows: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with closing(sqlite3.connect(Path(folder) / "a.db")) as there:
            there.execute("create table t (id integer, n integer, r real, x text)")
            numbered = [(n, *row) for n, row in enumerate(rows)]
            there.executemany("insert into t values (?, ?, ?, ?)", numbered)
            there.commit()
            truth = {r[0]: r[1:] for r in there.execute("select * from t").fetchall()}
        with lab(Path(folder), "database", url="sqlite:a.db", table="t") as here:
            here.load()
            landed = {r[0]: r[1:] for r in here.ask("select id, n, r, x from raw.things")}
            waiting = here.ask(
                "select json_extract_string(record, '$.id')::int, column_name, value"
                " from _transform.quarantine"
            )
            assert {*landed, *(w[0] for w in waiting)} == truth.keys()
            for number, values in landed.items():
                for stood, value in zip(truth[number], values, strict=True):
                    assert lite(stood, value), (stood, value)
            for number, column, value in waiting:
                assert lite(truth[number]["nrx".index(column)], value)


def test_the_reals_of_sqlite_land_as_they_are(tmp_path: Path) -> None:
    """Most have 16 or 17 digits; a text that begins with a control character stays as it is."""
    draw = random.Random(7)
    doubles = [struct.unpack("d", draw.randbytes(8))[0] for _ in range(3_000)]
    reals = [d for d in doubles if math.isfinite(d)]
    reals += [draw.random() * 10 ** draw.randint(-9, 15) for _ in range(3_000)]
    reals += [1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, -0.5, 1e15, 2.0**60, 3.0]
    texts = ["\x01", "\x011.5", "\x02x", "\x02", "\x03", "1.5", ""]
    with closing(sqlite3.connect(tmp_path / "a.db")) as there:
        there.execute("create table t (id integer, r real, v, x text)")
        rows = [(n, real, real, texts[n % len(texts)]) for n, real in enumerate(reals)]
        there.executemany("insert into t values (?, ?, ?, ?)", rows)
        there.commit()
    with lab(tmp_path, "database", url="sqlite:a.db", table="t") as here:
        here.load()
        assert here.columns() == {"id": "BIGINT", "r": "DOUBLE", "v": "DOUBLE", "x": "VARCHAR"}
        assert here.quarantine() == []
        assert here.ask("select id, r, v, x from raw.things order by id") == rows


def lite(stood: Any, value: Any) -> bool:
    """Whether a landed value (or a text that waits) is what SQLite holds."""
    if value is None or stood is None:
        return value is None and (stood is None or not str(stood).strip())
    if isinstance(stood, float):
        return float(value) == stood
    if isinstance(stood, int):
        return decimal(str(value)) == stood
    return bool(value == stood)


def test_duckdb_values_are_those_of_the_file(tmp_path: Path) -> None:
    kinds = {
        "h": ("hugeint", "-170141183460469231731687303715884105728"),
        "u": ("uhugeint", "340282366920938463463374607431768211455"),
        "b": ("bignum", "1234567890123456789012345678901234567890123456789"),
        "l": ("decimal(38,20)[]", "[0.12345678901234567890, NULL]"),
        "s": ("struct(a decimal(20,10), b hugeint[])", "{'a': 0.1234567890, 'b': [1]}"),
        "t": ("timestamp_ns", "2024-01-01 00:00:00.123456789"),
        "i": ("interval", "14 months 3 days 4 microseconds"),
    }
    listed = ", ".join(f"'{text.replace(chr(39), chr(39) * 2)}'::{k} as {n}"
                       for n, (k, text) in kinds.items())  # fmt: skip
    texts = ", ".join(f"{n}::varchar" for n in kinds)
    with duckdb.connect(str(tmp_path / "a.duckdb")) as there:
        there.execute(f"create table t as select {listed}")
        truth = there.execute(f"select {texts} from t").fetchall()
    with lab(tmp_path, "database", url="duckdb:a.duckdb", table="t") as here:
        for mode in ("replace", "append", "append"):
            here.change(mode=mode).load()
            assert here.ask(f"select {texts} from raw.things") == truth
