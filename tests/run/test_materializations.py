"""How models, seeds and snapshots become relations, on real warehouse files."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from tests.projects import Bench, done, environment
from transformer.errors import Mistakes
from transformer.request import BuildOptions
from transformer.run.schedule import _STOPPED


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


RAW = "seeds/raw.csv"
STRATEGIES = ["append", "delete+insert", "merge"]


def grows(strategy: str, policy: str = "ignore", columns: str = "id, name") -> dict[str, str]:
    key = "" if strategy == "append" else "unique_key='id', "
    return {
        "models/grown.sql": f"""
            {{{{ config(materialized='incremental', {key}incremental_strategy='{strategy}',
                       on_schema_change='{policy}') }}}}
            select {columns} from raw
        """
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_incremental_model_takes_in_what_is_new(bench: Bench, strategy: str) -> None:
    bench.write({RAW: "id,name\n1,a\n2,b\n", **grows(strategy)})
    bench.build()
    bench.write({RAW: "id,name\n2,B\n3,c\n"})
    bench.build()
    expected = [(1, "a"), (2, "B"), (3, "c")]
    if strategy == "append":
        expected = [(1, "a"), (2, "B"), (2, "b"), (3, "c")]
    assert bench.rows("select id, name from grown order by all") == expected


def test_a_full_refresh_makes_the_table_anew_unless_it_is_guarded(bench: Bench) -> None:
    bench.write({RAW: "id,name\n1,a\n", **grows("merge")})
    guarded = {
        "models/guarded.sql": """
            {{ config(materialized='incremental', unique_key='id', full_refresh=false) }}
            select id, name from raw
        """
    }
    bench.write(guarded)
    bench.build()
    bench.write({RAW: "id,name\n2,b\n"})
    bench.build(full_refresh=True)
    assert bench.rows("select id from grown order by id") == [(2,)]
    assert bench.rows("select id from guarded order by id") == [(1,), (2,)]


def test_is_incremental_is_false_the_first_time_only(bench: Bench) -> None:
    bench.write(
        {
            RAW: "id\n1\n2\n",
            "models/grown.sql": """
                {{ config(materialized='incremental') }}
                select id, {{ is_incremental() }} as later from raw
                {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}
            """,
        }
    )
    bench.build()
    bench.write({RAW: "id\n1\n2\n3\n"})
    bench.build()
    assert bench.rows("from grown order by id") == [(1, False), (2, False), (3, True)]


@pytest.mark.parametrize(
    ("policy", "columns", "rows"),
    [
        ("ignore", ["id", "name"], [(1, "a"), (2, "b")]),
        ("append_new_columns", ["id", "name", "extra"], [(1, "a", None), (2, "b", 7)]),
        ("sync_all_columns", ["id", "name", "extra"], [(1, "a", None), (2, "b", 7)]),
    ],
)
def test_a_new_column_in_an_incremental_model(
    bench: Bench, policy: str, columns: list[str], rows: list[tuple[object, ...]]
) -> None:
    bench.write({RAW: "id,name\n1,a\n", **grows("append", policy)})
    bench.build()
    bench.write({RAW: "id,name\n2,b\n", **grows("append", policy, "id, name, 7 as extra")})
    bench.build()
    found = bench.rows(
        "select column_name from duckdb_columns() where table_name = 'grown' order by column_index"
    )
    assert [name for (name,) in found] == columns
    assert bench.rows("from grown order by id") == rows


def test_sync_all_columns_drops_and_retypes(bench: Bench) -> None:
    bench.write({RAW: "id,name\n1,a\n", **grows("append", "sync_all_columns")})
    bench.build()
    bench.write({RAW: "id,name\n2,b\n", **grows("append", "sync_all_columns", "id::double as id")})
    bench.build()
    assert bench.rows("select id, typeof(id) from grown order by 1") == [
        (1.0, "DOUBLE"),
        (2.0, "DOUBLE"),
    ]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("id, name, 7 as extra", ": +extra"),
        ("id", ": −name"),
        ("id, 7 as extra", ": +extra, −name"),
        ("id::varchar as id, name", "`id` of `grown` was BIGINT, and is VARCHAR now"),
    ],
)
def test_on_schema_change_fail_refuses_before_anything_is_built(
    bench: Bench, columns: str, said: str
) -> None:
    bench.write({RAW: "id,name\n1,a\n", **grows("append", "fail")})
    bench.build()
    before = (bench.root / "warehouse.duckdb").read_bytes()
    bench.write(grows("append", "fail", columns))
    with pytest.raises(Mistakes) as caught:
        bench.build()
    assert caught.value.errors[0].what.endswith(said)
    assert (bench.root / "warehouse.duckdb").read_bytes() == before


def test_a_failed_increment_leaves_the_table_as_it_was(bench: Bench) -> None:
    bench.write({RAW: "id,name\n1,a\n", **grows("delete+insert")})
    bench.write({"models/_m.yml": UNIQUE})
    bench.build()
    bench.write({RAW: "id,name\n1,x\n1,y\n"})
    report = bench.build()
    assert done(report)["grown"] == "fail"
    assert bench.rows("from grown") == [(1, "a")]


UNIQUE = """
    models:
      - name: grown
        columns: [{name: id, data_tests: [unique]}]
"""


@pytest.mark.parametrize("first", ["view", "table"])
def test_a_model_may_change_from_a_view_to_a_table_and_back(bench: Bench, first: str) -> None:
    second = {"view": "table", "table": "view"}[first]
    for kind in (first, second, first):
        bench.write(
            {
                "models/m.sql": f"{{{{ config(materialized='{kind}') }}}} select 1 as x",
                "models/n.sql": "select x from m",
            }
        )
        bench.build()
        assert bench.rows("select x from n") == [(1,)]
    kinds = {"view": "VIEW", "table": "BASE TABLE"}
    found = bench.rows("select table_type from information_schema.tables where table_name = 'm'")
    assert found == [(kinds[first],)]


def test_a_view_follows_the_columns_of_its_table(bench: Bench) -> None:
    bench.write(
        {
            "models/t.sql": "{{ config(materialized='table') }} select 1 as x",
            "models/v.sql": "select * from t",
        }
    )
    bench.build()
    bench.write({"models/t.sql": "{{ config(materialized='table') }} select 'a' as x, 2 as y"})
    bench.build()
    assert bench.rows("from v") == [("a", 2)]


def test_ephemeral_models_are_part_of_what_reads_them(bench: Bench) -> None:
    bench.write(
        {
            "models/one.sql": "{{ config(materialized='ephemeral') }} select 1 as x -- one",
            "models/two.sql": "{{ config(materialized='ephemeral') }}"
            " with t as (select * from one) select x + 1 as x from t",
            "models/three.sql": "with two as (select * from two)"
            " select two.x, one.x as y from two, {{ ref('one') }}",
        }
    )
    bench.build()
    assert bench.rows("from three") == [(2, 1)]
    found = bench.rows("select table_name from information_schema.tables where table_schema='main'")
    assert found == [("three",)]


def test_plain_names_and_refs_make_the_same_edges(bench: Bench) -> None:
    bench.write(
        {
            "transform.yml": "models: {marts: {+schema: marts}}\n",
            "models/marts/a.sql": "{{ config(materialized='table', alias='other') }} select 1 as x",
            "models/b.sql": "select a.x from a",
            "models/c.sql": "select x from {{ ref('a') }}",
            "models/d.sql": "select x from marts.other",
        }
    )
    bench.build()
    assert bench.rows("select b.x, c.x, d.x from b, c, d") == [(1, 1, 1)]


def test_a_python_model_reads_and_returns_frames(bench: Bench) -> None:
    bench.write(
        {
            RAW: "id,name\n1,a\n2,b\n",
            "models/py.py": """
                import polars as pl

                def model(project):
                    project.config(materialized="incremental", unique_key="id")
                    raw = project.ref("raw")
                    return raw.with_columns(pl.col("id") * project.var("factor", 10))
            """,
            "models/after.sql": "select sum(id) as total from py",
        }
    )
    bench.build()
    bench.write({RAW: "id,name\n2,c\n3,d\n"})
    bench.build()
    assert bench.rows("from py order by id") == [(10, "a"), (20, "c"), (30, "d")]
    assert bench.rows("from after") == [(60,)]


@pytest.mark.parametrize("what", ["polars", "lazy", "arrow", "reader"])
def test_a_python_model_may_return_anything_arrow_capable(bench: Bench, what: str) -> None:
    made = {
        "polars": "pl.DataFrame({'x': [1]})",
        "lazy": "pl.LazyFrame({'x': [1]})",
        "arrow": "pa.table({'x': [1]})",
        "reader": "pa.table({'x': [1]}).to_reader()",
    }
    text = f"import polars as pl, pyarrow as pa\ndef model(project):\n    return {made[what]}\n"
    bench.write({"models/m.py": text})
    bench.build()
    assert bench.rows("from m") == [(1,)]


@pytest.mark.parametrize("language", ["sql", "py"])
def test_where_users_python_ran_the_process_ends_as_python_ends(
    bench: Bench, language: str
) -> None:
    """Else it is not looked through for what could be thrown away, an instant before it ends."""
    texts = {
        "sql": "select 1 as x",
        "py": "import polars\ndef model(project):\n    return polars.DataFrame({'x': [1]})\n",
    }
    bench.write({f"models/m.{language}": texts[language]})
    ended = "import atexit, gc; atexit.register(lambda: print('frozen', gc.get_freeze_count() > 0))"
    run = "import sys; sys.argv = ['transform', 'build']; from transformer.__main__ import main"
    made = subprocess.run(
        [sys.executable, "-c", f"{ended}; {run}; main()"],
        cwd=bench.root,
        env=environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    assert made.stdout.splitlines()[-1] == f"frozen {language == 'sql'}"
    assert bench.rows("from m") == [(1,)]


def test_seeds_have_the_types_that_are_asked_for(bench: Bench) -> None:
    bench.write(
        {
            "seeds/codes.csv": "code;n\n007;1\n08;2\n",
            "seeds/_s.yml": """
                seeds:
                  - name: codes
                    config: {delimiter: ";", column_types: {code: VARCHAR, n: DOUBLE}}
            """,
        }
    )
    (bench.root / "models").mkdir()
    bench.build()
    assert bench.rows("from codes order by 1") == [("007", 1.0), ("08", 2.0)]


# ------------------------------------------------------------------ snapshots


def snap(config: str) -> dict[str, str]:
    return {
        "models/_s.yml": f"""
            snapshots:
              - name: history
                relation: ref('raw')
                config: {{unique_key: id, {config}}}
        """
    }


CURRENT = "select id, name from history where dbt_valid_to is null order by id"
CHECK = "strategy: check, check_cols: [name]"


def test_a_snapshot_by_check_records_each_version(bench: Bench) -> None:
    bench.write({RAW: "id,name\n1,a\n2,b\n", **snap(CHECK)})
    bench.build()
    bench.now += timedelta(days=1)
    bench.write({RAW: "id,name\n1,A\n2,b\n3,c\n"})
    bench.build()
    assert bench.rows(CURRENT) == [(1, "A"), (2, "b"), (3, "c")]
    assert bench.rows(
        "select name, dbt_valid_from::date::varchar, dbt_valid_to::date::varchar"
        " from history where id = 1 order by dbt_valid_from"
    ) == [("a", "2026-01-01", "2026-01-02"), ("A", "2026-01-02", None)]


def test_a_snapshot_by_timestamp_looks_at_the_column(bench: Bench) -> None:
    by_time = snap("strategy: timestamp, updated_at: at")
    bench.write({RAW: "id,name,at\n1,a,2025-01-01\n2,b,2025-01-01\n", **by_time})
    bench.build()
    bench.write({RAW: "id,name,at\n1,A,2025-06-01\n2,silent,2025-01-01\n"})
    bench.build()
    assert bench.rows(CURRENT) == [(1, "A"), (2, "b")]
    found = bench.rows("select dbt_valid_to::varchar from history where name = 'a'")
    assert found == [("2025-06-01",)]  # a day, as `at` is


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("ignore", [(1, "a"), (2, "b")]), ("invalidate", [(1, "a")])],
)
def test_a_row_that_vanished(bench: Bench, policy: str, expected: list[tuple[object, ...]]) -> None:
    bench.write({RAW: "id,name\n1,a\n2,b\n", **snap(f"{CHECK}, hard_deletes: {policy}")})
    bench.build()
    bench.write({RAW: "id,name\n1,a\n"})
    bench.build()
    assert bench.rows(CURRENT) == expected


def test_a_row_that_vanished_may_be_a_new_record_and_come_back(bench: Bench) -> None:
    bench.write({RAW: "id,name\n1,a\n2,b\n", **snap(f"{CHECK}, hard_deletes: new_record")})
    bench.build()
    for day, text in ((1, "id,name\n1,a\n"), (2, "id,name\n1,a\n\n"), (3, "id,name\n1,a\n2,b\n")):
        bench.now += timedelta(days=day)
        bench.write({RAW: text})
        bench.build()
    assert bench.rows(
        "select dbt_is_deleted, dbt_valid_to is null from history"
        " where id = 2 order by dbt_valid_from"
    ) == [("False", False), ("True", False), ("False", True)]


def test_a_snapshot_takes_in_new_columns(bench: Bench) -> None:
    bench.write({RAW: "id,name\n1,a\n", **snap("strategy: check, check_cols: all")})
    bench.build()
    bench.write({RAW: "id,name,extra\n1,a,7\n"})
    bench.build()
    assert bench.rows("select extra from history order by dbt_valid_from") == [(None,), (7,)]


VERSIONS = (
    "select id, name, dbt_valid_from::date::varchar, dbt_valid_to::date::varchar from history"
    " order by id, dbt_valid_from"
)


@pytest.mark.parametrize("policy", ["ignore", "invalidate", "new_record"])
def test_what_ended_once_is_never_touched_again(bench: Bench, policy: str) -> None:
    """Of many versions of a row, each is true until the next one is, and only the last is open."""
    config = snap(f"{CHECK}, hard_deletes: {policy}")
    for names in ("a", "b", "c", "", "", "d", "e"):
        rows = f"1,{names}\n" if names else ""
        bench.write({RAW: f"id,name\n{rows}2,stays\n", **config})
        bench.build()
        bench.now += timedelta(days=1)
    days = [f"2026-01-0{day}" for day in range(1, 8)]
    first, second, third, gone, _, back, last = days
    end = {"ignore": back, "invalidate": gone, "new_record": gone}[policy]
    versions: list[tuple[str, str, str | None]] = [
        ("a", first, second),
        ("b", second, third),
        ("c", third, end),
    ]
    if policy == "new_record":
        versions.append(("c", gone, back))
    versions += [("d", back, last), ("e", last, None)]
    assert bench.rows(VERSIONS) == [
        *((1, *version) for version in versions),
        (2, "stays", first, None),
    ]


@pytest.mark.parametrize("policy", ["ignore", "invalidate"])
def test_many_versions_by_timestamp_have_no_gap_and_do_not_overlap(
    bench: Bench, policy: str
) -> None:
    config = snap(f"strategy: timestamp, updated_at: at, hard_deletes: {policy}")
    days = [f"2025-0{month}-01" for month in range(1, 6)]
    for day in days:
        bench.write({RAW: f"id,name,at\n1,x,{day}\n2,y,2025-01-01\n", **config})
        bench.build()
        bench.now += timedelta(days=1)
    found = bench.rows(VERSIONS)
    assert found == [
        *((1, "x", begin, end) for begin, end in zip(days, [*days[1:], None], strict=True)),
        (2, "y", "2025-01-01", None),
    ]


# ------------------------------------------------------------------ what is done, and what not


def test_a_column_that_nobody_reads_stops_the_work_at_once(bench: Bench) -> None:
    bench.write(
        {
            RAW: "id,name\n1,a\n",
            "models/a.sql": "{{ config(materialized='table') }} select id from raw",
            "models/b.sql": "{{ config(materialized='table') }} select * from raw",
        }
    )
    bench.build()
    bench.write({RAW: "id,name\n1,changed\n"})
    assert done(bench.build()) == {"raw": "success", "a": "skipped", "b": "success"}


def test_the_same_content_stops_the_work_below(bench: Bench) -> None:
    bench.write(
        {
            RAW: "id,name\n1,a\n",
            "models/a.sql": "{{ config(materialized='table') }} select id // 10 as id from raw",
            "models/b.sql": "{{ config(materialized='table') }} select id + 1 as id from a",
        }
    )
    bench.build()
    bench.write({RAW: "id,name\n2,a\n"})
    assert done(bench.build()) == {"raw": "success", "a": "success", "b": "skipped"}
    bench.write({RAW: "id,name\n2,changed\n"})
    assert done(bench.build()) == {"raw": "success", "a": "skipped", "b": "skipped"}


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) as n from a",
        "select count(id) as n from a",  # zero has the hash zero: no sum of hashes tells of it
        "select id as n from a",
        "select 'x' as n from a",
        "select n from a cross join (select 1 as n)",
        "select id as n from a where name is not null",
    ],
)
@pytest.mark.parametrize(
    ("before", "after"), [("1,x\n", "1,x\n0,\n"), ("1,x\n0,\n", "1,x\n"), ("1,x\n", "1,x\n1,x\n")]
)
def test_a_reader_of_the_number_of_rows_follows_it(
    bench: Bench, query: str, before: str, after: str
) -> None:
    """Also where what it reads of the rows says nothing of their number."""
    table = "{{ config(materialized='table') }} "
    bench.write(
        {
            RAW: f"id,name\n{before}",
            "models/a.sql": f"{table}select id, name from raw",
            "models/b.sql": f"{table}{query}",
        }
    )
    bench.build()
    bench.write({RAW: f"id,name\n{after}"})
    bench.build()
    assert bench.rows("from b order by 1") == bench.rows(f"from ({query}) order by 1")


def test_a_full_refresh_loads_seeds_again_too(bench: Bench) -> None:
    bench.write({RAW: "id,name\n1,a\n", "models/m.sql": "select * from raw"})
    bench.build()
    with duckdb.connect(str(bench.root / "warehouse.duckdb")) as con:
        con.execute("update raw set name = 'changed by hand'")
    report = bench.build(full_refresh=True)
    assert {s.label: s.reason for s in report.plan.steps}["raw"] == "full refresh"
    assert bench.rows("from m") == [(1, "a")]


def test_threads_make_no_difference(bench: Bench, tmp_path: Path) -> None:
    files = {f"models/m{i}.sql": f"select {i} as x" for i in range(12)}
    files["models/sum.sql"] = (
        "{{ config(materialized='table') }} select sum(x) as x from ("
        + " union all ".join(f"from m{i}" for i in range(12))
        + ")"
    )
    bench.write(files)
    bench.build(how=BuildOptions(threads=4))
    assert bench.rows("from sum") == [(66,)]


def test_fail_fast_stops_at_the_first_failure(bench: Bench) -> None:
    bad = "{{ config(materialized='table') }} select error('no') as x"
    bench.write({"models/a.sql": bad, "models/b.sql": "select 1 as x"})
    stops = {
        name: done(bench.build(how=BuildOptions(fail_fast=name, threads=1)))
        for name in (True, False)
    }
    assert stops == {
        True: {"a": "error", "b": "skipped"},
        False: {"a": "error", "b": "success"},
    }


def test_fail_fast_says_why_a_step_was_left_and_starts_no_more_on_many_threads(
    bench: Bench,
) -> None:
    bad = "{{ config(materialized='table') }} select error('no') as x"
    late = "{{ config(materialized='table') }} select count(*) as x from range(300000000)"
    files = {f"models/m{n:02}.sql": late for n in range(12)}
    bench.write({"models/a.sql": bad, **files})
    report = bench.build(how=BuildOptions(fail_fast=True, threads=2))
    ended = [o for o in report.results.outcomes if o.label != "a"]
    assert not report.ok
    assert len(ended) == 12
    left = [o for o in ended if o.status == "skipped"]
    assert len(left) >= 10, "at most those that ran by then end"
    assert {o.message for o in left} == {_STOPPED}
