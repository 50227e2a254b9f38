"""The macros that bring a table up to date, run on DuckDB."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compile.dbt.harness import Rendering, S, T, made
from transformer.compile.dbt.column import AdapterColumn
from transformer.errors import RenderError

COLUMNS = [AdapterColumn("k", "INTEGER"), AdapterColumn("v", "VARCHAR")]
START = ("create table t as select 1 as k, 'a' as v union all select 2, 'b'",)
NEW = "create table s as select 2 as k, 'B' as v union all select 3, 'c'"


def arguments(key: Any = "k", predicates: Any = None) -> dict[str, Any]:
    return {
        "target_relation": T,
        "temp_relation": S,
        "unique_key": key,
        "dest_columns": COLUMNS,
        "incremental_predicates": predicates,
    }


REPLACED = [(1, "a"), (2, "B"), (3, "c")]


@pytest.mark.parametrize(
    ("strategy", "key", "config", "wanted"),
    [
        ("append", None, {}, [(1, "a"), (2, "B"), (2, "b"), (3, "c")]),
        ("default", "k", {}, REPLACED),
        ("delete_insert", "k", {}, REPLACED),
        ("delete_insert", ["k"], {}, REPLACED),
        ("delete_insert", "abs(k)", {}, REPLACED),
        ("merge", "k", {}, REPLACED),
        ("merge", ["k"], {}, REPLACED),
        ("merge", "k", {"merge_exclude_columns": ["V"]}, [(1, "a"), (2, "b"), (3, "c")]),
        ("merge", "k", {"merge_update_columns": ["v"]}, REPLACED),
        (
            "merge",
            "k",
            {"merge_update_set_expressions": {"v": "'x'"}},
            [(1, "a"), (2, "x"), (3, "c")],
        ),
        ("merge", "k", {"merge_insert_condition": "DBT_INTERNAL_SOURCE.k < 3"}, REPLACED[:2]),
        ("merge", "k", {"merge_update_condition": "false"}, [(1, "a"), (2, "b"), (3, "c")]),
        ("merge", None, {}, [(1, "a"), (2, "B"), (2, "b"), (3, "c")]),
    ],
)
def test_strategies_bring_a_table_up_to_date(
    strategy: str, key: Any, config: dict[str, Any], wanted: list[tuple[int, str]]
) -> None:
    database = made(*START, NEW)
    run = Rendering(database, config=config)
    database.run(run.macros[f"get_incremental_{strategy}_sql"](arguments(key)))
    assert database.all("select k, v from t order by all") == wanted


def test_the_plain_merge_of_dbt_runs_too() -> None:
    database = made(*START, NEW)
    run = Rendering(database)
    database.run(run.default__get_merge_sql(T, S, "k", COLUMNS))
    assert database.all("select k, v from t order by all") == REPLACED


def test_predicates_narrow_what_is_deleted() -> None:
    database = made(*START, NEW)
    sql = Rendering().get_incremental_delete_insert_sql(arguments(["k"], ["1 = 0"]))
    database.run(sql)
    assert len(database.all("from t")) == 4


def test_a_batch_replaces_its_span_of_time() -> None:
    database = made(*START, NEW)
    batch = {"event_time_start": "2", "event_time_end": "3"}
    run = Rendering(database, config={"event_time": "k"}, model={"name": "m", "batch": batch})
    database.run(run.get_incremental_microbatch_sql(arguments(None)))
    assert database.all("select k, v from t order by all") == [(1, "a"), (2, "B")]


@pytest.mark.parametrize(
    ("macro", "config"),
    [
        ("get_incremental_insert_overwrite_sql", {}),
        ("get_incremental_microbatch_sql", {}),
        ("get_incremental_merge_sql", {"merge_clauses": {"when_matched": []}}),
        (
            "get_incremental_merge_sql",
            {"merge_update_columns": ["v"], "merge_exclude_columns": ["k"]},
        ),
    ],
)
def test_what_cannot_be_done_is_refused(macro: str, config: dict[str, Any]) -> None:
    with pytest.raises(RenderError):
        Rendering(config=config).macros[macro](arguments())
