"""What of a run is no node: hooks before and after it, exposures and saved queries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.dbt.test_build import project, rows, run, said

SETTINGS = """
    name: shop
    version: "1.0"
    profile: shop
"""


def results(root: Path) -> dict[str, dict[str, Any]]:
    made = json.loads((root / "target" / "run_results.json").read_text())
    return {each["unique_id"]: each for each in made["results"]}


def statuses(root: Path, *kinds: str) -> dict[str, str]:
    return {i: r["status"] for i, r in results(root).items() if i.startswith(kinds)}


def test_every_hook_has_a_result_and_packages_come_first(tmp_path: Path) -> None:
    settings = (
        SETTINGS
        + """
    on-run-start: ["create table began (i int)", "{{ log('x') }}"]
    on-run-end: "insert into began values (1)"
"""
    )
    root = project(
        tmp_path,
        **{
            "dbt_project.yml": settings,
            "packages.yml": "packages: [{local: ./zoo}, {local: ./ant}]",
            "zoo/dbt_project.yml": "name: zoo\non-run-start: create table zoo as select 1 as i\n",
            "ant/dbt_project.yml": "name: ant\non-run-start: create table ant as select 1 as i\n",
            "dbt_packages/zoo/dbt_project.yml": "name: zoo\n"
            "on-run-start: create table zoo as select 1 as i\n",
            "dbt_packages/ant/dbt_project.yml": "name: ant\n"
            "on-run-start: create table ant as select 1 as i\n",
        },
    )
    run(root, "build")
    found = results(root)
    hooks = {i: each for i, each in found.items() if i.startswith("operation.")}
    assert list(hooks) == [
        "operation.ant.ant-on-run-start-0",
        "operation.zoo.zoo-on-run-start-0",
        "operation.shop.shop-on-run-start-0",
        "operation.shop.shop-on-run-start-1",
        "operation.shop.shop-on-run-end-0",
    ]
    assert {each["status"] for each in hooks.values()} == {"success"}
    assert {each["thread_id"] for each in hooks.values()} == {"main"}
    assert [each["message"] for each in hooks.values()] == [
        "ant.on-run-start.0 passed",
        "zoo.on-run-start.1 passed",
        "shop.on-run-start.2 passed",
        "shop.on-run-start.3 passed",
        "shop.on-run-end.0 passed",
    ]
    assert next(iter(found)) == "operation.ant.ant-on-run-start-0"
    assert list(found)[-1] == "operation.shop.shop-on-run-end-0"


def test_hooks_behind_one_that_failed_are_skipped(tmp_path: Path) -> None:
    settings = SETTINGS + "    on-run-end: [select nofunc(), select 1, select 2]\n"
    root = project(tmp_path, **{"dbt_project.yml": settings})
    report = run(root, "build", ok=False)
    assert "nofunc" in said(report)
    assert list(statuses(root, "operation.").values()) == ["error", "skipped", "skipped"]
    assert statuses(root, "model.shop.customers") == {"model.shop.customers": "success"}


@pytest.mark.parametrize(
    "hook", ["{{ run_query('select * from nowhere') }}", "{{ nobody() }}", "{{ 1 / 0 }}"]
)
def test_a_last_hook_that_cannot_be_rendered_keeps_the_results(tmp_path: Path, hook: str) -> None:
    settings = SETTINGS + f'    on-run-end: ["{hook}", "select 1"]\n'
    files = {"dbt_project.yml": settings, "models/wrong.sql": "select nothing_here"}
    root = project(tmp_path, **files)
    report = run(root, "build", ok=False)
    failed = {each.id: str(each.error) for each in report.results.bad}
    assert "nothing_here" in failed["model.shop.wrong"]
    assert "dbt_project.yml:4:14" in failed["operation.shop.shop-on-run-end-0"]
    assert statuses(root, "model.", "operation.") == {
        "model.shop.stg_orders": "success",
        "model.shop.customers": "success",
        "model.shop.wrong": "error",
        "operation.shop.shop-on-run-end-0": "error",
        "operation.shop.shop-on-run-end-1": "skipped",
    }
    assert rows(root, "select count(*) from stg_orders") == [(3,)]


def test_a_retry_leaves_hooks_alone(tmp_path: Path) -> None:
    from transformer.flows.retry import retry_request
    from transformer.request import Environment, Request

    settings = SETTINGS + "    on-run-end: select nofunc()\n"
    files = {"dbt_project.yml": settings, "models/wrong.sql": "select nothing_here"}
    root = project(tmp_path, **files)
    run(root, "build", ok=False)
    asked = retry_request(Request(root), Environment({"HOME": str(root)}))
    assert asked.only.only == frozenset({"model.shop.wrong"})


def test_the_last_hook_sees_failed_hooks_and_the_schemas_of_what_was_made(tmp_path: Path) -> None:
    settings = (
        SETTINGS
        + """
    models: {shop: {broken: {+schema: broken}, marts: {+schema: marts}}}
    on-run-start: [select 1, select nofunc(), select 2]
    on-run-end: >
      create table told as select
      '{{ results | map(attribute="unique_id") | select("search", "operation") | join }}' as failed,
      '{{ schemas | sort | join(",") }}' as schemas,
      '{{ model.unique_id }}' as who
"""
    ).replace('select("search", "operation")', 'reject("in", known)')
    settings = settings.replace("create table", "{% set known = selected_resources %}create table")
    files = {"dbt_project.yml": settings, "models/broken/wrong.sql": "select nothing_here"}
    root = project(tmp_path, **files)
    run(root, "build", ok=False)
    assert rows(root, "from told") == [
        (
            "operation.shop.shop-on-run-start-1",
            "main,main_marts",
            "operation.shop.shop-on-run-end-0",
        )
    ]


KEPT = """
    exposures:
      - {name: board, type: dashboard, owner: {name: ann}, depends_on: ["ref('customers')"]}
      - {name: raw, type: dashboard, owner: {name: ann}, depends_on: ["ref('stg_orders')"]}
"""


def test_a_build_passes_over_exposures(tmp_path: Path) -> None:
    root = project(tmp_path, **{"models/kept.yml": KEPT})
    run(root, "build")
    assert statuses(root, "exposure.") == {
        "exposure.shop.board": "no-op",
        "exposure.shop.raw": "no-op",
    }
    run(root, "build", "stg_orders+", full_refresh=True)
    assert set(statuses(root, "exposure.")) == {"exposure.shop.board", "exposure.shop.raw"}
    run(root, "build", "stg_orders", full_refresh=True)
    assert statuses(root, "exposure.") == {}
    run(root, "run")
    assert statuses(root, "exposure.") == {}


def test_an_exposure_of_what_failed_is_skipped(tmp_path: Path) -> None:
    files = {"models/kept.yml": KEPT, "models/marts/customers.sql": "select nothing_here"}
    root = project(tmp_path, **files)
    run(root, "build", ok=False)
    assert statuses(root, "exposure.") == {
        "exposure.shop.board": "skipped",
        "exposure.shop.raw": "no-op",
    }


@pytest.mark.parametrize(
    "hook",
    [
        "after_commit('insert into told values (1)')",
        "before_begin('insert into told values (1)')",
        '\'{"sql": "insert into told values (1)", "transaction": false}\'',
        "{'sql': 'insert into told values (1)', 'transaction': false}",
    ],
)
def test_hooks_may_be_mappings_or_their_json(tmp_path: Path, hook: str) -> None:
    settings = SETTINGS + "    on-run-start: create table told (i int)\n"
    text = f"{{{{ config(materialized='table', post_hook={hook}) }}}} select 1 as n"
    root = project(tmp_path, **{"dbt_project.yml": settings, "models/one.sql": text})
    run(root, "run", "one")
    assert rows(root, "from told") == [(1,)]


def test_hooks_of_a_run_may_come_to_json(tmp_path: Path) -> None:
    settings = (
        SETTINGS
        + """
    on-run-start:
      - "{{ after_commit('create table told as select 1 as n') }}"
      - '{"sql": "create table more as select 2 as n"}'
"""
    )
    root = project(tmp_path, **{"dbt_project.yml": settings})
    run(root, "build")
    assert rows(root, "from told union all from more") == [(1,), (2,)]
