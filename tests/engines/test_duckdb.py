"""DuckDB as engine: what it is allowed to do, and what a killed process leaves in its files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from transformer.engines import duckdb as duckdb_engine
from transformer.errors import Fault
from transformer.names import RelationName


@contextmanager
def opened(folder: Path) -> Iterator[Any]:
    made = duckdb_engine.connect(folder / "w.duckdb")
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_that_is_attached_to_be_read_is_not_written(
    tmp_path: Path, read_only: bool
) -> None:
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as con:
        con.execute("create table facts as select 1 as x")
    before = other.read_bytes()
    with opened(tmp_path) as engine:
        engine.equip([], [{"path": str(other), "alias": "other", "read_only": read_only}], [])
        with engine.session() as session:
            assert session.rows("from other.facts") == [(1,)]
            if read_only:
                with pytest.raises(Fault, match="read-only"):
                    session.run("insert into other.facts values (2)")
            else:
                session.run("insert into other.facts values (2)")
    assert (other.read_bytes() == before) is read_only


def test_a_secret_counts_for_its_scope_only(tmp_path: Path) -> None:
    secret = {"type": "s3", "name": "mine", "key_id": "a", "secret": "b", "scope": "s3://mine"}
    with opened(tmp_path) as engine:
        engine.equip(["httpfs"], [], [secret])
        with engine.session() as session:
            asked = "select name from which_secret('s3://{}/x.csv', 's3')"
            assert session.rows(asked.format("mine")) == [("mine",)]
            assert session.rows(asked.format("theirs")) == []


# Commits a table, and is killed while that is in the log only.
KILLED = """
import duckdb, os, sys
con = duckdb.connect(sys.argv[1])
con.execute("create table stale as select 1 as x")
os.kill(os.getpid(), 9)
"""


def killed(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert path.with_name(f"{path.name}.wal").stat().st_size


def tables(path: Path) -> list[str]:
    with duckdb.connect(str(path), read_only=True) as con:
        return [
            name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()
        ]


def test_what_a_killed_build_left_does_not_come_into_a_new_extract(tmp_path: Path) -> None:
    shown = tmp_path / "extract" / "shown.duckdb"
    killed(shown)
    made = duckdb_engine.connect(tmp_path / "w.duckdb")
    with made.session() as session:
        session.run("create table two as select 2 as n")
    made.export(shown, [RelationName("main", "two")])
    made.close()
    assert sorted(path.name for path in shown.parent.iterdir()) == ["shown.duckdb"]
    assert tables(shown) == ["two"]


def test_what_a_killed_build_left_does_not_come_into_a_smaller_file(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("create table kept as select 1 as x")
    killed(tmp_path / "compact" / "w.duckdb")
    assert duckdb_engine.compact_if_bloated(path, share=0, least=0)
    assert tables(path) == ["kept"]
    assert [p.name for p in tmp_path.rglob("*") if "wal" in p.name] == []


def test_no_session_gets_extensions_from_a_network(tmp_path: Path) -> None:
    """DuckDB would fetch one where a query asks for it, and load it."""
    made = duckdb_engine.connect(tmp_path / "w.duckdb")
    asked = "select current_setting('autoinstall_known_extensions')"
    with made.session() as session, duckdb_engine.loose() as loose:
        assert session.rows(asked) == loose.rows(asked) == [(False,)]
    made.close()
