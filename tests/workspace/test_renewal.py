"""Artifacts of a dbt build with nothing to do: as a whole run would write them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.projects import transform, write

PROJECT = {
    "dbt_project.yml": "{name: shop, version: '1', profile: shop}",
    "profiles.yml": """
        shop:
          target: dev
          outputs:
            dev: {type: duckdb, path: warehouse.duckdb, schema: dev}
            prd: {type: duckdb, path: warehouse.duckdb, schema: prd}
        """,
    "models/a.sql": "{{ config(materialized='table') }} select 1 as id",
    "models/b.sql": "select id from {{ ref('a') }}",
    "models/models.yml": """
        models:
          - {name: a, columns: [{name: id, data_tests: [not_null, unique]}]}
        exposures:
          - {name: board, type: dashboard, owner: {name: Ada}, depends_on: [ref('b')]}
        """,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, PROJECT)
    transform(tmp_path, "build")
    return tmp_path


def artifact(root: Path, name: str) -> Any:
    return json.loads((root / "target" / f"{name}.json").read_text())


def undated(value: Any) -> str:
    """The artifact without the moments and the id of its call."""
    text = re.sub(r'"(created_at)": [\d.]+', r'"\1": 0', json.dumps(value, sort_keys=True))
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "MOMENT", text)
    return re.sub(r'"invocation_id": "[^"]+"', '"invocation_id": ""', text)


def is_certain(root: Path) -> bool:
    """Whether files alone tell the next build that it has nothing to do."""
    return any((root / ".transform").glob("standing-*"))


@pytest.mark.parametrize("name", ["manifest", "run_results"])
def test_an_idle_build_leaves_what_a_whole_one_leaves(root: Path, name: str) -> None:
    assert is_certain(root)
    before = artifact(root, name)
    transform(root, "build")
    quick = artifact(root, name)
    for path in (root / ".transform").glob("standing-*"):
        path.unlink()
    transform(root, "build")
    whole = artifact(root, name)
    assert undated(quick) == undated(whole)
    ids = {made["metadata"]["invocation_id"] for made in (before, quick, whole)}
    moments = {made["metadata"]["generated_at"] for made in (before, quick, whole)}
    assert len(ids) == len(moments) == 3
    if name == "run_results":
        assert [(each["unique_id"], each["status"]) for each in quick["results"]] == [
            ("exposure.shop.board", "no-op")
        ]


def test_an_idle_build_says_what_a_whole_one_says(root: Path) -> None:
    quick = transform(root, "build")
    for path in (root / ".transform").glob("standing-*"):
        path.unlink()
    whole = transform(root, "build")
    assert quick.stderr == whole.stderr
    assert quick.stdout == whole.stdout


@pytest.mark.parametrize("command", ["compile", "parse"])
def test_the_manifest_of_another_target_is_replaced(root: Path, command: str) -> None:
    transform(root, command, "--target", "prd")
    assert artifact(root, "manifest")["nodes"]["model.shop.a"]["schema"] == "prd"
    transform(root, "build")
    assert artifact(root, "manifest")["nodes"]["model.shop.a"]["schema"] == "dev"


@pytest.mark.parametrize(
    "text", [None, "", "{", '{"metadata": 1}', '{"metadata": {}, "nodes": {}}']
)
def test_a_manifest_that_is_gone_or_broken_is_written_again(root: Path, text: str | None) -> None:
    path = root / "target" / "manifest.json"
    path.unlink()
    if text is not None:
        path.write_text(text)
    transform(root, "build")
    assert set(artifact(root, "manifest")["nodes"]) >= {"model.shop.a", "model.shop.b"}


def test_the_call_is_in_the_artifacts(root: Path) -> None:
    transform(root, "build", env={"DBT_ENV_CUSTOM_ENV_TEAM": "core"})
    assert artifact(root, "manifest")["metadata"]["env"] == {"TEAM": "core"}
    assert artifact(root, "run_results")["metadata"]["env"] == {"TEAM": "core"}


def test_a_project_with_an_env_file_is_cached(tmp_path: Path) -> None:
    write(tmp_path, PROJECT | {".env": "DBT_ENV_SECRET_KEY=of-nobody-else\nNAME=shop\n"})
    transform(tmp_path, "build")
    assert is_certain(tmp_path)
    (trace,) = (tmp_path / ".transform").glob("trace-*")
    before = trace.stat().st_mtime_ns
    transform(tmp_path, "ls")
    transform(tmp_path, "build")
    assert trace.stat().st_mtime_ns == before
    write(tmp_path, {".env": "DBT_ENV_SECRET_OTHER=of-nobody-else\n"})
    transform(tmp_path, "ls")
    assert trace.stat().st_mtime_ns != before


@pytest.mark.parametrize(
    "text",
    [
        "{{ config(materialized='table') }} select 2 as id",
        "{{ config(materialized='table') }} select id from {{ ref('c') }}",
        "{{ config(materialized='table', tags=['x']) }} select 1 as id",
        "{{ config(materialized='view', meta={'owner': 'Ada'}) }} select 1 as id",
    ],
    ids=["sql", "reference", "tag", "configuration"],
)
def test_the_artifacts_after_an_edit_are_those_of_a_whole_build(root: Path, text: str) -> None:
    write(root, {"models/c.sql": "select 3 as id"})
    transform(root, "build")
    write(root, {"models/a.sql": text})
    transform(root, "build")
    quick = artifact(root, "manifest")
    assert quick["nodes"]["model.shop.a"]["raw_code"] == text
    for path in (root / ".transform").glob("*.msgpack"):
        path.unlink()
    transform(root, "parse")
    whole = artifact(root, "manifest")
    assert without_compiled(quick) == without_compiled(whole)
    compiled = (root / "target" / "compiled" / "shop" / "models" / "a.sql").read_text()
    assert compiled == quick["nodes"]["model.shop.a"]["compiled_code"]


def without_compiled(manifest: Any) -> str:
    """The manifest without what `parse` does not know, and without moments and ids."""
    return undated(manifest)
