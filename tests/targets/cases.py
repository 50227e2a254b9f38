"""A small warehouse to send from, and a real place of every kind to send to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from tests.postgres import new_database
from tests.servers import receiver
from transformer.errors import Where
from transformer.project.paths import Places
from transformer.project.values import Activation
from transformer.sync.delivery import SyncClock
from transformer.sync.sync import (
    SyncJob,
    SyncPreview,
    SyncResult,
    preview,
    quarantined,
    reset,
    sync,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WHERE = Where("models/_people.yml", 7)
Rows = dict[int, dict[str, Any]]


@dataclass
class Warehouse:
    """A warehouse with one model, `people`, and an activation of it."""

    folder: Path
    con: duckdb.DuckDBPyConnection
    activation: Activation
    slept: list[float] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        return self.folder / "warehouse.sync.duckdb"

    @property
    def job(self) -> SyncJob:
        select = 'select * from "main"."people"'
        return SyncJob(self.activation, select, self.ledger, Places(self.folder))

    @property
    def world(self) -> SyncClock:
        seen = self.progress
        return SyncClock(
            now=lambda: NOW,
            sleep=self.slept.append,
            chance=lambda: 1.0,
            on_progress=lambda done, total: seen.append((done, total)),
        )

    def fill(self, *rows: tuple[Any, ...]) -> None:
        """The model's rows: id, name, score."""
        self.model("id integer, name varchar, score integer", *rows)

    def model(self, columns: str, *rows: tuple[Any, ...]) -> None:
        self.con.execute(f"create or replace table people ({columns})")
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            self.con.executemany(f"insert into people values ({marks})", rows)

    def sync(self, **given: bool) -> SyncResult:
        return sync(self.job, self.con, self.world, **given)

    def preview(self, **given: bool) -> SyncPreview:
        return preview(self.job, self.con, **given)

    def reset(self) -> None:
        reset(self.job, self.con, self.world)

    def change(self, **changes: Any) -> None:
        """The same activation with some of its values changed."""
        self.activation = replace(self.activation, **changes)

    def quarantine(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = quarantined(self.con, self.ledger).to_pylist()
        return rows

    def kept(self, table: str) -> list[tuple[Any, ...]]:
        """What stands in a table of the ledger."""
        with duckdb.connect(str(self.ledger), read_only=True) as con:
            return con.execute(f"from {table} order by all").fetchall()


@contextmanager
def warehouse(folder: Path, kind: str, options: Mapping[str, Any]) -> Iterator[Warehouse]:
    activation = Activation("people_out", "people", kind, options, ("id",), WHERE)
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        yield Warehouse(folder, con, activation)


@dataclass
class Place:
    """A real place: the options that lead there, what it holds, and how it is lost."""

    options: dict[str, Any]
    rows: Callable[[], Rows]
    lose: Callable[[], None] | None = None
    secret: str = ""


@contextmanager
def http_place(folder: Path) -> Iterator[Place]:
    secret = "s3cret-token-123"
    with receiver() as there:
        options = {"url": there.url, "headers": {"Authorization": f"Bearer {secret}"}}
        yield Place(options, lambda: dict(there.rows), secret=secret)


@contextmanager
def files_place(folder: Path) -> Iterator[Place]:
    path = folder / "out" / "people.ndjson"

    def rows() -> Rows:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return {row["id"]: row for row in map(json.loads, lines)}

    yield Place({"path": "out/people.ndjson"}, rows, path.unlink)


@contextmanager
def postgres_place(folder: Path) -> Iterator[Place]:
    url = new_database()

    def rows() -> Rows:
        with psycopg.connect(url) as connection:
            if not connection.execute("select to_regclass('public.people')").fetchone()[0]:  # type: ignore[index]
                return {}
            found = connection.execute("select to_jsonb(people) from people").fetchall()
        return {row[0]["id"]: row[0] for row in found}

    def lose() -> None:
        with psycopg.connect(url) as connection:
            connection.execute("drop table people")

    secret = "pa55word-of-mine"
    options = {"url": url.replace("postgres:@", f"postgres:{secret}@"), "table": "people"}
    yield Place(options, rows, lose, secret)


PLACES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "files": files_place,
    "http": http_place,
    "postgres": postgres_place,
}
