"""What templates of dbt projects know while a build goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.test_build import project, results, rows, run, said
from transformer.errors import Mistakes, TransformError

SETTINGS = """
    name: shop
    version: "1.0"
    profile: shop
    on-run-start: "{% do graph.setdefault('mine', {}).update({'seen': 7}) %}"
    on-run-end: "create table left_behind as select {{ graph.get('mine').seen }} as seen"
"""


def test_packages_may_keep_things_in_graph_for_a_whole_run(tmp_path: Path) -> None:
    files = {
        "dbt_project.yml": SETTINGS,
        "models/keeps.sql": "select {{ graph['mine']['seen'] }} as seen, "
        "{{ graph.nodes.values() "
        "| selectattr('resource_type', 'equalto', 'model') | list | length }}"
        " as models",
    }
    root = project(tmp_path, **files)
    run(root, "run", "keeps")
    assert rows(root, "select * from keeps") == [(7, 3)]
    assert rows(root, "select seen from left_behind") == [(7,)]


GRAPH = """
    {{ config(materialized='table', meta={'owner': 'me'}) }}
    {% set me = graph.nodes['model.shop.asks'] %}
    {% set wall = (graph.exposures.values() | list)[0] if execute else {} %}
    {% set test = graph.nodes.values() | selectattr('resource_type', 'equalto', 'test') | first %}
    select '{{ me.config.on_schema_change }}' as policy, '{{ me.meta.owner }}' as owner,
      '{{ me.path }}' as path, '{{ me.columns.a.config.tags | join }}' as tags,
      '{{ wall.meta.who }}' as who, '{{ wall.depends_on.nodes | join }}' as reads,
      '{{ test.config.severity }}' as severity, '{{ test.depends_on.macros | join }}' as macros
"""


def test_graph_tells_what_the_manifest_tells(tmp_path: Path) -> None:
    files = {
        "models/asks.sql": GRAPH + " from {{ ref('raw_orders') }} limit 1",
        "models/all.yml": """
            models:
              - name: asks
                columns: [{name: policy, data_tests: [not_null]}, {name: a, tags: [t]}]
            exposures:
              - {name: wall, type: dashboard, owner: {name: Ann}, depends_on: [ref('asks')],
                 meta: {who: ann}}
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "select * from asks") == [
        ("ignore", "me", "asks.sql", "t", "ann", "model.shop.asks", "ERROR",
         "macro.dbt.test_not_null")
    ]  # fmt: skip


def test_the_two_phases_are_told_apart_by_what_config_gives(tmp_path: Path) -> None:
    model = """
        {{ config(materialized='table', tags=['t']) }}
        {% if not execute and config.get('materialized') == 'table' %}
          {{ exceptions.raise_compiler_error('told') }}
        {% endif %}
        select '{{ config.get("materialized") }}' as kind
    """
    root = project(tmp_path, **{"models/told.sql": model})
    run(root, "run", "told")
    assert rows(root, "select kind from told") == [("table",)]


def test_a_build_does_not_look_how_old_sources_are(tmp_path: Path) -> None:
    files = {
        "models/all.yml": """
            sources:
              - name: raw
                schema: main
                config: {loaded_at_field: day, freshness: {error_after: {count: 1, period: hour}}}
                tables: [{name: raw_orders}, {name: nowhere}]
        """,
        "models/reads.sql": "select id from {{ source('raw', 'raw_orders') }}",
        "models/names.sql": "-- {{ source('raw', 'nowhere') }}\nselect 1 as x",
    }
    root = project(tmp_path, **files)
    run(root, "seed")
    run(root, "build", "reads", "names")
    assert {results(root)[f"model.shop.{name}"] for name in ("reads", "names")} == {"success"}


def test_a_macro_may_configure_the_model_that_calls_it(tmp_path: Path) -> None:
    files = {
        "macros/set.sql": """
            {% macro as_table(name) %}{{ config(materialized='table', alias=name) }}{% endmacro %}
            {% macro through(name) %}{{ as_table(name) }}select 1 as id{% endmacro %}
        """,
        "models/one.sql": "{{ through('uno') }}",
        "models/two.sql": "{{ config(tags=['t']) }}{{ as_table('due') }} select 2 as id",
    }
    root = project(tmp_path, **files)
    run(root, "run", "one", "tag:t")
    found = "select table_name, table_type from information_schema.tables where table_schema='main'"
    assert set(rows(root, found)) >= {("uno", "BASE TABLE"), ("due", "BASE TABLE")}


BAD_TEST = {
    "tests/generic/bad.sql": "{% test bad(model) %}select nofunc(1) from {{ model }}{% endtest %}",
    "models/all.yml": """
        models:
          - name: stg_orders
            data_tests: [TEST]
            columns: [{name: id, data_tests: [not_null, unique]}]
    """,
}


@pytest.mark.parametrize("bad", ["bad", "nope.nix", "relationships: {to: ref('nope'), field: id}"])
def test_a_test_that_cannot_run_is_an_error_of_its_own(tmp_path: Path, bad: str) -> None:
    files = {name: text.replace("TEST", bad) for name, text in BAD_TEST.items()}
    root = project(tmp_path, **files)
    run(root, "build", ok=False)
    found = results(root)
    tests = {i.split(".")[2]: s for i, s in found.items() if i.startswith("test.")}
    assert found["model.shop.stg_orders"] == "success"
    assert tests.pop("not_null_stg_orders_id") == "pass"
    assert tests.pop("unique_stg_orders_id") == "pass"
    assert list(tests.values()) == ["error"]
    assert found["model.shop.customers"] == "skipped"
    assert rows(root, "select count(*) from stg_orders") == [(3,)]


@pytest.mark.parametrize("hook", ["on-run-start", "on-run-end"])
def test_a_hook_that_fails_takes_nothing_back(tmp_path: Path, hook: str) -> None:
    settings = f"""
        name: shop
        version: "1.0"
        profile: shop
        {hook}: select nofunc()
    """
    root = project(tmp_path, **{"dbt_project.yml": settings})
    report = run(root, "build", ok=False)
    assert "a hook failed" in said(report)
    assert results(root)["model.shop.customers"] == "success"
    assert rows(root, "select count(*) from customers") == [(2,)]


def test_a_hook_that_cannot_be_rendered_ends_the_run(tmp_path: Path) -> None:
    settings = """
        name: shop
        version: "1.0"
        profile: shop
        on-run-start: "{{ run_query('select nofunc()') }}"
    """
    root = project(tmp_path, **{"dbt_project.yml": settings})
    with pytest.raises(TransformError, match="nofunc"):
        run(root, "build")
    assert not (root / "warehouse.duckdb").exists()


def test_the_condition_of_a_test_may_ask_what_other_templates_ask(tmp_path: Path) -> None:
    files = {
        "models/all.yml": """
            models:
              - name: stg_orders
                columns:
                  - name: id
                    data_tests:
                      - accepted_values:
                          values: [1]
                          quote: false
                          config: {where: "{{ '1=1' if flags.FULL_REFRESH else 'id = 1' }}"}
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")


def test_tests_of_what_is_disabled_are_disabled_too(tmp_path: Path) -> None:
    files = {
        "models/off.sql": "{{ config(enabled=false) }} select 1 as id",
        "tests/reads_off.sql": "select * from {{ ref('off') }}",
        "models/all.yml": """
            models:
              - name: stg_orders
                columns:
                  - {name: id, data_tests: [{relationships: {to: ref('off'), field: id}}]}
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert not [i for i in results(root) if i.startswith("test.")]


ENDS = """
    name: shop
    version: "1.0"
    profile: shop
    on-run-end: >
      create or replace table told as select
      '{{ results[0].to_dict().status }}' as status,
      '{{ results[0].node.to_dict().name }}' as name,
      '{{ invocation_args_dict.which }}' as which,
      '{{ invocation_args_dict.select | join }}' as asked,
      '{{ selected_resources | join }}' as chosen,
      '{{ builtins.ref.config.project_name }}' as project,
      '{{ builtins.ref('raw_orders').identifier }}' as reads
"""


def test_a_run_may_be_asked_what_it_does(tmp_path: Path) -> None:
    root = project(tmp_path, **{"dbt_project.yml": ENDS})
    run(root, "seed")
    run(root, "run", "stg_orders")
    assert rows(root, "select * from told") == [
        ("success", "stg_orders", "run", "stg_orders", "model.shop.stg_orders", "shop",
         "raw_orders")
    ]  # fmt: skip


def test_a_template_reads_the_settings_of_the_run(tmp_path: Path) -> None:
    text = """
        {% set settings = adapter.config %}
        select '{{ settings.project_name }}' as project, '{{ settings.target_name }}' as target,
        '{{ settings.credentials.schema }}.{{ settings.credentials.type }}' as place,
        '{{ settings.quoting.identifier }}' as quoted, '{{ settings.cli_vars.x }}' as x
    """
    root = project(tmp_path, **{"models/said.sql": text})
    run(root, "run", "said", vars={"x": 5})
    assert rows(root, "from said") == [("shop", "dev", "main.duckdb", "True", "5")]


@pytest.mark.parametrize(
    ("called", "named"),
    [
        ("adapter.config.threeads", "`adapter.config` has no `threeads`"),
        ("adapter.config.credentials.password", "`adapter.config.credentials` has no `password`"),
        ("adapter.no_such()", "the adapter has no `no_such`"),
        ("dbt.no_such()", "the package `dbt` has no macro `no_such`"),
        ("shop.no_such()", "the package `shop` has no macro `no_such`"),
    ],
)
def test_what_is_not_there_fails_by_name(tmp_path: Path, called: str, named: str) -> None:
    root = project(tmp_path, **{"models/said.sql": f"select '{{{{ {called} }}}}' as x"})
    try:
        told = said(run(root, "run", "said", ok=False))
    except Mistakes as mistakes:
        told = str([each.what for each in mistakes.errors])
    assert named in told
