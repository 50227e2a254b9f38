"""What a query depends on beside the content of its tables."""

from __future__ import annotations

import pytest

from transformer.compile.sql.reader import Grammar, read
from transformer.compile.sql.volatility import DETERMINISTIC, Volatility, volatility_of

DUCKDB = Grammar("duckdb")


def of(text: str) -> Volatility:
    return volatility_of(read(text, DUCKDB).tokens.texts)


STEADY_ONES = [
    "select a, b from t where a > 1 order by a",
    "select a, count(*), max(b), sum(c) from t group by all",
    "select rank() over (order by a), dense_rank() over (order by a) from t",
    "select sum(a) over (partition by b) from t",
    "select distinct a from t",
    "select 'now()', 'random', \"first\" from t",
    "select date '2024-01-01' + interval 1 day",
    "select random, now, uuid from t",
    "select t.list from t",
    "select 'x.txt'",
    "with recursive r as (select 1 as n union select n + 1 from r where n < 9) from r",
    "from t natural join u",
    "",
]


@pytest.mark.parametrize("text", STEADY_ONES)
def test_what_depends_on_nothing_else(text: str) -> None:
    assert of(text) == DETERMINISTIC


TIMES = [
    "select now()",
    "select NOW ()",
    "select current_date",
    "select Current_Timestamp - at from t",
    "select random() < 0.5",
    "select uuid()",
    "select nextval('s')",
    "select * from t tablesample 10%",
    "select * from t using sample 5",
    "select date_diff('day', at, today()) from t",
    "with x as (select a from t where at > localtimestamp) from x",
    "select table_name from information_schema.tables",
    "from duckdb_tables()",
    "from query('select 1')",
    "from query_table('t')",
]


@pytest.mark.parametrize("text", TIMES)
def test_what_depends_on_time_or_chance_or_the_warehouse(text: str) -> None:
    assert of(text).time


ORDERS = [
    "select any_value(a) from t",
    "select ANY_VALUE (a) from t",
    "select first(a), last(b) from t",
    "select list(a) from t",
    "select array_agg(a order by a) from t",
    "select array(select a from t)",
    "select string_agg(a, ',') from t",
    "select arg_max(a, b) from t",
    "select mode(a) from t",
    "select a from t limit 5",
    "select a from t order by b limit 5",
    "select a from t offset 2",
    "select a from t order by a fetch first 3 rows only",
    "select distinct on (a) b from t order by a, b",
    "select row_number() over () from t",
    "select row_number() over (partition by a order by b) from t",
    "select a from t qualify row_number() over (partition by a order by b) = 1",
    "select lag(a) over w from t window w as (order by b)",
    "select first_value(a) over (order by b) from t",
    "select sum(a) over (order by b rows between 1 preceding and current row) from t",
    "select rowid, a from t",
    "select * from t positional join u",
    "select * from t asof join u on t.a >= u.a",
    "from (summarize t)",
    "select (select a from t limit 1)",
    "select approx_quantile(a, 0.5) from t",
]


@pytest.mark.parametrize("text", ORDERS)
def test_what_may_depend_on_the_order_of_rows(text: str) -> None:
    assert of(text).order


FILES = [
    ("select * from 'x.csv'", ["x.csv"]),
    ("from 'data/*.parquet' as p", ["data/*.parquet"]),
    ("from 'a.csv', 'b.csv'", ["a.csv", "b.csv"]),
    ("from t join 'b' using (a)", ["b"]),
    ("from read_csv('a.txt', header = true, delim = ';')", ["a.txt"]),
    ("from read_csv(['a.txt', 'b.txt'])", ["a.txt", "b.txt"]),
    ("from READ_JSON ('a')", ["a"]),
    ("from parquet_scan('a')", ["a"]),
    ("from parquet_metadata('a')", ["a"]),
    ("from glob('d/*')", ["d/*"]),
    ("summarize 'x.parquet'", ["x.parquet"]),
    ("pivot 'x.csv' on a", ["x.csv"]),
    ("with x as (from 'a.csv') from x", ["a.csv"]),
    ('from "x.csv.gz"', ["x.csv.gz"]),
    ("from 'it''s.csv'", ["it's.csv"]),
    ("select read_text(a) from t", []),
    ("select 'a' from t", []),
]


@pytest.mark.parametrize(("text", "files"), FILES, ids=[text for text, _ in FILES])
def test_files_that_a_query_names(text: str, files: list[str]) -> None:
    assert list(of(text).files) == files


def test_two_queries_depend_on_what_either_does() -> None:
    both = of("select now() from 'a.csv'") | of("select first(a) from 'b.csv', 'a.csv'")
    assert both == Volatility(time=True, order=True, files=("a.csv", "b.csv"), shape=True)


SHAPES = [
    "pivot t on a in (1, 2) using sum(b)",
    "from t UNPIVOT (a for b in (c))",
    "from (pivot_wider t on a)",
    "from query('from t')",
    "from read_csv('x')",
    "from 'x.csv'",
    "from postgres_scan('a', 'b')",
]


@pytest.mark.parametrize("text", SHAPES)
def test_what_columns_are_made_of_may_change_them(text: str) -> None:
    assert of(text).shape


COMPUTED = [
    "from read_csv('a' || '.csv')",
    "from read_csv(concat('a', '.csv'))",
    "from read_parquet(['a.parquet', 'b' || '.parquet'])",
    "from glob(getvariable('place') || '*')",
    r"from read_text(E'a\x2etxt')",
    "from read_json_auto(case when true then 'a.json' end)",
    "from parquet_scan(format('{}.parquet', 'a'), union_by_name = true)",
]


@pytest.mark.parametrize("text", COMPUTED)
def test_files_whose_names_are_computed_are_read_in_every_build(text: str) -> None:
    assert of(text).time


NAMED = {
    "from read_csv($$x.csv$$)": ("x.csv",),
    "from read_csv($a$it's.csv$a$, header = true)": ("it's.csv",),
    "from read_text(e'x.txt')": ("x.txt",),
    "select * from read_csv(['a.csv', $$b.csv$$], delim = ';' )": ("a.csv", "b.csv"),
    "from $$x.parquet$$": ("x.parquet",),
}


@pytest.mark.parametrize("text", NAMED)
def test_files_are_watched_however_their_names_are_quoted(text: str) -> None:
    assert of(text).files == NAMED[text]
    assert not of(text).time


@pytest.mark.parametrize(
    "text",
    [
        "select max(a collate nocase) from t",
        "select distinct a COLLATE de from t",
        "select a collate nocase.noaccent as x, count(*) from t group by 1",
    ],
)
def test_which_of_equal_texts_a_collation_gives_depends_on_the_order(text: str) -> None:
    assert of(text).order
