"""Whatever becomes of the rows and of the requests, one good sync puts everything right."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from tests.servers import Answer, Drop, Receiver, Slow, receiver
from tests.targets.cases import Warehouse, warehouse
from transformer.errors import ActivateError

STEPS = 14


def disturb(home: Warehouse, there: Receiver, chance: random.Random) -> None:
    """Some rows change, come and go; some requests go wrong."""
    for _ in range(chance.randint(0, 4)):
        key = chance.randint(0, 11)
        new = f"select {key}, 'name {key}', {chance.randint(0, 3)}"
        statement = chance.choice(
            [
                f"update people set score = score + 1 where id = {key}",
                f"delete from people where id = {key}",
                f"insert into people {new} where not exists (from people where id = {key})",
            ]
        )
        home.con.execute(statement)
    faults: list[Answer | Drop | Slow] = [
        Slow(0),
        Slow(0),
        Drop(),
        Drop(taken=True),
        Answer(503),
        Answer(422, "all bad"),
    ]
    there.script.clear()
    there.script.extend(chance.choice(faults) for _ in range(chance.randint(0, 4)))


def run(home: Warehouse, there: Receiver, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(STEPS):
        disturb(home, there, chance)
        with contextlib.suppress(ActivateError):
            home.sync(retry=chance.random() < 0.2)
    there.script.clear()
    home.sync(retry=True)


@pytest.mark.parametrize("body", ["records", "single"])
@pytest.mark.parametrize("seed", range(3))
def test_mirror_ends_with_exactly_the_models_rows(tmp_path: Path, seed: int, body: str) -> None:
    with receiver() as there:
        options = {
            "url": there.url,
            "attempts": 1,
            "body": body,
            "removed_url": there.url + "/{id}",
        }
        with warehouse(tmp_path, "http", options) as home:
            home.change(mode="mirror", batch_size=3)
            home.fill(*((n, f"name {n}", 0) for n in range(8)))
            run(home, there, seed)
            model = home.con.execute("select id, score from people order by id").fetchall()
            held = sorted((row["id"], row["score"]) for row in there.rows.values())
            assert held == model
            assert home.quarantine() == []
            assert home.sync().sent == 0


@pytest.mark.parametrize("seed", range(3))
def test_append_sends_no_key_twice(tmp_path: Path, seed: int) -> None:
    with receiver() as there, warehouse(tmp_path, "http", {"url": there.url}) as home:
        home.change(mode="append", batch_size=3, options={"url": there.url, "attempts": 1})
        home.fill(*((n, f"name {n}", 0) for n in range(8)))
        run(home, there, seed)
        keys = [row["id"] for row in there.taken]
        assert len(keys) == len(set(keys))
        model = home.con.execute("select id from people").fetchall()
        assert {key for (key,) in model} <= set(keys)
