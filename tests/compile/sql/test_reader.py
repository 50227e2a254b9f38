"""What sqlglot is asked to see in a query, and that nothing else of the text is touched."""

from __future__ import annotations

import pytest

from transformer.compile.sql.edits import Edit, spliced, unspliced
from transformer.compile.sql.reader import Grammar, canonical, read
from transformer.compile.sql.source_map import in_template

DUCKDB = Grammar("duckdb")

USES = [
    ("select * from a", ["a"]),
    ("from a select x", ["a"]),
    ("select * from a, b join c using (x)", ["a", "b", "c"]),
    ("select * from s.t", ["s.t"]),
    ("select * from c.s.t", ["c.s.t"]),
    ('select * from "raw crm"."contacts" c', ["raw crm.contacts"]),
    ("select * from read_csv('x.csv')", []),
    ("select * from 'x.parquet'", []),
    ("select * from range(3) t(i)", []),
    ("select * from unnest([1, 2]) u(v)", []),
    ("select * from (values (1)) t(a)", []),
    ("select (select max(x) from deep)", ["deep"]),
    ("select * from a where exists (from b)", ["a", "b"]),
    ("select * from a where x in (select y from b)", ["a", "b"]),
    ("select * from a, lateral (select * from b where b.x = a.x)", ["a", "b"]),
    ("select * from a union all select * from b", ["a", "b"]),
    ("pivot a on x using sum(y)", ["a"]),
    ("select * from a asof join b on a.t >= b.t", ["a", "b"]),
    ("select * from a semi join b using (x)", ["a", "b"]),
    ("select * from a positional join b", ["a", "b"]),
    # A CTE hides a table of its name, but not from itself, nor from those before it.
    ("with a as (select 1) select * from a", []),
    ("with a as (select * from a) select * from a", ["a"]),
    ("with a as (select 1), b as (select * from a) select * from b, c", ["c"]),
    ("with a as (select * from b), b as (select 1) select * from a, b", ["b"]),
    ("with recursive a as (select 1 as n union all select n + 1 from a) select * from a", []),
    ("with a as (select 1) select * from A", []),
    ("with a as (with b as (select 1) select * from b) select * from a, b", ["b"]),
    ("select * from (with a as (select 1) select * from a), a", ["a"]),
]


@pytest.mark.parametrize(("text", "expected"), USES, ids=[text for text, _ in USES])
def test_tables_that_a_query_reads(text: str, expected: list[str]) -> None:
    assert [".".join(use.parts) for use in read(text, DUCKDB).uses] == expected


@pytest.mark.parametrize(("text", "expected"), USES, ids=[text for text, _ in USES])
def test_the_place_of_a_use_is_the_name_itself(text: str, expected: list[str]) -> None:
    for use in read(text, DUCKDB).uses:
        assert text[use.start : use.end].replace('"', "") == ".".join(use.parts)


def test_what_sqlglot_cannot_read_has_no_uses_and_says_so() -> None:
    assert not read("select from where group", DUCKDB).parsed


def test_a_semicolon_in_quotes_ends_nothing() -> None:
    assert read("select ';' from a", DUCKDB).refused is None
    assert read("select 1; select 2", DUCKDB).refused is not None


def test_only_the_name_changes() -> None:
    text = "select x ~ 'a.*b' -- from a\nfrom  a  t /* a */"
    use = read(text, DUCKDB).uses[0]
    made = spliced(text, [Edit(use.start, use.end, '"s"."a"')])
    assert made == 'select x ~ \'a.*b\' -- from a\nfrom  "s"."a"  t /* a */'


def test_a_place_after_a_splice_leads_back_to_the_place_before_it() -> None:
    text = "select y from a join b"
    splices = [Edit(14, 15, '"main"."a"'), Edit(21, 22, '"main"."b"')]
    made = spliced(text, splices)
    assert made == 'select y from "main"."a" join "main"."b"'
    for word in ("select", "y", "from", "join"):
        assert text[unspliced(made.index(word), splices) :].startswith(word)
    assert unspliced(made.index('"b"'), splices) == 21


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("select a from b", "select a\n  from b -- why", True),
        ("select a from b", "/* long */ select   a from b", True),
        ("select a from b", "select c from b", False),
        ("select 'a  b'", "select 'a b'", False),
        ("select 'A'", "select 'a'", False),
        ('select "A"', "select A", False),
    ],
)
def test_comments_and_layout_do_not_count(one: str, other: str, *, same: bool) -> None:
    assert (canonical(one, "duckdb") == canonical(other, "duckdb")) is same


TEMPLATE = """{{ config(materialized='table') }}
{% set columns = ['a', 'b'] %}
select
    {% for column in columns %}
    sum({{ column }}) as {{ column }},
    {% endfor %}
    wrong_one,
    {{ cents('amount') }} as dollars
from {{ ref('orders') }}
"""
RENDERED = """

select

    sum(a) as a,

    sum(b) as b,

    wrong_one,
    (amount / 100)::decimal as dollars
from "main"."orders"
"""


@pytest.mark.parametrize(
    ("word", "line", "column"),
    [("wrong_one", 7, 5), ("from", 9, 1), ("sum(b)", 5, 5), ("amount", 8, 15)],
)
def test_a_place_in_the_rendering_leads_to_the_template(word: str, line: int, column: int) -> None:
    where = in_template("m.sql", TEMPLATE, RENDERED, RENDERED.index(word))
    assert (where.line, where.column) == (line, column)
