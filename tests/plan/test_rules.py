"""Rules that are easily broken at the seams: between two builds, two commands, two parts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from tests.projects import Bench, done, query, transform, write
from transformer.errors import Mistakes
from transformer.request import BuildOptions

TABLE = "{{ config(materialized='table') }} "


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# ------------------------------------------------------------------ what failed is not let out


SIBLINGS = {
    "models/a.sql": TABLE + "select {{ var('id', 1) }} as id",
    "models/b.sql": TABLE + "select 1 as id",
    "models/c.sql": TABLE + "select 1 as x",
    "models/_m.yml": """
        models:
          - name: a
            columns: [{name: id, data_tests: [{relationships: {to: ref('b'), field: id}}]}]
        activations:
          - {name: out, model: a, key: id, to: {kind: files, path: out.csv}}
    """,
}


def test_an_activation_waits_for_every_check_of_what_it_stands_on(bench: Bench) -> None:
    bench.write(SIBLINGS)
    report = bench.build(vars={"id": 99})
    assert done(report)["out"] == "skipped"
    assert not (bench.root / "out.csv").exists()


def test_what_failed_is_not_published_by_the_next_command(bench: Bench) -> None:
    bench.write(SIBLINGS)
    bench.build()
    assert bench.build(vars={"id": 99}).published is None
    bench.build(
        "c",
        vars={"id": 99},
        command="run",
        how=BuildOptions(actions=frozenset({"build"}), always=True),
    )
    assert bench.rows("from a") == [(1,)]
    bench.build(vars={"id": 99}, how=BuildOptions(actions=frozenset({"activate"}), always=True))
    assert bench.rows("from a") == [(1,)]
    assert "99" not in (bench.root / "out.csv").read_text()


def test_an_activation_is_not_sent_over_a_failure_that_stands(bench: Bench) -> None:
    bench.write({**SIBLINGS, "transform.yml": "targets: {dev: {publish: {mode: always}}}\n"})
    bench.build(vars={"id": 99})
    bench.build(vars={"id": 99}, how=BuildOptions(actions=frozenset({"activate"}), always=True))
    assert not (bench.root / "out.csv").exists()


def test_a_check_that_cannot_run_is_named_and_the_rest_go_on(bench: Bench) -> None:
    bench.write(
        {
            "models/a.sql": TABLE + "select 'x' as v",
            "models/b.sql": TABLE + "select 1 as n",
            "models/_m.yml": """
                models:
                  - name: a
                    columns:
                      - name: v
                        data_tests: [not_null, {expression_is_true: {expression: "::int > 0"}}]
            """,
        }
    )
    report = bench.build()
    assert done(report) == {"a": "error", "b": "success"}
    # Where nothing waits for checks, the table is built without them.
    bench.write({"transform.yml": "targets: {dev: {publish: {mode: always}}}"})
    bench.build(how=BuildOptions(actions=frozenset({"build"}), always=True))
    report = bench.build(how=BuildOptions(actions=frozenset({"check"}), always=True))
    ended = {o.label: o.status for o in report.results.every()}
    assert ended == {"not_null a.v": "success", "expression_is_true a.v": "error"}


def test_stored_failures_of_many_tables_at_once(bench: Bench) -> None:
    bench.write({f"models/m{i}.sql": TABLE + "select 1 as x" for i in range(16)})
    checks = "".join(
        f"  - {{name: m{i}, columns: [{{name: x, data_tests: [not_null]}}]}}\n" for i in range(16)
    )
    (bench.root / "models" / "_m.yml").write_text("models:\n" + checks)
    bench.write({"transform.yml": "data_tests: {+store_failures: true}\n"})
    assert bench.build(how=BuildOptions(threads=8)).ok


# ------------------------------------------------------------------ what moved is done again


def test_a_raw_table_that_someone_else_loads_is_noticed(bench: Bench) -> None:
    bench.write(
        {
            "models/_s.yml": "sources: [{name: ext, tables: [{name: t}]}]\n",
            "models/b.sql": TABLE + "select * from ext.t",
        }
    )
    path = bench.root / "warehouse.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("create schema ext; create table ext.t as select 1 as x")
    bench.build()
    assert not bench.build().plan.steps
    with duckdb.connect(str(path)) as con:
        con.execute("insert into ext.t values (2)")
    bench.build()
    assert bench.rows("from b order by x") == [(1,), (2,)]


def test_a_python_model_follows_its_variables_and_not_its_comments(bench: Bench) -> None:
    text = "import polars as pl\ndef model(project):\n    n = project.var('n', 1)\n"
    text += "    return pl.DataFrame({'n': [n]})\n"
    bench.write({"models/m.py": text})
    bench.build(vars={"n": 1})
    bench.write({"models/m.py": "# a thought\n" + text})
    assert not bench.build(vars={"n": 1}).plan.steps
    bench.build(vars={"n": 2})
    assert bench.rows("from m") == [(2,)]


def test_a_column_called_like_one_of_ours_is_content_too(bench: Bench) -> None:
    files = {"models/b.sql": TABLE + "select _source from a"}
    for value in ("x", "y"):
        bench.write({**files, "models/a.sql": TABLE + f"select '{value}' as _source"})
        bench.build()
    assert bench.rows("from b") == [("y",)]


def test_a_change_behind_a_view_is_seen_when_only_a_part_was_built(bench: Bench) -> None:
    files = {"models/v.sql": "select n from t", "models/m.sql": TABLE + "select n from v"}
    bench.write({**files, "models/t.sql": TABLE + "select 1 as n"})
    bench.build()
    bench.write({"models/t.sql": TABLE + "select 2 as n"})
    bench.build("t")
    bench.build("m")
    assert bench.rows("from m") == [(2,)]


def test_a_check_of_an_ephemeral_model_follows_its_query(bench: Bench) -> None:
    text = "models: [{name: e, columns: [{name: id, data_tests: [not_null]}]}]\n"
    bench.write({"models/_m.yml": text, "models/m.sql": TABLE + "select 1 as x"})
    for value, ok in (("1", True), ("null::int", False)):
        query = f"{{{{ config(materialized='ephemeral') }}}} select {value} as id"
        bench.write({"models/e.sql": query})
        assert bench.build().ok is ok


def test_a_key_that_comes_late_in_a_file_is_known_before_the_first_load(bench: Bench) -> None:
    lines = [f'{{"id": {n}}}' for n in range(3000)] + ['{"id": 3000, "device": "ios"}']
    bench.write(
        {
            "data/e.ndjson": "\n".join(lines),
            "models/_s.yml": """
                sources:
                  - name: w
                    load: {kind: files}
                    tables: [{name: e, load: {path: data/e.ndjson}}]
            """,
            "models/m.sql": TABLE + "select count(device) as n from w.e",
        }
    )
    bench.build()
    assert bench.rows("from m") == [(1,)]


def test_what_no_model_makes_any_more_is_named(bench: Bench) -> None:
    bench.write({"models/a.sql": TABLE + "select 1 as x", "models/b.sql": TABLE + "select 1 as x"})
    assert bench.build().left_over == ()
    (bench.root / "models" / "a.sql").unlink()
    bench.write({"models/b.sql": TABLE + "select 2 as x"})
    assert bench.build().left_over == ("main.a",)


# ------------------------------------------------------------------ a file that shows some models


SHOWN = {"models/a.sql": TABLE + "select 1 as x", "models/b.sql": TABLE + "select 2 as y"}


def narrow(bench: Bench, models: str) -> None:
    bench.write({"transform.yml": f"targets: {{dev: {{publish: {{models: {models}}}}}}}\n"})


def shown(bench: Bench) -> list[tuple[object, ...]]:
    return bench.rows(
        "select table_name from information_schema.tables where table_schema = 'main' order by 1"
    )


def test_a_whole_warehouse_is_kept_when_it_begins_to_show_some_models(bench: Bench) -> None:
    bench.write(SHOWN)
    bench.write({"seeds/raw.csv": "id,name\n1,a\n", "models/_s.yml": SNAPSHOT})
    bench.build()
    bench.now += timedelta(days=1)
    bench.write({"seeds/raw.csv": "id,name\n1,b\n"})
    bench.build()
    narrow(bench, "[a]")
    bench.build()
    assert shown(bench) == [("a",)]
    kept = query(bench.root / "warehouse.full.duckdb", "select count(*) from history")
    assert kept == [(2,)]


SNAPSHOT = """
    snapshots:
      - name: history
        relation: ref('raw')
        config: {unique_key: id, strategy: check, check_cols: [name]}
"""


def test_the_extract_follows_what_it_shall_show_and_comes_back_when_it_is_gone(
    bench: Bench,
) -> None:
    bench.write(SHOWN)
    narrow(bench, "[a]")
    bench.build()
    narrow(bench, "[a, b]")
    bench.build()
    assert shown(bench) == [("a",), ("b",)]
    (bench.root / "warehouse.duckdb").unlink()
    bench.build()
    assert shown(bench) == [("a",), ("b",)]
    assert not bench.build().plan.steps


def test_a_shown_model_that_is_not_built_yet_is_no_hindrance(bench: Bench) -> None:
    bench.write(SHOWN)
    narrow(bench, "[a, b]")
    bench.build("a")
    assert shown(bench) == [("a",)]


@pytest.mark.parametrize("name", ["memory", "temp", "system", "main", "marts"])
def test_a_file_may_have_any_name(bench: Bench, name: str) -> None:
    text = f"targets: {{dev: {{path: {name}.duckdb}}}}\nmodels: {{+schema: marts}}\n"
    bench.write({"transform.yml": text, "models/a.sql": TABLE + "select 1 as x"})
    bench.write({"models/b.sql": TABLE + "from a"})
    bench.build()
    with duckdb.connect() as con:
        con.execute(f"attach '{bench.root / name}.duckdb' as w (read_only)")
        assert con.execute("select x from w.marts.b").fetchall() == [(1,)]


# ------------------------------------------------------------------ histories


def snap(config: str) -> dict[str, str]:
    return {
        "models/_s.yml": f"""
            snapshots:
              - name: history
                relation: ref('raw')
                config: {{unique_key: id, {config}}}
        """
    }


@pytest.mark.parametrize("policy", ["invalidate", "new_record"])
def test_a_row_that_comes_back_with_an_old_time_begins_where_its_past_ended(
    bench: Bench, policy: str
) -> None:
    both, one = "id,at_day\n1,2024-01-01\n2,2024-01-01\n", "id,at_day\n1,2024-01-01\n"
    bench.write(snap(f"strategy: timestamp, updated_at: at_day, hard_deletes: {policy}"))
    for text in (both, one, both):
        bench.now += timedelta(days=1)
        bench.write({"seeds/raw.csv": text})
        bench.build()
    found = bench.rows("select count(*), count(distinct dbt_scd_id) from history where id = 2")
    assert found[0][0] == found[0][1]
    wrong = bench.rows("select 1 from history where dbt_valid_to < dbt_valid_from")
    assert wrong == []


def test_a_snapshot_refuses_keys_that_are_missing_or_stand_twice(bench: Bench) -> None:
    bench.write(snap("strategy: check, check_cols: [name]"))
    for text in ("id,name\n1,a\n1,b\n", "id,name\n1,a\n,b\n"):
        bench.write({"seeds/raw.csv": text})
        report = bench.build()
        assert done(report)["history"] == "error"


def test_a_missing_time_does_not_freeze_a_row(bench: Bench) -> None:
    bench.write(snap("strategy: timestamp, updated_at: day"))
    for text in (
        "id,name,day\n1,a,\n2,b,2024-01-01\n",
        "id,name,day\n1,A,2024-06-01\n2,b,2024-01-01\n",
    ):
        bench.write({"seeds/raw.csv": text})
        bench.build()
    found = bench.rows("select name from history where id = 1 and dbt_valid_to is null")
    assert found == [("A",)]


def test_a_type_that_would_lose_is_refused_and_a_wider_one_widens(bench: Bench) -> None:
    grown = "{{ config(materialized='incremental', unique_key='id') }} "
    bench.write({"models/g.sql": grown + "select 1 as id, 1::int as v"})
    bench.build()
    bench.write({"models/g.sql": grown + "select 2 as id, 2.7::double as v"})
    with pytest.raises(Mistakes, match="1 error"):
        bench.build()


def test_a_row_without_a_key_is_replaced_like_any_other(bench: Bench) -> None:
    grown = "{{ config(materialized='incremental', unique_key='id') }} select * from raw"
    bench.write({"models/g.sql": grown, "seeds/raw.csv": "id,v\n,1\n"})
    bench.build()
    bench.write({"seeds/raw.csv": "id,v\n,2\n"})
    bench.build()
    assert bench.rows("select v from g") == [(2,)]


# ------------------------------------------------------------------ what templates may not


@pytest.mark.parametrize(
    "text",
    [
        "{{ __session__ }}",
        "{{ ref.__self__ }}",
        "{{ ref.__func__.__globals__ }}",
        "{{ config._words }}",
        "{{ this._text }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ ('%s'|attr('__class__')) }}",
        "{{ '{0.__class__}'.format('x') }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
    ],
)
def test_templates_do_not_reach_into_python(bench: Bench, text: str) -> None:
    bench.write({"models/a.sql": f"select '{text}' as x"})
    with pytest.raises(Mistakes):
        bench.build()


def test_a_template_changes_its_own_list_only(bench: Bench) -> None:
    text = "{% set xs = var('xs') %}{% do xs.append(2) %}select {{ xs | length }} as n"
    bench.write({"models/a.sql": text, "models/b.sql": text, "transform.yml": "vars: {xs: [1]}\n"})
    bench.build()
    assert bench.rows("select a.n, b.n from a, b") == [(2, 2)]


def test_a_secret_that_came_through_a_variable_is_refused_in_sql(tmp_path: Path) -> None:
    files = {
        "transform.yml": "vars: {tok: \"{{ env_var('TRANSFORM_SECRET_X') }}\"}\n",
        "models/a.sql": "select '{{ var('tok') }}' as t",
    }
    root = write(tmp_path, files)
    env = {"TRANSFORM_SECRET_X": "marker-of-a-secret"}
    for words in (("build",), ("--debug", "compile")):
        said = transform(root, *words, env=env, check=False)
        assert said.returncode == 1
        assert "marker-of-a-secret" not in said.stdout + said.stderr


def test_what_a_python_model_says_of_a_secret_is_hidden(tmp_path: Path) -> None:
    text = (
        "import os\ndef model(project):\n    raise ValueError(os.environ['TRANSFORM_SECRET_X'])\n"
    )
    root = write(tmp_path, {})
    (root / "models").mkdir(parents=True)
    (root / "models" / "a.py").write_text(text)
    env = {"TRANSFORM_SECRET_X": "marker-of-a-secret"}
    for words in (("build",), ("--debug", "build"), ("build", "--json")):
        said = transform(root, *words, env=env, check=False)
        assert said.returncode == 1
        assert "marker-of-a-secret" not in said.stdout + said.stderr


def test_links_and_folders_outside_the_project_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "m.sql").write_text("select 1 as x")
    root = write(tmp_path / "in", {"models/a.sql": "select 1 as x"})
    (root / "models" / "m.sql").symlink_to(outside / "m.sql")
    assert "points outside" in transform(root, "build", check=False).stderr
    (root / "models" / "m.sql").unlink()
    write(root, {"transform.yml": "model-paths: [../outside]\n"})
    assert "is outside" in transform(root, "build", check=False).stderr


def test_settings_of_the_target_hold_in_every_step(bench: Bench) -> None:
    bench.write(
        {
            "transform.yml": "targets: {dev: {settings: {integer_division: true}}}\n",
            "models/a.sql": TABLE + "select 5 / 2 as x",
        }
    )
    bench.build()
    assert bench.rows("from a") == [(2,)]
