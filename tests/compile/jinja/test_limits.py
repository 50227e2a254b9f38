"""Templates that would not end, or would make more than a machine holds, are refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import query, transform, write

NESTED = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
FALLING = "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
DOUBLES = (
    "{% set n = namespace(t='x' * 1000) %}{% for i in range(60) %}"
    "{% set n.t = n.t + n.t %}{% endfor %}"
)
ENDLESS = {
    "loops in loops": (f"select 1\n{NESTED}", "does not end", 2),
    "macros that call themselves twice": (f"{FALLING}select 1\n{{{{ f(60) }}}}", "does not end", 1),
    "a text times a number": ("select 1\n{{ 'x' * 10000000000 }}", "too large", 2),
    "a number times a text": ("select 1\n{{ 10000000000 * 'x' }}", "too large", 2),
    "a list times a number": ("{% set a = [1] * 1000000000 %}", "too large", 1),
    "powers": ("select 1\n{{ 10 ** 10000000000 }}", "too large", 2),
    "a width": ("select {{ '%10000000000d' % 1 }}", "too large", 1),
    "a text that doubles": (
        DOUBLES.replace("+", "~"), "too large", 1,
    ),
    "a text that is added to itself": (
        DOUBLES, "too large", 1,
    ),
    "a long output": (
        "{% set t = 'x' * 1000000 %}{% for i in range(90000) %}{{ t }}{% endfor %}", "too large", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", ENDLESS)
def test_a_template_that_does_not_end_is_refused_at_its_line(tmp_path: Path, text: str) -> None:
    template, said, line = ENDLESS[text]
    root = write(tmp_path, {"models/m.sql": "select 1"})
    (root / "models" / "m.sql").write_text(template)
    done = transform(root, "build", check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert f"models/m.sql:{line}" in done.stderr, done.stderr


@pytest.mark.parametrize("value", [NESTED, "{{ 'x' * 10000000000 }}", "{{ 10 ** 10000000000 }}"])
def test_so_is_a_value_in_yaml(tmp_path: Path, value: str) -> None:
    root = write(tmp_path, {"models/m.sql": "select 1"})
    (root / "transform.yml").write_text(f'name: "{value}"\n')
    done = transform(root, "build", check=False)
    assert done.returncode == 1
    assert "transform.yml:1:7" in done.stderr


def test_what_ends_is_rendered_as_before(tmp_path: Path) -> None:
    text = (
        "{% macro cells(n) %}{% for i in range(n) %}{{ i ~ '_' ~ (i + 1) }}"
        "{{ ', ' if not loop.last }}{% endfor %}{% endmacro %}"
        "select '{{ cells(3) }}' as a, {{ 2 ** 10 }} as b, '{{ '%03d' % 7 }}' as c,"
        " {{ 3 * 4 + 1 }} as d, '{{ 'ab' * 2 + 'c' }}' as e"
    )
    root = write(tmp_path, {"models/m.sql": "select 1"})
    (root / "models" / "m.sql").write_text(text)
    transform(root, "build")
    found = query(root / "warehouse.duckdb", "from m")
    assert found == [("0_1, 1_2, 2_3", 1024, "007", 13, "ababc")]
