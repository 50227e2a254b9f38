"""Every type of DuckDB, and its extreme values, through every kind of target and back: read by
others (`csv`, `json` with Decimal, pyarrow, psycopg), it is what DuckDB holds."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest

from tests.postgres import new_database
from tests.servers import receiver
from tests.targets.cases import Warehouse, warehouse
from transformer.dialects.types import read
from transformer.sync.types import carried

# Types -> values that are hard to keep, as SQL.
EXTREMES: dict[str, tuple[str, ...]] = {
    "DECIMAL(38, 38)": (f"'0.{'1' * 38}'", f"'-0.{'9' * 38}'", "0", "0.5"),
    "DECIMAL(20, 4)": ("'12345678901234.8912'", "'-9999999999999999.9999'"),
    "DECIMAL(17, 17)": ("'0.12345678901234567'", "'-0.5'"),
    "DECIMAL(4, 2)": ("1.5", "-0.01", "'99.99'"),
    "HUGEINT": ("12345678901234567890123456789012345678", "-1"),
    "DOUBLE": ("'nan'", "'inf'", "'-inf'", "1e-320", "0.1", "123456789012345680.0"),
    "FLOAT": ("'nan'", "'-inf'", "0.1", "3.4028235e38"),
    "DATE": ("'infinity'", "'-infinity'", "'290000-01-01'", "'0044-03-15 (BC)'", "'0001-01-01'"),
    "TIMESTAMP": ("'infinity'", "'290000-01-01 00:00:00'", "'0044-03-15 (BC) 10:00:00.5'"),
    "TIMESTAMP WITH TIME ZONE": ("'-infinity'", "'290000-01-01 00:00:00+00'",
                                 "'0044-03-15 (BC) 10:00:00+00'"),
    "TIMESTAMP_S": ("'1970-01-01 00:00:01'", "'2024-01-01'"),
    "TIMESTAMP_NS": ("'2024-01-01 00:00:00.123456789'",),
    "TIME": ("'24:00:00'", "'00:00:00.000001'"),
    "INTERVAL": ("'83 years 3 months 999 days 00:16:39.999999'", "'-1 day'"),
    "UUID": ("'ffffffff-ffff-ffff-ffff-ffffffffffff'",),
    "BLOB": ("'\\xAA\\x00'", "''"),
    "VARCHAR": ("''", "'a\"b,c'", "'NULL'", "'{x}'", "E'line\\nbreak'", "'é🦆'"),
    "DECIMAL(38, 9)[]": ("['12345678901234567890.123456789'::decimal(38, 9), null, -0.5]", "[]"),
    "DOUBLE[]": ("['nan'::double, 'inf'::double, null, 0.1]",),
    "TIMESTAMP[]": ("['infinity'::timestamp, '0044-03-15 (BC) 10:00:00'::timestamp, null]",),
    "VARCHAR[]": ("['a\"b\\c', '', 'NULL', null, '{x,y}', ' s ']",),
    "BLOB[]": ("['\\xAA\\x00'::blob, ''::blob, null]",),
    "INTEGER[3]": ("[1, null, 3]",),
    "INTEGER[][]": ("[[1, 2], [], null]",),
    "STRUCT(a DECIMAL(38, 9), b DOUBLE[])": (
        "{'a': '12345678901234567890.123456789', 'b': ['nan'::double, 1.5]}",
        "{'a': null, 'b': null}",
    ),
    "MAP(VARCHAR, DECIMAL(20, 4))": ("map {'k\"1': '12345678901234.8912'}", "map {}"),
    "UNION(n DOUBLE, t VARCHAR)": ("union_value(t := 'x')", "union_value(n := 'nan'::double)"),
    "JSON": ("""'{"n": 12345678901234567890.12345, "s": "1e5"}'""", "'[1,\n2]'"),
}  # fmt: skip
TYPES = list(EXTREMES)


def fill(home: Warehouse, kind: str) -> None:
    """The model: `id`, and `v` with the extremes of the type and NULL."""
    home.con.execute("set TimeZone = 'UTC'")
    home.con.execute(f"create or replace table people (id integer, v {kind})")
    for n, value in enumerate((*EXTREMES[kind], "null")):
        home.con.execute(f"insert into people values ({n}, {value})")


def held(home: Warehouse) -> list[Any]:
    """What DuckDB holds, as Python has it where Python can; the text otherwise."""
    return [
        row[0] for row in home.con.execute("select v::varchar from people order by id").fetchall()
    ]


def same(home: Warehouse, kind: str, texts: list[Any]) -> None:
    """Each text, cast to the type by DuckDB, is the value that it holds."""
    rows = home.con.execute("select id from people order by id").fetchall()
    assert len(texts) == len(rows)
    for (key,), text in zip(rows, texts, strict=True):
        found = home.con.execute(
            f"select try_cast(? as {kind})::varchar, v::varchar from people where id = ?",
            [text, key],
        ).fetchone()
        assert found
        assert found[0] == found[1], text


def plain(value: Any) -> Any:
    """A value as strict JSON can have it: NaN and the infinities are null."""
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def strict(text: str) -> Any:
    """JSON, read with every digit, and nothing that JSON does not know."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(text, parse_float=Decimal, parse_constant=refuse)


def nested(kind: str) -> bool:
    return read(kind).kind != "scalar" or kind == "JSON"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Warehouse]:
    with warehouse(tmp_path, "files", {"path": "out.csv"}) as made:
        yield made


def expected(home: Warehouse) -> list[Any]:
    """The nested values as Python has them."""
    kind = home.con.execute("select typeof(v) from people limit 1").fetchone()
    assert kind
    if kind[0] == "JSON":
        texts = home.con.execute("select v::varchar from people order by id").fetchall()
        return [None if t is None else strict(t) for (t,) in texts]
    if kind[0].startswith("UNION"):
        return [{"t": "x"}, {"n": None}, None]
    if "BLOB" in kind[0] or "TIMESTAMP" in kind[0]:  # as texts: Python knows no infinite time
        rows = home.con.execute("select v::varchar[] from people order by id").fetchall()
        return [row[0] for row in rows]
    rows = home.con.execute("select v from people order by id").fetchall()
    return [plain(row[0]) for row in rows]


@pytest.mark.parametrize("kind", TYPES)
def test_csv(home: Warehouse, kind: str) -> None:
    fill(home, kind)
    home.sync()
    with (home.folder / "out.csv").open(newline="", encoding="utf-8") as file:
        texts = [row["v"] for row in csv.DictReader(file)]
    if nested(kind):
        assert [strict(t) if t else None for t in texts] == expected(home)
        return
    if kind == "BLOB":
        assert texts == ["qgA=", "", ""]
        return
    if kind == "VARCHAR":
        assert texts == [t or "" for t in held(home)]
        return
    same(home, kind, [t or None for t in texts])


def documents(home: Warehouse, kind: str, rows: list[Any]) -> None:
    if nested(kind):
        assert [row["v"] for row in rows] == expected(home)
    elif kind in ("DOUBLE", "FLOAT"):
        values = home.con.execute("select v from people order by id").fetchall()
        assert [row["v"] for row in rows] == [plain(v) for (v,) in values]
    elif kind == "BLOB":
        assert [row["v"] for row in rows] == ["qgA=", "", None]
    else:
        same(home, kind, [None if row["v"] is None else str(row["v"]) for row in rows])


@pytest.mark.parametrize("kind", TYPES)
def test_ndjson(home: Warehouse, kind: str) -> None:
    home.change(options={"path": "out.ndjson"})
    fill(home, kind)
    home.sync()
    lines = (home.folder / "out.ndjson").read_text(encoding="utf-8").splitlines()
    documents(home, kind, [strict(line) for line in lines])


@pytest.mark.parametrize("kind", TYPES)
def test_http(tmp_path: Path, kind: str) -> None:
    with receiver() as there, warehouse(tmp_path, "http", {"url": there.url}) as home:
        bodies: list[str] = []
        there.on_request = lambda request: bodies.append(request.text)
        fill(home, kind)
        home.sync()
        documents(home, kind, strict(bodies[0])["records"])


@pytest.mark.parametrize("kind", TYPES)
def test_parquet(home: Warehouse, kind: str) -> None:
    home.change(options={"path": "out.parquet"})
    fill(home, kind)
    home.sync()
    path = home.folder / "out.parquet"
    stored = pq.read_schema(path).field("v").type
    if carried(read(kind)) is None:
        texts = pq.read_table(path).column("v").to_pylist()
        assert [strict(t) if t else None for t in texts] == expected(home)
        return
    assert (str(stored) == "string") == (carried(read(kind)) == "VARCHAR")
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        cast = "v" if nested(kind) else f"v::{kind}"
        found = con.execute(f"select {cast}::varchar from '{path}' order by id").fetchall()
    assert [row[0] for row in found] == held(home)


@pytest.mark.parametrize("kind", TYPES)
def test_postgres(tmp_path: Path, kind: str) -> None:
    url = new_database()
    with warehouse(tmp_path, "postgres", {"url": url, "table": "people"}) as home:
        fill(home, kind)
        done = home.sync()
        assert done.rejected == 0, home.quarantine()
        with psycopg.connect(url) as con:
            con.execute("set timezone = 'UTC'")
            rows = con.execute("select v::text from people order by id").fetchall()
        texts = [row[0] for row in rows]
        is_json = carried(read(kind)) is None or kind == "INTEGER[][]"
        if is_json or read(kind).kind in ("struct", "map"):
            assert [strict(t) if t else None for t in texts] == expected(home)
        elif read(kind).kind == "list" or kind == "BLOB":
            _arrays(home, kind, url)
        else:
            shown = [None if t is None else _from_postgres(t) for t in texts]
            same(home, kind, shown)


def _from_postgres(text: str) -> str:
    """DuckDB writes `BC` behind the date and in brackets."""
    if not text.endswith(" BC"):
        return text
    day, _, time = text.removesuffix(" BC").partition(" ")
    return f"{day} (BC) {time}".strip()


def _arrays(home: Warehouse, kind: str, url: str) -> None:
    """The elements, one by one, as Postgres has them."""
    with psycopg.connect(url) as con:
        con.execute("set bytea_output = 'escape'")
        if kind == "BLOB":
            found = con.execute("select v from people order by id").fetchall()
            assert found == [(b"\xaa\x00",), (b"",), (None,)]
            return
        rows = con.execute(
            "select id, n, e::text from people, unnest(v) with ordinality as t(e, n) order by 1, 2"
        ).fetchall()
    inner = read(kind).element.text
    for key, place, text in rows:
        shown = None if text is None else _from_postgres(text)
        if inner == "BLOB":
            continue
        found_ = home.con.execute(
            f"select try_cast(? as {inner})::varchar, v[{place}]::varchar from people where id = ?",
            [shown, key],
        ).fetchone()
        assert found_
        assert found_[0] == found_[1]
    lengths = home.con.execute("select id, len(v) from people order by id").fetchall()
    with psycopg.connect(url) as con:
        assert (
            con.execute("select id, cardinality(v) from people order by id").fetchall() == lengths
        )
        if inner == "BLOB":
            assert con.execute("select v from people order by id").fetchall()[0][0] == [
                b"\xaa\x00", b"", None,
            ]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["out.csv", "out.ndjson", "out.parquet"])
def test_a_file_keeps_rows_that_left_digit_for_digit(home: Warehouse, kind: str, name: str) -> None:
    home.change(options={"path": name})
    fill(home, kind)
    home.sync()
    first = _content(home.folder / name)
    home.con.execute("delete from people where id = 0")
    home.con.execute("insert into people select 99, v from people where v is not null limit 1")
    home.con.execute("insert into people select 98, null")
    home.sync()
    after = _content(home.folder / name)
    assert after[: len(first)] == first


def _content(path: Path) -> list[Any]:
    if path.suffix != ".parquet":
        return path.read_bytes().splitlines()
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        found = con.execute(f"select columns(*)::varchar from '{path}' order by id::int").fetchall()
    return [*found]


@pytest.mark.parametrize(
    "kind", [k for k in TYPES if not nested(k) and k not in ("INTERVAL", "VARCHAR")]
)
def test_a_mirror_removes_rows_by_keys_of_any_type(tmp_path: Path, kind: str) -> None:
    url = new_database()
    with warehouse(tmp_path, "postgres", {"url": url, "table": "people"}) as home:
        home.change(key=("v", "name"), mode="mirror", max_removed=1.0)
        home.con.execute("set TimeZone = 'UTC'")
        home.con.execute(f"create or replace table people (v {kind}, name varchar)")
        for value in EXTREMES[kind]:
            home.con.execute(f"insert into people values ({value}, 'a\"],1.5')")
        home.sync()
        count = len(EXTREMES[kind])
        with psycopg.connect(url) as con:
            assert con.execute("select count(*) from people").fetchone() == (count,)
        home.con.execute("delete from people")
        assert home.sync().removed == count
        with psycopg.connect(url) as con:
            assert con.execute("select * from people").fetchall() == []


def test_a_value_that_becomes_nan_is_sent_again(home: Warehouse) -> None:
    home.con.execute("create or replace table people as select 1 as id, null::double as v")
    home.sync()
    for value, shown in (("'nan'", "nan"), ("'inf'", "inf"), ("null", "")):
        home.con.execute(f"update people set v = {value}")
        assert home.sync().changed == 1
        assert (home.folder / "out.csv").read_text() == f"id,v\n1,{shown}\n"


def test_lists_go_into_arrays_that_are_there(tmp_path: Path) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(
            "create table people (id int primary key, a numeric[], b int[][], c text, d jsonb)"
        )
    with warehouse(tmp_path, "postgres", {"url": url, "table": "people"}) as home:
        home.con.execute("""create or replace table people as select 1 as id, [1.50, null] as a,
            [[1, 2], [3, 4]] as b, ['x', 'y'] as c, ['x', null] as d
            union all select 2, [], [[1], [2, 3]], [], []""")
        done = home.sync()
        assert [each["key"] for each in home.quarantine()] == ["[2]"]  # not rectangular
        assert done.rejected == 1
        with psycopg.connect(url) as con:
            found = con.execute("select a, b, c, d from people").fetchall()
    assert found == [([Decimal("1.50"), None], [[1, 2], [3, 4]], '["x","y"]', ["x", None])]


def test_only_the_columns_of_landing_stay_behind(home: Warehouse) -> None:
    home.con.execute("""create or replace table people as select 1 as id, 'x' as _id, 2 as _score,
        now() as _loaded_at, 'b' as _batch, 's' as _Source, 3 as __n""")
    home.sync()
    assert (home.folder / "out.csv").read_text() == "id,_id,_score,__n\n1,x,2,3\n"
