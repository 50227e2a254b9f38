"""What is the same query to a build, and what is another one."""

from __future__ import annotations

import pytest

from transformer.compile.sql.canonical import canonical_digest
from transformer.compile.sql.reader import Grammar, canonical, read

DUCKDB = Grammar("duckdb")

SAME = [
    ("select a from b", "SELECT a\n\tFROM b -- why"),
    ("select a from b", "/* one */ select /* two /* nested */ */ a from b"),
    ("select 1 -- it's", "select 1"),
    ("select a from b group by a order by a", "select a from b GROUP  BY a ORDER\n BY a"),
    ("select sum(a) over (partition by b)", "select sum(a) over (PARTITION\nBY b)"),
    ("select case when a is null then true end", "select CASE WHEN a IS NULL THEN TRUE END"),
    ("select exists (from b)", "select EXISTS(FROM b)"),
    ("select cast(a as int)", "select cast(a AS int)"),
    ("select a from b where c in (1, 2)", "select a from b where c IN (1,2)"),
    ("select a;", "select a ;"),
    # The order of CTEs.
    (
        "with x as (select 1 as a), y as (select 2 as a) from x, y",
        "with y as (select 2 as a), x as (select 1 as a) from x, y",
    ),
    (
        "with x as (select 1 as a), y as (from x), z as (from b) from y, z",
        "with z as (from b), x as (select 1 as a), y as (from x) from y, z",
    ),
    (
        "with x(a) as materialized (select 1), y as not materialized (select 2) from x, y",
        "with y as not materialized (select 2), x(a) as materialized (select 1) from x, y",
    ),
    (
        "with x as (select ')' as a), y as (select '(' as a) from x, y",
        "with y as (select '(' as a), x as (select ')' as a) from x, y",
    ),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=[one for one, _ in SAME])
def test_queries_that_say_the_same(one: str, other: str) -> None:
    assert canonical(one, "duckdb") == canonical(other, "duckdb")


OTHER = [
    ("select a from b", "select a from c"),
    ("select a, b", "select b, a"),
    ("select 'a  b'", "select 'a b'"),
    ("select 'a -- b'", "select 'a'"),
    ("select 'FROM'", "select 'from'"),
    ("select $$a  b$$", "select $$a b$$"),
    ("select e'\\n'", "select e'n'"),
    ("select a", "select A"),
    ('select "a"', 'select "A"'),
    ('select "from"', 'select "FROM"'),
    ("select 1 as left", "select 1 as Left"),
    ("select p.left from b as p", "select p.Left from b as p"),
    ("select struct_pack(left := 1)", "select struct_pack(Left := 1)"),
    ("select exists from b", "select Exists from b"),
    ("select - -1", "select --1\n1"),
    ("select a - b", "select a -- b"),
    ("select 1.5", "select 1 .5"),
    ("select a from b union select c", "select a from b union all select c"),
    # The order of CTEs where it means something: a name is a table's before its CTE.
    (
        "with b as (select 1 as a), x as (from b) from x",
        "with x as (from b), b as (select 1 as a) from x",
    ),
    (
        'with "B" as (select 1 as a), x as (from b) from x',
        'with x as (from b), "B" as (select 1 as a) from x',
    ),
    (
        "with x as (select 1 as a), y as (select (select max(a) from x)) from y",
        "with y as (select (select max(a) from x)), x as (select 1 as a) from y",
    ),
    (
        "with recursive x as (select 1 as a), y as (select 2 as a) from x, y",
        "with x as (select 1 as a), y as (select 2 as a) from x, y",
    ),
    ("with x as (select 1), y as (select 2) from x, y",
     "with x as (select 2), y as (select 1) from x, y"),
    ("with x as (select 1) from x", "with x as materialized (select 1) from x"),
    ("with x as (with y as (select 1), z as (from y) from z) from x",
     "with x as (with z as (from y), y as (select 1) from z) from x"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), OTHER, ids=[one for one, _ in OTHER])
def test_queries_that_do_not_say_the_same(one: str, other: str) -> None:
    assert canonical(one, "duckdb") != canonical(other, "duckdb")


def test_what_stands_in_place_of_a_name_counts_and_the_name_does_not() -> None:
    def of(text: str, name: str, place: str) -> str:
        at = text.index(name)
        return canonical_digest(read(text, DUCKDB).tokens, [(at, at + len(name), place)])

    assert of("select 1 from a", "a", '"main"."x"') == of("select 1 from b", "b", '"main"."x"')
    assert of("select 1 from a", "a", '"main"."x"') != of("select 1 from a", "a", '"main"."y"')


def test_what_is_put_in_counts() -> None:
    words = read("select b.a from b", DUCKDB).tokens
    assert canonical_digest(words) != canonical_digest(words, [(17, 17, ' as "b"')])


def test_a_query_that_cannot_be_read_is_its_text() -> None:
    assert canonical("select 'open", "duckdb") != canonical("select  'open", "duckdb")
    assert not read("select 'open", DUCKDB).tokens.texts


def test_a_query_that_only_the_engine_understands_has_words() -> None:
    reading = read("from main.f(1) select x'ff' order /* by what */ by 1", DUCKDB)
    assert not reading.parsed
    assert list(reading.tokens.texts[-6:]) == ["select", "x", "'ff'", "order", "by", "1"]
