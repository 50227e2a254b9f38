"""A sync that is killed at any instant loses nothing and sends nothing twice."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg
import pytest

from tests.postgres import new_database
from tests.servers import Request, receiver
from transformer.errors import Where
from transformer.project.paths import Places
from transformer.project.values import Activation
from transformer.sync.sync import SyncJob, SyncPreview, preview

CHILD = Path(__file__).parents[1] / "targets" / "crash_child.py"
KILLS = 12
ROWS = 400


def fill(folder: Path, select: str) -> None:
    with duckdb.connect(str(folder / "w.duckdb")) as con:
        con.execute(f"create or replace table people as {select}")


def start(folder: Path, kind: str, mode: str, options: dict[str, Any]) -> subprocess.Popen[str]:
    settings = {"folder": str(folder), "kind": kind, "mode": mode, "options": options}
    words = [sys.executable, "-W", "error", str(CHILD), json.dumps({**settings, "batch_size": 10})]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def look_ahead(folder: Path, mode: Any, options: dict[str, Any]) -> SyncPreview:
    """What is left to do: the ledger of a killed sync can be read, and is not written."""
    there = Where("models/_people.yml", 1)
    activation = Activation("out", "people", "http", options, ("id",), there, mode=mode)
    job = SyncJob(activation, "select * from people", folder / "w.sync.duckdb", Places(folder))
    before = {path.name: path.read_bytes() for path in folder.glob("w.sync*")}
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as con:
        seen = preview(job, con)
    assert before == {path.name: path.read_bytes() for path in folder.glob("w.sync*")}
    return seen


def finish(process: subprocess.Popen[str]) -> None:
    out, err = process.communicate(timeout=60)
    assert out.endswith("done\n"), err


def kill(process: subprocess.Popen[str]) -> bool:
    """SIGKILL; whether it was still at work."""
    process.kill()
    out, _ = process.communicate(timeout=60)
    return not out.endswith("done\n")


def kill_within(
    folder: Path, begin: Callable[[], subprocess.Popen[str]], longest: float, times: int = KILLS
) -> int:
    """Kill runs at random instants after they are ready; how many were hit at work."""
    hits = 0
    chance = random.Random(20260301)
    for _ in range(times):
        process = begin()
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, longest))
        hits += kill(process)
    return hits


def kill_at_requests(
    process: subprocess.Popen[str], number: int, wait: float
) -> Callable[[Request], None]:
    """An observer of the receiver that kills the process after so many requests."""
    left = [number]

    def seen(_: Request) -> None:
        left[0] -= 1
        if left[0] == 0:
            threading.Timer(wait, process.kill).start()

    return seen


def refuses(row: dict[str, Any]) -> str | None:
    return "no" if row["id"] % 90 == 7 else None


@pytest.mark.parametrize(
    ("mode", "style"), [("upsert", "rejected"), ("append", "batch"), ("mirror", "results")]
)
def test_http_gets_every_row_once(tmp_path: Path, mode: str, style: str) -> None:
    chance = random.Random(mode)
    fill(tmp_path, f"select i as id, 'name ' || i as name from range({ROWS}) as t(i)")
    good = [n for n in range(ROWS) if not refuses({"id": n})]
    with receiver(delay=0.004, style=style, refuses=refuses) as there:
        options = {"url": there.url, "attempts": 1}
        hits = 0
        for _ in range(KILLS):
            process = start(tmp_path, "http", mode, options)
            there.on_request = kill_at_requests(
                process, chance.randint(1, 4), chance.uniform(0.0, 0.02)
            )
            hits += process.wait(timeout=60) < 0
            process.communicate()
        assert hits >= 10
        seen = look_ahead(tmp_path, mode, options)
        assert seen.added + seen.unchanged + seen.quarantined == ROWS
        there.on_request = lambda _: None
        finish(start(tmp_path, "http", mode, options))
        assert sorted(there.rows) == good
        assert sorted(row["id"] for row in there.taken) == good
        keys = [request.key for request in there.requests]
        bodies = {(request.key, json.dumps(request.body)) for request in there.requests}
        assert len(bodies) == len(set(keys)), "the same key came with other content"


def test_a_request_that_is_cut_short_never_arrived() -> None:
    """The receiver itself: a client killed between head and body has sent nothing."""
    with receiver() as there:
        parts = urlsplit(there.url)
        with socket.create_connection((str(parts.hostname), parts.port or 80)) as line:
            line.sendall(b"POST /rows HTTP/1.1\r\nHost: here\r\nContent-Length: 20\r\n\r\n{")
            line.shutdown(socket.SHUT_WR)
            assert line.recv(100) == b""
        assert there.requests == []


def test_mirror_removes_every_row_once(tmp_path: Path) -> None:
    chance = random.Random(7)
    fill(tmp_path, f"select i as id, 'name ' || i as name from range({ROWS}) as t(i)")
    with receiver(delay=0.004) as there:
        options = {"url": there.url, "attempts": 1}
        finish(start(tmp_path, "http", "mirror", options))
        fill(tmp_path, f"select i as id, 'new ' || i as name from range(200, {ROWS + 50}) as t(i)")
        for _ in range(KILLS):
            process = start(tmp_path, "http", "mirror", options)
            there.on_request = kill_at_requests(process, 3, chance.uniform(0.0, 0.02))
            process.wait(timeout=60)
            process.communicate()
        there.on_request = lambda _: None
        finish(start(tmp_path, "http", "mirror", options))
        expected = {i: {"id": i, "name": f"new {i}"} for i in range(200, ROWS + 50)}
        assert there.rows == expected
        assert sorted(there.removed) == list(range(200))


@pytest.mark.parametrize("mode", ["append", "mirror"])
def test_postgres_ends_with_exactly_the_right_rows(tmp_path: Path, mode: str) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table people (id int primary key, name text)")
    fill(tmp_path, "select i as id, 'name ' || i as name from range(1500) as t(i)")
    options = {"url": url, "table": "people"}
    hits = kill_within(tmp_path, lambda: start(tmp_path, "postgres", mode, options), 0.4)
    assert hits > 0
    finish(start(tmp_path, "postgres", mode, options))
    with psycopg.connect(url) as connection:
        found = connection.execute("select id, name from people order by id").fetchall()
    assert found == [(i, f"name {i}") for i in range(1500)]


@contextmanager
def looking_at(path: Path) -> Iterator[list[str]]:
    """Digests of all that is seen in the file while the block runs: it is read again and again."""
    seen: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            if path.exists():
                seen.append(hashlib.sha256(path.read_bytes()).hexdigest())
            time.sleep(0.001)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_a_file_is_whole_at_every_instant(tmp_path: Path) -> None:
    """It has all rows of one state of the model, whenever it is read and whoever was killed."""
    path, whole = tmp_path / "out.csv", []
    options = {"path": "out.csv"}
    for state in ("old", "new"):
        fill(tmp_path, f"select i as id, '{state} ' || i as name from range(50000) as t(i)")
        finish(start(tmp_path, "files", "mirror", options))
        assert path.read_text() == "id,name\n" + "".join(f"{i},{state} {i}\n" for i in range(50000))
        whole.append(hashlib.sha256(path.read_bytes()).hexdigest())
    with looking_at(path) as seen:
        for state in ("old", "new"):
            fill(tmp_path, f"select i as id, '{state} ' || i as name from range(50000) as t(i)")
            kill_within(tmp_path, lambda: start(tmp_path, "files", "mirror", options), 0.3, 4)
            finish(start(tmp_path, "files", "mirror", options))
    assert set(seen) == set(whole)
    assert len(seen) > 100
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "w.duckdb", "w.sync.duckdb"]
