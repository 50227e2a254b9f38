"""Every value of every key of a dbt project, of every kind: it is built, or the place is named."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.hostile.test_yaml import PARTS, Whole, dumped, never_its_own_fault, put, said
from tests.projects import transform, write

TREES: dict[str, dict[str, Any]] = {
    "dbt_project.yml": {
        "name": "shop",
        "version": "1.0",
        "config-version": 2,
        "profile": "shop",
        "model-paths": ["models"],
        "seed-paths": ["seeds"],
        "test-paths": ["tests"],
        "macro-paths": ["macros"],
        "snapshot-paths": ["snapshots"],
        "analysis-paths": ["analyses"],
        "target-path": "target",
        "clean-targets": ["target"],
        "packages-install-path": "dbt_packages",
        "require-dbt-version": ">=1.0.0",
        "quoting": {"identifier": True},
        "vars": {"a": 1, "shop": {"b": 2}},
        "models": {
            "shop": {
                "+materialized": "table",
                "+schema": "x",
                "+tags": ["t"],
                "+meta": {"a": 1},
                "+pre-hook": "select 1",
                "+contract": {"enforced": False},
            },
        },
        "seeds": {"shop": {"+column_types": {"kind": "varchar"}, "+delimiter": ","}},
        "snapshots": {"+strategy": "check"},
        "data_tests": {"+severity": "warn"},
        "on-run-start": ["select 1"],
        "on-run-end": "select 2",
        "dispatch": [{"macro_namespace": "dbt", "search_order": ["shop", "dbt"]}],
        "query-comment": "c",
        "flags": {"send_anonymous_usage_stats": False},
    },
    "profiles.yml": {
        "shop": {
            "target": "dev",
            "outputs": {
                "dev": {
                    "type": "duckdb",
                    "path": "w.duckdb",
                    "schema": "main",
                    "threads": 1,
                    "extensions": ["json"],
                    "settings": {"memory_limit": "2GB"},
                    "attach": [
                        {
                            "path": "far.duckdb",
                            "alias": "far",
                            "type": "duckdb",
                            "read_only": True,
                        },
                    ],
                },
            },
        },
    },
    "models/_all.yml": {
        "version": 2,
        "models": [
            {
                "name": "m",
                "description": "d",
                "docs": {"show": True},
                "access": "public",
                "group": None,
                "latest_version": 1,
                "deprecation_date": "2024-01-01",
                "config": {
                    "materialized": "incremental",
                    "unique_key": ["id"],
                    "incremental_strategy": "merge",
                    "on_schema_change": "ignore",
                    "tags": ["t"],
                    "meta": {},
                    "alias": "m",
                    "schema": "y",
                    "enabled": True,
                    "full_refresh": False,
                    "contract": {"enforced": False},
                    "persist_docs": {"relation": True},
                    "grants": {},
                    "event_time": "id",
                    "batch_size": "day",
                    "begin": "2024-01-01",
                    "lookback": 1,
                },
                "constraints": [{"type": "primary_key", "columns": ["id"]}],
                "versions": None,
                "columns": [
                    {
                        "name": "id",
                        "data_type": "int",
                        "description": "d",
                        "quote": False,
                        "constraints": [{"type": "not_null"}],
                        "tags": ["t"],
                        "meta": {},
                        "data_tests": [
                            "unique",
                            {
                                "not_null": {
                                    "config": {
                                        "severity": "warn",
                                        "where": "id > 0",
                                        "limit": 5,
                                        "store_failures": True,
                                        "warn_if": ">1",
                                        "error_if": ">2",
                                        "fail_calc": "count(*)",
                                    },
                                    "name": "nn",
                                },
                            },
                            {
                                "accepted_values": {"arguments": {"values": [1], "quote": False}},
                            },
                            {"relationships": {"to": "ref('kinds')", "field": "kind"}},
                        ],
                    },
                ],
                "data_tests": [],
            },
        ],
        "sources": [
            {
                "name": "s",
                "description": "d",
                "database": None,
                "schema": "main",
                "loader": "x",
                "loaded_at_field": "id",
                "freshness": {"warn_after": {"count": 1, "period": "day"}},
                "quoting": {"identifier": True},
                "tags": ["t"],
                "meta": {"external_location": "data/{name}.csv"},
                "config": {"enabled": True},
                "tables": [
                    {
                        "name": "a",
                        "identifier": "a",
                        "description": "d",
                        "loaded_at_field": "id",
                        "freshness": None,
                        "external": {"location": "x"},
                        "columns": [{"name": "id", "data_tests": ["unique"]}],
                        "data_tests": [],
                        "tags": ["t"],
                        "meta": {},
                    },
                ],
            },
        ],
        "seeds": [
            {
                "name": "kinds",
                "description": "d",
                "config": {
                    "column_types": {"kind": "varchar"},
                    "quote_columns": True,
                    "delimiter": ",",
                },
                "columns": [{"name": "kind"}],
                "data_tests": [],
            },
        ],
        "snapshots": [
            {
                "name": "snap",
                "relation": "ref('m')",
                "description": "d",
                "config": {
                    "unique_key": "id",
                    "strategy": "check",
                    "check_cols": "all",
                    "hard_deletes": "ignore",
                    "dbt_valid_to_current": None,
                    "snapshot_meta_column_names": {"dbt_valid_from": "f"},
                },
                "columns": [],
            },
        ],
        "exposures": [
            {
                "name": "e",
                "type": "dashboard",
                "owner": {"name": "a", "email": "b"},
                "depends_on": ["ref('m')"],
                "url": "x",
                "maturity": "high",
                "label": "l",
                "tags": [],
                "meta": {},
            },
        ],
        "groups": [{"name": "g", "owner": {"name": "a"}}],
        "macros": [
            {
                "name": "w",
                "description": "d",
                "arguments": [{"name": "x", "type": "t", "description": "d"}],
            },
        ],
        "metrics": [],
        "semantic_models": [],
        "saved_queries": [],
        "analyses": [{"name": "an", "description": "d", "columns": []}],
        "unit_tests": [
            {
                "name": "u",
                "model": "m",
                "description": "d",
                "given": [{"input": "ref('kinds')", "rows": [{"kind": "a"}], "format": "dict"}],
                "expect": {"rows": [{"id": 1}]},
                "overrides": {"vars": {"a": 1}, "macros": {"w": 1}},
                "config": {"tags": ["t"], "enabled": True},
            },
        ],
    },
}
FILES = {
    "data/a.csv": "id\n1\n",
    "seeds/kinds.csv": "kind\na\n",
    "macros/w.sql": "{% macro w(x=1) %}1{% endmacro %}",
    "models/m.sql": "select 1 as id from {{ ref('kinds') }}",
    "models/b.sql": "select * from {{ source('s','a') }}",
    "analyses/an.sql": "select 1",
}
DBT = Whole(TREES, FILES, (0, 1, 2))  # 2 is what dbt says of a mistake


def test_some_values_in_some_places_are_never_its_own_fault() -> None:
    never_its_own_fault(DBT, random.Random(3).sample(DBT.every(), 15))


MISTAKES: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("models", 0, "docs"), [1], "`docs` must be a mapping"),
    (("models", 0, "config", "meta"), "x", "`meta` must be a mapping"),
    (("sources", 0, "meta"), ["x"], "`meta` must be a mapping"),
    (("sources", 0, "tables", 0, "meta"), 5, "`meta` must be a mapping"),
    (("models", 0, "columns", 0, "meta"), 5, "`meta` must be a mapping"),
    (("exposures", 0, "depends_on"), "ref('m')", "`depends_on` must be a list"),
    (("exposures", 0, "tags"), 7, "`tags` must be a text or a list of texts"),
    (("models", 0, "config", "tags"), {"a": 1}, "`tags` must be a text or a list of texts"),
    (("snapshots", 0, "config", "snapshot_meta_column_names"), ["x"], "must be a mapping"),
    (("unit_tests", 0, "config", "tags"), 1.5, "`tags` must be a text or a list of texts"),
    (("unit_tests", 0, "given"), {"a": 1}, "`given` must be a list"),
    (("unit_tests", 0, "given", 0), 7, "`given` and `expect` must hold mappings"),
    (("unit_tests", 0, "given", 0, "rows", 0), [1], "a row must be a mapping"),
    (("unit_tests", 0, "expect"), [], "`given` and `expect` must hold mappings"),
    (("unit_tests", 0, "expect", "rows"), 1.5, "`rows` must be a list"),
    (("unit_tests", 0, "overrides"), "x", "must be mappings"),
    (("unit_tests", 0, "overrides", "macros"), [1], "must be mappings"),
]


@pytest.mark.parametrize(("at", "value", "words"), MISTAKES)
def test_what_has_another_form_than_dbt_asks_for_is_a_mistake(
    tmp_path: Path, at: tuple[str | int, ...], value: Any, words: str
) -> None:
    trees = {**TREES, "models/_all.yml": put(TREES["models/_all.yml"], at, value)}
    root = write(tmp_path, {**FILES, **{name: dumped(tree) for name, tree in trees.items()}})
    done = transform(root, "compile", check=False)
    assert words in done.stderr.partition("models/_all.yml:")[0], done.stderr
    assert "models/_all.yml:" in done.stderr


OTHERS: list[tuple[str, tuple[str | int, ...], Any, str]] = [
    ("profiles.yml", ("shop", "outputs", "dev", "extensions"), 5, "`extensions` must be a list"),
    ("dbt_project.yml", ("packages-install-path",), "a\0b", "it contains a NUL character"),
    ("dbt_project.yml", ("target-path",), "x" * 300, "it is too long"),
]


@pytest.mark.parametrize(("file", "at", "value", "words"), OTHERS)
def test_the_same_holds_in_the_files_of_the_project_and_the_profile(
    tmp_path: Path, file: str, at: tuple[str | int, ...], value: Any, words: str
) -> None:
    trees = {**TREES, file: put(TREES[file], at, value)}
    root = write(tmp_path, {**FILES, **{name: dumped(tree) for name, tree in trees.items()}})
    done = transform(root, "compile", check=False)
    assert words in done.stderr, done.stderr
    assert f"{file}:" in done.stderr


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_every_value_in_every_place_is_never_its_own_fault(part: int) -> None:
    never_its_own_fault(DBT, DBT.every()[part::PARTS])


def test_the_project_of_these_tests_is_read() -> None:
    """With nothing wrong the engine is asked to build it."""
    with forked.servers(1) as free:
        _, words = said(free, DBT, ("models/_all.yml", ("version",), 5))
    assert "published" in words, words
