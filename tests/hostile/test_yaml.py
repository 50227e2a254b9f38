"""Every value of every key, of every kind: the tool does its work or names the place. It is never
its own fault."""

from __future__ import annotations

import copy
import random
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests import forked
from tests.projects import environment
from transformer.project import schema
from transformer.workspace.compile import vocabulary

_CONFIG = {"schema": "x", "tags": ["t"], "meta": {"a": 1}, "enabled": True}
_LOAD = {
    "kind": "files", "mode": "replace", "path": "data/people.csv", "format": "csv",
    "delimiter": ",", "quote": '"', "header": True, "encoding": "utf-8", "compression": "none",
    "verify": "content", "escape": '"', "comment": "#", "skip": 0, "decimal": ".", "thousands": "'",
    "date_format": "%Y", "timestamp_format": "%Y", "null_values": ["-"], "header_row": 1,
    "key": ["id"], "cursor": "id", "max_quarantined": "20 %", "max_removed": 0.5,
    "on_schema_change": "evolve", "sheet": None, "range": None, "endpoint": None, "region": None,
    "credentials": "AWS", "records": None,
}  # fmt: skip
_CHECK_CONFIG = {
    "severity": "warn", "where": "id > 0", "warn_if": "> 1", "error_if": "> 2", "limit": 5,
    "store_failures": True, "tags": ["t"], "meta": {}, "enabled": True,
}  # fmt: skip
_FRESHNESS = {
    "warn_after": {"count": 12, "period": "hour"}, "error_after": {"count": 24, "period": "day"},
    "filter": "true",
}  # fmt: skip
_COLUMN = {
    "name": "name", "data_type": "VARCHAR", "description": "d", "tags": ["t"], "meta": {"a": 1},
    "data_tests": [
        "unique",
        {"not_null": {"name": "named", "description": "d", "config": _CHECK_CONFIG}},
        {"accepted_values": {"arguments": {"values": ["ann", "bob"]}, **_CHECK_CONFIG}},
        {"relationships": {"to": "ref('kinds')", "field": "kind", "severity": "warn"}},
    ],
}  # fmt: skip
_PLAIN = {"name": "id", "description": "d"}
_TABLE = {
    "name": "people", "identifier": "people", "description": "d",
    "columns": [{**_PLAIN, "data_type": "BIGINT"}], "data_tests": [{"row_count": {"min": 1}}],
    "loaded_at_field": "_loaded_at",
    "freshness": _FRESHNESS, "load": _LOAD, "enabled": True, "tags": ["t"], "meta": {"a": 1},
}  # fmt: skip
_SENT = {"key": ["id"], "model": "everyone"}
_DESCRIBED = {"description": "d", "tags": ["t"], "meta": {"a": 1}}
TREES: dict[str, dict[str, Any]] = {
    "transform.yml": {
        "name": "shop", "version": "1", "model-paths": ["models"], "seed-paths": ["seeds"],
        "macro-paths": ["macros"], "test-paths": ["tests"], "allowed-paths": ["../x"],
        "vars": {"least": 1}, "models": {"+tags": ["t"]},
        "seeds": {"+schema": "raw"}, "snapshots": {"+strategy": "check"},
        "data_tests": {"severity": "error"}, "target": "dev", "removed_models": "keep",
        "targets": {
            "dev": {
                "type": "duckdb", "path": "warehouse.duckdb", "schema": "main", "threads": 1,
                "activate": True, "settings": {"memory_limit": "2GB"},
                "publish": {"mode": "gated", "models": ["everyone"]},
            }
        },
    },
    "models/_all.yml": {
        "version": 2,
        "sources": [
            {
                "name": "crm", "description": "d", "schema": "crm", "enabled": True,
                "loaded_at_field": "_loaded_at", "freshness": _FRESHNESS, "tags": ["t"],
                "meta": {"a": 1}, "load": {"kind": "files"}, "tables": [_TABLE],
            },
            {
                "name": "far", "load": {"kind": "database", "url": "duckdb:far.duckdb"},
                "tables": [
                    {"name": "things", "load": {"table": "things"}},
                    {"name": "other", "load": {"query": "select 1 as a"}},
                ],
            },
        ],
        "seeds": [
            {"name": "kinds", **_DESCRIBED, "data_tests": [], "columns": [{"name": "kind"}],
             "config": {**_CONFIG, "alias": "kinds", "column_types": {"kind": "varchar"},
                        "delimiter": ","}}
        ],
        "models": [
            {
                "name": "everyone", **_DESCRIBED, "columns": [_COLUMN],
                "config": {
                    **_CONFIG, "alias": "everyone", "materialized": "incremental",
                    "unique_key": ["id"],
                    "incremental_strategy": "merge", "on_schema_change": "ignore",
                    "full_refresh": False, "contract": {"enforced": False},
                },
                "data_tests": [
                    {"expression_is_true": {"expression": "id > 0"}},
                    {"recency": {"field": "_loaded_at", "datepart": "day", "interval": 1}},
                ],
            }
        ],
        "snapshots": [
            {
                "name": "snap", "relation": "ref('everyone')", **_DESCRIBED, "data_tests": [],
                "columns": [_PLAIN],
                "config": {
                    **_CONFIG, "alias": "snap", "unique_key": "id", "strategy": "check",
                    "check_cols": ["name"],
                    "updated_at": None, "hard_deletes": "ignore",
                },
            }
        ],
        "activations": [
            {
                "name": "out", "description": "d", **_SENT, "mode": "upsert", "enabled": True,
                "fields": {"id": "id"}, "batch_size": 5, "max_rejected": 0.1, "max_removed": 0.5,
                "tags": ["t"], "meta": {},
                "to": {"kind": "files", "path": "exports/out.csv", "format": "csv",
                       "header": True, "delimiter": ","},
            },
            {
                "name": "web", **_SENT,
                "to": {"kind": "http", "url": "http://127.0.0.1:1/x", "method": "POST",
                       "headers": {"A": "b"}, "body": "records", "removed_url": None,
                       "removed_method": "DELETE", "timeout": 1, "attempts": 1,
                       "accept": {"status": [200], "content_type": "text/plain",
                                  "json_path": "$.a", "equals": 1}},
            },
            {
                "name": "pg", **_SENT,
                "to": {"kind": "postgres", "url": "postgresql://127.0.0.1:1/x",
                       "schema": "public", "table": "t", "create": True, "timeout": 1,
                       "lock_timeout": 1, "statement_timeout": 1, "attempts": 1},
            },
        ],
    },
}  # fmt: skip
FILES = {
    "data/people.csv": "id,name\n1,ann\n2,bob\n",
    "seeds/kinds.csv": "kind\na\n",
    "macros/m.sql": "{% macro w() %}1{% endmacro %}",
    "tests/t.sql": "select 1 where false",
    "models/everyone.sql": "select id, name, _loaded_at from {{ source('crm', 'people') }}",
}


class Raw(str):
    """YAML as it stands."""


VALUES: list[Any] = [
    None, True, False, 0, -1, 7, 10**30, 1.5, float("inf"), float("nan"), "", "x", "a b",
    "everyone", "not_null", "data/people.csv", "{{ 1/0 }}", "{{ nope }}", "{% for %}",
    "{{ var('least') }}", "{{ [1,2] }}", "~nosuch", "/etc/passwd", "../../x", "a\0b",
    "é\u202e\u0301", "\x1b[31m", "x" * 5000, "'; drop table x; --", '"', "%", "100 %", "-5 %",
    [], [None], [[]], [{}], ["x"], ["x", "x"], [1], {}, {"a": 1}, {"x": None}, {"a": {"b": [1]}},
    {1: 2}, {None: 1}, {"kind": "files"},
    Raw("2024-02-31"), Raw("2024-01-01"), Raw("2024-01-01 25:00:00"), Raw("!!binary aGk="),
    Raw("!!python/object:os.system x"), Raw("&a [*a]"), Raw("&b {x: *b}"), Raw("!!set {a, b}"),
    Raw("0o17"), Raw("1_000"), Raw("12:30:45"), Raw("{<<: 5}"), Raw("{<<: [5]}"),
    Raw("{[1, 2]: 3}"), Raw("[" * 200 + "]" * 200), Raw("[" * 3000 + "]" * 3000),
    Raw("!foo bar"), Raw("*nope"), Raw("? a"), Raw("|\n  x"),
    Raw("[&c [x, x, x, x, x, x, x, x, x, x], "
        + ", ".join(f"&c{n + 1} [{', '.join(['*c' + (str(n) if n else '')] * 10)}]"
                    for n in range(9)) + "]"),
]  # fmt: skip
Place = tuple[str | int, ...]


def places(node: Any, at: Place = ()) -> Iterator[Place]:
    """Every place in a tree, the root first."""
    yield at
    inner = dict(enumerate(node)) if isinstance(node, list) else node
    for key, value in inner.items() if isinstance(inner, dict) else ():
        yield from places(value, (*at, key))


def put(node: Any, at: Place, value: Any) -> Any:
    if not at:
        return value
    made = copy.copy(node)
    made[at[0]] = put(node[at[0]], at[1:], value)
    return made


class _Plain(yaml.SafeDumper):
    """Writes what stands twice twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def dumped(tree: Any) -> str:
    raw = [value for value in VALUES if isinstance(value, Raw)]
    text: str = yaml.dump(tree, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=10**6)
    for number, value in enumerate(raw):
        text = text.replace(f"RAW{number}RAW", value)
    return text


Case = tuple[str, Place, int]


@dataclass(frozen=True)
class Whole:
    """A project: its YAML as trees, its other files, and the exit codes of its mistakes."""

    trees: dict[str, dict[str, Any]]
    files: dict[str, str]
    codes: tuple[int, ...] = (0, 1)

    def every(self) -> list[Case]:
        """Every value in every place."""
        return [
            (file, at, number)
            for file, tree in self.trees.items()
            for at in places(tree)
            for number in range(len(VALUES))
        ]


NATIVE = Whole(TREES, FILES)


def said(free: forked.Servers, whole: Whole, case: Case) -> tuple[int, str]:
    """Exit code and words of a build of the project with this value in this place."""
    file, at, number = case
    value = VALUES[number]
    if isinstance(value, Raw):
        value = f"RAW{[v for v in VALUES if isinstance(v, Raw)].index(value)}RAW"
    home = Path(tempfile.mkdtemp())
    try:
        root = home / "project"
        (home / "x").mkdir()
        trees = {name: dumped(tree) for name, tree in whole.trees.items() if name != file}
        trees[file] = dumped(put(whole.trees[file], at, value))
        for name, text in {**whole.files, **trees}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        with duckdb.connect(str(root / "far.duckdb")) as far:
            far.execute("create table things (a int)")
        return forked.run(free, ["build"], root, environment({"HOME": str(home)}))
    finally:
        shutil.rmtree(home)


def never_its_own_fault(whole: Whole, cases: list[Case]) -> None:
    with forked.servers(2) as free, ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda case: said(free, whole, case), cases)
        for (file, at, number), (code, words) in zip(cases, answers, strict=True):
            shown = f"{file} {at}: {VALUES[number]!r:.60}\n{words[-3000:]}"
            assert code in whole.codes, shown
            assert "bug in the tool" not in words, shown
            assert code == 0 or "error" in words or "failed" in words, shown
            assert "\x1b" not in words, shown


def test_every_key_of_the_schema_is_tried() -> None:
    tried = {key for tree in TREES.values() for at in places(tree) for key in at}
    tables = (schema.PROJECT, schema.PROPERTIES, schema.LOAD)
    known = {field.name for table in tables for _, field in schema.walk(table)}
    kinds = vocabulary()
    for kind in ("files", "database"):
        known |= {field.name for field in kinds.sources[kind]}
    for kind in ("files", "http", "postgres"):
        known |= {field.name for _, field in schema.walk(kinds.targets[kind])}
    assert known - tried == set()


def test_some_values_in_some_places_are_never_its_own_fault() -> None:
    never_its_own_fault(NATIVE, random.Random(14).sample(NATIVE.every(), 24))


# A soak is cut into so many cases, that workers share.
PARTS = 20


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_every_value_in_every_place_is_never_its_own_fault(part: int) -> None:
    never_its_own_fault(NATIVE, NATIVE.every()[part::PARTS])


def test_the_project_of_these_tests_says_what_it_should() -> None:
    """With nothing wrong it is only the two targets that cannot be reached."""
    with forked.servers(1) as free:
        code, words = said(free, NATIVE, ("models/_all.yml", ("version",), 5))
    assert code == 1
    assert words.count("error:") == 2, words
