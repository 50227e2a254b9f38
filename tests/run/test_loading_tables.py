"""Tables of other databases, loaded again and again: SQLite, DuckDB and a real Postgres."""

from __future__ import annotations

import os
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from msgspec.structs import replace

from tests.postgres import new_database
from tests.sources.lab import lab
from transformer.errors import LoadError
from transformer.sources import ReaderRequest, find

Run = Callable[[str], None]


@pytest.fixture(params=["sqlite", "duckdb", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Run]]:
    """The url of an empty database, and a way to run statements in it."""
    if request.param == "postgres":
        url = new_database()
        with psycopg.connect(url, autocommit=True) as held:

            def tell(sql: str) -> None:
                held.execute(sql.encode())

            yield url, tell
        return
    path = tmp_path / f"there.{request.param}"

    def run(sql: str) -> None:
        if request.param == "duckdb":
            with duckdb.connect(str(path)) as there:
                there.execute(sql)
            return
        with closing(sqlite3.connect(path)) as held:
            held.executescript(sql)

    run("create table unused (a integer)")
    yield f"{request.param}:there.{request.param}", run


def facts(outcome: Any) -> tuple[int, int, int, int]:
    found = outcome.facts
    return found["read"], found["landed"], found["quarantined"], found["new"]


def test_append_with_a_cursor_reads_what_is_new_and_doubles_nothing(
    tmp_path: Path, database: tuple[str, Run]
) -> None:
    url, run = database
    with lab(tmp_path, "database", url=url, table="t", mode="append", cursor="N") as here:
        run("create table t (n integer, v varchar(9));"
            "insert into t values (9, 'a'), (10, 'b'), (10, 'b'), (null, 'c')")  # fmt: skip
        assert facts(here.load()) == (4, 4, 0, 4)
        assert facts(here.load())[3] == 0
        run("insert into t values (10, 'late'), (10, 'b'), (100, 'd'), (null, 'c'), (9, 'lost')")
        assert facts(here.load()) == (7, 7, 0, 4)
        assert len(here.rows()) == 8
        # A value below the cursor is what a cursor leaves out; all else is there.
        assert (9, "lost") not in here.rows()
        assert facts(here.load(full_refresh=True)) == (9, 9, 0, 9)


def test_a_cursor_of_text_is_refused_by_name(tmp_path: Path, database: tuple[str, Run]) -> None:
    """`10` sorts before `9`, and days in two layouts do not sort at all: rows would be lost."""
    url, run = database
    rules: dict[str, Any] = {"mode": "append", "cursor": "K"}
    with lab(tmp_path, "database", url=url, table="t", **rules) as here:
        run("create table t (k varchar(10), n integer);"
            "insert into t values ('31.01.2024', 1), ('2024-02-01', 2)")  # fmt: skip
        with pytest.raises(LoadError, match="the cursor `K` of") as caught:
            here.load()
        assert "data_type" in caught.value.hint
        with pytest.raises(LoadError, match="is text"):
            here.change(mode="merge", key=("n",)).load()


def test_a_cursor_of_text_goes_by_its_declared_type(
    tmp_path: Path, database: tuple[str, Run]
) -> None:
    url, run = database
    rules: dict[str, Any] = {"mode": "append", "cursor": "k", "types": {"k": "bigint"}}
    with lab(tmp_path, "database", url=url, table="t", **rules) as here:
        run("create table t (k varchar(9)); insert into t values ('8'), ('9')")
        here.load()
        run("insert into t values ('10'), ('7')")
        assert facts(here.load())[3] == 1
        assert here.rows() == [(8,), (9,), (10,)]


def test_a_cursor_that_is_declared_to_be_text_goes_by_its_bytes(
    tmp_path: Path, database: tuple[str, Run]
) -> None:
    url, run = database
    rules: dict[str, Any] = {"mode": "append", "cursor": "k", "types": {"k": "text"}}
    with lab(tmp_path, "database", url=url, table="t", **rules) as here:
        run("create table t (k varchar(9)); insert into t values ('01A'), ('01Z')")
        here.load()
        run("insert into t values ('01a'), ('01B')")
        assert facts(here.load())[3] == 1
        assert here.rows() == [("01A",), ("01Z",), ("01a",)]


def test_a_cursor_of_moments_with_zones(tmp_path: Path, database: tuple[str, Run]) -> None:
    url, run = database
    kinds = {"seen": "timestamptz"}
    with lab(tmp_path, "database", url=url, mode="append", cursor="seen", types=kinds) as here:
        here.change(table="t")
        kind = "text" if url.startswith("sqlite") else "timestamptz"
        run(f"create table t (seen {kind}, v integer);"
            "insert into t values ('2024-01-01 12:00:00+02:00', 1)")  # fmt: skip
        here.load()
        # Later, though the text is smaller.
        run("insert into t values ('2024-01-01 11:30:00+00:00', 2)")
        assert facts(here.load())[3] == 1
        # The same moment, told otherwise.
        run("insert into t values ('2024-01-01 11:30:00+00:00', 3)")
        assert facts(here.load())[3] == 1
        assert facts(here.load())[3] == 0


def test_append_without_a_cursor(tmp_path: Path, database: tuple[str, Run]) -> None:
    url, run = database
    with lab(tmp_path, "database", url=url, table="t", mode="append") as here:
        run("create table t (n integer, v varchar(9)); insert into t values (1, 'a'), (1, 'a')")
        here.load()
        assert facts(here.load())[3] == 0
        run("delete from t; insert into t values (1, 'a'), (1, 'a'), (1, 'a'), (2, 'b')")
        assert facts(here.load()) == (4, 4, 0, 2)


@pytest.mark.parametrize("cursor", [None, "n"])
def test_a_new_column_doubles_nothing(
    tmp_path: Path, database: tuple[str, Run], cursor: str | None
) -> None:
    url, run = database
    with lab(tmp_path, "database", url=url, table="t", mode="append", cursor=cursor) as here:
        run("create table t (n integer); insert into t values (1), (2), (2)")
        here.load()
        run("alter table t add column v varchar(9); update t set v = 'x'")
        run("insert into t (n) values (3)")
        assert facts(here.load())[3] == 1
        first = None if cursor else "x"
        assert here.rows() == [(1, first), (2, "x"), (2, "x"), (3, None)]
        assert facts(here.load())[3] == 0


def test_changed_rules_double_nothing(tmp_path: Path, database: tuple[str, Run]) -> None:
    url, run = database
    with lab(tmp_path, "database", url=url, table="t", mode="append", cursor="n") as here:
        run("create table t (n integer, v varchar(9)); insert into t values (1, '7'), (2, '8')")
        here.load()
        here.types = {"v": "int"}
        here.load()
        assert here.rows() == [(1, 7), (2, 8)]
        here.change(cursor="v").load()
        assert here.rows() == [(1, 7), (2, 8)]


def test_merge(tmp_path: Path, database: tuple[str, Run]) -> None:
    url, run = database
    rules: dict[str, Any] = {"mode": "merge", "key": ("id",), "cursor": "n"}
    with lab(tmp_path, "database", url=url, table="t", **rules) as here:
        run("create table t (id integer, n integer, v varchar(9));"
            "insert into t values (1, 1, 'a'), (2, 2, 'b'), (1, 3, 'c'), (null, 4, 'd')")  # fmt: skip  # noqa: E501
        assert facts(here.load()) == (4, 3, 1, 2)
        assert here.rows() == [(1, 3, "c"), (2, 2, "b")]
        version = here.version()
        assert facts(here.load())[3] == 0
        assert here.version() == version
        assert len(here.quarantine()) == 1
        run("update t set v = 'z', n = 5 where id = 2")
        here.load()
        assert here.rows() == [(1, 3, "c"), (2, 5, "z")]


def test_rows_in_quarantine_are_neither_doubled_nor_lost(
    tmp_path: Path, database: tuple[str, Run]
) -> None:
    url, run = database
    rules: dict[str, Any] = {"mode": "append", "cursor": "n", "types": {"v": "int"}}
    with lab(tmp_path, "database", url=url, table="t", **rules) as here:
        run("create table t (n integer, v varchar(9));"
            "insert into t values (1, 'x'), (2, '2'), (3, 'y'), (3, 'y')")  # fmt: skip
        here.load()
        here.load()
        run("insert into t values (5, '5')")
        here.load()
        here.load()
        assert [q[3] for q in here.quarantine()] == ["x", "y", "y"]
        run("update t set v = '10' where v = 'x'")
        assert facts(here.load(retry=True))[3] == 1
        assert [q[3] for q in here.quarantine()] == ["y", "y"]
        here.types = {"v": "text"}
        here.load(retry=True)
        assert here.quarantine() == []
        assert here.rows() == [(1, "10"), (2, "2"), (3, "y"), (3, "y"), (5, "5")]


def test_replace_with_the_same_keeps_the_version(tmp_path: Path, database: tuple[str, Run]) -> None:
    url, run = database
    with lab(tmp_path, "database", url=url, table="t") as here:
        run("create table t (n integer); insert into t values (1), (2)")
        here.load()
        version = here.version()
        here.load()
        assert here.version() == version
        assert here.reason() == ("" if "there." in url else "may have changed")


def test_a_query(tmp_path: Path, database: tuple[str, Run]) -> None:
    url, run = database
    query = "select n + 1 as m, 'it''s' as v from t where n > 1;"
    with lab(tmp_path, "database", url=url, query=query, mode="append", cursor="m") as here:
        run("create table t (n integer); insert into t values (1), (2)")
        here.peek()
        here.load()
        assert here.rows() == [(3, "it's")]
        run("insert into t values (9)")
        here.load()
        assert here.rows() == [(3, "it's"), (10, "it's")]


HOSTILE = ['q"uote; drop table x; --', "it's ü 日本", "select", "a\nb", "_source"]


def test_odd_names(tmp_path: Path, database: tuple[str, Run]) -> None:
    url, run = database
    for name in HOSTILE:
        inside = '"' + name.replace('"', '""') + '"'
        run(f"create table {inside} ({inside} varchar(9), b integer)")
        run(f"insert into {inside} values ('x', 1)")
        with lab(tmp_path, "database", url=url, table=name, types={"b": "text"}) as here:
            here.load(full_refresh=True)
            assert here.rows() == [("x", "1")], name


def test_columns_that_differ_by_case(tmp_path: Path) -> None:
    """Of our databases only Postgres can have them."""
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there:
        there.execute('create table t ("Id" int, id int, "ID" int)')
        there.execute("insert into t values (1, 2, 3)")
    with lab(tmp_path, "database", url=url, table="t") as here:
        here.load()
        assert here.rows() == [(1, 2, 3)]


def test_sqlite_values_of_another_type_than_declared(tmp_path: Path) -> None:
    there = sqlite3.connect(tmp_path / "x.sqlite")
    there.execute("create table t (id integer, amount real, at datetime, any, raw blob, note text)")
    rows = [
        (1, 0.1 + 0.2, "2024-01-01 10:00:00", 5, b"\x00\x01\xff", "a"),
        ("abc", 5, "2024-01-02", "q", b"x", ""),
        (9007199254740993, "n/a", None, None, None, None),
        (3, 1e300, 1700000000, 1.5, None, b"\x01"),
    ]
    there.executemany("insert into t values (?, ?, ?, ?, ?, ?)", rows)
    there.commit()
    there.close()
    with lab(tmp_path, "database", url="sqlite:x.sqlite", table="t") as here:
        here.load()
        assert here.columns() == {
            "id": "BIGINT", "amount": "DOUBLE", "at": "TIMESTAMP", "any": "VARCHAR",
            "raw": "BLOB", "note": "VARCHAR",
        }  # fmt: skip
        assert here.rows()[0][:2] == (1, 0.30000000000000004)
        assert here.rows()[0][4] == b"\x00\x01\xff"
        assert [(q[2], q[3]) for q in here.quarantine()] == [
            ("amount", "n/a"), ("at", "1700000000"), ("id", "abc"),
        ]  # fmt: skip


def test_postgres_types(tmp_path: Path) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("create type mood as enum ('sad', 'ok')")
        there.execute("create table t (m mood, n numeric(12,3), j jsonb, a int[], u uuid, b bytea)")
        there.execute(
            "insert into t values ('sad', 1.5, '{\"x\": 1}', '{1,2}',"
            " '00000000-0000-0000-0000-000000000001', '\\x00ff')"
        )
        with lab(tmp_path, "database", url=url, table="t", mode="append") as here:
            here.load()
            assert here.columns()["m"] == "VARCHAR"
            assert here.columns()["n"] == "DECIMAL(12,3)"
            there.execute("alter type mood add value 'great'")
            there.execute("insert into t (m) values ('great')")
            assert facts(here.load())[3] == 1
            assert here.quarantine() == []


def test_two_tables_of_one_duckdb_file_at_once(tmp_path: Path) -> None:
    """DuckDB opens a file only once; the rows are taken out of it, and it is let go of."""
    with duckdb.connect(str(tmp_path / "there.duckdb")) as there:
        there.execute("create table t as select range as n from range(1000)")
    with lab(tmp_path, "database", url="duckdb:there.duckdb", table="t") as here:
        tables = (here.table, replace(here.table, name="other"))
        with here.engine.session() as one, here.engine.session() as two:
            for table, session in zip(tables, (one, two), strict=True):
                way = find("database").connect(ReaderRequest(table, here.places, None))
                staged = way.stage(session, way.parts(session), None, None)
                assert session.rows(f"select count(*) from ({staged.rows})") == [(1000,)]
                duckdb.connect(str(tmp_path / "there.duckdb")).close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgres_schemas(tmp_path: Path, scheme: str) -> None:
    url = scheme + new_database()[len("postgresql") :]
    assert url.startswith(f"{scheme}://")
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("create schema shop")
        there.execute("create table shop.t as select 1 as a")
    with lab(tmp_path, "database", url=url, table="shop.t") as here:
        here.load()
        assert here.sources() == [f"{scheme}:shop.t"]


def test_a_query_for_rows_changes_nothing_there(tmp_path: Path) -> None:
    """What a database runs for a source runs where nothing can be written."""
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("create table t as select 1 as a")
        there.execute(
            "create function gone() returns setof int language sql as 'delete from t returning a'"
        )
        with (
            lab(tmp_path, "database", url=url, query="select gone() as a") as here,
            pytest.raises(LoadError, match="read-only"),
        ):
            here.load()
        assert there.execute("select a from t").fetchall() == [(1,)]


MYSQL = os.environ.get("TEST_MYSQL_URL", "")


@pytest.mark.skipif(not MYSQL, reason="NO MYSQL HERE: set TEST_MYSQL_URL to an empty database")
def test_mysql(tmp_path: Path) -> None:
    query = "select 1 as id, cast('2024-01-01 10:00:00' as datetime) as seen, null as note"
    with lab(tmp_path, "database", url=MYSQL, query=query, mode="append", cursor="id") as here:
        assert facts(here.load()) == (1, 1, 0, 1)
        assert facts(here.load()) == (1, 1, 0, 0)
        assert here.columns()["seen"] == "TIMESTAMP"


WRONG = {
    "no such kind": ("oracle://u:hunter2@h/x", "kind `oracle:` cannot be read"),
    "no kind": ("there.db", "does not start with the kind"),
    "no file": ("sqlite:nothing.db", "no file `nothing.db`"),
    "outside": ("sqlite:../x.db", "outside the project"),
    "no database": ("duckdb:a.txt", "cannot be read"),
    "nobody there": ("postgres://me:hunter2@127.0.0.1:1/x", "cannot be read"),
    "nobody there, password behind": (
        "postgres://127.0.0.1:1/x?user=me&password=hunter2",
        "cannot",
    ),
    "no mysql there": ("mysql://me:hunter2@127.0.0.1:1/x", "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_reached_is_said_without_secrets(tmp_path: Path, case: str) -> None:
    url, said = WRONG[case]
    with lab(tmp_path, "database", url=url, table="t") as here:
        here.write("a.txt", "nothing")
        with pytest.raises(Exception, match=said) as caught:
            here.load()
        error: Any = caught.value
        assert error.where
        assert "hunter2" not in str(error) + error.hint
        assert "hunter2" not in "".join(traceback.format_exception(error))


def test_a_table_that_is_not_there(tmp_path: Path, database: tuple[str, Run]) -> None:
    url, _ = database
    with (
        lab(tmp_path, "database", url=url, table="nope") as here,
        pytest.raises(LoadError) as caught,
    ):
        here.load()
    assert caught.value.where
    assert "nope" in str(caught.value)
    assert "__source_" not in str(caught.value)
