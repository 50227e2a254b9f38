"""Checks on ephemeral models: they look at the query that readers of the model get."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.test_build import project, rows, run, said

# The first asks the warehouse for its columns, the second reads it.
ASKING = """
    {{ config(materialized='ephemeral') }}
    {% set found = adapter.get_columns_in_relation(ref('stg_orders')) | map(attribute='name') %}
    select {{ found | list | join(', ') or 'id' }} from {{ ref('stg_orders') }}
"""
BESIDE = """
    {{ config(materialized='ephemeral') }}
    select id, customer, 'x' as kind from {{ ref('asking') }}
"""
PLAIN = """
    {{ config(materialized='ephemeral') }}
    select id, customer, 'x' as kind from {{ ref('stg_orders') }}
"""
CHECKS = """
    models:
      - name: NAME
        columns:
          - name: customer
            data_tests:
              - not_null
              - CHECK
"""
MACRO = """
    {% test is_short(model, column_name) %}
    select * from {{ model }} where length({{ column_name }}) > LIMIT
    {% endtest %}
"""
LISTED = "accepted_values: {arguments: {values: [ann VALUES]}}"
LED = "relationships: {arguments: {to: ref('asking'), field: customer}}"
OTHER = "relationships: {arguments: {to: ref('raw_orders'), field: FIELD}}"


def made(tmp_path: Path, name: str, check: str, macro: str = "") -> Path:
    files = {
        "models/asking.sql": ASKING,
        "models/beside.sql": BESIDE,
        "models/plain.sql": PLAIN,
        "models/reader.sql": f"select * from {{{{ ref('{name}') }}}}",
        "models/checks.yml": CHECKS.replace("NAME", name).replace("CHECK", check),
    }
    if macro:
        files["macros/is_short.sql"] = macro
    return project(tmp_path, **files)


@pytest.mark.parametrize("name", ["asking", "beside", "plain"])
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (LISTED.replace(" VALUES", ", bob"), LISTED.replace(" VALUES", "")),
        (OTHER.replace("FIELD", "customer"), OTHER.replace("FIELD", "day::varchar")),
        ("not_null: {name: other, config: {where: id < 9}}", "unique: {config: {where: id < 9}}"),
    ],
)
def test_a_check_on_an_ephemeral_model_looks_at_its_query(
    name: str, good: str, bad: str, tmp_path: Path
) -> None:
    root = made(tmp_path, name, good)
    report = run(root, "build")
    assert len([each for each in report.results.every() if each.action == "check"]) == 2
    assert rows(root, "select count(*) from reader") == [(3,)]
    (root / "models/checks.yml").write_text(
        (root / "models/checks.yml").read_text().replace(good, bad)
    )
    report = run(root, "build", ok=False)
    assert len(report.results.bad) == 1
    assert "cannot run" not in said(report)


@pytest.mark.parametrize("name", ["asking", "beside", "plain"])
def test_a_check_of_the_project_looks_at_the_query_too(name: str, tmp_path: Path) -> None:
    root = made(tmp_path, name, "is_short", MACRO.replace("LIMIT", "3"))
    run(root, "build")
    macro = root / "macros/is_short.sql"
    macro.write_text(macro.read_text().replace("> 3", "> 2"))
    report = run(root, "build", ok=False)
    assert [each.facts.get("failures") for each in report.results.bad] == [3]


@pytest.mark.parametrize("name", ["asking", "plain"])
def test_a_check_leads_to_an_ephemeral_model(name: str, tmp_path: Path) -> None:
    root = made(tmp_path, "stg_orders", LED.replace("asking", name))
    run(root, "build")


def test_another_query_of_the_model_is_checked_again(tmp_path: Path) -> None:
    root = made(tmp_path, "asking", "unique: {config: {where: id < 9}}")
    model = root / "models/asking.sql"
    model.write_text(f"{ASKING} where id = 1")
    run(root, "build")
    model.write_text(ASKING)
    report = run(root, "build", ok=False)
    assert [each.facts.get("failures") for each in report.results.bad] == [1]
