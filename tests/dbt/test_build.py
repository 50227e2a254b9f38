"""dbt projects, built by the real command: what stands in the warehouse, and what is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.projects import Bench, query, transform, write
from transformer.errors import Mistakes, TransformError
from transformer.flows.build import build
from transformer.request import BuildOptions, Environment, Report, Request
from transformer.steps import EVERYTHING, Action

PROJECT = {
    "dbt_project.yml": """
        name: shop
        version: "1.0"
        profile: shop
        vars: {least: 2, shop: {colour: red}}
        models:
          shop:
            marts: {+materialized: table, +schema: marts}
    """,
    "profiles.yml": """
        shop:
          target: dev
          outputs:
            dev: {type: duckdb, path: warehouse.duckdb, threads: 2}
    """,
    "seeds/raw_orders.csv": """
        id,customer,day,amount
        1,ann,2024-01-01,10
        2,ann,2024-01-02,20
        3,bob,2024-01-03,30
    """,
    "models/stg_orders.sql": "select id, customer, day, amount from {{ ref('raw_orders') }}",
    "models/marts/customers.sql": """
        select customer, count(*) as orders, sum(amount) as total
        from {{ ref('stg_orders') }} group by customer having count(*) >= {{ var('least', 1) }}
    """,
}


def project(tmp_path: Path, **more: str) -> Path:
    """The project in a folder, with more files: `models__x_sql` would be awkward, so pass a dict
    by `**{"models/x.sql": …}`."""
    return write(tmp_path, {**PROJECT, **more})


def rows(root: Path, sql: str) -> list[tuple[Any, ...]]:
    return query(root / "warehouse.duckdb", sql)


@pytest.mark.parametrize("where", ["", "path: ':memory:'", "path: Memory.duckdb"])
def test_a_warehouse_called_memory_is_built(tmp_path: Path, where: str) -> None:
    profile = f"shop: {{target: dev, outputs: {{dev: {{type: duckdb, {where}}}}}}}"
    text = "select 1 as id, '{{ this }}' as this"
    root = project(tmp_path, **{"profiles.yml": profile, "models/named.sql": text})
    for _ in range(2):
        transform(root, "build")
    built = root / ("Memory.duckdb" if "path: M" in where else "target/memory.duckdb")
    name = built.stem
    assert query(built, "select this from named") == [(f'"{name}"."main"."named"',)]
    assert query(built, "select count(*) from main_marts.customers") == [(1,)]


ACTIONS: dict[str, frozenset[Action]] = {
    "build": EVERYTHING,
    "run": frozenset({"build"}),
    "seed": frozenset({"seed"}),
    "test": frozenset({"check"}),
}


def run(root: Path, command: str, *select: str, ok: bool = True, **words: Any) -> Report:
    """Does what the command does, in this process."""
    how = BuildOptions(actions=ACTIONS[command], always=command != "build")
    ask = Request(root, select=select, command=command, **words)
    report = build(ask, how, Environment({"HOME": str(root)}), lambda _: None)
    assert report.ok is ok, said(report)
    return report


def said(report: Report) -> str:
    """What went wrong, as text."""
    return "\n".join(str(outcome.error or outcome.message) for outcome in report.results.bad)


def results(root: Path) -> dict[str, str]:
    """Statuses by unique id, as other tools read them."""
    made = json.loads((root / "target" / "run_results.json").read_text())
    return {each["unique_id"]: each["status"] for each in made["results"]}


def test_a_project_is_built_as_it_stands(tmp_path: Path) -> None:
    root = project(tmp_path)
    run(root, "build")
    assert rows(root, "from main_marts.customers") == [("ann", 2, 30)]
    assert results(root) == {
        "seed.shop.raw_orders": "success",
        "model.shop.stg_orders": "success",
        "model.shop.customers": "success",
    }
    assert not run(root, "build").plan.steps


def test_seeds_have_the_types_that_dbt_gives_them(tmp_path: Path) -> None:
    seed = """
        whole,large,part,empty,day,moment,text_moment,flag,word
        1,3000000000,1.5,,2024-01-01,2024-01-01 10:00:00,2024-01-01 10:00:00.5,true,007x
        2,1,2,,2024-01-02,2024-01-02 11:00:00,2024-01-02 10:00:00.5,false,b
    """
    root = project(tmp_path, **{"seeds/kinds.csv": seed})
    run(root, "seed")
    found = dict(rows(root, "select column_name, column_type from (describe kinds)"))
    assert found == {
        "whole": "INTEGER",
        "large": "BIGINT",
        "part": "DOUBLE",
        "empty": "INTEGER",
        "day": "DATE",
        "moment": "TIMESTAMP",
        "text_moment": "VARCHAR",
        "flag": "BOOLEAN",
        "word": "VARCHAR",
    }


def test_a_model_may_ask_the_warehouse_and_is_rendered_when_its_parents_are_there(
    tmp_path: Path,
) -> None:
    model = """
        {% set asked = "select distinct customer from " ~ ref('stg_orders') ~ " order by 1" %}
        {% set found = run_query(asked) %}
        {% set names = found.columns[0].values() if execute else [] %}
        select day {% for name in names %},
        sum(amount) filter (customer = '{{ name }}') as {{ name }} {% endfor %}
        from {{ ref('stg_orders') }} group by day
    """
    below = "select sum(ann) as ann, sum(bob) as bob from {{ ref('pivoted') }}"
    root = project(tmp_path, **{"models/pivoted.sql": model, "models/below.sql": below})
    run(root, "build")
    assert rows(root, "from below") == [(30, 30)]
    assert not run(root, "build").plan.steps


def test_a_package_s_macro_gives_way_to_the_project_s_by_dispatch(tmp_path: Path) -> None:
    package = {
        "dbt_packages/tools/dbt_project.yml": "name: tools\nversion: '1'\n",
        "dbt_packages/tools/macros/greet.sql": """
            {% macro greet() %}{{ return(adapter.dispatch('greet', 'tools')()) }}{% endmacro %}
            {% macro default__greet() %}'package'{% endmacro %}
        """,
        "dbt_packages/tools/models/greeting.sql": "select {{ tools.greet() }} as said",
        "packages.yml": "packages:\n  - local: dbt_packages/tools\n",
    }
    root = project(tmp_path, **package)
    run(root, "build")
    assert rows(root, "from greeting") == [("package",)]
    own = "{% macro duckdb__greet() %}'project'{% endmacro %}"
    write(root, {"macros/greet.sql": own})
    more = "dispatch: [{macro_namespace: tools, search_order: [shop, tools]}]\n"
    path = root / "dbt_project.yml"
    path.write_text(path.read_text() + more)
    run(root, "build")
    assert rows(root, "from greeting") == [("project",)]


def test_a_project_may_say_how_schemas_are_named(tmp_path: Path) -> None:
    macro = """
        {% macro generate_schema_name(custom_schema_name, node) %}
          {{ custom_schema_name or node.resource_type ~ 's' }}
        {% endmacro %}
    """
    root = project(tmp_path, **{"macros/names.sql": macro})
    run(root, "build")
    assert rows(root, "select count(*) from marts.customers") == [(1,)]
    assert rows(root, "select count(*) from models.stg_orders") == [(3,)]
    assert rows(root, "select count(*) from seeds.raw_orders") == [(3,)]


def test_a_failed_test_skips_what_is_below_and_keeps_the_table(tmp_path: Path) -> None:
    checks = """
        models:
          - name: stg_orders
            columns: [{name: customer, data_tests: [{accepted_values: {values: [ann]}}]}]
    """
    root = project(tmp_path, **{"models/schema.yml": checks})
    run(root, "build", ok=False)
    found = results(root)
    test = next(i for i in found if i.startswith("test."))
    assert test.startswith("test.shop.accepted_values_stg_orders_customer__ann.")
    assert found[test] == "fail"
    assert found["model.shop.stg_orders"] == "success"
    assert found["model.shop.customers"] == "skipped"
    assert rows(root, "select count(*) from stg_orders") == [(3,)]


def test_a_model_that_fails_stops_only_what_stands_on_it(tmp_path: Path) -> None:
    files = {"models/broken.sql": "select nothing_here from {{ ref('stg_orders') }}"}
    files["models/under.sql"] = "select * from {{ ref('broken') }}"
    root = project(tmp_path, **files)
    report = run(root, "build", ok=False)
    assert "nothing_here" in said(report)
    found = results(root)
    assert found["model.shop.broken"] == "error"
    assert found["model.shop.under"] == "skipped"
    assert found["model.shop.customers"] == "success"
    assert rows(root, "select count(*) from main_marts.customers") == [(1,)]


def test_hooks_run_around_models_and_around_the_whole_run(tmp_path: Path) -> None:
    hooks = """
        on-run-start: "create table if not exists said (word varchar)"
        on-run-end:
          - "insert into said select 'ended ' || '{{ results | length }}'"
          - "{% for s in schemas | sort %}insert into said values ('{{ s }}');{% endfor %}"
    """
    model = """
        {{ config(materialized='table', pre_hook="insert into said values ('before')",
                  post_hook=["insert into said select 'after ' || count(*) from {{ this }}"]) }}
        select 1 as x union all select 2
    """
    root = project(tmp_path, **{"models/hooked.sql": model})
    path = root / "dbt_project.yml"
    path.write_text(
        path.read_text() + write(tmp_path / "x", {"y": hooks}).joinpath("y").read_text()
    )
    run(root, "run", "hooked")
    found = [word for (word,) in rows(root, "from said")]
    assert found == ["before", "after 2", "ended 1", "main"]


def test_versions_of_a_model_stand_beside_each_other(tmp_path: Path) -> None:
    files = {
        "models/price_v1.sql": "select 1 as price",
        "models/price_v2.sql": "select 2 as price, 'eur' as currency",
        "models/compared.sql": """
            select a.price as old, b.price as new, c.price as latest
            from {{ ref('price', v=1) }} a, {{ ref('price', version=2) }} b, {{ ref('price') }} c
        """,
        "models/schema.yml": """
            models:
              - {name: price, latest_version: 1, versions: [{v: 1}, {v: 2}]}
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "from compared") == [(1, 2, 1)]
    assert {"model.shop.price.v1", "model.shop.price.v2"} <= set(results(root))


def test_an_incremental_model_takes_in_what_is_new(tmp_path: Path) -> None:
    model = """
        {{ config(materialized='incremental', unique_key='id') }}
        select id, amount from {{ ref('raw_orders') }}
        {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}
    """
    root = project(tmp_path, **{"models/grows.sql": model})
    run(root, "build")
    seed = (
        (root / "seeds" / "raw_orders.csv")
        .read_text()
        .replace("1,ann,2024-01-01,10", "1,ann,2024-01-01,99")
    )
    (root / "seeds" / "raw_orders.csv").write_text(seed + "4,cat,2024-01-04,40\n")
    run(root, "build")
    assert rows(root, "select id, amount from grows order by id") == [
        (1, 10), (2, 20), (3, 30), (4, 40)
    ]  # fmt: skip
    run(root, "run", "grows", full_refresh=True)
    assert rows(root, "select amount from grows where id = 1") == [(99,)]


def test_a_snapshot_block_records_how_rows_change(tmp_path: Path) -> None:
    block = """
        {% snapshot history %}
        {{ config(target_schema='snaps', unique_key='id',
                  strategy='check', check_cols=['amount']) }}
        select id, amount from {{ ref('raw_orders') }}
        {% endsnapshot %}
    """
    root = project(tmp_path, **{"snapshots/history.sql": block})
    run(root, "build")
    seed = root / "seeds" / "raw_orders.csv"
    seed.write_text(seed.read_text().replace("3,bob,2024-01-03,30", "3,bob,2024-01-03,31"))
    run(root, "build")
    found = rows(root, "select id, amount, dbt_valid_to is null from snaps.history order by all")
    assert found == [(1, 10, True), (2, 20, True), (3, 30, False), (3, 31, True)]


UNIT = """
    unit_tests:
      - name: counts
        model: customers
        overrides: {vars: {least: 1}}
        given:
          - input: ref('stg_orders')
            rows:
              - {customer: zoe, amount: 5}
              - {customer: zoe, amount: EXTRA}
        expect:
          format: csv
          rows: |
            customer,orders,total
            zoe,2,12
"""


@pytest.mark.parametrize(
    ("extra", "status", "model"), [("7", "pass", "success"), ("8", "fail", "skipped")]
)
def test_a_unit_test_guards_its_model(tmp_path: Path, extra: str, status: str, model: str) -> None:
    root = project(tmp_path, **{"models/unit.yml": UNIT.replace("EXTRA", extra)})
    run(root, "build", ok=status == "pass")
    found = results(root)
    assert found["unit_test.shop.customers.counts"] == status
    assert found["model.shop.customers"] == model
    assert found["model.shop.stg_orders"] == "success"


def test_unit_tests_take_fixtures_macros_and_this(tmp_path: Path) -> None:
    files = {
        "models/grows.sql": """
            {{ config(materialized='incremental') }}
            select id, '{{ word() }}' as word from {{ ref('raw_orders') }}
            {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}
        """,
        "macros/word.sql": "{% macro word() %}real{% endmacro %}",
        "tests/fixtures/three.csv": "id\n1\n2\n3\n",
        "models/unit.yml": """
            unit_tests:
              - name: only_new
                model: grows
                overrides: {macros: {is_incremental: true, word: mocked}}
                given:
                  - {input: this, rows: [{id: 2}]}
                  - {input: ref('raw_orders'), format: csv, fixture: three}
                expect: {format: sql, rows: "select 3 as id, 'mocked' as word"}
        """,
    }
    root = project(tmp_path, **files)
    run(root, "seed")
    run(root, "run")
    run(root, "test")
    assert results(root) == {"unit_test.shop.grows.only_new": "pass"}


def test_a_python_model_of_dbt_s_form_gets_relations_and_a_session(tmp_path: Path) -> None:
    model = """
        def model(dbt, session):
            dbt.config(materialized="table")
            orders = dbt.ref("raw_orders")
            return orders.filter("amount > 10").aggregate("customer, sum(amount) as total")
    """
    root = project(tmp_path, **{"models/scored.py": model})
    run(root, "build")
    assert sorted(rows(root, "from scored")) == [("ann", 20), ("bob", 30)]


def test_a_contract_that_does_not_hold_fails_its_model_alone(tmp_path: Path) -> None:
    files = {
        "models/schema.yml": """
            models:
              - name: promised
                config: {contract: {enforced: true}}
                columns: [{name: id, data_type: varchar}]
        """,
        "models/promised.sql": "select 1 as id",
    }
    root = project(tmp_path, **files)
    report = run(root, "build", ok=False)
    assert "the contract has `id` as VARCHAR" in said(report)
    assert results(root)["model.shop.promised"] == "error"
    assert results(root)["model.shop.customers"] == "success"


def test_tables_that_other_tools_wrote_are_seen(tmp_path: Path) -> None:
    files = {
        "models/sources.yml": "sources: [{name: raw, schema: landed, tables: [{name: clicks}]}]",
        "models/clicked.sql": "select count(*) as n from {{ source('raw', 'clicks') }}",
        "models/plain.sql": "select n + 1 as n from clicked",
    }
    root = project(tmp_path, **files)
    with duckdb.connect(str(root / "warehouse.duckdb")) as con:
        con.execute("create schema landed; create table landed.clicks as select 1 as x")
    run(root, "build")
    assert rows(root, "from plain") == [(2,)]
    with duckdb.connect(str(root / "warehouse.duckdb")) as con:
        con.execute("insert into landed.clicks values (2)")
    run(root, "build")
    assert rows(root, "from plain") == [(3,)]


def test_a_generic_test_of_the_project_takes_its_configuration_from_its_macro(
    tmp_path: Path,
) -> None:
    files = {
        "tests/generic/few.sql": """
            {% test few(model, column_name, most) %}
              {{ config(severity='warn', fail_calc='max(n)') }}
              select count(*) as n from {{ model }} having count(*) > {{ most }}
            {% endtest %}
        """,
        "models/schema.yml": """
            models:
              - name: stg_orders
                columns: [{name: id, data_tests: [{few: {most: 2}}, {few: {most: 9}}]}]
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    made = json.loads((root / "target" / "run_results.json").read_text())["results"]
    found = {r["unique_id"].rpartition(".")[0]: (r["status"], r["failures"]) for r in made}
    assert found["test.shop.few_stg_orders_id__2"] == ("warn", 3)
    assert found["test.shop.few_stg_orders_id__9"] == ("pass", 0)


def test_a_materialization_of_the_project_makes_its_relations(tmp_path: Path) -> None:
    files = {
        "macros/twice.sql": """
            {% materialization twice, adapter='duckdb' %}
              {%- set target_relation = this.incorporate(type='table') -%}
              {{ run_hooks(pre_hooks) }}
              {% call statement('main') -%}
                create or replace table {{ target_relation }} as
                select * from ({{ sql }}) union all select * from ({{ sql }})
              {%- endcall %}
              {{ run_hooks(post_hooks) }}
              {{ return({'relations': [target_relation]}) }}
            {% endmaterialization %}
        """,
        "models/doubled.sql": """
            {{ config(materialized='twice') }} select id from {{ ref('raw_orders') }}
        """,
        "models/below.sql": "select count(*) as n from {{ ref('doubled') }}",
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "from below") == [(6,)]


def test_a_materialization_that_nobody_makes_is_named(tmp_path: Path) -> None:
    model = "{{ config(materialized='tabel') }} select 1 as x"
    root = project(tmp_path, **{"models/wrong.sql": model})
    with pytest.raises(Mistakes) as caught:
        run(root, "build")
    (error,) = caught.value.errors
    assert error.what == "there is no materialization `tabel`"
    assert error.hint == "did you mean `table`?"


def test_external_models_are_files_that_a_view_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = """
        {{ config(materialized='external', location='out.parquet') }}
        select id, amount from {{ ref('raw_orders') }}
    """
    root = project(tmp_path, **{"models/sent.sql": model})
    monkeypatch.chdir(root)
    run(root, "build")

    assert duckdb.sql(f"select sum(amount) from '{root}/out.parquet'").fetchall() == [(60,)]


def test_incremental_predicates_and_merge_columns_are_heeded(tmp_path: Path) -> None:
    model = """
        {{ config(materialized='incremental', unique_key='id', incremental_strategy='merge',
                  merge_update_columns=['amount'],
                  incremental_predicates=["DBT_INTERNAL_DEST.id > 1"]) }}
        select id, amount, customer from {{ ref('raw_orders') }}
    """
    root = project(tmp_path, **{"models/merged.sql": model})
    run(root, "build")
    seed = root / "seeds" / "raw_orders.csv"
    text = seed.read_text().replace("2,ann,2024-01-02,20", "2,zed,2024-01-02,21")
    seed.write_text(text)
    run(root, "build")
    found = rows(root, "select id, amount, customer from merged order by all")
    assert found == [(1, 10, "ann"), (1, 10, "ann"), (2, 21, "ann"), (3, 30, "bob")]


def test_constraints_of_a_contract_are_held(tmp_path: Path) -> None:
    files = {
        "models/schema.yml": """
            models:
              - name: held
                config: {materialized: table, contract: {enforced: true}}
                columns:
                  - {name: id, data_type: integer, constraints: [{type: not_null}]}
        """,
        "models/held.sql": "select null::integer as id",
    }
    root = project(tmp_path, **files)
    report = run(root, "build", ok=False)
    assert results(root)["model.shop.held"] == "error"
    assert "NOT NULL" in said(report)


DAILY = "select happened::date::varchar, in_batch, amount from daily order by all"


def test_a_microbatch_model_is_built_span_by_span(tmp_path: Path) -> None:
    files = {
        "models/events.sql": """
            {{ config(materialized='table', event_time='happened') }}
            select id, day::timestamp as happened, amount from {{ ref('raw_orders') }}
        """,
        "models/daily.sql": """
            {{ config(materialized='incremental', incremental_strategy='microbatch',
                      event_time='happened', batch_size='day', begin='2024-01-01', lookback=1) }}
            select happened, count(*) over () as in_batch, amount from {{ ref('events') }}
        """,
    }
    root = project(tmp_path, **files)
    bench = Bench(root, now=datetime(2024, 1, 3, 12, tzinfo=UTC))
    assert bench.build().ok
    assert bench.rows(DAILY) == [
        ("2024-01-01", 1, 10), ("2024-01-02", 1, 20), ("2024-01-03", 1, 30)
    ]  # fmt: skip
    seed = root / "seeds" / "raw_orders.csv"
    text = seed.read_text().replace(",10\n", ",11\n").replace(",20\n", ",21\n")
    seed.write_text(text + "4,cat,2024-01-03,40\n")
    assert bench.build().ok
    # The first of January lies before what is looked back to.
    assert bench.rows(DAILY) == [
        ("2024-01-01", 1, 10), ("2024-01-02", 1, 21), ("2024-01-03", 2, 30), ("2024-01-03", 2, 40)
    ]  # fmt: skip


def test_stored_failures_stand_where_dbt_puts_them(tmp_path: Path) -> None:
    checks = """
        models:
          - name: stg_orders
            columns:
              - name: customer
                data_tests: [{accepted_values: {values: [ann], config: {store_failures: true}}}]
    """
    root = project(tmp_path, **{"models/schema.yml": checks})
    run(root, "build", ok=False)
    table = "main_dbt_test__audit.accepted_values_stg_orders_customer__ann"
    assert rows(root, f"select value_field, n_records from {table}") == [("bob", 1)]


def test_a_package_s_plain_tests_are_measured_with_the_others_in_one_scan(tmp_path: Path) -> None:
    files = {
        "dbt_packages/dbt_utils/dbt_project.yml": "name: dbt_utils\nversion: '1'\n",
        "dbt_packages/dbt_utils/macros/range.sql": """
            {% test accepted_range(model, column_name, min_value=none, max_value=none) %}
              {{ exceptions.raise_compiler_error('the macro itself is not called') }}
            {% endtest %}
        """,
        "models/schema.yml": """
            models:
              - name: stg_orders
                columns:
                  - name: amount
                    data_tests: [not_null, {dbt_utils.accepted_range: {max_value: 25}}]
        """,
    }
    root = project(tmp_path, **files)
    report = run(root, "build", ok=False)
    found = {i.rpartition(".")[0]: status for i, status in results(root).items() if "test." in i}
    assert found == {
        "test.shop.not_null_stg_orders_amount": "pass",
        "test.shop.dbt_utils_accepted_range_stg_orders_amount__25": "fail",
    }
    assert [o.id for o in report.results.outcomes if o.action == "check"] == []


def test_the_file_env_adds_what_the_environment_does_not_say(tmp_path: Path) -> None:
    model = "select '{{ env_var('COLOUR') }}' as colour, '{{ env_var('HOME') }}' as home"
    root = project(tmp_path, **{"models/env.sql": model, ".env": "export COLOUR='red'\nHOME=/x\n"})
    run(root, "build")
    assert rows(root, "from env") == [("red", str(root))]


def test_a_source_that_is_a_file_is_read_where_it_lies(tmp_path: Path) -> None:
    files = {
        "models/sources.yml": """
            sources:
              - name: lake
                meta: {external_location: "read_csv('FOLDER/{name}.csv')"}
                tables: [{name: clicks, columns: [{name: x, data_tests: [not_null]}]}]
        """.replace("FOLDER", str(tmp_path)),
        "models/clicked.sql": """
            {{ config(materialized='table') }}
            select sum(x) as n from {{ source('lake', 'clicks') }}
        """,
        "clicks.csv": "x\n1\n2\n",
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "from clicked") == [(3,)]
    write(root, {"clicks.csv": "x\n5\n"})
    run(root, "build")
    assert rows(root, "from clicked") == [(5,)]


def test_attached_databases_can_be_read(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "other.duckdb")) as con:
        con.execute("create table facts as select 42 as answer")
    files = {
        "profiles.yml": f"""
            shop:
              target: dev
              outputs:
                dev:
                  type: duckdb
                  path: warehouse.duckdb
                  extensions: [parquet, sqlite_scanner]
                  attach: [{{path: '{tmp_path}/other.duckdb', alias: other, read_only: true}}]
        """,
        "models/sources.yml": """
            sources: [{name: far, database: other, schema: main, tables: [{name: facts}]}]
        """,
        "models/near.sql": """
            {{ config(materialized='table') }} select answer from {{ source('far', 'facts') }}
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "from near") == [(42,)]


def test_hooks_of_seeds_and_snapshots_run_too(tmp_path: Path) -> None:
    files = {
        "seeds/properties.yml": """
            seeds:
              - name: raw_orders
                config: {post_hook: "create or replace table said as from {{ this }} limit 1"}
        """,
        "snapshots/history.yml": """
            snapshots:
              - name: history
                relation: ref('raw_orders')
                config:
                  unique_key: id
                  strategy: check
                  check_cols: all
                  pre_hook: "insert into said select * from {{ ref('raw_orders') }}"
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "select count(*) from said") == [(4,)]


def test_a_template_may_ask_with_show_and_pragma(tmp_path: Path) -> None:
    model = """
        {% set found = run_query('show tables') %}
        select {{ found.rows | length if execute else 0 }} as tables -- {{ ref('raw_orders') }}
    """
    root = project(tmp_path, **{"models/told.sql": model})
    run(root, "build", "+told")
    assert rows(root, "select tables >= 1 from told") == [(True,)]


@pytest.mark.parametrize("asks", ["", "{% set n = run_query('select 1') %}\n        "])
def test_an_error_through_a_macro_shows_the_template_the_macro_and_the_compiled_line(
    tmp_path: Path, asks: str
) -> None:
    files = {
        "macros/cents.sql": """
            {% macro cents(column) %}
              {{ column }} / 100
              + nosuch
            {% endmacro %}
        """,
        "models/wrong.sql": f"""
        {asks}select {{{{ cents('amount') }}}} as price from {{{{ ref('raw_orders') }}}}
        """,
    }
    root = project(tmp_path, **files)
    report = run(root, "build", ok=False)
    (bad,) = [o for o in report.results.bad if o.id == "model.shop.wrong"]
    error = bad.error
    assert isinstance(error, TransformError)
    assert error.what == "unknown column `nosuch`"
    assert error.where is not None
    assert "cents('amount')" in error.where.text
    macro, compiled = error.beside
    assert (macro.path, macro.text.strip()) == ("macros/cents.sql", "+ nosuch")
    assert (compiled.path, compiled.text.strip()) == ("compiled models/wrong.sql", "+ nosuch")


KEYED = {
    "models/s.yml": """
        models:
          - name: parent
            config: {materialized: table, contract: {enforced: true}}
            columns: [{name: id, data_type: integer, constraints: [{type: primary_key}]}]
          - name: child
            config: {materialized: table, contract: {enforced: true}}
            columns:
              - name: parent_id
                data_type: integer
                constraints: [{type: foreign_key, to: ref('parent'), to_columns: [id]}]
    """,
    "models/parent.sql": "select 1 as id",
    "models/child.sql": "select 1 as parent_id",
}
KEYS = "select count(*) from duckdb_constraints() where constraint_type = 'FOREIGN KEY'"


def test_a_table_that_a_foreign_key_leads_to_is_built_before_and_anew(tmp_path: Path) -> None:
    root = project(tmp_path, **KEYED)
    run(root, "build")
    assert rows(root, KEYS) == [(1,)]
    run(root, "run")
    assert rows(root, KEYS) == [(1,)]
    run(root, "run", "parent")
    assert rows(root, KEYS) == [(0,)]
    assert rows(root, "select * from child") == [(1,)]
    run(root, "build")
    assert rows(root, KEYS) == [(1,)]
    (root / "models/parent.sql").write_text("select null::integer as id")
    report = run(root, "build", ok=False)
    assert results(root)["model.shop.parent"] == "error"
    assert report.results.count("build", "skipped") == 1
    assert rows(root, KEYS) == [(1,)]


def test_a_hook_may_drop_what_it_stands_behind(tmp_path: Path) -> None:
    settings = """
        name: shop
        version: "1.0"
        profile: shop
        seeds: {shop: {dropped: {+post-hook: "drop table {{ this }}"}}}
    """
    root = project(tmp_path, **{"dbt_project.yml": settings, "seeds/dropped.csv": "id\n1\n"})
    run(root, "seed")
    assert results(root)["seed.shop.dropped"] == "success"
    held = rows(root, "select table_name from duckdb_tables() where schema_name = 'main'")
    assert held == [("raw_orders",)]


SCRIPT = """
    {% materialization script, default %}
      {% call statement('main') %}
        create or replace table {{ this }} as select 1 as n;
        {{ sql }}
      {% endcall %}
      {{ return({'relations': [this]}) }}
    {% endmaterialization %}
    {% materialization nothing, adapter='duckdb' %}
      {% do log(sql, info=true) %}
      {{ return({'relations': []}) }}
    {% endmaterialization %}
"""


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("-- nothing but a comment about {{ ref('stg_orders') }}", [(1,)]),
        (
            "insert into {{ this }} values (2); insert into {{ this }} values (3)",
            [(1,), (2,), (3,)],
        ),
        ("update {{ this }} set n = 9", [(9,)]),
    ],
)
def test_what_a_materialization_of_the_project_is_given_need_not_be_a_query(
    tmp_path: Path, text: str, held: list[tuple[int]]
) -> None:
    files = {
        "macros/script.sql": SCRIPT,
        "models/done.sql": "{{ config(materialized='script') }}\n" + text,
        "models/told.sql": "{{ config(materialized='nothing') }}\n-- {{ ref('done') }}",
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "from done order by n") == held
    assert results(root)["model.shop.told"] == "success"
    assert rows(root, "select table_name from duckdb_tables() where table_name = 'told'") == []
    run(root, "build")


def test_a_query_is_asked_for_where_the_tool_makes_the_table(tmp_path: Path) -> None:
    root = project(tmp_path, **{"models/done.sql": "-- nothing\n"})
    report = run(root, "build", ok=False)
    assert "there is no query" in said(report)
    assert results(root)["model.shop.customers"] == "success"
