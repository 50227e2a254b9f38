"""Unit tests of dbt projects whose YAML and files hold Jinja."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.test_build import project, results, run, said

MODEL = {
    "models/base.sql": "select 1 as a, 'x' as description, date '2024-01-01' as d",
    "models/sums.sql": "select a + {{ var('n') }} as b, description, d from {{ ref('base') }}",
    "macros/three.sql": "{% macro three() %}3{% endmacro %}",
    "tests/fixtures/asked.sql": "select {{ three() }} as a, '{{ var(\"who\") }}' as description,"
    " date '2024-02-02' as d",
}
SETTINGS = """
    name: shop
    profile: shop
    vars: {n: 4, who: bob}
"""


@pytest.mark.parametrize(
    "unit",
    [
        (
            "given: [{input: ref('base'), format: csv,"
            " rows: \"a,d\\n{{ var('n') }},2024-01-01\\n\"}]\n"
            "        expect: {format: csv, rows: \"b,d\\n{{ var('n') * 2 }},2024-01-01\\n\"}"
        ),
        (
            "given: [{input: ref('base'), format: sql, fixture: asked}]\n"
            "        expect: {rows: [{b: 7, d: 2024-02-02, description: bob}]}"
        ),
        (
            'overrides: {vars: {n: "{{ 5 + 5 }}"}}\n'
            "        given: [{input: ref('base'), rows: [{a: \"{{ var('n') - 3 }}\"}]}]\n"
            "        expect: {rows: [{b: 11}]}"
        ),
        (
            "given: [{input: ref('base'), rows: [{a: 1, description: \"{{ var('who') }}\"}]}]\n"
            "        expect: {rows: [{b: 5, description: bob}]}"
        ),
    ],
)
def test_the_rows_of_a_unit_test_may_hold_jinja(tmp_path: Path, unit: str) -> None:
    tests = f"""
    unit_tests:
      - name: one
        description: "{{{{ nobody_knows }}}}"
        model: sums
        {unit}
    """
    root = project(tmp_path, **MODEL, **{"dbt_project.yml": SETTINGS, "models/units.yml": tests})
    run(root, "build", "+sums")
    assert results(root)["unit_test.shop.sums.one"] == "pass"


def test_a_unit_test_is_switched_off_by_an_expression(tmp_path: Path) -> None:
    tests = """
    unit_tests:
      - name: one
        model: sums
        config: {enabled: "{{ var('n') == 1 }}"}
        given: [{input: ref('base'), rows: [{a: 1}]}]
        expect: {rows: [{b: 99}]}
    """
    root = project(tmp_path, **MODEL, **{"dbt_project.yml": SETTINGS, "models/units.yml": tests})
    run(root, "build", "+sums")
    assert "unit_test.shop.sums.one" not in results(root)


def test_jinja_in_rows_that_cannot_be_filled_in_is_named_with_its_place(tmp_path: Path) -> None:
    from transformer.errors import Mistakes

    tests = """
    unit_tests:
      - name: one
        model: sums
        given: [{input: ref('base'), rows: [{a: "{{ var('nothing') }}"}]}]
        expect: {rows: [{b: 99}]}
    """
    root = project(tmp_path, **MODEL, **{"dbt_project.yml": SETTINGS, "models/units.yml": tests})
    with pytest.raises(Mistakes) as caught:
        run(root, "build")
    (wrong,) = caught.value.errors
    assert "`nothing`" in wrong.what
    assert str(wrong.where).startswith("models/units.yml:4")


def test_a_failing_unit_test_with_jinja_fails(tmp_path: Path) -> None:
    tests = """
    unit_tests:
      - name: one
        model: sums
        given: [{input: ref('base'), rows: [{a: "{{ var('n') }}"}]}]
        expect: {rows: [{b: 4}]}
    """
    root = project(tmp_path, **MODEL, **{"dbt_project.yml": SETTINGS, "models/units.yml": tests})
    report = run(root, "build", ok=False)
    assert results(root)["unit_test.shop.sums.one"] == "fail", said(report)
