"""A build that is killed at any instant is continued by the next one: nothing lost, nothing twice.

Real processes, real SIGKILL. The second build starts after new raw data has come, is killed at a
random moment (after a random number of its events, then a random wait), and the third build must
end where an undisturbed one ends: in the warehouse, in the audience file, and at the receiver.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.projects import contents, query, start, transform, write
from tests.servers import receiver

FILES = {
    "transform.yml": """
        name: shop
        targets:
          dev: {path: warehouse.duckdb, threads: 2}
    """,
    "models/_all.yml": """
        sources:
          - name: crm
            load: {kind: files, mode: append}
            tables:
              - name: contacts
                load: {path: "data/contacts_*.csv"}
                columns: [{name: id, data_type: BIGINT, data_tests: [not_null]}]
          - name: shop
            load: {kind: database, url: "sqlite:data/shop.sqlite"}
            tables:
              - name: orders
                load: {mode: merge, key: id, cursor: at}
                columns: [{name: at, data_type: VARCHAR}]
              - name: lines
                load: {mode: append, cursor: id}
        models:
          - name: spend
            columns: [{name: contact_id, data_tests: [unique, not_null]}]
        snapshots:
          - name: names
            relation: ref('people')
            config: {unique_key: id, strategy: check, check_cols: [name]}
        activations:
          - name: file
            model: spend
            key: contact_id
            mode: mirror
            to: {kind: files, path: out/spend.csv}
          - name: web
            model: spend
            key: contact_id
            mode: mirror
            batch_size: 60
            to: {kind: http, url: "{{ env_var('URL') }}"}
    """,
    "models/people.sql": "{{ config(materialized='table') }} select id, name from crm.contacts",
    "models/sold.sql": """
        {{ config(materialized='incremental', unique_key='id') }}
        select o.id, o.contact_id, o.amount, count(l.id) as lines
        from shop.orders o left join shop.lines l on l.order_id = o.id
        {% if is_incremental() %} where o.id not in (select id from {{ this }}) {% endif %}
        group by all
    """,
    "models/spend.sql": """
        {{ config(materialized='table') }}
        select contact_id, sum(amount) as amount, max(p.name) as name
        from sold join people p on p.id = contact_id group by contact_id
    """,
}


def first_data(root: Path) -> None:
    data = root / "data"
    data.mkdir(parents=True)
    rows = "".join(f"{i},name {i}\n" for i in range(1, 201))
    (data / "contacts_1.csv").write_text("id,name\n" + rows + "not a number,nobody\n")
    with sqlite3.connect(data / "shop.sqlite") as con:
        con.execute("create table orders (id integer, contact_id integer, amount integer, at text)")
        con.execute("create table lines (id integer, order_id integer)")
        orders = [(i, i % 200 + 1, i, f"2024-01-{i % 28 + 1:02d}") for i in range(1, 401)]
        con.executemany("insert into orders values (?, ?, ?, ?)", orders)
        con.executemany("insert into lines values (?, ?)", [(i, i // 2) for i in range(1, 801)])
    con.close()


def more_data(root: Path) -> None:
    data = root / "data"
    rows = "".join(f"{i},name {i}\n" for i in range(201, 301))
    (data / "contacts_2.csv").write_text("id,name\n" + rows + "neither,is this\n")
    with sqlite3.connect(data / "shop.sqlite") as con:
        con.execute("update orders set amount = amount + 1000, at = '2024-02-01' where id <= 20")
        orders = [(i, i % 300 + 1, i, "2024-02-02") for i in range(401, 601)]
        con.executemany("insert into orders values (?, ?, ?, ?)", orders)
        con.executemany("insert into lines values (?, ?)", [(i, i // 2) for i in range(801, 1201)])
    con.close()


def kill_once(
    base: Path, place: Path, chance: random.Random, events: range
) -> tuple[dict[str, object], dict[object, object], str]:
    """One killed build and the one after it; what came of them, and where it was killed: behind
    one of these events."""
    shutil.copytree(base, place)
    with receiver() as there:
        there.key = "contact_id"
        env = {"URL": there.url}
        transform(place, "build", env=env)
        more_data(place)
        process = start(place, "build", "--json", env=env)
        assert process.stdout is not None
        wanted, where = chance.choice(events), "the end"
        for number, line in enumerate(process.stdout):
            where = line[:90]
            if number >= wanted:
                break
        time.sleep(chance.uniform(0.0, 0.05))
        process.kill()
        process.communicate()
        done = transform(place, "build", env=env, check=False)
        assert done.returncode == 0, f"after a kill at {where}\n{done.stderr}"
        if chance.random() < 0.2:
            again = transform(place, "build", env=env)
            assert "nothing to do" in again.stderr, again.stderr
        received: dict[object, object] = dict(there.rows)
        keys = [request.key for request in there.requests if request.method == "POST"]
        assert len(there.taken) <= len(keys) * 60
    return outcome(place), received, where


def outcome(place: Path) -> dict[str, object]:
    warehouse = place / "warehouse.duckdb"
    bad = query(
        warehouse,
        "select node, source, row_number, value, reason from _transform.quarantine order by all",
    )
    left = sorted(p.name for p in (place / ".transform" / "warehouse.duckdb").iterdir())
    return {
        **contents(warehouse),
        "quarantine": bad,
        "file": (place / "out" / "spend.csv").read_text(),
        "left behind": [name for name in left if name != "lock"],
        "wal": (place / "warehouse.duckdb.wal").exists(),
    }


@dataclass(frozen=True)
class World:
    """A project that nobody has built yet, and what comes of it where nothing is killed."""

    base: Path
    expected: dict[str, object]
    sent: dict[object, object]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("quiet")
    base, place = write(home / "base", FILES), home / "place"
    first_data(base)
    shutil.copytree(base, place)
    with receiver() as there:
        there.key = "contact_id"
        env = {"URL": there.url}
        transform(place, "build", env=env)
        more_data(place)
        transform(place, "build", env=env)
        return World(base, outcome(place), dict(there.rows))


# So many events a build has; each part of a case is killed behind another part of them, so that
# the kills are spread over the whole build.
EVENTS = 22


def kills(world: World, home: Path, numbers: range, threads: int) -> None:
    count = len(numbers)

    def one(n: int) -> str:
        place, part = home / f"kill_{n}", n - numbers.start
        begin = part * EVENTS // count
        events = range(begin, max((part + 1) * EVENTS // count, begin + 1))
        made, received, where = kill_once(world.base, place, random.Random(n), events)
        assert made == world.expected, f"kill {n} at {where}"
        assert received == world.sent, f"kill {n} at {where}"
        shutil.rmtree(place)
        return where

    with ThreadPoolExecutor(threads) as pool:
        places = list(pool.map(one, numbers))
    # Else they prove little.
    assert len(set(places)) >= min(count, 12) // 2 + 1


@pytest.mark.parametrize("first", range(1, 31, 5))
def test_a_killed_build_is_continued_correctly_wherever_it_was_killed(
    quiet: World, tmp_path: Path, first: int
) -> None:
    kills(quiet, tmp_path, range(first, first + 3), threads=1)


@pytest.mark.soak
def test_two_hundred_kills(quiet: World, tmp_path: Path) -> None:
    kills(quiet, tmp_path, range(10_000, 10_200), threads=2)
