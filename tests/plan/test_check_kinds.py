"""What each kind of check counts, what a failure does, and that checks are one scan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.projects import Bench, done
from transformer.engines import duckdb as engine
from transformer.plan.check_kinds import holds, verdict
from transformer.project.values import CheckConfig
from transformer.request import Report


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write(
        {
            "seeds/people.csv": "id,name,age,at\n1,ann,30,2025-12-31\n2,bob,,2025-12-30\n"
            "2,bob,40,2025-12-29\n,eve,200,\n",
            "seeds/names.csv": "name\nann\nbob\n",
            "models/people_table.sql": "{{ config(materialized='table') }} select * from people",
        }
    )
    return made


def checked(bench: Bench, check: Any, column: str | None = None) -> tuple[str, int, Report]:
    """Status and failures of one check on the table."""
    node: dict[str, Any] = {"name": "people_table"}
    if column:
        node["columns"] = [{"name": column, "data_tests": [check]}]
    else:
        node["data_tests"] = [check]
    bench.write({"models/_m.yml": yaml.safe_dump({"models": [node]})})
    report = bench.build()
    (found,) = [o for o in report.results.every() if o.action == "check"]
    assert found.error is None, found.error
    return found.status, found.facts["failures"], report


@pytest.mark.parametrize(
    ("check", "column", "status", "failures"),
    [
        ("not_null", "id", "fail", 1),
        ("not_null", "name", "success", 0),
        ({"not_null": {"column_name": "id"}}, None, "fail", 1),
        ("unique", "id", "fail", 1),
        ("unique", "age", "success", 0),
        ({"accepted_values": {"values": ["ann", "bob"]}}, "name", "fail", 1),
        ({"accepted_values": {"values": ["ann", "bob", "eve"]}}, "name", "success", 0),
        ({"accepted_values": {"arguments": {"values": [1, 2], "quote": False}}}, "id", "success",
         0),
        ({"relationships": {"to": "ref('names')", "field": "name"}}, "name", "fail", 1),
        ({"relationships": {"to": "names", "field": "name"}}, "name", "fail", 1),
        ({"expression_is_true": {"expression": "age < 100"}}, None, "fail", 1),
        ({"expression_is_true": {"expression": "< 100"}}, "age", "fail", 1),
        ({"accepted_range": {"min_value": 0, "max_value": 40}}, "age", "fail", 1),
        ({"accepted_range": {"max_value": 200}}, "age", "success", 0),
        ({"accepted_range": {"max_value": 200, "inclusive": False}}, "age", "fail", 1),
        ({"row_count": {"min": 5}}, None, "fail", 1),
        ({"row_count": {"min": 4, "max": 4}}, None, "success", 0),
        ({"row_count": {"min": 1, "max": 1, "where": "name = 'eve'"}}, None, "success", 0),
        ({"unique_combination_of_columns": {"combination_of_columns": ["id", "name"]}}, None,
         "fail", 1),
        ({"unique_combination_of_columns": {"combination_of_columns": ["id", "age"]}}, None,
         "success", 0),
        ({"recency": {"field": "at", "datepart": "day", "interval": 2}}, None, "success", 0),
        ({"recency": {"field": "at", "datepart": "hour", "interval": 2}}, None, "fail", 1),
        ({"freshness": {"field": "at", "warn_after": {"count": 1, "period": "day"}}}, None,
         "warn", 1),
        ({"not_null": {"where": "name <> 'eve'"}}, "id", "success", 0),
        ({"not_null": {"config": {"where": "name = 'eve'"}}}, "id", "fail", 1),
        ({"not_null": {"severity": "warn"}}, "id", "warn", 1),
        ({"not_null": {"error_if": "> 1", "warn_if": "> 0"}}, "id", "warn", 1),
        ({"not_null": {"error_if": "> 1", "warn_if": "> 1"}}, "id", "success", 1),
    ],
)  # fmt: skip
def test_what_a_check_counts(
    bench: Bench, check: Any, column: str | None, status: str, failures: int
) -> None:
    assert checked(bench, check, column)[:2] == (status, failures)


def test_limit_bounds_what_is_counted_and_kept(bench: Bench) -> None:
    check = {"expression_is_true": {"expression": "name = 'x'", "limit": 2}}
    assert checked(bench, check)[:2] == ("fail", 2)


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({}, "fail"),
        ({"store_failures": True}, "fail"),
        ({"store_failures": True, "severity": "warn"}, "warn"),
    ],
)
def test_limit_bounds_the_rows_that_are_kept(
    bench: Bench, config: dict[str, Any], status: str
) -> None:
    bench.write({"transform.yml": "targets: {dev: {publish: {mode: always}}}\n"})
    check = {"name": "is_x", "expression": "name = 'x'", **config}
    for limit, kept in ((None, 4), (3, 3), (9, 4), (1, 1)):
        more = {} if limit is None else {"limit": limit}
        assert checked(bench, {"expression_is_true": {**check, **more}})[:2] == (status, kept)
        assert bench.rows("select count(*) from _transform_failures.is_x") == [(kept,)]


def test_a_failure_shows_keys_and_what_was_checked(bench: Bench) -> None:
    _, _, report = checked(bench, {"accepted_range": {"max_value": 100}}, "age")
    (found,) = [o for o in report.results.every() if o.action == "check"]
    assert found.sample.columns == ("age",)
    assert found.sample.rows == (("200",),)


def test_stored_failures_are_a_table_and_the_warehouse_has_it(bench: Bench) -> None:
    checked(bench, {"not_null": {"severity": "warn", "store_failures": True}}, "id")
    rows = bench.rows("select name from _transform_failures.not_null_people_table_id")
    assert rows == [("eve",)]


def test_failing_rows_go_away_when_the_check_passes_again(bench: Bench) -> None:
    checked(bench, "not_null", "id")
    bench.write({"seeds/people.csv": "id,name,age,at\n1,ann,30,2025-12-31\n"})
    assert checked(bench, "not_null", "id")[0] == "success"
    left = bench.rows(
        "select 1 from information_schema.tables where table_schema = '_transform_failures'"
    )
    assert left == []


def test_checks_of_one_table_are_one_scan(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    real = engine.DuckSession.rows

    def noted(self: Any, sql: str, parameters: Any = ()) -> Any:
        said.append(sql)
        return real(self, sql, parameters)

    monkeypatch.setattr(engine.DuckSession, "rows", noted)
    columns = [
        {"name": "name", "data_tests": ["not_null", {"accepted_values": {"values": list("abc")}}]},
        {"name": "age", "data_tests": ["unique", {"accepted_range": {"min_value": 0}}]},
    ]
    node = {"name": "people_table", "columns": columns, "data_tests": [{"row_count": {"min": 1}}]}
    bench.write({"models/_m.yml": yaml.safe_dump({"models": [node]})})
    bench.build()
    assert sum("as f4, count(*) as n from" in sql for sql in said) == 1


def test_sql_files_and_blocks_of_the_project_are_checks(bench: Bench) -> None:
    bench.write(
        {
            "tests/nobody_is_old.sql": "select * from people_table where age > 100",
            "macros/checks.sql": """
                {% test shorter_than(model, column_name, most) %}
                select * from {{ model }} where length({{ column_name }}) >= {{ most }}
                {% endtest %}
            """,
            "models/_m.yml": """
                models:
                  - name: people_table
                    columns:
                      - name: name
                        data_tests:
                          - shorter_than: {most: 3, where: "name <> 'eve'", severity: warn}
            """,
        }
    )
    report = bench.build()
    found = {o.id.split(".")[-1]: o.facts["failures"] for o in report.results.every()
             if o.action == "check"}  # fmt: skip
    assert found == {"nobody_is_old": 1, "shorter_than_people_table_name": 3}


def test_a_failed_check_stops_what_stands_below_and_nothing_else(bench: Bench) -> None:
    bench.write(
        {
            "models/below.sql": "select * from people_table",
            "models/further.sql": "{{ config(materialized='table') }} select * from below",
            "models/beside.sql": "{{ config(materialized='table') }} select 1 as x",
            "models/_a.yml": """
                activations:
                  - {name: out, model: further, key: id, to: {kind: files, path: out.csv}}
            """,
        }
    )
    _, _, report = checked(bench, "not_null", "id")
    ended = done(report)
    assert ended["people_table"] == "fail"
    assert (ended["below"], ended["further"], ended["out"]) == ("skipped",) * 3
    assert ended["beside"] == "success"
    assert not (bench.root / "out.csv").exists()
    assert not (bench.root / "warehouse.duckdb").exists()


def test_a_check_whose_time_has_come_is_measured_again(bench: Bench) -> None:
    check = {"recency": {"field": "at", "datepart": "day", "interval": 3}}
    assert checked(bench, check)[0] == "success"
    bench.now += timedelta(hours=12)
    assert not bench.build().plan.steps
    bench.now += timedelta(days=3)
    report = bench.build()
    assert [step.reason for step in report.plan.steps] == ["time has passed"]
    assert not report.ok


def test_freshness_of_a_source_is_a_node_of_the_build(tmp_path: Path) -> None:
    bench = Bench(tmp_path, now=datetime(2026, 1, 2, tzinfo=UTC))
    bench.write(
        {
            "data/a.csv": "id,at\n1,2026-01-01 12:00:00\n",
            "models/_s.yml": """
                sources:
                  - name: raw
                    load: {kind: files}
                    loaded_at_field: at
                    freshness:
                      warn_after: {count: 6, period: hour}
                      error_after: {count: 2, period: day}
                    tables: [{name: a, load: {path: data/a.csv}}]
            """,
            "models/m.sql": "select * from raw.a",
        }
    )
    report = bench.build()
    assert [o.status for o in report.results.outcomes if o.action == "freshness"] == ["warn"]
    assert report.published
    bench.now += timedelta(days=2)
    late = bench.build()
    assert [(o.action, o.status) for o in late.results.outcomes] == [("freshness", "fail")]
    assert late.published is None


@pytest.mark.parametrize(
    ("failures", "config", "status"),
    [
        (0, CheckConfig(), "success"),
        (1, CheckConfig(), "fail"),
        (1, CheckConfig(severity="warn"), "warn"),
        (5, CheckConfig(error_if="> 10"), "warn"),
        (11, CheckConfig(error_if="> 10"), "fail"),
        (5, CheckConfig(error_if="> 10", warn_if="> 7"), "success"),
        (0, CheckConfig(error_if="= 0"), "fail"),
    ],
)
def test_verdicts(failures: int, config: CheckConfig, status: str) -> None:
    assert verdict(failures, config) == status


@pytest.mark.parametrize(
    ("condition", "truth"),
    [("> 2", True), (">=3", True), ("<3", False), ("<= 3", True), ("= 3", True), ("== 3", True),
     ("!= 3", False), ("<> 3", False)],
)  # fmt: skip
def test_conditions(condition: str, *, truth: bool) -> None:
    assert holds(3, condition) is truth
