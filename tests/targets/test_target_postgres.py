"""The Postgres target against a real server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.postgres import new_database
from tests.targets.cases import WHERE, Warehouse, warehouse
from transformer.errors import ActivateError
from transformer.sync.delivery import SyncClock
from transformer.sync.sync import sync


@pytest.fixture
def url() -> str:
    return new_database()


@pytest.fixture
def home(url: str, tmp_path: Path) -> Iterator[Warehouse]:
    with warehouse(tmp_path, "postgres", {"url": url, "table": "people"}) as made:
        made.fill(*((n, f"name {n}", n) for n in range(10)))
        yield made


def ask(url: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


def test_the_table_is_made_with_fitting_types_and_a_key(home: Warehouse, url: str) -> None:
    home.con.execute("""create or replace table people as select 1 as id, 'x' as text,
        1.5::decimal(9, 2) as price, now() as instant, [1] as list, [[1]] as lists,
        1::utinyint as small, true as yes, 'x'::blob as bytes, 1::hugeint as big,
        1.5::float as ratio, date '2026-01-01' as day, time '01:02:03' as hour""")
    home.sync()
    types = ask(
        url,
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = 'people'::regclass and attnum > 0 order by attnum",
    )
    assert dict(types) == {
        "id": "integer",
        "text": "text",
        "price": "numeric(9,2)",
        "instant": "timestamp with time zone",
        "list": "integer[]",
        "lists": "jsonb",
        "small": "smallint",
        "yes": "boolean",
        "bytes": "bytea",
        "big": "numeric(39,0)",
        "ratio": "real",
        "day": "date",
        "hour": "time without time zone",
    }
    assert ask(url, "select bytes, list, lists from people") == [(b"x", [1], [[1]])]


def test_rows_of_others_are_neither_removed_nor_touched(home: Warehouse, url: str) -> None:
    home.change(mode="mirror", max_removed=1.0)
    ask(url, "create table people (id int primary key, name text, score int, note text)")
    ask(url, "insert into people values (100, 'Other', 1, 'mine'), (3, 'Old', 1, 'kept')")
    home.sync()
    home.fill()
    home.sync()
    assert ask(url, "select id, note from people") == [(100, "mine")]


def test_a_column_that_is_not_sent_keeps_its_value(home: Warehouse, url: str) -> None:
    ask(url, "create table people (id int primary key, name text, score int, note text)")
    ask(url, "insert into people values (3, 'Old', 1, 'kept')")
    home.sync()
    assert ask(url, "select name, note from people where id = 3") == [("name 3", "kept")]


def test_append_leaves_a_row_that_is_there(home: Warehouse, url: str) -> None:
    home.change(mode="append")
    ask(url, "create table people (id int primary key, name text, score int)")
    ask(url, "insert into people values (3, 'Old', 1)")
    assert home.sync().sent == 10
    assert ask(url, "select name from people where id = 3") == [("Old",)]
    assert ask(url, "select count(*) from people") == [(10,)]


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        ("check (score <> 7)", "update people set score = 7 where id = 7"),
        ("unique", "update people set score = 3 where id = 7"),
        ("not null", "update people set score = null where id = 7"),
    ],
)
def test_a_row_that_breaks_a_rule_waits_and_the_rest_lands(
    home: Warehouse, url: str, rule: str, bad: str
) -> None:
    ask(url, f"create table people (id int primary key, name text, score int {rule})")
    home.con.execute(bad)
    done = home.sync()
    assert (done.sent, done.rejected) == (9, 1)
    assert ask(url, "select count(*) from people") == [(9,)]
    (row,) = home.quarantine()
    assert row["key"] == "[7]"
    assert "violates" in row["reason"]


def test_a_value_that_does_not_fit_the_column_waits(home: Warehouse, url: str) -> None:
    ask(url, "create table people (id int primary key, name varchar(6), score smallint)")
    home.con.execute("update people set score = 70000 where id = 7")
    home.con.execute("update people set name = 'much too long' where id = 2")
    assert home.sync().rejected == 2
    assert ask(url, "select count(*) from people") == [(8,)]
    home.con.execute("update people set score = 7 where id = 7")
    done = home.sync()
    assert (done.sent, done.quarantined) == (1, 1)


def test_a_key_alone_can_be_kept_in_step(home: Warehouse, url: str) -> None:
    home.change(fields={"person id": "id"}, mode="mirror", max_removed=1.0)
    home.sync()
    home.fill((1, "x", 1), (99, "y", 2))
    home.sync()
    assert ask(url, 'select "person id" from people order by 1') == [(1,), (99,)]


def test_awkward_names_are_quoted(home: Warehouse, url: str) -> None:
    name = 'Peo"ple; drop table x --'
    options = {**home.activation.options, "table": name}
    fields = {'i"d': "id", "select": "name"}
    home.change(options=options, fields=fields, mode="mirror", max_removed=1.0)
    assert home.sync().sent == 10
    home.fill((1, "x", 1))
    home.sync()
    assert ask(url, 'select "select" from "Peo""ple; drop table x --"') == [("x",)]


@pytest.mark.parametrize(
    ("table", "what", "hint"),
    [
        ("id int, name text, score int", "no unique constraint on its key", "add unique"),
        ("id int primary key, nam text, score int", "has no column `name`", "did you mean `nam`?"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_anything_is_sent(
    home: Warehouse, url: str, table: str, what: str, hint: str
) -> None:
    ask(url, f"create table people ({table})")
    with pytest.raises(ActivateError, match=what) as caught:
        home.sync()
    assert hint in caught.value.hint
    assert caught.value.where == WHERE
    assert home.kept("rows") == []


def test_a_missing_table_is_not_made_when_told_so(home: Warehouse) -> None:
    home.change(options={**home.activation.options, "create": False})
    with pytest.raises(ActivateError, match="there is no table") as caught:
        home.sync()
    assert caught.value.hint == "set `create: true`"


def test_a_lost_connection_is_made_anew(home: Warehouse, url: str) -> None:
    home.change(batch_size=2)
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = "
    world = home.world
    seen: list[int] = []

    def after(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 2:
            ask(url, cut + "'transformer' and datname = current_database()")

    done = sync(home.job, home.con, SyncClock(world.now, world.sleep, world.chance, after))
    assert done.sent == 10
    assert home.slept == [0.5]
    assert ask(url, "select count(*) from people") == [(10,)]


def test_nobody_there_shows_no_password(home: Warehouse) -> None:
    secret = "pa55word-of-mine"
    options = {"url": f"postgresql://me:{secret}@127.0.0.1:9/db", "table": "x", "attempts": 2}
    home.change(options=options)
    with pytest.raises(ActivateError, match="gave up after 2 attempts") as caught:
        home.sync()
    assert secret not in str(caught.value)
    assert len(home.slept) == 1


def test_an_unknown_database_stops_at_once(home: Warehouse, url: str) -> None:
    head, tail = url.split("?")
    home.change(options={"url": f"{head}x?{tail}", "table": "people"})
    with pytest.raises(ActivateError, match="does not exist"):
        home.sync()
    assert home.slept == []


def test_without_the_driver_it_says_what_to_install(
    home: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ActivateError, match="needs its driver") as caught:
        home.sync()
    assert caught.value.hint == "pip install 'transformer-sql[postgres]'"
