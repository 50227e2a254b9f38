"""For every kind of source: a real place that rows are put into, and read from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = tuple[Any, Any]
COLUMNS = ("id", 'odd "name"; --')


@dataclass(frozen=True)
class Case:
    """How the contract suite uses a kind: rows of two columns are written, whole."""

    options: dict[str, Any]
    write: Callable[[Path, Sequence[Row]], None]
    unreachable: dict[str, Any]
    secret: str


def _ndjson(folder: Path, rows: Sequence[Row]) -> None:
    text = "".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows)
    (folder / "a.ndjson").write_text(text)


def _sqlite(folder: Path, rows: Sequence[Row]) -> None:
    there = sqlite3.connect(folder / "a.sqlite")
    names = ", ".join('"' + c.replace('"', '""') + '"' for c in COLUMNS)
    there.execute("drop table if exists t")
    there.execute(f"create table t ({names})")
    there.executemany("insert into t values (?, ?)", rows)
    there.commit()
    there.close()


# A new kind of source needs an entry here; the suite says so when it has none.
CASES: dict[str, Case] = {
    "files": Case(
        options={"path": ("*.ndjson",)},
        write=_ndjson,
        unreachable={"path": ("http://me:hunter2hunter2@127.0.0.1:1/a.csv",)},
        secret="hunter2hunter2",
    ),
    "database": Case(
        options={"url": "sqlite:a.sqlite", "table": "t"},
        write=_sqlite,
        unreachable={"url": "postgres://me:hunter2hunter2@127.0.0.1:1/x", "table": "t"},
        secret="hunter2hunter2",
    ),
}
