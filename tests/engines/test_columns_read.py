"""Which columns of a table a query reads, as the engine says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from transformer.engines import _plans, duckdb
from transformer.names import RelationName

TABLES = """
    create table main.p (a int, b int, s struct(x int, y struct(z int)), "c d" int);
    create table main.q (a int, z int);
    create view main.v as select * from main.p;
    create view main.w as select a + 1 as n, b from main.v;
    create view main.c as with y as materialized (select max(z) as m from q) select a, m from y, q;
    create macro main.f(n) as table select a, b from main.p where a > n;
    create schema "my s"; create table "my s"."T x" ("e f" int, g int)
"""
P = {"a", "b", "s", "c d"}
READ = [
    ("select a from p", {"a"}),
    ("select A from P", {"a"}),
    ("select * from p", P),
    ("select * exclude (b) from p", P - {"b"}),
    ("select columns('^[ab]$') from p", {"a", "b"}),
    ("select p from p", P),
    ("select (p).a from p", P),
    ("select a from p where b > 1", {"a", "b"}),
    ("select a from p order by b", {"a", "b"}),
    ("select sum(a) filter (where b > 1) from p", {"a", "b"}),
    ("select a from p qualify rank() over (order by b) = 1", {"a", "b"}),
    ("select a from p where false", {"a"}),
    ("select a from p limit 0", {"a"}),
    ("select s.x from p", {"s.x", "s"}),
    ("select s.y.z from p", {"s.y.z", "s.y", "s"}),
    ('select "c d" from p', {"c d"}),
    ("with x as (select * from p) select a from x", {"a"}),
    ("with x as materialized (from p) select a from x union all select b from x", {"a", "b"}),
    ("select a from v", {"a"}),
    ("select n from w", {"a"}),
    ("select b from f(1)", {"a", "b"}),
    ("select q.z from q join p using (a)", {"a"}),
    ("select z from q where exists (from p where p.b = q.z)", {"b"}),
    ("select z from q where z in (select b from p)", {"b"}),
    ("select (select max(b) from p where p.a = q.a) from q", {"a", "b"}),
    ("select z from q left join p on q.a = p.a", {"a"}),
    ("select 1 from q, lateral (select b from p where p.a = q.a)", {"a"}),
    ("with recursive r as (select a from p union select a + 1 from r where a < 3) from r", {"a"}),
    ("select a, count(*) from p group by rollup (a)", {"a"}),
    ("from (pivot p on a in (1, 2) using sum(b) group by \"c d\")", {"a", "b", "c d"}),
    ("from (unpivot (select a, b from p) on columns(*))", {"a", "b"}),
    # A scan that names no column reads none, or all of them, beside a query with CTEs.
    ("select count(*) from p", None),
    ("select * from c natural join p", None),
    ("select p.b from c join p on true", None),
    # What is not in the plan, or no plan at all: nobody knows.
    ("select z from q", None),
    ("select 1", None),
    ("with x as (from p) select z from q", None),
    ("select nothing from p", None),
    ("select from where", None),
    ("pivot p on a using sum(b)", None),
]  # fmt: skip


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path: Path = tmp_path_factory.mktemp("reads") / "w.duckdb"
    engine = duckdb.connect(path)
    with engine.session() as made:
        for statement in TABLES.split(";"):
            made.run(statement)
        yield made
    engine.close()


@pytest.mark.parametrize(("query", "columns"), READ, ids=[query for query, _ in READ])
def test_columns_that_a_query_reads(session: Any, query: str, columns: set[str] | None) -> None:
    assert session.reads(query, RelationName("main", "p")) == columns


def test_names_that_need_quotes_are_found(session: Any) -> None:
    found = session.reads('select "e f" from "my s"."T x"', RelationName("my s", "T x"))
    assert found == {"e f"}


def test_a_name_that_ends_like_another_is_another(session: Any) -> None:
    assert session.reads("select a from p", RelationName("ain", "p")) is None


def test_the_planner_is_left_as_it_was(session: Any) -> None:
    setting = "select current_setting('disabled_optimizers')"
    session.run("set disabled_optimizers = 'top_n'")
    for query in ("select a from p", "select nothing from p"):
        session.reads(query, RelationName("main", "p"))
        assert session.rows(setting) == [("top_n",)]
    session.run("reset disabled_optimizers")


def test_an_optimizer_that_is_not_there_any_more_is_told_of() -> None:
    with pytest.raises(LookupError):
        duckdb._all_but("unused_pillars")


def test_what_is_no_plan_is_refused() -> None:
    for text in ("", "[1", "7"):
        with pytest.raises((ValueError, LookupError, TypeError)):
            _plans.columns_read(text, RelationName("main", "p"))
