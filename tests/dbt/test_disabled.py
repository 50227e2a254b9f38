"""What switches a node on or off: the project file, properties, and the node's own text."""

from __future__ import annotations

import json
from pathlib import Path

from tests.projects import query, transform, write

PROFILE = "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb}}}\n"
PROJECT = """
    name: shop
    profile: shop
    vars: {wanted: true}
    models: {shop: {maybe: {+enabled: "{{ var('wanted', false) | as_bool }}"}}}
    snapshots: {shop: {+enabled: false}}
    data_tests: {shop: {+enabled: false}}
    """
DEEP = "{% macro when(flag) %}{{ config(enabled=flag) }}{% endmacro %}"
CALLER = "{% macro only_if(name) %}{{ when(var(name)) }}{% endmacro %}"


def shop(root: Path, files: dict[str, str]) -> Path:
    return write(root, {"dbt_project.yml": PROJECT, "profiles.yml": PROFILE, **files})


def relations(root: Path) -> set[str]:
    found = query(
        root / "shop.duckdb",
        "select table_name from information_schema.tables where table_schema = 'main'",
    )
    return {str(name) for (name,) in found}


def test_a_macro_that_calls_another_switches_a_model_on(tmp_path: Path) -> None:
    root = shop(
        tmp_path,
        {
            "macros/a.sql": CALLER,
            "macros/b.sql": DEEP,
            "models/maybe/orders.sql": "{{ only_if('wanted') }} select 1 as id",
            "models/maybe/left.sql": "select 2 as id",
            "models/totals.sql": "select count(*) as n from {{ ref('orders') }}",
        },
    )
    transform(root, "run")
    assert query(root / "shop.duckdb", "select n from totals") == [(1,)]
    assert "left" not in relations(root)


def test_a_macro_switches_snapshots_and_tests_on(tmp_path: Path) -> None:
    root = shop(
        tmp_path,
        {
            "macros/a.sql": DEEP,
            "models/orders.sql": "select 1 as id, 'a' as kind",
            "snapshots/kept.sql": """
                {% snapshot kept %}{{ when(true) }}
                {{ config(unique_key='id', strategy='check', check_cols='all') }}
                select * from {{ ref('orders') }}{% endsnapshot %}
                """,
            "tests/none.sql": "{{ when(var('wanted')) }} select * from {{ ref('orders') }}"
            " where id is null",
            "tests/off.sql": "select * from {{ ref('orders') }}",
        },
    )
    transform(root, "build")
    results = json.loads((root / "target/run_results.json").read_text())["results"]
    assert [each["unique_id"] for each in results if each["unique_id"].startswith("test.")] == [
        "test.shop.none"
    ]
    assert relations(root) == {"orders", "kept"}


def test_the_root_beats_what_a_package_switches_on_itself(tmp_path: Path) -> None:
    root = shop(
        tmp_path,
        {
            "dbt_project.yml": "name: shop\nprofile: shop\nmodels: {tools: {+enabled: false}}\n",
            "packages.yml": "packages: [{local: ./tools}]",
            "tools/dbt_project.yml": "name: tools\n",
            "tools/macros/a.sql": DEEP,
            "tools/models/given.sql": "{{ when(true) }} select 1 as id",
            "models/own.sql": "select 1 as id",
        },
    )
    transform(root, "deps")
    transform(root, "run")
    assert relations(root) == {"own"}


def test_a_variable_of_the_command_line_is_filled_in_for_the_project_file_only(
    tmp_path: Path,
) -> None:
    root = shop(
        tmp_path,
        {
            "dbt_project.yml": "name: shop\nprofile: shop\n"
            "models: {+schema: \"{{ var('place') }}\"}\n",
            "models/orders.sql": "select '{{ var(\"place\") }}' as place,"
            " '{{ model.description }}' as said",
            "models/orders.yml": "models: [{name: orders, description: \"{{ var('place') }}\"}]",
        },
    )
    transform(root, "run", "--vars", '{place: "{{ target.name }}_{{ 2 + 3 }}"}')
    found = query(root / "shop.duckdb", "select place, said from main_dev_5.orders")
    assert found == [("dev_5", "{{ target.name }}_{{ 2 + 3 }}")]


def test_a_variable_that_holds_itself_is_refused(tmp_path: Path) -> None:
    root = shop(
        tmp_path,
        {
            "dbt_project.yml": "name: shop\nprofile: shop\n"
            "models: {+schema: \"{{ var('place') }}\"}\n",
            "models/orders.sql": "select 1 as id",
        },
    )
    done = transform(root, "run", "--vars", "{place: \"{{ var('place') }}\"}", check=False)
    assert done.returncode == 1
    assert "`place` refers to itself" in done.stderr
    assert not (root / "shop.duckdb").exists()
