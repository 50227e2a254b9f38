"""Results of queries: values, rows and columns as templates see them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment

from tests.compile.dbt.harness import Database
from transformer.compile.dbt.results import ResultTable, empty_table
from transformer.errors import RenderError

DATABASE = Database()


def table(sql: str, **more: Any) -> ResultTable:
    names, _, rows = DATABASE.rows(sql)
    return ResultTable.of(names, rows, **more)


T = table("select * from (values (1, 'b'), (2, null), (3, 'a')) as t(n, x)")


@pytest.mark.parametrize(
    ("expression", "kind", "printed"),
    [
        ("1", "Integer", "1"),
        ("sum(1)", "Integer", "1"),
        ("null", "Integer", "None"),
        ("1.50", "Number", "1.50"),
        ("0.1::double", "Number", "0.1"),
        ("true", "Boolean", "True"),
        ("'007'", "Text", "007"),
        ("''", "Text", ""),
        ("date '2024-01-02'", "Date", "2024-01-02"),
        ("timestamp '2024-01-02 03:04:05'", "DateTime", "2024-01-02 03:04:05"),
        ("timestamptz '2024-01-02 03:04:05+00'", "DateTime", "2024-01-02 03:04:05+00:00"),
        ("time '03:04:05'", "Text", "03:04:05"),
        ("interval 1 day", "Text", "1 day, 0:00:00"),
        ("[1, 2]", "Text", "[1, 2]"),
        ("{'a': 1.5, 'd': date '2024-01-02'}", "Text", '{"a": 1.5, "d": "2024-01-02"}'),
        ("uuid '00000000-0000-0000-0000-000000000001'", "Text", f"{'0' * 8}-{'0000-' * 3}{1:012}"),
    ],
)
def test_values_print_as_users_of_dbt_know_them(expression: str, kind: str, printed: str) -> None:
    result = table(f"select {expression} as v")
    assert str(result.column_types[0]) == kind
    text = SandboxedEnvironment().from_string("{{ t.columns[0].values()[0] }}").render(t=result)
    assert text == printed


def test_a_column_of_whole_and_other_numbers_is_of_decimals() -> None:
    assert [str(v) for v in ResultTable.of(["n"], [(1,), (2.5,)]).columns["n"]] == ["1", "2.5"]
    mixed = ResultTable.of(["m"], [(True,), (1,)]).columns[0]
    assert (str(mixed.data_type), mixed.values()) == ("Text", ("True", "1"))


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ t.columns[1].values() | list }}", "['b', None, 'a']"),
        ("{{ t.columns['n'].values() | join }}", "123"),
        ("{{ t.columns | map(attribute='name') | join(',') }}", "n,x"),
        ("{{ t.columns.keys() | join }}", "nx"),
        ("{{ t.rows[0]['x'] }}{{ t.rows[0][0] }}", "b1"),
        ("{% for row in t %}{{ row.n }}{{ row['n'] }}{% endfor %}", "112233"),
        ("{% for row in t.rows %}{{ row[0] }}{% endfor %}", "123"),
        ("{% for n, x in t.rows %}{{ n }}{{ x }}{% endfor %}", "1b2None3a"),
        ("{{ t.rows.values() | length }}{{ t | length }}{{ t.rows | length }}", "333"),
        ("{{ t.rows[0].keys() | join }}{{ t.rows[0].values() | join }}", "nx1b"),
        ("{{ t.rows[0].dict() }}", "{'n': 1, 'x': 'b'}"),
        ("{{ t.rows[0].items() }}", "[('n', 1), ('x', 'b')]"),
        ("{{ t.rows[0].get('none', '-') }}{{ t.rows[0].get('x') }}", "-b"),
        ("{{ t.column_names | join }}", "nx"),
        ("{{ t.columns[1].index }}{{ t.columns[1].name }}", "1x"),
        ("{{ t.columns[1].values_distinct() | length }}", "3"),
        ("{{ t.columns[1].values_sorted() }}", "('a', 'b', None)"),
        ("{{ t.columns[1].values_without_nulls() | join }}", "ba"),
        ("{{ t.select(['x']).columns | length }}", "1"),
        ("{{ t.exclude('x').column_names }}", "('n',)"),
        ("{{ t.rename({'n': 'm'}).rows[0]['m'] }}", "1"),
        ("{{ t.limit(2) | length }}{{ t.limit(1, 3).rows[0].n }}", "22"),
        ("{{ t.order_by('x').columns.n.values() | join }}", "312"),
        ("{{ t.distinct('x') | length }}", "3"),
        ("{{ t.matrix() }}", "[(1, 'b'), (2, None), (3, 'a')]"),
        ("{{ t.columns.n is iterable }}{{ t.columns.n is sequence }}", "TrueTrue"),
    ],
)
def test_templates_reach_rows_and_columns_by_number_and_name(template: str, wanted: str) -> None:
    assert SandboxedEnvironment().from_string(template).render(t=T) == wanted


def test_rows_are_chosen_by_a_test() -> None:
    assert T.where(lambda row: row["n"] > 1).matrix() == [(2, None), (3, "a")]
    assert len(ResultTable.of(["a"], [(1,), (1,)]).distinct()) == 1


def test_two_columns_of_one_name_are_told_apart() -> None:
    assert ResultTable.of(["a", "a", "a"], [(1, 2, 3)]).column_names == ("a", "a_2", "a_3")


def test_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(RenderError, match="no column `y`"):
        T.select("y")
    with pytest.raises(KeyError):
        T.columns["y"]


def test_printing_tells_the_user_and_writes_nothing() -> None:
    told: list[str] = []
    shown = ResultTable.of(T.column_names, T.matrix(), told.append)
    assert shown.print_table(max_rows=2) == shown.print_csv() == shown.print_json() == ""
    assert told[0].splitlines() == ["| n | x |", "| - | - |", "| 1 | b |", "| 2 |   |"]
    assert told[1].splitlines()[1] == "1,b"
    assert json.loads(told[2])[0] == {"n": 1, "x": "b"}


def test_an_empty_table_has_nothing() -> None:
    assert (len(empty_table()), list(empty_table().columns)) == (0, [])
