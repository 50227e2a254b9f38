"""Data tests: every spelling, and the names that dbt gives them."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.project_dbt.lab import PROJECT, checks, clean, names
from transformer.project.values import CheckConfig, CheckSpec, Project

ORDERS = {"models/orders.sql": "select 1 as id"}


def loaded(tmp_path: Path, tests: str, settings: str = "", column: str = "") -> Project:
    """A project whose one model has these tests, on itself or on a column."""
    body = textwrap.indent(textwrap.dedent(tests).strip(), "      ")
    if column:
        body = textwrap.indent(body, "      ")
        said = f"    columns:\n      - name: {column}\n        data_tests:\n{body}\n"
    else:
        said = f"    data_tests:\n{body}\n"
    files = {
        "dbt_project.yml": PROJECT + settings,
        "models/_.yml": f"models:\n  - name: orders\n{said}",
    }
    return clean(tmp_path, {**ORDERS, **files})


def one(tmp_path: Path, tests: str, settings: str = "", column: str = "") -> CheckSpec:
    (check,) = checks(loaded(tmp_path, tests, settings, column))
    return check


@pytest.mark.parametrize(
    ("tests", "name", "kind", "args"),
    [
        ("- unique", "unique_orders_id", "unique", {}),
        ("- unique:", "unique_orders_id", "unique", {}),
        (
            "- accepted_values: {values: [a, b-c]}",
            "accepted_values_orders_id__a__b_c",
            "accepted_values",
            {"values": ["a", "b-c"]},
        ),
        (
            "- accepted_values: {arguments: {values: [1, true], quote: false}}",
            "accepted_values_orders_id__False__1__True",
            "accepted_values",
            {"values": [1, True], "quote": False},
        ),
        (
            "- relationships: {to: \"ref('people')\", field: id}",
            "relationships_orders_id__id__ref_people_",
            "relationships",
            {"to": "ref('people')", "field": "id"},
        ),
        (
            "- dbt_utils.accepted_range: {min_value: 0}",
            "dbt_utils_accepted_range_orders_id__0",
            "dbt_utils.accepted_range",
            {"min_value": 0},
        ),
        (
            "- {name: mine, test_name: not_null, config: {severity: warn}}",
            "mine",
            "not_null",
            {},
        ),
        ("- not_null: {name: own_name, description: why}", "own_name", "not_null", {}),
        (
            "- is_true: {expression: \"> {{ var('least') }}\"}",
            "is_true_orders_id___var_least_",
            "is_true",
            {"expression": "> {{ var('least') }}"},
        ),
    ],
)
def test_a_test_is_named_after_its_kind_its_node_and_its_arguments(
    tmp_path: Path, tests: str, name: str, kind: str, args: dict[str, object]
) -> None:
    check = one(tmp_path, tests, column="id")
    assert (check.name, check.kind, check.column) == (name, kind, "id")
    assert check.args == args
    assert len(check.suffix) == 10


def test_a_long_name_stays_and_its_table_has_a_short_one(tmp_path: Path) -> None:
    check = one(tmp_path, f"- accepted_values: {{values: [{'x' * 40}, {'y' * 40}]}}", column="id")
    assert check.name == f"accepted_values_orders_id__{'x' * 40}__{'y' * 40}"
    assert check.alias.startswith("accepted_values_orders_")
    assert len(check.alias) == len("accepted_values_orders") + 33


def test_the_same_test_has_the_same_suffix_and_another_another(tmp_path: Path) -> None:
    same = [one(tmp_path / n, "- unique", column="id").suffix for n in "ab"]
    other = one(tmp_path / "c", "- unique: {name: unique_orders_id, column: x}", column="id")
    assert same[0] == same[1] != other.suffix


CONFIG = CheckConfig(
    severity="warn",
    where="id > 1",
    warn_if="> 1",
    error_if="> 9",
    limit=5,
    store_failures=True,
    tags=("t",),
    fail_calc="sum(n)",
    schema="audit",
    meta={"a": 1},
)


@pytest.mark.parametrize("under", ["config: {", "{"])
def test_configuration_stands_beside_the_arguments_or_under_config(
    tmp_path: Path, under: str
) -> None:
    keys = (
        "severity: \"{{ 'warn' if target.name == 'dev' else 'error' }}\", where: id > 1,"
        " warn_if: '> 1', error_if: '> 9', limit: 5, store_failures: true, tags: t,"
        " fail_calc: sum(n), schema: audit, meta: {a: 1}}"
    )
    body = f"{{{under}{keys}}}" if under != "{" else f"{{{keys}"
    check = one(tmp_path, f"- unique: {body}", column="id")
    assert check.config == CONFIG
    assert check.args == {}
    assert {"severity", "where"} <= check.pinned


def test_configuration_of_the_folder_holds_where_the_test_says_nothing(tmp_path: Path) -> None:
    settings = "tests:\n  +severity: warn\n  shop: {+store_failures: true}\n"
    check = one(tmp_path, "- unique: {config: {severity: error}}", settings, column="id")
    assert (check.config.severity, check.config.store_failures) == ("error", True)
    assert check.pinned == {"severity"}


@pytest.mark.parametrize(
    ("settings", "tests"),
    [
        ("data_tests: {+enabled: false}\n", "- unique"),
        ("", "- unique: {config: {enabled: \"{{ var('x', false) }}\"}}"),
        ("", "- unique: {enabled: false}"),
        ("models: {shop: {+enabled: false}}\n", "- unique"),
    ],
)
def test_a_test_that_is_switched_off_or_whose_node_is_vanishes(
    tmp_path: Path, settings: str, tests: str
) -> None:
    assert not names(loaded(tmp_path, tests, settings, column="id"))


def test_a_quoted_column_is_named_as_it_is_quoted(tmp_path: Path) -> None:
    text = """
        models:
          - name: orders
            columns: [{name: Id, quote: true, tests: [unique]}]
        """
    (check,) = checks(clean(tmp_path, {**ORDERS, "models/_.yml": text}))
    assert (check.name, check.column) == ("unique_orders__Id_", "Id")
    assert check.args == {"column_name": '"Id"'}


def test_tests_have_the_tags_of_their_column_and_their_source(tmp_path: Path) -> None:
    text = """
        sources:
          - name: raw
            tags: [raw]
            tables:
              - name: orders
                columns: [{name: id, tags: [key], tests: [{unique: {tags: [own]}}]}]
        """
    (check,) = checks(clean(tmp_path, {**ORDERS, "models/_.yml": text}))
    assert check.config.tags == ("raw", "key", "own")


def test_a_test_under_another_kind_is_put_on_the_node_of_that_name(tmp_path: Path) -> None:
    files = {"seeds/people.csv": "id\n1\n", "models/_.yml": "models: [{name: people, tests: [x]}]"}
    project = clean(tmp_path, {**ORDERS, **files})
    assert [c.name for c in project.seeds[0].described.checks] == ["x_people_"]


def test_sql_files_are_tests_with_configuration_of_folder_and_yaml(tmp_path: Path) -> None:
    files = {
        "dbt_project.yml": PROJECT + "data_tests: {shop: {strict: {+severity: warn}}}\n",
        "tests/strict/few.sql": "select 1",
        "tests/other.sql": "select 1",
        "tests/gone.sql": "select 1",
        "tests/_.yml": "data_tests: [{name: other, description: Why, config: {limit: 2}},"
        " {name: gone, config: {enabled: false}}]",
    }
    few = {check.name: check for check in clean(tmp_path, {**ORDERS, **files}).sql_checks}
    assert set(few) == {"few", "other"}
    assert (few["few"].config.severity, few["few"].fqn) == ("warn", ("strict", "few"))
    assert (few["other"].config.limit, few["other"].described.description) == (2, "Why")
