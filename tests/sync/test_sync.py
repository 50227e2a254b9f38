"""What a sync remembers: unknown outcomes, changed minds, concurrent syncs, looking ahead."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.servers import Answer, Drop, Receiver, receiver
from tests.targets.cases import WHERE, Warehouse, warehouse
from transformer.errors import ActivateError, WarehouseError
from transformer.sync import delivery
from transformer.sync.sync import sync


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def home(there: Receiver, tmp_path: Path) -> Iterator[Warehouse]:
    with warehouse(tmp_path, "http", {"url": there.url, "attempts": 1}) as made:
        made.fill(*((n, f"name {n}", n) for n in range(4)))
        yield made


def lose_the_answer(home: Warehouse, there: Receiver, taken: bool) -> None:
    there.script.append(Drop(taken=taken))
    with pytest.raises(ActivateError):
        home.sync()


@pytest.mark.parametrize("taken", [True, False])
def test_an_unknown_outcome_goes_out_again_as_it_was(
    home: Warehouse, there: Receiver, taken: bool
) -> None:
    lose_the_answer(home, there, taken)
    done = home.sync()
    assert (done.added, done.sent) == (4, 4)
    assert there.requests[0] == there.requests[1]
    assert [row["id"] for row in there.taken] == [0, 1, 2, 3]


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("mode", ["upsert", "mirror"])
def test_after_an_unknown_outcome_a_changed_row_goes_out_under_a_new_id(
    home: Warehouse, there: Receiver, taken: bool, mode: str
) -> None:
    home.change(mode=mode)
    lose_the_answer(home, there, taken)
    home.con.execute("update people set score = 99 where id = 2")
    assert home.sync().sent == 4
    assert there.requests[0].key != there.requests[1].key
    assert {key: row["score"] for key, row in there.rows.items()} == {0: 0, 1: 1, 2: 99, 3: 3}


@pytest.mark.parametrize("taken", [True, False])
def test_append_repeats_the_first_content_whatever_became_of_the_row(
    home: Warehouse, there: Receiver, taken: bool
) -> None:
    home.change(mode="append")
    lose_the_answer(home, there, taken)
    home.con.execute("update people set score = 99 where id = 2")
    home.con.execute("delete from people where id = 3")
    home.con.execute("insert into people values (1, 'double', 1), (4, 'name 4', 4)")
    assert home.sync().sent == 5
    assert there.requests[0] == there.requests[1]
    assert [(row["id"], row["score"]) for row in there.taken] == [(n, n) for n in range(5)]
    assert home.sync().sent == 0


def test_mirror_removes_a_row_that_may_have_arrived(home: Warehouse, there: Receiver) -> None:
    home.change(mode="mirror")
    lose_the_answer(home, there, taken=True)
    home.con.execute("delete from people where id = 2")
    done = home.sync()
    assert (done.added, done.removed) == (3, 1)
    assert sorted(there.rows) == [0, 1, 3]
    assert home.sync().sent == 0


def test_mirror_never_removes_what_was_planned_and_not_sent(
    home: Warehouse, there: Receiver
) -> None:
    home.change(mode="mirror", batch_size=2)
    there.script.append(Answer(500))
    with pytest.raises(ActivateError):
        home.sync()
    home.con.execute("delete from people where id = 3")
    assert home.sync().removed == 0
    assert [request.body["removed"] for request in there.requests] == [[], [], []]


def test_a_removal_of_unknown_outcome_that_came_back_is_sent(
    home: Warehouse, there: Receiver
) -> None:
    home.change(mode="mirror")
    home.sync()
    home.con.execute("delete from people where id = 2")
    lose_the_answer(home, there, taken=True)
    home.con.execute("insert into people values (2, 'name 2', 2)")
    assert home.sync().changed == 1
    assert sorted(there.rows) == [0, 1, 2, 3]


def test_a_pending_row_whose_key_doubled_waits_and_recovers(
    home: Warehouse, there: Receiver
) -> None:
    lose_the_answer(home, there, taken=False)
    home.con.execute("insert into people values (2, 'double', 2)")
    assert home.sync().sent == 3
    home.con.execute("delete from people where name = 'double'")
    assert home.sync().sent == 1
    assert len({request.key for request in there.requests}) == 3
    assert sorted(there.rows) == [0, 1, 2, 3]


def test_a_mapping_change_sends_every_row_again(home: Warehouse, there: Receiver) -> None:
    home.sync()
    home.change(fields={"id": "id", "points": "score"})
    assert home.sync().changed == 4
    assert there.rows[3] == {"id": 3, "points": 3}


def test_keys_are_sent_though_not_mapped(home: Warehouse, there: Receiver) -> None:
    home.change(fields={"points": "score"})
    home.sync()
    assert there.rows[3] == {"id": 3, "points": 3}


def test_a_renamed_key_is_the_key_at_the_target(home: Warehouse, there: Receiver) -> None:
    there.key = "external"
    home.change(fields={"external": "id"}, mode="mirror")
    home.sync()
    home.con.execute("delete from people where id = 3")
    home.sync()
    assert there.requests[-1].body["removed"] == [{"external": 3}]
    assert sorted(there.rows) == [0, 1, 2]


def test_columns_that_begin_with_an_underscore_stay_home(home: Warehouse, there: Receiver) -> None:
    home.con.execute("create or replace table people as select 1 as id, now() as _loaded_at")
    home.sync()
    assert there.rows == {1: {"id": 1}}


def test_a_row_that_left_is_removed_under_the_name_its_key_has_now(
    home: Warehouse, there: Receiver
) -> None:
    home.change(mode="mirror")
    home.sync()
    home.change(fields={"external": "id", "points": "score"})
    home.con.execute("delete from people where id = 3")
    assert home.preview().removed == 1
    there.key = "external"
    home.sync()
    assert there.requests[-1].body["removed"] == [{"external": 3}]


def test_the_order_of_key_columns_makes_no_other_key(home: Warehouse, there: Receiver) -> None:
    home.change(key=("name", "id"), mode="mirror", fields={"name": "name", "id": "id"})
    home.sync()
    home.change(key=("id", "name"), fields={"id": "id", "name": "name"})
    done = home.sync()
    assert (done.added, done.removed) == (0, 0)


def test_keys_of_several_columns(home: Warehouse, there: Receiver) -> None:
    there.key = "day"
    home.change(key=("shop", "day"), mode="mirror")
    home.con.execute(
        "create or replace table people as select * from (values "
        "('a', date '2026-01-01', 1), ('a', date '2026-01-02', 2)) as t(shop, day, n)"
    )
    home.sync()
    home.con.execute("delete from people where n = 2")
    assert home.sync().removed == 1
    assert there.requests[-1].body["removed"] == [{"shop": "a", "day": "2026-01-02"}]


def test_the_time_zone_of_the_connection_changes_nothing(home: Warehouse, there: Receiver) -> None:
    home.con.execute(
        "create or replace table people as "
        "select 1 as id, timestamptz '2026-01-01 00:00:00+00' as moment, [moment] as list"
    )
    home.sync()
    home.con.execute("set TimeZone = 'Asia/Tokyo'")
    assert home.sync().sent == 0
    assert there.rows[1]["moment"] == "2026-01-01T00:00:00.000000Z"


def test_numbers_that_json_cannot_say_are_null(home: Warehouse, there: Receiver) -> None:
    home.con.execute("create or replace table people as select 1 as id, 'nan'::double as x")
    home.sync()
    assert there.rows == {1: {"id": 1, "x": None}}


def test_a_preview_shows_five_rows_of_a_class(home: Warehouse, there: Receiver) -> None:
    home.change(mode="mirror")
    home.sync()
    home.fill((0, "name 0", 0), (1, "new", 1), *((n, "x", n) for n in range(10, 20)))
    seen = home.preview()
    assert (seen.added, seen.changed, seen.removed, seen.unchanged) == (10, 1, 2, 1)
    assert len(seen.samples["added"]) == 5
    assert seen.samples["changed"] == (
        {
            "key": [1],
            "before": {"id": 1, "name": "name 1", "score": 1},
            "after": {"id": 1, "name": "new", "score": 1},
        },
    )
    assert seen.samples["removed"][0]["after"] is None
    assert len(there.requests) == 1


def test_a_preview_leaves_the_ledger_as_it_was(home: Warehouse, there: Receiver) -> None:
    lose_the_answer(home, there, taken=True)
    before = home.ledger.read_bytes()
    assert home.preview().added == 4
    assert home.ledger.read_bytes() == before
    assert sorted(path.name for path in home.folder.iterdir()) == [
        "warehouse.duckdb",
        "warehouse.duckdb.wal",
        "warehouse.sync.duckdb",
    ]


def test_a_log_whose_ledger_is_gone_is_not_taken_for_a_new_one(
    home: Warehouse, there: Receiver
) -> None:
    home.sync()
    log = home.ledger.with_name(f"{home.ledger.name}.wal")
    kept = home.ledger.rename(home.folder / "kept")
    log.write_bytes(b"rows of a process that was killed")
    for attempt in (home.sync, home.preview):
        with pytest.raises(WarehouseError, match="which does not exist") as caught:
            attempt()
        assert caught.value.hint
    assert len(there.requests) == 1
    assert log.read_bytes() == b"rows of a process that was killed"
    log.unlink()
    kept.rename(home.ledger)
    assert home.sync().sent == 0


def test_the_ledger_is_a_file_of_the_stated_version(home: Warehouse) -> None:
    home.sync()
    with duckdb.connect(str(home.ledger), read_only=True) as con:
        tags = con.execute("select tags from duckdb_databases() where not internal").fetchone()
    assert tags is not None
    assert "v1.4.0" in str(tags[0])


def test_the_ledger_says_what_was_sent_when(home: Warehouse) -> None:
    home.change(batch_size=3)
    home.sync()
    batches = home.kept("batches")
    assert [(row[4], row[5], row[6], row[7]) for row in batches] == [
        (3, 3, "sent", None),
        (1, 1, "sent", None),
    ]
    assert {row[4] for row in home.kept("rows")} == {"sent"}
    assert all(row[7] is None and row[8] is None for row in home.kept("rows"))


def test_a_failed_batch_says_why(home: Warehouse, there: Receiver) -> None:
    there.script.append(Answer(500, "database is full"))
    with pytest.raises(ActivateError):
        home.sync()
    (batch,) = home.kept("batches")
    assert batch[6] == "sending"
    assert "database is full" in batch[7]


def test_activations_share_a_ledger_and_nothing_else(home: Warehouse, there: Receiver) -> None:
    home.sync()
    home.change(name="other")
    assert home.sync().added == 4
    home.reset()
    home.change(name="people_out")
    assert home.sync().unchanged == 4


def test_a_success_clears_the_quarantine_of_its_own_activation_only(
    home: Warehouse, there: Receiver
) -> None:
    """Two activations have rows of the same keys in quarantine."""
    there.refuses = lambda row: "no" if row["id"] in (1, 2) else None
    for name in ("one", "two"):
        home.change(name=name)
        assert home.sync().quarantined == 2
    there.refuses = lambda _: None
    home.change(name="one")
    assert home.sync(retry=True).quarantined == 0
    assert [(row["activation"], row["key"]) for row in home.quarantine()] == [
        ("two", "[1]"), ("two", "[2]"),
    ]  # fmt: skip
    home.con.execute("delete from people where id = 1")
    home.sync()
    assert [row["activation"] for row in home.quarantine()] == ["two", "two"]
    home.change(name="two")
    assert home.sync(retry=True).added == 1
    assert home.quarantine() == []


@pytest.mark.parametrize("bad", [(1, 18, 35, 52), (0, 1), ()], ids=["spread", "beside", "none"])
def test_refusals_count_only_while_nothing_lands_between(
    home: Warehouse, there: Receiver, monkeypatch: pytest.MonkeyPatch, bad: tuple[int, ...]
) -> None:
    """Single bad rows never stop a sync, however many they are in all."""
    monkeypatch.setattr(delivery, "MOST_REFUSALS", 6)
    there.style, there.refuses = "batch", lambda row: "no" if row["id"] in bad else None
    home.change(batch_size=16)
    home.fill(*((n, "x", n) for n in range(64)))
    done = home.sync()
    assert (done.added, done.rejected) == (64 - len(bad), len(bad))
    assert sorted(there.rows) == [n for n in range(64) if n not in bad]


def test_a_target_that_refuses_everything_stops_the_sync(
    home: Warehouse, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_REFUSALS", 6)
    there.style, there.refuses = "batch", lambda _: "no"
    home.fill(*((n, "x", n) for n in range(64)))
    with pytest.raises(ActivateError, match="6 times in a row: "):
        home.sync()


def test_another_place_gets_everything(home: Warehouse, there: Receiver) -> None:
    home.sync()
    with receiver() as other:
        home.change(options={"url": other.url})
        assert home.sync().added == 4
        assert sorted(other.rows) == [0, 1, 2, 3]
        home.change(options={"url": other.url.replace("//", "//me:new@") + "?token=rotated"})
        assert home.sync().sent == 0


def test_a_file_that_was_there_before_is_replaced(home: Warehouse) -> None:
    home.change(kind="files", options={"path": "a.csv"})
    home.sync()
    (home.folder / "b.csv").write_text("somebody else's")
    home.change(options={"path": "b.csv"})
    home.sync()
    a, b = (home.folder / name for name in ("a.csv", "b.csv"))
    assert a.read_bytes() == b.read_bytes()


def test_activations_may_be_sent_at_the_same_time(home: Warehouse, there: Receiver) -> None:
    there.delay = 0.01
    home.change(batch_size=1)
    troubles: list[BaseException] = []

    def run(name: str) -> None:
        mine = Warehouse(home.folder, home.con.cursor(), home.activation)
        mine.change(name=name)
        try:
            sync(mine.job, mine.con)
        except BaseException as error:
            troubles.append(error)
        mine.con.close()

    threads = [threading.Thread(target=run, args=(f"a{n}",)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert troubles == []
    assert len(there.taken) == 16
    assert len(home.kept("rows")) == 16


def test_a_ledger_in_use_elsewhere_is_an_error_that_says_so(home: Warehouse) -> None:
    home.sync()
    code = (
        "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); "
        "sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(home.ledger)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(WarehouseError, match="cannot open the sync ledger") as caught:
            home.sync()
        other.communicate()
    assert "another process" in caught.value.hint
    assert home.sync().unchanged == 4


def test_a_model_that_cannot_be_read_says_where(home: Warehouse) -> None:
    home.con.execute("create or replace view broken as select 1 / 0 as id, error('no') as x")
    home.con.execute("drop table people")
    home.con.execute("create view people as from broken")
    with pytest.raises(ActivateError, match="cannot read the rows of `people`") as caught:
        home.sync()
    assert caught.value.where == WHERE


def test_the_connection_is_left_as_it_was(home: Warehouse) -> None:
    def state() -> list[Any]:
        return home.con.execute(
            "select current_setting('TimeZone'), current_database(), "
            "(select list(database_name) from duckdb_databases() where not internal)"
        ).fetchall()

    before = state()
    home.sync()
    home.preview()
    assert state() == before


def test_a_hundred_thousand_rows_take_seconds(home: Warehouse, tmp_path: Path) -> None:
    home.con.execute(
        "create or replace table people as "
        "select i as id, 'name ' || i as name from range(100000) as t(i)"
    )
    home.change(kind="files", options={"path": "out.csv"})
    assert home.sync().added == 100_000
    assert home.sync().unchanged == 100_000


def test_a_removal_of_too_many_rows_names_its_limit_and_the_rows(
    home: Warehouse, there: Receiver
) -> None:
    home.change(mode="mirror", max_removed=0.25)
    home.sync()
    home.fill((0, "name 0", 0))
    with pytest.raises(ActivateError) as caught:
        home.sync()
    assert caught.value.what.startswith(
        "3 of 4 rows are no longer in `people` and would be removed"
    )
    assert "(25 %)" in caught.value.what
    assert len(there.requests) == 1
