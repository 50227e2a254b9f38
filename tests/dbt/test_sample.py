"""`--sample`: refs and sources that have an `event_time` give the rows of a span of time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.dbt.test_build import project, rows, run
from tests.projects import transform, write
from transformer.compile.time_ranges import TimeRange, sample_range
from transformer.errors import UsageError

NOW = datetime(2024, 3, 31, 12, tzinfo=UTC)


def span(start: str, end: str = "2024-03-31T12:00") -> TimeRange:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    return TimeRange(at(start), at(end))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("1 day", span("2024-03-30T12:00")),
        ("36 hours", span("2024-03-30T00:00")),
        ("1 month", span("2024-02-29T12:00")),  # there is no 31 February
        ("2 YEARS", span("2022-03-31T12:00")),
        ({"start": "2024-01-01", "end": "2024-01-02"}, span("2024-01-01", "2024-01-02")),
        (None, None),
    ],
)
def test_a_span_is_a_time_until_now_or_a_start_and_an_end(
    asked: object, found: TimeRange | None
) -> None:
    assert sample_range(asked, NOW) == found


@pytest.mark.parametrize(
    "asked",
    ["", "3 weeks", "soon", {"start": "2024-01-01"}, {"start": "x", "end": "y"},
     {"start": "2024-01-02", "end": "2024-01-02"}],
)  # fmt: skip
def test_what_is_no_span_of_time_is_refused(asked: object) -> None:
    if asked:
        with pytest.raises(UsageError, match="--sample"):
            sample_range(asked, NOW)
    else:
        assert sample_range(asked, NOW) is None


FILES = {
    "models/days.sql": """
        {{ config(materialized='table', event_time='day') }}
        select id, day::timestamp as day, amount from {{ ref('raw_orders') }}
    """,
    "models/seen.sql": "{{ config(materialized='table') }} select id from {{ ref('days') }}",
    "models/daily.sql": """
        {{ config(materialized='incremental', incremental_strategy='microbatch',
                  event_time='day', batch_size='day', begin='2024-01-01') }}
        select day, amount from {{ ref('days') }}
    """,
}
SPAN = {"SAMPLE": {"start": "2024-01-02", "end": "2024-01-03"}}


def test_only_the_rows_of_the_span_are_read_and_the_next_build_reads_all(tmp_path: Path) -> None:
    root = project(tmp_path, **FILES)
    run(root, "build", flags=SPAN)
    assert rows(root, "select id from seen") == [(2,)]
    assert rows(root, "select count(*) from days") == [(3,)]
    run(root, "build")
    assert rows(root, "select id from seen order by id") == [(1,), (2,), (3,)]


def test_a_microbatch_model_builds_the_batches_of_the_span_only(tmp_path: Path) -> None:
    root = project(tmp_path, **FILES)
    run(root, "seed")
    run(root, "run", "days")
    run(root, "run", "daily", flags={"EVENT_TIME_END": "2024-01-04"})
    run(root, "run", "daily", flags=SPAN)
    assert rows(root, "select amount from daily order by day") == [(10,), (20,), (30,)]


@pytest.mark.parametrize(
    "words",
    [("--empty",), ("--sample", "2 days"), ("--event-time-start", "2024-01-01"),
     ("--event-time-end", "2024-01-01")],
)  # fmt: skip
@pytest.mark.parametrize("command", ["build", "run", "seed", "show"])
def test_a_native_project_refuses_what_would_publish_a_part(
    tmp_path: Path, command: str, words: tuple[str, ...]
) -> None:
    root = write(tmp_path, {"models/m.sql": "select 1 as id", "seeds/s.csv": "a\n1\n"})
    selected = ("--select", "m") if command == "show" else ()
    done = transform(root, command, *selected, *words, check=False)
    assert done.returncode == 2
    assert f"`{words[0]}` is for dbt projects" in done.stderr
    assert not (root / "warehouse.duckdb").exists()


def test_empty_takes_nothing_from_the_rows_of_a_unit_test(tmp_path: Path) -> None:
    tested = {
        "models/people.sql": """
            {{ config(materialized='table') }}
            select id from {{ ref('raw_orders') }}
        """,
        "models/_people.yml": """
            unit_tests:
              - name: rows_are_passed_on
                model: people
                given: [{input: ref('raw_orders'), rows: [{id: 7}, {id: 8}]}]
                expect: {rows: [{id: 7}, {id: 8}]}
        """,
    }
    root = project(tmp_path, **tested)
    run(root, "build")
    run(root, "build", flags={"EMPTY": True})
    assert rows(root, "select count(*) from people") == [(0,)]
