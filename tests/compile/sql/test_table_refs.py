"""Tables read from tokens: the parser's, or nothing."""

from __future__ import annotations

import pytest

from transformer.compile.sql.reader import Grammar, parsed, read
from transformer.compile.sql.serialized import NamedTables, named_tables
from transformer.compile.sql.table_refs import tables
from transformer.engines import find

# Without the engine's own parser: what sqlglot finds, and with it.
DUCKDB = Grammar("duckdb")
ENGINE = Grammar("duckdb", find("duckdb").serializer())

# These the tokens tell.
TOLD = [
    "select 1",
    "select a from t",
    "select a from t;",
    "from t",
    "from t select a where b",
    "select * from main.t as x join warehouse.main.u y on x.a = y.a",
    'select * from "My Table" m, "s"."t", u as v',
    "select * from t, u where t.a = u.a",
    "select * from (select * from t) x, u",
    "select * from (from t) join u using (a)",
    "select * from t natural join u semi join v on true anti join w using (a, b)",
    "select * from t asof join u on t.a >= u.a positional join v",
    "select * from t left outer join u on left(t.a, 2) = u.a cross join v",
    "select * from t full join u on t.a in (select a, b from v) where a",
    "select a from t union all by name select a from u except select a from v",
    "(select a from t) union (select a from u)",
    "select exists (from t), (select max(a) from u), array(select a from v) from w",
    "select a from t group by all having sum(a) > (select a from u) order by a desc limit 3",
    "select a, row_number() over w from t window w as (order by b) qualify true",
    "select trim(a), date_part('year', b), substring(c, 1, 2) from t",
    "with a as (select 1), b as (select * from a, t) select * from a join b on true join T",
    "with a as (select * from b), b as (select * from a) select * from a, b",
    "with a as (select * from a) select * from a",
    "with a(x) as materialized (from t), b as not materialized (from a) from b",
    'with "A" as (from t) select * from a, "a"',
    "with a as (select * from (select * from (select * from t) as u) as v) from a, s.a",
    "select [x for x in l] from t",
    "select * from t using sample 10%",
    "select * exclude (a) replace (b as c) from t",
    "select 'from x', \"from\" from t -- from y",
    "select e'\\'from' , $$ from z $$ from t",
    "select a.b.c, t.* from t",
    "select * from straße",
    "select * from range(3)",
    "select * from unnest([1]) join t on true",
    "select * from t, unnest(t.l) as u(x), v",
    "select * from t, range(t.a, (select max(b) from u)) r(i) where i",
    "select * from read_csv('x.csv', header = true) as c join t using (a)",
    "with r as (from range(3) r(i)) from r cross join generate_series(1, 2) s",
]
# These it leaves to the parser.
LEFT = [
    "select * from main.f(1)",
    "select * from t, lateral unnest(t.l) u(x)",
    "select * from unnest([1]) with ordinality",
    "select * from f(extract(year from a))",
    "with recursive r as (select 1 union select * from r) from r",
    "select (with x as (from t) select * from x) from u",
    "pivot t on a using sum(b)",
    "from t pivot (sum(a) for b in (1))",
    "select * from (pivot t on a)",
    "select * from t, lateral (select t.a)",
    "select * from 'x.csv'",
    "select * from (values (1)) v(a)",
    "select * from (t join u on true)",
    "select * from t join u on t.a = u.a, v",
    "select * from t join u using (a), v",
    "select * from t cross join u, v",
    "select extract(year from a) from t",
    "select trim(both 'x' from a), substring(a from 2 for 3) from t",
    "select a is distinct from b from t",
    "select a is not distinct from b from t",
    "select * from t tablesample 10%",
    "select * from x: t",
    "select * from t as u(a, b)",
    'select * from "a""b"',
    "summarize t",
    "table t",
    "select t.from from t",
]


@pytest.mark.parametrize("text", TOLD)
def test_what_the_tokens_tell_is_what_the_parser_finds(text: str) -> None:
    found = tables(read(text, DUCKDB).tokens)
    assert found is not None
    assert found == parsed(text, "duckdb")


@pytest.mark.parametrize("text", LEFT)
def test_what_may_say_more_is_left_to_the_parser(text: str) -> None:
    assert tables(read(text, DUCKDB).tokens) is None
    assert list(read(text, DUCKDB).uses) == (parsed(text, "duckdb") or [])


def test_a_query_that_only_the_engine_understands_names_its_tables_too() -> None:
    text = "select x'ff' from t order /* by what */ by 1"
    assert parsed(text, "duckdb") is None
    assert [use.parts for use in read(text, DUCKDB).uses] == [("t",)]


@pytest.mark.parametrize("text", [*TOLD, *LEFT])
def test_the_engines_own_parser_finds_what_sqlglot_finds(text: str) -> None:
    found = named_tables(ENGINE.serialized(text), text) if ENGINE.serialized else None
    found = found or NamedTables(read(text, ENGINE).uses)
    certain = [use for use in found.uses if not use.optional]
    known = parsed(text, "duckdb") or []
    assert [(u.parts, u.start, u.end) for u in certain] == [
        (u.parts, u.start, u.end) for u in known
    ]
