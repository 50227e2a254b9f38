"""Macros of dbt projects: how files are read, and what names and dispatches lead to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.test_build import project, rows, run
from tests.projects import transform
from transformer.errors import Mistakes

PACKAGES = {
    "packages.yml": "packages: [{local: dbt_packages/q}, {local: dbt_packages/r}]",
    "dbt_packages/q/dbt_project.yml": 'name: q\nversion: "1.0"\n',
    "dbt_packages/r/dbt_project.yml": 'name: r\nversion: "1.0"\n',
}


def test_a_macro_that_begins_with_underscores_is_called_through_its_package(tmp_path: Path) -> None:
    more = {
        "macros/m.sql": "{% macro __m() %}{{ return('x') }}{% endmacro %}",
        "models/x.sql": "select '{{ shop.__m() }}' as a, '{{ shop['__m']() }}' as b, '{{ __m() }}'",
    }
    root = project(tmp_path, **more)
    run(root, "run", "x")
    assert rows(root, "from x") == [("x", "x", "x")]


@pytest.mark.parametrize(
    "reach", ["__class__", "__init__", "_PackageNamespace__session", "__slots__"]
)
def test_a_package_gives_nothing_but_its_macros(tmp_path: Path, reach: str) -> None:
    more = {
        "macros/m.sql": "{% macro m() %}{% endmacro %}",
        "models/x.sql": f"select '{{{{ shop.{reach} }}}}{{{{ shop['{reach}'] }}}}' as a",
    }
    root = project(tmp_path, **more)
    run(root, "run", "x")
    assert rows(root, "from x") == [("",)]


def test_text_outside_the_macros_of_a_file_does_not_matter(tmp_path: Path) -> None:
    text = """\
{% https://x.y/z %}
{{ nonsense( }}
{# {% macro no() %}{% endmacro %} #}
{% raw %}{% macro neither() %}{% endmacro %}{% endraw %}
{{ "{% macro nor() %}" }}
{% if %}
{% macro one(a={'b': {}}) %}{% set c = {'d': {}} %}'{{ "{% endmacro %}" | length }}'{% endmacro %}
it's {% else %} nothing
{%- data_test two(model) -%}select 1 as x where {{ 0 }} = 1{%- enddata_test -%}
"""
    more = {
        "macros/m.sql": text,
        "models/x.sql": "select {{ one() }} as a, '{{ no is defined }}' as b",
        "models/x.yml": "models: [{name: x, data_tests: [two]}]",
    }
    root = project(tmp_path, **more)
    run(root, "build", "x")
    assert rows(root, "from x") == [("14", "False")]


def test_every_mistake_inside_the_macros_of_a_file_is_shown_at_its_line(tmp_path: Path) -> None:
    text = """\
{% https://x.y/z %}
{% macro fine() %}1{% endmacro %}
{% macro one() %}
{{ 1 + }}
{% endmacro %}
{% macro two() %}
{% if true %}
{% endmacro %}
{% macro three() %}
"""
    more = {"macros/m.sql": text, "models/x.sql": "select {{ fine() }} as a, {{ one() }} as b"}
    with pytest.raises(Mistakes) as caught:
        run(project(tmp_path, **more), "run")
    places = [each.where for each in caught.value.errors]
    assert [place.line for place in places if place] == [4, 7, 9]


@pytest.mark.parametrize("opening", ["{# begins", "{% raw %}"])
def test_a_comment_without_an_end_is_a_mistake(tmp_path: Path, opening: str) -> None:
    text = f"{{% macro one() %}}1{{% endmacro %}}\n{opening}\n{{% macro two() %}}{{% endmacro %}}"
    more = {"macros/m.sql": text, "models/x.sql": "select {{ one() }} as a"}
    with pytest.raises(Mistakes) as caught:
        run(project(tmp_path, **more), "run")
    assert len(caught.value.errors) == 1


Q = """
{% macro sub(where) %}{{ return(adapter.dispatch('sub', where)()) }}{% endmacro %}
{% macro default__sub() %}q{% endmacro %}
{% macro helper() %}q{% endmacro %}
{% macro outer() %}{{ helper() }}{% endmacro %}
{% macro alone() %}{{ only_here() }}{% endmacro %}
{% macro only_here() %}here{% endmacro %}
"""
R = """
{% macro sub() %}{{ return(adapter.dispatch('sub')()) }}{% endmacro %}
{% macro default__sub() %}r{% endmacro %}
{% macro duckdb__sub() %}r of duckdb{% endmacro %}
{% macro through() %}{{ return(q.sub('nosuch')) }}{% endmacro %}
"""
ASKED = ("q.sub('nosuch')", "q.sub(none)", "q.sub('q')", "q.sub('both')", "r.sub()", "r.through()",
         "q.outer()")  # fmt: skip


@pytest.mark.parametrize(
    ("package", "own", "wanted"),
    [
        ("", "p", ("p", "p", "p", "r of duckdb", "p", "p", "p")),
        ("q", "p", ("q", "q", "p", "r of duckdb", "q", "q", "q")),
        ("r", "p", ("r of duckdb", "r of duckdb", "p", "r of duckdb", *["r of duckdb"] * 2, "p")),
        ("q", "", ("q", "q", "q", "r of duckdb", "q", "q", "q")),
    ],
)
def test_a_dispatch_looks_where_dbt_looks(
    tmp_path: Path, package: str, own: str, wanted: tuple[str, ...]
) -> None:
    home = f"dbt_packages/{package}/" if package else ""
    asked = ", ".join(f"'{{{{ {call} }}}}' as c{at}" for at, call in enumerate(ASKED))
    more = {
        **PACKAGES,
        "dbt_packages/q/macros/m.sql": Q,
        "dbt_packages/r/macros/m.sql": R,
        f"{home}models/x.sql": f"select {asked}",
    }
    if own:
        more["macros/m.sql"] = (
            "{% macro default__sub() %}p{% endmacro %}{% macro helper() %}p{% endmacro %}"
        )
    root = project(tmp_path, **more)
    path = root / "dbt_project.yml"
    search = "\ndispatch: [{macro_namespace: both, search_order: [r, shop]}]\n"
    path.write_text(path.read_text() + search)
    run(root, "run", "x")
    assert rows(root, "from x") == [wanted]


def test_a_package_s_macro_finds_its_neighbours_where_nobody_else_has_them(tmp_path: Path) -> None:
    more = {
        **PACKAGES,
        "dbt_packages/q/macros/m.sql": Q,
        "models/x.sql": "select '{{ q.alone() }}' as a",
    }
    root = project(tmp_path, **more)
    run(root, "run", "x")
    assert rows(root, "from x") == [("here",)]


def test_the_project_s_macro_stands_in_for_one_that_built_in_macros_call(tmp_path: Path) -> None:
    more = {
        "macros/m.sql": "{% macro assert_columns_equivalent(sql) %}mine{% endmacro %}",
        "models/x.sql": "select '{{ get_assert_columns_equivalent('select 1') }}' as a",
    }
    root = project(tmp_path, **more)
    run(root, "run", "x")
    assert rows(root, "from x") == [("mine",)]


@pytest.mark.parametrize(
    ("macro", "told"),
    [
        (
            "macro duckdb__create_table_as(temporary, relation, compiled_code)",
            "duckdb__create_table_as",
        ),
        ("macro load_csv_rows(model, agate_table)", "load_csv_rows"),
        ("macro default__persist_docs(relation, model)", "default__persist_docs"),
        ("materialization seed, default", "materialization `seed`"),
        ("materialization snapshot, adapter='duckdb'", "materialization `snapshot`"),
    ],
)
def test_a_macro_in_the_place_of_one_that_is_not_called_is_named(
    tmp_path: Path, macro: str, told: str
) -> None:
    text = f"{{% {macro} %}}x{{% end{macro.split(maxsplit=1)[0]} %}}"
    root = project(tmp_path, **{"macros/own.sql": text})
    done = transform(root, "build")
    assert f"macros/own.sql:1 overrides dbt's {told if ' ' in told else f'`{told}`'}" in done.stderr


def test_a_macro_in_the_place_of_one_that_is_called_is_not_named(tmp_path: Path) -> None:
    text = """
        {% macro generate_alias_name(custom_alias_name=none, node=none) %}
          {{ return(custom_alias_name or node.name ~ '_x') }}
        {% endmacro %}
        {% macro default__dateadd(datepart, interval, from_date_or_timestamp) %}1{% endmacro %}
    """
    root = project(tmp_path, **{"macros/own.sql": text})
    done = transform(root, "build")
    assert "overrides dbt" not in done.stderr
    assert rows(root, "select count(*) from stg_orders_x") == [(3,)]


@pytest.mark.parametrize("kind", ["table", "view", "incremental"])
def test_a_materialization_with_a_name_of_dbts_is_refused_where_a_model_has_it(
    tmp_path: Path, kind: str
) -> None:
    files = {
        "macros/own.sql": f"{{% materialization {kind}, default %}}x{{% endmaterialization %}}",
        "models/one.sql": f"{{{{ config(materialized='{kind}') }}}} select 1 as n",
    }
    with pytest.raises(Mistakes) as caught:
        run(project(tmp_path, **files), "build")
    told = {str(each.where): each.what for each in caught.value.errors}
    assert f"`one` is a `{kind}`, which is a macro of the project" in told["models/one.sql:1:11"]


def test_only_macros_of_the_project_are_named_as_standing_in_the_place_of_dbts(
    tmp_path: Path,
) -> None:
    """Also where the project says that dbt's own are looked for behind its own."""
    root = project(tmp_path, **{"macros/m.sql": "{% macro get_csv_sql() %}x{% endmacro %}"})
    path = root / "dbt_project.yml"
    search = "\ndispatch: [{macro_namespace: dbt, search_order: [shop, dbt]}]\n"
    path.write_text(path.read_text() + search)
    words = transform(root, "build").stderr
    assert words.count("overrides dbt's") == 1
    assert "macros/m.sql:1 overrides dbt's `get_csv_sql`" in words
