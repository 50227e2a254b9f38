"""What templates and artifacts are told of nodes: expected is what dbt-core 1.12 wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.dbt.test_build import project, rows, run
from tests.projects import transform

FILES = {
    "models/all.yml": """
        groups: [{name: sales, owner: {name: ann}, description: those who sell}]
        models:
          - name: shop
            latest_version: 2
            group: sales
            versions:
              - {v: 1, deprecation_date: 2029-01-31}
              - {v: 2}
            columns: [{name: id, data_tests: [unique, not_null]}, {name: b, data_tests: [unique]}]
          - name: days
            deprecation_date: 2031-02-03 04:05:06
            time_spine: {standard_granularity_column: day}
            constraints: [{type: primary_key, columns: [day]}]
            columns:
              - {name: day, granularity: day, data_type: date, constraints: [{type: not_null}]}
              - {name: n, data_tests: [unique]}
          - {name: plain, columns: [{name: n, data_tests: [unique]}, {name: m}]}
        sources:
          - name: raw
            description: "where {{ 'all' }} comes from"
            meta: {owner: ann}
            loaded_at_field: at
            freshness: {warn_after: {count: 36, period: hour}}
            quoting: {identifier: true}
            tables:
              - {name: t, description: a table, meta: {kind: fact}, identifier: raw_orders,
                 schema: main, columns: [{name: id, data_tests: [not_null]}]}
        exposures:
          - name: board
            type: dashboard
            owner: {name: ann}
            meta: {floor: 3}
            tags: [seen]
            depends_on: ["ref('plain')", "ref('shop', v=1)", "source('raw', 't')"]
    """,
    "models/shop_v1.sql": "select 1 as id, 2 as b",
    "models/shop_v2.sql": "select 1 as id, 2 as b",
    "models/days.sql": "select date '2024-01-01' as day, 1 as n",
    "models/plain.sql": "select\n  1 as n,\n  2 as m\n",
}
CONSTRAINT: dict[str, Any] = {
    "name": None, "expression": None, "warn_unenforced": True, "warn_unsupported": True,
    "to": None, "to_columns": [],
}  # fmt: skip
# By id and field, a dot before what stands inside.
FACTS: dict[tuple[str, str], Any] = {
    ("model.shop.shop.v1", "version"): 1,
    ("model.shop.shop.v1", "latest_version"): 2,
    ("model.shop.shop.v1", "deprecation_date"): "2029-01-31T00:00:00+00:00",
    ("model.shop.shop.v1", "primary_key"): ["id"],
    ("model.shop.shop.v2", "version"): 2,
    ("model.shop.shop.v2", "latest_version"): 2,
    ("model.shop.shop.v2", "deprecation_date"): None,
    ("model.shop.days", "deprecation_date"): "2031-02-03T04:05:06+00:00",
    ("model.shop.days", "version"): None,
    ("model.shop.days", "primary_key"): ["day"],
    ("model.shop.days", "time_spine"): {
        "standard_granularity_column": "day",
        "custom_granularities": [],
    },
    ("model.shop.days", "constraints"): [{"type": "primary_key", **CONSTRAINT, "columns": ["day"]}],
    ("model.shop.days", "columns.day.granularity"): "day",
    ("model.shop.days", "columns.day.constraints"): [{"type": "not_null", **CONSTRAINT}],
    ("model.shop.plain", "primary_key"): ["n"],
    ("model.shop.plain", "functions"): [],
    ("model.shop.plain", "config.pre-hook"): [],
    # sha256 of `select 1 as n, 2 as m`
    ("model.shop.plain", "checksum.checksum"): (
        "12e9dd6cd02f4aea030adfc17de664a9bab0b5a780c14d609de3a02a6cf28583"
    ),
    ("source.shop.raw.t", "source_description"): "where all comes from",
    ("source.shop.raw.t", "source_meta"): {"owner": "ann"},
    ("source.shop.raw.t", "description"): "a table",
    ("source.shop.raw.t", "meta"): {"owner": "ann", "kind": "fact"},
    ("source.shop.raw.t", "path"): "models/all.yml",
    ("source.shop.raw.t", "quoting.identifier"): True,
    ("source.shop.raw.t", "config.loaded_at_field"): "at",
    ("source.shop.raw.t", "freshness.warn_after"): {"count": 36, "period": "hour"},
    ("exposure.shop.board", "refs"): [
        {"name": "plain", "package": None, "version": None},
        {"name": "shop", "package": None, "version": 1},
    ],
    ("exposure.shop.board", "sources"): [["raw", "t"]],
    ("exposure.shop.board", "config.tags"): ["seen"],
    ("exposure.shop.board", "config.meta"): {"floor": 3},
    ("group.shop.sales", "description"): "those who sell",
    ("group.shop.sales", "config.meta"): {},
}


def told(manifest: dict[str, Any], node_id: str, field: str) -> Any:
    found = {**manifest["nodes"], **manifest["sources"], **manifest["exposures"],
             **manifest["groups"]}[node_id]  # fmt: skip
    for part in field.split("."):
        found = found[part]
    return found


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = project(tmp_path_factory.mktemp("facts"), **FILES)
    transform(root, "parse")
    made: dict[str, Any] = json.loads((root / "target" / "manifest.json").read_text())
    return made


@pytest.mark.parametrize(("node_id", "field"), FACTS, ids=str)
def test_the_manifest_says_what_dbt_s_says(
    manifest: dict[str, Any], node_id: str, field: str
) -> None:
    assert told(manifest, node_id, field) == FACTS[node_id, field]


def test_tests_are_told_of_as_in_dbt(manifest: dict[str, Any]) -> None:
    tests = {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] == "test"}
    own, of_source = tests["unique_shop_v1_id"], tests["source_not_null_raw_t_id"]
    keys = ("group", "attached_node", "file_key_name")
    assert [own[k] for k in keys] == ["sales", "model.shop.shop.v1", "models.shop"]
    assert [of_source[k] for k in keys] == [None, None, "sources.raw"]
    assert own["config"]["store_failures"] is None


def test_templates_read_the_same_facts(tmp_path: Path) -> None:
    asking = """
        {{ config(materialized='table') }}
        {% if execute %}
        {% set old = graph.nodes['model.shop.shop.v1'] %}
        {% set src = graph.sources.values() | first %}
        select '{{ old.deprecation_date }}' as ends, {{ old.latest_version + old.version }} as both,
               '{{ src.source_description }}' as said, '{{ src.source_meta.owner }}' as owner
        {% else %} select 1 as a {% endif %}
    """
    root = project(tmp_path, **{**FILES, "models/asking.sql": asking})
    run(root, "build", "raw_orders", "asking")
    assert rows(root, "from asking") == [
        ("2029-01-31T00:00:00+00:00", 3, "where all comes from", "ann")
    ]


EMPTY: dict[str, Any] = {
    "unrendered_config": {},
    "doc_blocks": [],
    "build_path": None,
    "compiled_path": None,
    "contract.checksum": None,
}


def test_the_fields_that_the_docs_call_empty_are(manifest: dict[str, Any]) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "dbt" / "coming-from-dbt.md").read_text()
    section = docs.partition("## What artifacts")[2].partition("\n## ")[0]
    for field, value in EMPTY.items():
        assert f"`{field}`" in section
        assert told(manifest, "model.shop.plain", field) == value
    model = manifest["nodes"]["model.shop.plain"]
    empty = {key for key, value in model.items() if value in (None, [], {}, "")}
    # What is empty of a plain model with dbt as well.
    assert empty - set(EMPTY) == {
        *("description", "meta", "tags", "refs", "sources", "metrics", "functions", "constraints"),
        *("extra_ctes", "group", "version", "latest_version", "deprecation_date", "time_spine"),
    }


def test_an_exposure_of_what_is_not_there_is_refused(tmp_path: Path) -> None:
    files = {
        "models/plain.sql": "select 1 as n",
        "models/off.sql": "{{ config(enabled=false) }} select 1 as n",
        "models/boards.yml": """
            exposures:
              - name: board
                type: dashboard
                owner: {name: ann}
                depends_on: ["ref('plain')", "ref('plane')", "ref('off')", "source('a', 'b')"]
        """,
    }
    done = transform(project(tmp_path, **files), "build", check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert all(each in said for each in ("ref('plane')", "ref('off')", "source('a', 'b')"))
    assert "ref('plain')" not in said
