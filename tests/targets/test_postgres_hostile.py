"""What is reported of a table in Postgres is what the server did, whatever stands in the way."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from tests.postgres import new_database, server_url
from tests.projects import transform, write
from tests.targets.cases import Warehouse, warehouse
from transformer.errors import ActivateError

TABLE = "create table people (id int primary key, name text, score int)"


@pytest.fixture
def url() -> str:
    return new_database()


@pytest.fixture
def home(url: str, tmp_path: Path) -> Iterator[Warehouse]:
    options = {"url": url, "table": "people", "attempts": 2}
    with warehouse(tmp_path, "postgres", options) as made:
        made.fill(*((n, f"name {n}", n) for n in range(10)))
        yield made


def options(home: Warehouse, **more: Any) -> None:
    home.change(options={**home.activation.options, **more})


def ask(url: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


def ids(url: str) -> list[int]:
    return [n for (n,) in ask(url, "select id from people order by id")]


def trigger(url: str, when: str, body: str, table: str = "people") -> None:
    """A trigger for each row."""
    ask(url, f"create function f() returns trigger language plpgsql as $$ begin {body} end $$")
    ask(url, f"create trigger t {when} on {table} for each row execute function f()")


DROPS = {
    "before": ("before insert", "return case when new.id % 3 = 0 then null else new end;"),
    "after": (
        "after insert",
        "if new.id % 3 = 0 then delete from people where id = new.id; end if; return null;",
    ),
    "another key": (
        "before insert",
        "if new.id % 3 = 0 then new.id := new.id + 100; end if; return new;",
    ),
}


@pytest.mark.parametrize("mode", ["append", "upsert", "mirror"])
@pytest.mark.parametrize("way", DROPS)
def test_a_row_that_a_trigger_drops_is_in_quarantine_and_not_counted(
    home: Warehouse, url: str, mode: str, way: str
) -> None:
    home.change(mode=mode)
    ask(url, TABLE)
    trigger(url, *DROPS[way])
    done = home.sync()
    assert (done.added, done.sent, done.rejected, done.quarantined) == (6, 6, 4, 4)
    assert ids(url) == [1, 2, 4, 5, 7, 8]
    assert {row["key"] for row in home.quarantine()} == {"[0]", "[3]", "[6]", "[9]"}
    assert all("the row was not written" in row["reason"] for row in home.quarantine())
    again = home.sync()
    assert (again.added, again.sent, again.withheld, again.unchanged) == (0, 0, 4, 6)
    ask(url, "drop trigger t on people")
    assert (home.sync(retry=True).added, ids(url)) == (4, list(range(10)))


@pytest.mark.parametrize("kept", ["null", "old"])
def test_a_change_that_a_trigger_drops_is_not_counted(home: Warehouse, url: str, kept: str) -> None:
    ask(url, TABLE)
    home.sync()
    trigger(url, "before update", f"return case when new.id > 7 then {kept} else new end;")
    home.con.execute("update people set score = score + 100")
    if kept == "old":
        # Written, as far as Postgres knows: what a trigger makes of a value is its business.
        assert home.sync().changed == 10
        return
    done = home.sync()
    assert (done.changed, done.rejected) == (8, 2)
    assert ask(url, "select count(*) from people where score >= 100") == [(8,)]


@pytest.mark.parametrize("by", ["trigger", "rule", "return to the table"])
def test_a_row_that_cannot_be_removed_is_not_reported_as_removed(
    home: Warehouse, url: str, by: str
) -> None:
    home.change(mode="mirror", max_removed=1.0)
    ask(url, TABLE)
    home.sync()
    if by == "trigger":
        trigger(url, "before delete", "return case when old.id = 3 then null else old end;")
    elif by == "rule":
        ask(url, "create rule r as on delete to people where old.id = 3 do instead nothing")
    else:
        back = "insert into people values (old.id, old.name, old.score);"
        trigger(url, "after delete", f"if old.id = 3 then {back} end if; return null;")
    home.fill((8, "name 8", 8), (50, "new", 1))
    if by == "rule":
        # ON CONFLICT and rules do not go together at all.
        ask(url, "drop rule r on people")
        ask(url, "create rule r as on delete to people where old.id = 3 do instead nothing")
    done = home.sync()
    assert (done.added, done.removed, done.rejected) == (1, 8, 1)
    assert ids(url) == [3, 8, 50]
    (row,) = home.quarantine()
    assert "was not deleted" in row["reason"]
    assert (home.sync().removed, home.sync().withheld) == (0, 1)


RAISED = {
    "P0001": "raise exception 'no seven';",
    "P0004": "assert false, 'no seven';",
    "22012": "new.score := 1 / 0;",
    "22P02": "new.score := 'seven'::int;",
    "23514": "raise exception 'no seven' using errcode = 'check_violation';",
    "U0042": "raise exception 'no seven' using errcode = 'U0042';",
    "45000": "raise sqlstate '45000' using message = 'no seven';",
    "P0002": "select score into strict new.score from people where id = -1;",
}


@pytest.mark.parametrize("mode", ["append", "upsert"])
@pytest.mark.parametrize("code", RAISED)
def test_a_row_whose_trigger_raises_waits_and_the_rest_lands(
    home: Warehouse, url: str, code: str, mode: str
) -> None:
    home.change(mode=mode, batch_size=4)
    ask(url, TABLE)
    trigger(url, "before insert", f"if new.id = 7 then {RAISED[code]} end if; return new;")
    done = home.sync()
    assert (done.added, done.rejected) == (9, 1)
    assert ids(url) == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert [row["key"] for row in home.quarantine()] == ["[7]"]
    assert home.sync().sent == 0


def test_a_trigger_that_raises_at_the_commit_spoils_its_row_only(home: Warehouse, url: str) -> None:
    ask(url, TABLE)
    ask(
        url,
        "create function f() returns trigger language plpgsql as $$ begin "
        "if new.id = 7 then raise exception 'late'; end if; return null; end $$",
    )
    ask(
        url,
        "create constraint trigger t after insert on people deferrable initially deferred "
        "for each row execute function f()",
    )
    done = home.sync()
    assert (done.added, done.rejected, len(ids(url))) == (9, 1, 9)


def test_a_key_that_no_index_holds_waits(home: Warehouse, url: str) -> None:
    home.model("id varchar, name varchar, score integer", ("a", "x", 1), ("b", "x", 2))
    ask(url, "create table people (id text primary key, name text, score int)")
    home.con.execute(
        "insert into people select string_agg(md5(i::varchar), ''), 'x', 3 from range(900) t(i)"
    )
    done = home.sync()
    assert (done.added, done.rejected) == (2, 1)


def test_a_row_that_a_view_or_a_policy_refuses_waits(home: Warehouse, url: str) -> None:
    ask(url, TABLE.replace("people", "kept"))
    ask(url, "create view people as select * from kept where score <> 7 with check option")
    done = home.sync()
    assert (done.added, done.rejected, len(ids(url))) == (9, 1, 9)
    ask(url, "drop view people")
    ask(url, TABLE)
    role = f"r_{re.sub('[^a-z0-9]', '', url.split('?', maxsplit=1)[0].rsplit('/', maxsplit=1)[-1])}"
    ask(url, f"create role {role} login; grant all on people to {role}")
    ask(url, "alter table people enable row level security")
    ask(url, "create policy p on people using (true) with check (score <> 7)")
    options(home, url=url.replace("postgres:@", f"{role}@"))
    done = home.sync()
    assert (done.added, done.rejected, len(ids(url))) == (9, 1, 9)


def test_a_broken_trigger_stops_the_sync_and_is_named(home: Warehouse, url: str) -> None:
    ask(url, TABLE)
    trigger(url, "before insert", "perform no_such_function(); return new;")
    with pytest.raises(ActivateError, match="no_such_function"):
        home.sync()
    assert (ids(url), home.quarantine()) == ([], [])


def test_append_counts_what_was_there_as_unchanged(home: Warehouse, url: str) -> None:
    home.change(mode="append", batch_size=3)
    ask(url, TABLE)
    ask(url, "insert into people values (3, 'Old', 1), (8, 'Old', 1), (100, 'Other', 1)")
    done = home.sync()
    assert (done.added, done.unchanged, done.sent) == (8, 2, 10)
    assert len(ids(url)) == 11


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_two_keys_that_are_one_there_are_not_two_rows(home: Warehouse, url: str, mode: str) -> None:
    home.change(mode=mode)
    home.model("id varchar, name varchar", ("1", "a"), ("1.0", "b"), ("2", "c"))
    ask(url, "create table people (id numeric primary key, name text)")
    done = home.sync()
    assert (done.added, done.rejected) == (2, 1)
    assert ask(url, "select count(*) from people") == [(2,)]
    assert "treats its key as equal" in home.quarantine()[0]["reason"]


@pytest.mark.parametrize("held", ["before", "during"])
def test_a_lock_of_somebody_else_ends_the_sync_in_time(
    home: Warehouse, url: str, held: str
) -> None:
    ask(url, TABLE)
    home.sync()
    home.con.execute("update people set score = score + 100")
    options(home, lock_timeout=0.2)
    lock = "lock table people" if held == "before" else "select from people where id = 7 for update"
    began = time.monotonic()
    with psycopg.connect(url) as other:
        other.execute(lock.encode())
        with pytest.raises(ActivateError, match=r"gave up after 2 attempts: .*lock timeout"):
            home.sync()
    assert time.monotonic() - began < 5
    assert home.sync().changed == 10


def test_a_statement_that_does_not_end_ends_the_sync_in_time(home: Warehouse, url: str) -> None:
    ask(url, TABLE)
    trigger(url, "before insert", "perform pg_sleep(60); return new;")
    options(home, statement_timeout=0.3)
    began = time.monotonic()
    with pytest.raises(ActivateError, match=r"gave up after 2 attempts: .*statement timeout"):
        home.sync()
    assert time.monotonic() - began < 5
    assert ids(url) == []


@contextmanager
def frozen_after(url: str, most: int) -> Iterator[str]:
    """The url of a relay to the server that says nothing more once `most` bytes went there."""
    folder = url.split("host=")[1]
    stop = Event()
    server = socket.create_server(("127.0.0.1", 0))

    def relay() -> None:
        server.settimeout(20)
        here, _ = server.accept()
        there = socket.socket(socket.AF_UNIX)
        there.connect(f"{folder}/.s.PGSQL.5432")
        sent = 0
        with here, there, selectors.DefaultSelector() as ready:
            ready.register(here, selectors.EVENT_READ)
            ready.register(there, selectors.EVENT_READ)
            while not stop.is_set():
                for key, _ in ready.select(0.05):
                    text = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    sent += len(text) if key.fileobj is here else 0
                    if not text:
                        return
                    if sent < most:
                        (there if key.fileobj is here else here).sendall(text)

    thread = Thread(target=relay)
    thread.start()
    port = server.getsockname()[1]
    try:
        name = url.split("/")[3].split("?", maxsplit=1)[0]
        yield f"postgresql://postgres@127.0.0.1:{port}/{name}"
    finally:
        stop.set()
        server.close()
        thread.join()


@pytest.mark.parametrize("most", [600, 2_500])
def test_a_server_that_falls_silent_ends_the_sync_in_time(
    home: Warehouse, url: str, most: int
) -> None:
    ask(url, TABLE)
    with frozen_after(url, most) as silent:
        options(home, url=silent, statement_timeout=0.2, attempts=1)
        began = time.monotonic()
        with pytest.raises(ActivateError, match=r"no answer within 5\.2 s"):
            home.sync()
        assert time.monotonic() - began < 8


def test_text_arrives_whole_whatever_the_database_stores(home: Warehouse) -> None:
    latin = new_database()
    name = latin.split("/")[3].split("?")[0]
    ask(server_url(), f"drop database {name}")
    ask(
        server_url(),
        f"create database {name} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0",
    )
    options(home, url=latin)
    home.fill((1, "Zoë Müller", 1), (2, "漢字", 2))
    done = home.sync()
    assert (done.added, done.rejected) == (1, 1)
    assert ask(latin, "select name from people") == [("Zoë Müller",)]


PROJECT = {
    "models/people.sql": """
        {{ config(materialized='table') }}
        select i as id, 'name ' || i as name from range(20) t(i)
    """,
    "models/_people.yml": """
        activations:
          - {name: crm, model: people, key: id, mode: MODE,
             to: {kind: postgres, url: "{{ env_var('CRM_URL') }}", table: people}}
    """,
}


@pytest.mark.parametrize("mode", ["append", "upsert", "mirror"])
def test_a_table_dropped_or_made_again_between_builds_gets_every_row(
    tmp_path: Path, url: str, mode: str
) -> None:
    yml = PROJECT["models/_people.yml"].replace("MODE", mode)
    root = write(tmp_path, {**PROJECT, "models/_people.yml": yml})
    env = {"CRM_URL": url}
    for change in ("", "drop table people", f"drop table people; {TABLE}"):
        if change:
            ask(url, change)
        done = transform(root, "build", env=env)
        assert "+20 ~0 −0" in done.stderr, done.stderr
        assert ids(url) == list(range(20))
        again = transform(root, "build", env=env)
        assert "nothing to do" in again.stderr
    away = transform(root, "build", env={"CRM_URL": "postgresql://me@127.0.0.1:9/x"}, check=False)
    assert "Traceback" not in away.stderr


@pytest.mark.parametrize("how", ["truncate people", "delete from people"])
@pytest.mark.parametrize("mode", ["append", "upsert", "mirror"])
def test_a_table_emptied_between_builds_gets_every_row_unless_others_may_take_them(
    tmp_path: Path, url: str, mode: str, how: str
) -> None:
    yml = PROJECT["models/_people.yml"].replace("MODE", mode)
    root = write(tmp_path, {**PROJECT, "models/_people.yml": yml})
    env = {"CRM_URL": url}
    transform(root, "build", env=env)
    ask(url, how)
    done = transform(root, "build", env=env)
    assert ("+20 ~0 −0" in done.stderr) == (mode != "append"), done.stderr
    assert ids(url) == ([] if mode == "append" else list(range(20)))
    assert "nothing to do" in transform(root, "build", env=env).stderr


def test_a_build_counts_what_the_server_took(tmp_path: Path, url: str) -> None:
    yml = PROJECT["models/_people.yml"].replace("MODE", "append")
    root = write(tmp_path, {**PROJECT, "models/_people.yml": yml})
    ask(url, "create table people (id int primary key, name text)")
    trigger(url, "before insert", "return case when new.id = 7 then null else new end;")
    done = transform(root, "build", env={"CRM_URL": url})
    assert "+19 ~0 −0" in done.stderr
    assert "1 rejected" in done.stderr
    assert len(ids(url)) == 19
