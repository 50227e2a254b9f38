"""No edge is lost, however a query names its tables: a chain a → b → c is built, a's data changes,
it is built again, and every table is that of a build from nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.projects import Bench, contents, done
from transformer.errors import Mistakes

# The engine makes no view of a pivot whose columns come from the rows.
TABLE = "{{ config(materialized='table') }}"
# `a` has the columns k, g, n; a query of `b` reads it in some form that is not everyday.
FORMS = {
    "pivot_with_names": "select * from (pivot a on g in ('x', 'y' as other) using sum(n))",
    "pivot_statement": "pivot a on g in ('x', 'y') using sum(n) group by k",
    "pivot_of_what_is_there": f"{TABLE} pivot a on g using count(n)",
    "pivot_of_what_is_there_below": f"{TABLE} from (pivot a on g using count(n) group by k)",
    "pivot_in_a_cte": f"{TABLE} with p as (pivot a on g using sum(n)) select * from p",
    "pivot_of_a_query": "from (pivot (from a where n > 0) on g in ('x', 'y' as z) using max(n))",
    "pivot_as_a_table_operator": "from a pivot (sum(n) for g in ('x', 'y') group by k)",
    "pivot_wider": "pivot_wider a on g in ('x', 'y' as second) using sum(n)",
    "unpivot_statement": "unpivot a on k, n into name what value much",
    "unpivot_columns": "select * from (unpivot a on columns(* exclude g) into name w value v)",
    "unpivot_as_a_table_operator": "from a unpivot (v for w in (k, n))",
    "pivot_longer": "pivot_longer a on columns('k|n') into name w value v",
    "query_table": "from query_table('a')",
    "query_table_of_a_list": "from query_table(['a', 'a'])",
    "query_of_a_text": "select * from query('select k, n from a')",
    "columns_by_pattern": "select sum(columns('k|n')) from a",
    "columns_by_lambda": "select columns(c -> c like 'n%') from a",
    "asof": "select x.k, y.n from a x asof join a y on x.k >= y.n",
    "recursive_using_key": (
        "with recursive t(k, n) using key (k) as (select k, n from a union"
        " select t.k, t.n + 1 from t, a where t.n < 5 and a.k = t.k) select * from t"
    ),
    "recursive": (
        "with recursive t as (select 1 i union all select i + 1 from t where i < 3)"
        " select t.i, a.* from t positional join a"
    ),
    "from_first": "from a select k, n where n > 0",
    "from_alone": "from a",
    "prefix_alias": "from here: a select here.k",
    "table_statement": "table a",
    "table_in_brackets": "select * from (table a) t",
    "summarize": "select column_name, max from (summarize a)",
    "describe": "select * from (describe a)",
    "positional": "select * from (select k from a) x positional join (select n from a) y",
    "quoted": 'select "a"."k" from "a"',
    "other_case": "select A.k from A",
    "with_its_schema": "select * from main.a",
    "schema_in_other_case": 'select * from "MAIN" . /* here */ "A"',
    "lateral": "select x.k, l.m from a x, lateral (select max(n) m from a y where y.k <= x.k) l",
    "name_in_single_quotes": "select * from 'a'",
    "function_of_a_table": "select * from histogram_values(a, n)",
    "function_of_a_name": "select bin::varchar b, count from histogram_values('a', n)",
    "scalar_subquery": "select (select max(n) from a) as m",
    "from_first_subquery": "select (from a select max(n)) as m",
    "array_of_a_query": "select array(select n from a order by n) as l",
    "list_comprehension": "select [i + 1 for i in (select list(n order by n) from a)] as l",
    "any": "select * from range(5) r(i) where i = any (select n from a)",
    "values_of_a_query": "values ((select max(n) from a))",
    "struct_of_a_query": "select struct_pack(m := (select max(n) from a)) s",
    "semi_join_with_comma": "select * from range(3) r(i), a semi join a b using (k)",
    "sample": "select * from a using sample 100%",
    "at_an_operator": "select k ** 2 as s from a",
    "union_by_name": "(from a select k) union by name (from a select n)",
    "cte_of_the_same_name": "with a as (from a select k) from a",
    "nested_cte": "select * from (with x as (from a) select * from x)",
    "exclude_replace_rename": "select * exclude (g) replace (n + 1 as n) rename (k as key) from a",
    "hex_blob": "select '\\xAA'::blob as b, k from a",
    "dollar_text": "select $$from nowhere$$ as t, k from a",
    "star_like": "select * like '%n%' from a",
    "qualify": "select k, row_number() over (order by k) r from a qualify r < 10",
    "comment_in_between": "select * from -- the table\n a -- it is",
    "lambda_word": "select list_transform([1], lambda x: x + k) l from a",
    "try_expression": "select try(n::integer) t from a",
    "unicode_before": "select 'größer – ä' as w, * from (pivot a on g in ('x' as ü) using sum(n))",
}  # fmt: skip


def project(root: Path, form: str) -> Bench:
    bench = Bench(root)
    bench.write(
        {
            "transform.yml": "name: chain\n",
            "seeds/start.csv": "k,g,n\n1,x,1\n2,y,2\n",
            # `b` is read first and `a` last, if nothing but names says in which order.
            "models/z/a.sql": "select k, g, n from start",
            "models/b.sql": form,
            "models/c.sql": "select count(*) as rows, min(b::varchar) as least from b",
        }
    )
    return bench


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_change_reaches_all_that_stands_on_it(form: str, tmp_path: Path) -> None:
    bench = project(tmp_path / "p", form)
    assert set(done(bench.build()).values()) <= {"success"}, form
    bench.write({"seeds/start.csv": "k,g,n\n3,x,4\n2,y,1\n5,x,0\n"})
    assert set(done(bench.build()).values()) <= {"success"}, form
    shutil.copytree(tmp_path / "p", tmp_path / "q")
    (tmp_path / "q" / "warehouse.duckdb").unlink()
    Bench(tmp_path / "q").build()
    ours = contents(tmp_path / "p" / "warehouse.duckdb")
    assert ours == contents(tmp_path / "q" / "warehouse.duckdb")


MOVED = {
    "pivot": "select * from (pivot a on g in ('x', 'y' as other) using sum(n))",
    "query_table": "select * from query_table('a')",
    "query_table_of_a_list": "select * from query_table(['a', 'a'])",
    "function_of_a_table": "select count from histogram_values(a, n)",
    "function_of_a_name": "select count from histogram_values('a', n)",
    "single_quotes": "select a.k from 'a'",
    "summarize": "select column_name from (summarize a)",
    "table": "table a",
    "prefix_alias": "from x: a select x.n",
}


@pytest.mark.parametrize("form", MOVED.values(), ids=MOVED)
def test_a_name_leads_to_the_relation_wherever_that_lies(form: str, tmp_path: Path) -> None:
    bench = project(tmp_path, form)
    placed = "{{ config(schema='else where', alias='A 1', materialized='table') }}"
    bench.write({"models/z/a.sql": f"{placed} select k, g, n from start"})
    assert set(done(bench.build()).values()) <= {"success"}, form
    bench.write({"seeds/start.csv": "k,g,n\n3,x,4\n2,y,1\n5,x,0\n"})
    assert done(bench.build())["c"] == "success"


@pytest.mark.parametrize("form", ["query_table(concat('a', ''))", "query('from ' || 'a')"])
def test_a_computed_name_is_refused_and_a_reference_beside_it_is_believed(
    form: str, tmp_path: Path
) -> None:
    bench = project(tmp_path, f"select * from {form}")
    with pytest.raises(Mistakes) as caught:
        bench.build()
    assert "whose name is computed" in caught.value.errors[0].what
    bench.write({"models/b.sql": f"-- {{{{ ref('a') }}}}\nselect * from {form}"})
    assert set(done(bench.build()).values()) <= {"success"}


def test_an_argument_that_only_looks_like_a_name_makes_no_edge(tmp_path: Path) -> None:
    bench = project(tmp_path, "select * from json_each('{\"a\": 1}'), glob('c') where 1 = 1")
    assert set(done(bench.build()).values()) <= {"success"}  # `c` reads `b`: else a circle
