"""A source and the models that read it change together, and a corrected export needs no help."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.projects import query, transform, write

Writer = Callable[[Path, list[dict[str, object]]], None]


def _csv(root: Path, rows: list[dict[str, object]]) -> None:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (root / "data" / "a.csv").write_text("\n".join(lines) + "\n")


def _ndjson(root: Path, rows: list[dict[str, object]]) -> None:
    (root / "data" / "a.ndjson").write_text("".join(json.dumps(r) + "\n" for r in rows))


def _parquet(root: Path, rows: list[dict[str, object]]) -> None:
    path = root / "data" / "a.ndjson"
    _ndjson(root, rows)
    duckdb.execute(f"copy (from read_json('{path}')) to '{root}/data/a.parquet'")
    path.unlink()


def _sqlite(root: Path, rows: list[dict[str, object]]) -> None:
    there = sqlite3.connect(root / "data" / "a.sqlite")
    there.execute("drop table if exists t")
    there.execute(f"create table t ({', '.join(rows[0])})")
    marks = ", ".join("?" for _ in rows[0])
    there.executemany(f"insert into t values ({marks})", [tuple(r.values()) for r in rows])
    there.commit()
    there.close()


KINDS: dict[str, tuple[Writer, str]] = {
    "csv": (_csv, "{kind: files, path: data/a.csv}"),
    "ndjson": (_ndjson, "{kind: files, path: data/a.ndjson}"),
    "parquet": (_parquet, "{kind: files, path: data/a.parquet}"),
    "sqlite": (_sqlite, "{kind: database, url: 'sqlite:data/a.sqlite'}"),
    "csv, merged": (_csv, "{kind: files, path: data/a.csv, mode: merge, key: id}"),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[Writer, str]:
    return KINDS[request.param]


def project(root: Path, load: str, model: str) -> Path:
    write(
        root,
        {
            "models/_sources.yml": f"""
                sources: [{{name: raw, tables: [{{name: t, load: {load}}}]}}]
            """,
            "models/m.sql": "{{ config(materialized='table') }} " + model,
            "data/.keep": "",
        },
    )
    return root


def test_a_new_column_and_its_first_reader_in_one_build(
    tmp_path: Path, kind: tuple[Writer, str]
) -> None:
    put, load = kind
    root = project(tmp_path, load, "select id from raw.t")
    put(root, [{"id": 1}])
    transform(root, "build")
    put(root, [{"id": 1, "colour": "red"}])
    project(root, load, "select id, colour from raw.t")
    assert "unknown column" not in transform(root, "plan").stderr
    transform(root, "build")
    assert query(root / "warehouse.duckdb", "from m") == [(1, "red")]


def test_a_corrected_export_builds_again(tmp_path: Path, kind: tuple[Writer, str]) -> None:
    put, load = kind
    root = project(tmp_path, load, "select id, price from raw.t")
    put(root, [{"id": 1, "price": 2}])
    transform(root, "build")
    put(root, [{"id": 1, "preis": 3}])
    wrong = transform(root, "build", check=False)
    if "merge" not in load:  # there the column stays, empty in what is new
        assert wrong.returncode == 1
        assert "unknown column `price`" in wrong.stderr
        assert query(root / "warehouse.duckdb", "from m") == [(1, 2)]
    put(root, [{"id": 1, "price": 4}])
    transform(root, "build")
    assert query(root / "warehouse.duckdb", "from m") == [(1, 4)]


def test_a_type_and_its_reader_change_together(tmp_path: Path) -> None:
    load = "{kind: files, path: data/a.csv}, columns: [{name: v, data_type: %s}]"
    root = project(tmp_path, load % "varchar", "select v || '!' as v from raw.t")
    _csv(root, [{"id": 1, "v": 5}])
    transform(root, "build")
    project(root, load % "integer", "select v * 2 as v from raw.t")
    transform(root, "build")
    assert query(root / "warehouse.duckdb", "from m") == [(10,)]
