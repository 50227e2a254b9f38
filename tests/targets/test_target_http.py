"""The HTTP target against a real receiver that misbehaves as told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Answer, Drop, Receiver, Slow, receiver
from tests.targets.cases import NOW, WHERE, Warehouse, warehouse
from transformer.errors import ActivateError, ConfigError

SECRET = "s3cret-token-123"


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def home(there: Receiver, tmp_path: Path) -> Iterator[Warehouse]:
    options = {"url": there.url, "headers": {"Authorization": f"Bearer {SECRET}"}}
    with warehouse(tmp_path, "http", options) as made:
        made.fill(*((n, f"name {n}", n) for n in range(10)))
        yield made


def options(home: Warehouse, **more: Any) -> None:
    home.change(options={**home.activation.options, **more})


def single(home: Warehouse, there: Receiver, **more: Any) -> None:
    options(home, body="single", removed_url=there.url + "/{id}", **more)


def test_a_batch_says_what_it_is(home: Warehouse, there: Receiver) -> None:
    home.sync()
    request = there.requests[0]
    assert request.body["activation"] == "people_out"
    assert (request.body["mode"], request.body["key"]) == ("upsert", ["id"])
    assert request.body["records"][0] == {"id": 0, "name": "name 0", "score": 0}
    assert request.key == request.body["batch"]
    assert request.headers["authorization"] == f"Bearer {SECRET}"


def test_removed_rows_are_keys_only_and_go_first(home: Warehouse, there: Receiver) -> None:
    home.change(mode="mirror")
    home.sync()
    home.fill(*((n, f"name {n}", n + 1) for n in range(8)))
    home.sync()
    body = there.requests[-1].body
    assert body["removed"] == [{"id": 8}, {"id": 9}]
    assert len(body["records"]) == 8


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", 7.0),
        (format_datetime(NOW + timedelta(seconds=9), usegmt=True), 9.0),
        ("86400", 120.0),
        ("soon", 0.5),
        ("Wed, 01 Jan 2020 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_honoured(
    home: Warehouse, there: Receiver, asked: str, waited: float
) -> None:
    there.script.append(Answer(429, headers={"Retry-After": asked}))
    assert home.sync().sent == 10
    assert home.slept == [waited]


def test_waits_grow_and_the_key_stays(home: Warehouse, there: Receiver) -> None:
    there.script.extend([Answer(500), Drop(), Drop(taken=True), Answer(503)])
    assert home.sync().sent == 10
    assert home.slept == [0.5, 1.0, 2.0, 4.0]
    assert len({request.key for request in there.requests}) == 1
    assert len({str(request.body) for request in there.requests}) == 1
    assert len(there.taken) == 10


def test_a_late_answer_is_asked_for_again(home: Warehouse, there: Receiver) -> None:
    options(home, timeout=0.2)
    there.script.append(Slow(0.6))
    assert home.sync().sent == 10
    assert len(there.taken) == 10


def test_giving_up_says_what_is_left_and_the_next_sync_goes_on(
    home: Warehouse, there: Receiver
) -> None:
    home.change(batch_size=4)
    options(home, attempts=2)
    there.script.append(Slow(0))
    there.script.extend([Answer(500, f"no {SECRET}")] * 2)
    with pytest.raises(ActivateError, match="gave up after 2 attempts: HTTP 500") as caught:
        home.sync()
    error = caught.value
    assert error.where == WHERE
    assert error.detail == ("4 rows were sent, 6 are left",)
    assert "next build continues" in error.hint
    assert SECRET not in str(error)
    again = home.sync()
    assert (again.added, again.sent, again.unchanged) == (6, 6, 4)
    assert sorted(there.rows) == list(range(10))
    assert there.requests[1].key == there.requests[2].key == there.requests[3].key
    assert len(there.taken) == 10


@pytest.mark.parametrize("style", ["rejected", "results", "batch"])
def test_a_bad_row_waits_in_quarantine_and_the_rest_lands(
    home: Warehouse, there: Receiver, style: str
) -> None:
    there.style = style
    there.refuses = lambda row: "no sevens" if row["id"] == 7 else None
    done = home.sync()
    assert (done.sent, done.rejected, done.quarantined) == (9, 1, 1)
    assert sorted(there.rows) == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    (row,) = home.quarantine()
    assert (row["key"], row["attempts"]) == ("[7]", 1)
    assert "no sevens" in row["reason"] + row["answer"]
    assert len(there.taken) == 9


def test_a_refused_row_is_sent_again_when_it_changes_or_is_asked_for(
    home: Warehouse, there: Receiver
) -> None:
    there.refuses = lambda row: "no sevens" if row["id"] == 7 and row["score"] < 100 else None
    home.sync()
    assert (home.sync().sent, len(there.requests)) == (0, 1)
    asked = home.sync(retry=True)
    assert (asked.rejected, home.quarantine()[0]["attempts"]) == (1, 2)
    home.con.execute("update people set score = 100 where id = 7")
    assert home.sync().sent == 1
    assert home.quarantine() == []
    assert 7 in there.rows


def test_a_refused_change_goes_back_to_what_was_sent(home: Warehouse, there: Receiver) -> None:
    there.refuses = lambda row: "too much" if row["score"] > 50 else None
    home.sync()
    home.con.execute("update people set score = 99 where id = 7")
    assert home.sync().rejected == 1
    home.con.execute("update people set score = 7 where id = 7")
    done = home.sync()
    assert (done.sent, done.quarantined, done.unchanged) == (0, 0, 10)


def test_a_refused_row_that_left_is_forgotten_and_never_removed(
    home: Warehouse, there: Receiver
) -> None:
    home.change(mode="mirror")
    there.refuses = lambda row: "no sevens" if row["id"] == 7 else None
    home.sync()
    home.con.execute("delete from people where id = 7")
    done = home.sync()
    assert (done.removed, done.quarantined) == (0, 0)
    assert len(there.requests) == 1


def test_a_row_whose_fault_may_pass_is_sent_again_unasked(home: Warehouse, there: Receiver) -> None:
    results = ", ".join(['{"status": 200}'] * 9 + ['{"status": 503}'])
    there.script.append(Answer(207, f'{{"results": [{results}]}}'))
    assert home.sync().rejected == 1
    again = home.sync()
    assert (again.sent, again.quarantined) == (1, 0)
    assert list(there.rows) == [9]


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_fault_of_the_request_stops_at_once(
    home: Warehouse, there: Receiver, status: int
) -> None:
    there.script.append(Answer(status, f"bad key {SECRET}"))
    with pytest.raises(ActivateError, match=f"answered HTTP {status}") as caught:
        home.sync()
    assert len(there.requests) == 1
    assert SECRET not in str(caught.value)
    assert home.quarantine() == []
    assert home.sync().sent == 10


def test_when_every_row_is_bad_all_wait_in_quarantine(home: Warehouse, there: Receiver) -> None:
    there.style = "batch"
    there.refuses = lambda _: f"no, {SECRET}"
    done = home.sync()
    assert (done.sent, done.rejected) == (0, 10)
    assert len(there.requests) == 19
    assert SECRET not in str(home.quarantine())


def test_a_207_that_names_no_rows_is_not_taken_for_success(
    home: Warehouse, there: Receiver
) -> None:
    there.script.append(Answer(207, "partly"))
    with pytest.raises(ActivateError, match="does not say which rows"):
        home.sync()


@pytest.mark.parametrize(
    "body",
    ['{"rejected": [{"index": 10}]}', '{"rejected": [3]}', '{"rejected": [{"removed": 0}]}'],
)
def test_rejecting_rows_that_were_not_sent_is_an_error(
    home: Warehouse, there: Receiver, body: str
) -> None:
    there.script.append(Answer(200, body))
    with pytest.raises(ActivateError, match="rows that it was not sent"):
        home.sync()


def test_an_endless_answer_is_not_read(home: Warehouse, there: Receiver) -> None:
    there.script.append(Answer(200, "x" * 5_000_000))
    with pytest.raises(ActivateError, match="answers more than"):
        home.sync()


def test_rows_are_not_sent_on_to_another_host(home: Warehouse, there: Receiver) -> None:
    with receiver() as other:
        there.script.append(Answer(307, headers={"Location": other.url}))
        with pytest.raises(ActivateError, match=r"redirects \(307\) to"):
            home.sync()
        assert other.requests == []


def test_a_redirect_within_the_host_keeps_the_request(home: Warehouse, there: Receiver) -> None:
    there.script.append(Answer(308, headers={"Location": "/v2/rows"}))
    assert home.sync().sent == 10
    assert there.requests[1].path == "/v2/rows"
    assert there.requests[1].body == there.requests[0].body


def test_a_redirect_that_would_drop_the_rows_is_refused(home: Warehouse, there: Receiver) -> None:
    there.script.append(Answer(302, headers={"Location": "/v2/rows"}))
    with pytest.raises(ActivateError, match=r"redirects \(302\)"):
        home.sync()


def test_single_sends_a_row_a_request_each_with_its_own_key(
    home: Warehouse, there: Receiver
) -> None:
    single(home, there)
    there.refuses = lambda row: "no sevens" if row["id"] == 7 else None
    done = home.sync()
    assert (done.sent, done.rejected) == (9, 1)
    assert there.requests[3].body == {"id": 3, "name": "name 3", "score": 3}
    assert len({request.key for request in there.requests}) == 10


def test_single_removes_by_address_and_a_row_already_gone_is_fine(
    home: Warehouse, there: Receiver
) -> None:
    home.change(mode="mirror", max_removed=1.0)
    single(home, there)
    home.model("id varchar, name varchar", ("a/b?c", "x"), ("..", "y"), ("kept", "z"), ("é", "v"))
    home.sync()
    del there.rows["é"]
    home.con.execute("delete from people where id <> 'kept'")
    assert home.sync().removed == 3
    assert list(there.rows) == ["kept"]
    paths = {request.path for request in there.requests if request.method == "DELETE"}
    assert paths == {"/rows/a%2Fb%3Fc", "/rows/%2E%2E", "/rows/%C3%A9"}
    assert home.sync().sent == 0


def test_single_goes_on_after_the_last_answered_row(home: Warehouse, there: Receiver) -> None:
    there.remembers = False
    single(home, there, attempts=2)
    there.script.extend([*[Slow(0)] * 4, Answer(500), Slow(0), Answer(500), Answer(500)])
    with pytest.raises(ActivateError) as caught:
        home.sync()
    assert caught.value.detail == ("5 rows were sent, 5 are left",)
    last = there.requests[-1].key
    assert home.sync().sent == 5
    assert there.requests[8].key == last
    assert [row["id"] for row in there.taken] == list(range(10))


def test_nobody_there_is_an_error_that_shows_no_path(home: Warehouse, there: Receiver) -> None:
    options(home, url="http://127.0.0.1:9/services/T0000000000000000001", attempts=3)
    with pytest.raises(ActivateError, match="gave up after 3 attempts") as caught:
        home.sync()
    assert "T0000000000000000001" not in str(caught.value)
    assert len(home.slept) == 2


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"url": "ftp://example.com/x"}, "must start with http"),
        ({"url": "http:///x"}, "must start with http"),
        ({"headers": {"X": "é"}}, "plain ASCII"),
    ],
)
def test_options_that_cannot_be(home: Warehouse, given: dict[str, Any], what: str) -> None:
    options(home, **given)
    with pytest.raises(ConfigError, match=what) as caught:
        home.sync()
    assert caught.value.where == WHERE


def test_single_mirror_needs_an_address_for_removed_rows(home: Warehouse, there: Receiver) -> None:
    home.change(mode="mirror")
    options(home, body="single")
    with pytest.raises(ConfigError, match="needs `removed_url`"):
        home.sync()
    options(home, removed_url=there.url + "/{idd}")
    with pytest.raises(ConfigError, match="uses `idd`") as caught:
        home.sync()
    assert caught.value.hint == "did you mean `id`?"
