"""What a build that does only what is needed may not overlook, and what it may leave alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.projects import Bench, contents, done
from transformer.request import BuildOptions

TABLE = "{{ config(materialized='table') }} "
EPHEMERAL = "{{ config(materialized='ephemeral') }} "
MODELS = BuildOptions(actions=frozenset({"build"}), always=True)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "here")


def ended(bench: Bench, *select: str, how: BuildOptions = BuildOptions()) -> dict[str, str]:  # noqa: B008 - frozen
    """How the steps of a good build ended; there is nothing left to do after it."""
    report = bench.build(*select, how=how)
    assert report.ok, report.results.bad
    if not select:
        assert not bench.build().plan.steps
    return done(report)


def same_as_anew(bench: Bench) -> None:
    """The warehouse holds what a build in an empty folder makes of the project."""
    anew = Bench(bench.root.parent / "anew")
    shutil.rmtree(anew.root, ignore_errors=True)
    anew.write({str(p.relative_to(bench.root)): p.read_text() for p in sources(bench.root)})
    anew.build()
    name = "warehouse.duckdb"
    assert contents(bench.root / name) == contents(anew.root / name)


def sources(root: Path) -> list[Path]:
    kinds = (".sql", ".csv", ".yml", ".py")
    return [p for p in root.rglob("*") if p.suffix in kinds and ".transform" not in p.parts]


# ------------------------------------------------------------------ what other tools write

RAW = "sources: [{name: raw, tables: [{name: orders}]}]\n"


def wrote(bench: Bench, *statements: str) -> None:
    """Another tool writes to the warehouse."""
    with duckdb.connect(str(bench.root / "warehouse.duckdb")) as con:
        for each in statements:
            con.execute(each)


def inputs(bench: Bench, name: str) -> str:
    """From which versions a model is made."""
    return str(bench.rows(f"select inputs from _transform.nodes where id like '%.{name}'")[0][0])


def test_a_raw_table_that_another_tool_wrote_is_noticed(bench: Bench) -> None:
    bench.write({"models/_s.yml": RAW, "models/a.sql": TABLE + "select a from raw.orders"})
    bench.write({"models/b.sql": TABLE + "select 1 as n"})
    wrote(bench, "create schema raw", "create table raw.orders as select 1 as a")
    assert ended(bench) == {"a": "success", "b": "success"}
    wrote(bench, "insert into raw.orders values (2)")
    assert ended(bench) == {"a": "success"}
    wrote(bench, "create table raw.other as select 1 as a")
    assert ended(bench) == {}
    assert bench.rows("select a from a order by a") == [(1,), (2,)]


def test_a_raw_table_has_one_version_for_all_who_read_it(bench: Bench) -> None:
    bench.write({"models/_s.yml": RAW, "models/a.sql": TABLE + "select a from raw.orders"})
    bench.write({"models/b.sql": TABLE + "select 1 as n"})
    wrote(bench, "create schema raw", "create table raw.orders as select 1 as a")
    bench.build()
    before = inputs(bench, "a")
    bench.write({"models/a.sql": TABLE + "select a + 1 as a from raw.orders"})
    assert ended(bench) == {"a": "success"}
    assert inputs(bench, "a") == before
    bench.write({"models/new.sql": TABLE + "select a from raw.orders"})
    assert ended(bench) == {"new": "success"}
    assert inputs(bench, "new") == before
    wrote(bench, "insert into raw.orders values (2)")
    assert ended(bench) == {"a": "success", "new": "success"}
    assert inputs(bench, "a") == inputs(bench, "new") != before


READ = {"a": "success", "all": "success"}
CHANGES: dict[str, tuple[str, dict[str, str] | None]] = {
    "a column that is not read": ("update raw.orders set b = b + 1", {"all": "success"}),
    "a column that is read": ("update raw.orders set a = a + 1", READ),
    "a column more": ("alter table raw.orders add c int default 7", {"all": "success"}),
    "a column less": ("alter table raw.orders drop b", READ),
    "values that changed places": ("update raw.orders set a = 3 - a", READ),
    "another type of what is read": ("alter table raw.orders alter a type bigint", READ),
    "another type of what is not": ("alter table raw.orders alter b type bigint", READ),
    "a row more": ("insert into raw.orders values (1, 1)", READ),
    "another order": ("create or replace table raw.orders as from raw.orders order by b desc", {}),
    "another table": ("create table raw.other as select 1 as a", None),
}
# What changes a table that reads all columns, and has the same in `a`.
FOR_MID = ("a column less", "values that changed places", "another type of what is not")


@pytest.mark.parametrize("named", CHANGES)
@pytest.mark.parametrize("kept", ["table", "view", "ephemeral"])
def test_a_raw_table_moves_for_those_who_read_what_changed(
    bench: Bench, kept: str, named: str
) -> None:
    statement, wanted = CHANGES[named]
    head = f"{{{{ config(materialized='{kept}') }}}} "
    bench.write({"models/_s.yml": RAW, "models/mid.sql": head + "select * from raw.orders"})
    bench.write({"models/a.sql": TABLE + "select a from mid where a > 0"})
    bench.write({"models/all.sql": TABLE + "select * from raw.orders"})
    rows = "select (i % 2 + 1)::int as a, i::int as b from range(4) t(i)"
    wrote(bench, "create schema raw", f"create table raw.orders as {rows}")
    ended(bench)
    wrote(bench, statement)
    found = bench.build()
    assert found.ok
    made = {o.label: o.status for o in found.results.outcomes if o.label in ("a", "all")}
    if kept == "table" and named in FOR_MID:
        wanted = {**(wanted or {}), "a": "skipped"}  # `mid` is made anew, and has the same in `a`
    assert made == ({} if wanted is None else {"a": "skipped", "all": "skipped"} | wanted)
    assert not bench.build().plan.steps
    other = Bench(bench.root.parent / "anew")
    shutil.copytree(bench.root, other.root)
    other.build(full_refresh=True)
    assert contents(other.root / "warehouse.duckdb") == contents(bench.root / "warehouse.duckdb")


def test_a_raw_table_in_another_order_moves_for_those_who_read_the_order(bench: Bench) -> None:
    bench.write({"models/_s.yml": RAW, "models/a.sql": TABLE + "select first(a) as a from v"})
    bench.write({"models/v.sql": "select a, b from raw.orders"})
    bench.write({"models/other.sql": TABLE + "select first(c) as c from raw.orders"})
    wrote(bench, "create schema raw", "create table raw.orders as select 1 as a, 1 as b, 1 as c")
    wrote(bench, "insert into raw.orders values (2, 2, 1)")
    ended(bench)
    wrote(bench, "create or replace table raw.orders as from raw.orders order by a desc")
    assert ended(bench) == {"a": "success", "other": "skipped", "v": "skipped"}
    assert bench.rows("from a") == [(2,)]


@pytest.mark.parametrize("kind", ["int", "boolean", "double", "date", "varchar", "decimal(9, 2)"])
def test_rows_of_nothing_but_zeros_that_come_and_go_are_seen(bench: Bench, kind: str) -> None:
    """The hash of zero is zero."""
    bench.write({"models/_s.yml": RAW, "models/a.sql": TABLE + "select a from raw.orders"})
    zero = {"date": "date '1970-01-01'", "varchar": "''"}.get(kind, f"0::{kind}")
    wrote(bench, "create schema raw", f"create table raw.orders (a {kind}, b int)")
    ended(bench)
    for statement in (
        f"insert into raw.orders values ({zero}, 0)",
        f"insert into raw.orders values ({zero}, 0)",
        "insert into raw.orders values (null, 0)",
        "delete from raw.orders where rowid = 0",
        "delete from raw.orders where rowid = 1",
    ):
        wrote(bench, statement)
        assert ended(bench) == {"a": "success"}, statement
        same = "select a from a except all select a from raw.orders"
        assert bench.rows(f"{same} union all ({same})") == []
    wrote(bench, "update raw.orders set b = 1")
    assert ended(bench) == {"a": "skipped"}


@pytest.mark.parametrize("source", ["raw", "load", "seed"])
def test_a_reader_is_not_told_through_a_view_that_it_was_not_made_with(
    bench: Bench, source: str
) -> None:
    read = "s" if source == "seed" else "raw.orders"
    load = ", load: {kind: files, path: seeds/s.csv}" if source == "load" else ""
    bench.write({"seeds/s.csv": "a,b\n1,10\n", "models/r.sql": TABLE + "select a from v"})
    bench.write({"models/v.sql": f"select a from {read}"})
    if source != "seed":
        told = f"sources: [{{name: raw, tables: [{{name: orders{load}}}]}}]\n"
        bench.write({"models/_s.yml": told})
    if source == "raw":
        wrote(bench, "create schema raw", "create table raw.orders as select 1 as a, 10 as b")
    assert bench.build().ok
    bench.write({"models/v.sql": f"select b as a from {read}"})
    assert bench.build("v").ok
    bench.write({"seeds/s.csv": "a,b\n2,10\n"})
    if source == "raw":
        wrote(bench, "update raw.orders set a = 2")
    if source == "seed":
        assert bench.build("s").ok
    bench.write({"models/v.sql": f"select a from {read}"})
    assert bench.build().ok
    assert bench.rows("from r") == [(2,)]


@pytest.mark.parametrize("read", ["source('raw', 'orders')", "ref('s')"])
def test_a_reader_of_a_late_view_is_told_of_nothing(bench: Bench, read: str) -> None:
    """What the view says now is known when it is made."""
    most = f"run_query('select max(b) from ' ~ {read}).columns[0][0]"
    asked = f"select {{{{ {most} if execute else 0 }}}} as z, a from {{{{ {read} }}}}"
    bench.write({"models/v.sql": asked, "models/m.sql": TABLE + "select * from v"})
    bench.write({"seeds/s.csv": "a,b\n1,1\n", "models/_s.yml": RAW})
    wrote(bench, "create schema raw", "create table raw.orders as select 1 as a, 1 as b")
    assert bench.build().ok
    assert bench.rows("from m") == [(1, 1)]
    bench.write({"seeds/s.csv": "a,b\n1,2\n"})
    wrote(bench, "update raw.orders set b = 2")
    assert bench.build().ok
    assert bench.rows("from m") == [(2, 1)]


MADE_OF = "create or replace table raw.orders (a int, g int as (a * {}))"
ADD = "insert into raw.orders values (1)"
ODD = {
    "an empty line in a name": ('"x\n\ny"', "update raw.orders set {} = 2"),
    "a line break alone": ('"\n"', "update raw.orders set {} = 2"),
    "a column that is made of another": ("g", f"{MADE_OF.format(3)}; {ADD}"),
}


@pytest.mark.parametrize("named", ODD)
def test_columns_of_odd_kinds_are_seen(bench: Bench, named: str) -> None:
    column, statement = ODD[named]
    bench.write({"models/_s.yml": RAW})
    bench.write({"models/m.sql": TABLE + f"select {column} as v from raw.orders"})
    wrote(bench, "create schema raw")
    if column == "g":
        wrote(bench, MADE_OF.format(2), ADD)
    else:
        wrote(bench, f"create table raw.orders as select 1 as a, 1 as {column}")
    ended(bench)
    wrote(bench, *statement.format(column).split(";"))
    assert ended(bench) == {"m": "success"}
    assert bench.rows("from m") == [(3 if column == "g" else 2,)]


NESTED = {
    "null::int[]": "[]::int[]",
    "[]::int[]": "[null]::int[]",
    "[0]": "[0, 0]",
    "[[1], [2]]": "[[1, 2]]",
    "null::struct(a int)": "{'a': null}::struct(a int)",
    "null::map(int, int)": "map {}::map(int, int)",
}


@pytest.mark.parametrize("before", NESTED)
def test_nested_values_of_one_hash_are_told_apart(bench: Bench, before: str) -> None:
    bench.write({"models/_s.yml": RAW, "models/m.sql": TABLE + "select v from raw.orders"})
    bench.write({"models/below.sql": TABLE + "select v from m"})
    wrote(bench, "create schema raw", f"create table raw.orders as select {before} as v")
    ended(bench)
    wrote(bench, f"update raw.orders set v = {NESTED[before]}")
    assert ended(bench) == {"m": "success", "below": "success"}


def test_a_raw_table_with_a_column_of_the_name_rowid_is_compared_whole(bench: Bench) -> None:
    """`rowid` means the column then, and tells no row's place."""
    bench.write({"models/_s.yml": RAW, "models/a.sql": TABLE + "select a, b from raw.orders"})
    rows = "select 7 as RowId, i as a, i as b, 0 as c from range(2) t(i)"
    wrote(bench, "create schema raw", f"create table raw.orders as {rows}")
    ended(bench)
    wrote(bench, "update raw.orders set b = 1 - b")
    assert ended(bench) == {"a": "success"}
    assert bench.rows("from a order by a") == [(0, 1), (1, 0)]
    wrote(bench, "update raw.orders set c = 1")
    assert ended(bench) == {"a": "success"}


def test_a_reader_that_was_not_asked_for_is_told_of_what_it_missed(bench: Bench) -> None:
    bench.write({"models/_s.yml": RAW, "models/a.sql": TABLE + "select a from raw.orders"})
    bench.write({"models/b.sql": TABLE + "select b from raw.orders"})
    wrote(bench, "create schema raw", "create table raw.orders as select 1 as a, 1 as b")
    ended(bench)
    wrote(bench, "update raw.orders set b = 2")
    assert ended(bench, "b") == {"b": "success"}
    wrote(bench, "update raw.orders set b = 3")
    assert ended(bench, "b") == {"b": "success"}
    assert ended(bench) == {"a": "skipped"}
    wrote(bench, "update raw.orders set a = 3")
    assert ended(bench) == {"a": "success", "b": "skipped"}


def test_what_is_known_of_raw_tables_does_not_grow(bench: Bench) -> None:
    bench.write({"models/_s.yml": RAW, "models/a.sql": TABLE + "select a from raw.orders"})
    wrote(bench, "create schema raw", "create table raw.orders as select 1 as a, 1 as b")
    for value in range(4):
        wrote(bench, f"update raw.orders set b = {value}, a = {value // 2}")
        bench.build()
    assert bench.rows("select count(*) from _transform.contents") == [(1,)]


def test_a_load_moves_for_those_who_read_what_changed(bench: Bench) -> None:
    load = "load: {kind: files, path: data.csv}"
    bench.write(
        {
            "models/_s.yml": f"sources: [{{name: raw, tables: [{{name: orders, {load}}}]}}]\n",
            "models/a.sql": TABLE + "select a from raw.orders",
            "models/b.sql": TABLE + "select a, b from raw.orders",
            "models/first.sql": TABLE + "select first(a) as a from raw.orders",
            "models/all.sql": TABLE + "select * from raw.orders",
        }
    )

    def built(text: str) -> dict[str, str]:
        bench.write({"data.csv": text})
        found = ended(bench)
        return {name: status for name, status in found.items() if status == "success"}

    built("a,b\n1,1\n2,2\n")
    every = {"raw.orders", "all", "first"}  # which reads when a row was loaded, or their order
    assert set(built("a,b\n1,5\n2,2\n")) == every | {"b"}
    assert bench.rows("from b order by a") == [(1, 5), (2, 2)]
    assert set(built("a,b,c\n1,5,1\n2,2,1\n")) == every
    assert set(built("a,b,c\n1,2,1\n2,5,1\n")) == every | {"b"}
    assert set(built("a,b,c\n1,2,1\n")) == every | {"a", "b"}
    assert set(built("a,b,c\n1.5,2,1\n")) == every | {"a", "b"}


# ------------------------------------------------------------------ columns that are read


def test_a_model_whose_columns_did_not_move_is_left_alone(bench: Bench) -> None:
    bench.write({"seeds/s.csv": "a,b\n1,1\n2,2\n", "models/m.sql": TABLE + "select a from s"})
    bench.write({"models/below.sql": TABLE + "select * from m"})
    bench.build()
    bench.write({"seeds/s.csv": "a,b\n2,7\n1,8\n"})
    assert ended(bench) == {"s": "success", "m": "skipped", "below": "skipped"}
    bench.write({"seeds/s.csv": "a,b\n2,7\n3,8\n"})
    assert ended(bench) == {"s": "success", "m": "success", "below": "success"}
    same_as_anew(bench)


READERS = {
    "a_star": "select * from p",
    "a_star_without_a_column": "select * exclude (a) from p",
    "a_pattern": "select columns('a|c') from p",
    "a_natural_join": "select * from p natural join q",
    "a_row_as_a_value": "select p::varchar as row_ from p",
    "a_star_in_a_count": "select count(*) as n from (select distinct * from p)",
    "names_of_columns": "select * from (unpivot p on columns(*) into name k value v)",
    "a_summary": "select column_name, max from (summarize p)",
    "rows_put_under_rows": "select * from p union all by name select * from q",
    "a_CTE": "with x as (select * from p) select * from x",
    "an_alias_that_stood_behind_a_column": "select a as c, c + 1 as d from p",
    "a_name_that_then_means_another_table": (
        "select a from q where exists (select 1 from p where c > 1)"
    ),
}


@pytest.mark.parametrize("kept", ["table", "view", "ephemeral"])
def test_columns_that_go_come_and_change_places_are_seen(bench: Bench, kept: str) -> None:
    bench.write({"seeds/q.csv": "a,c\n1,1\n2,9\n"})
    for name, query in READERS.items():
        text = f"{{{{ config(materialized='{kept}') }}}} {query}"
        bench.write({f"models/{name}.sql": text, f"models/{name}_.sql": TABLE + f"from {name}"})
    whole, narrow, turned = "a,b,c\n1,1,3\n2,2,3\n", "a,b\n1,1\n2,2\n", "c,b,a\n3,1,1\n3,2,2\n"
    for text in (whole, narrow, whole, turned):
        bench.write({"seeds/p.csv": text})
        bench.build()
        same_as_anew(bench)


def test_a_column_of_another_case_is_seen(bench: Bench) -> None:
    bench.write({"models/m.sql": TABLE + "select a from s"})
    for text in ("a\n1\n", "A\n1\n"):
        bench.write({"seeds/s.csv": text})
        bench.build()
        same_as_anew(bench)


def test_a_field_of_a_column_is_part_of_it(bench: Bench) -> None:
    for n, read in enumerate(["s.x as v", "s.*", "unnest(s)", "struct_extract(s, 'x') as v"]):
        bench.write({f"models/m{n}.sql": TABLE + f"select {read} from p"})
    for value in (1, 2):
        bench.write({"models/p.sql": TABLE + f"select {{'x': {value}, 'y': 0}} as s, 1 as n"})
        bench.build()
        same_as_anew(bench)


def test_names_that_need_quotes_are_columns_too(bench: Bench) -> None:
    query = 'select "a b", "d.e", "two\nlines" from "s t"'
    bench.write({"models/m.sql": TABLE + query})
    for i in range(4):
        values = ", ".join(
            f'{int(i == n)} as "{name}"'
            for n, name in enumerate(["a b", "d.e", "two\nlines", "rest"])
        )
        bench.write({"models/s t.sql": TABLE + f"select {values}"})
        told = ended(bench)
        same_as_anew(bench)
    assert told == {"s t": "success", "m": "success"}


EQUAL = (
    ("0.0::double", "-0.0::double"),
    ("interval '1 month'", "interval '30 days'"),
    ("{'x': -0.0::double}", "{'x': 0.0::double}"),
    ("[interval '24 hours']", "[interval '1 day']"),
)


def test_values_that_are_equal_but_not_the_same_are_seen(bench: Bench) -> None:
    for n in range(len(EQUAL)):
        bench.write({f"models/m{n}.sql": TABLE + f"select v::varchar as v from p{n}"})
    for turn in (0, 1):
        for n, values in enumerate(EQUAL):
            bench.write({f"models/p{n}.sql": TABLE + f"select {values[turn]} as v"})
        bench.build()
        same_as_anew(bench)


# ------------------------------------------------------------------ builds of a part


def test_what_was_behind_already_is_not_up_to_date_when_its_parent_stays(bench: Bench) -> None:
    bench.write({"models/m.sql": TABLE + "select a from p"})
    for value, other in ((1, 1), (2, 1), (2, 2)):
        bench.write({"models/p.sql": TABLE + f"select {value} as a, {other} as b"})
        bench.build(*(["p"] if value == 2 else []))
    assert ended(bench) == {"m": "success"}
    same_as_anew(bench)


def test_a_query_that_is_as_it_was_follows_what_moved_meanwhile(bench: Bench) -> None:
    bench.write({"models/m.sql": TABLE + "select a from p"})
    bench.write({"models/p.sql": TABLE + "select 1 as a, 1 as b"})
    bench.build()
    bench.write({"models/m.sql": TABLE + "select b from p"})
    bench.write({"models/p.sql": TABLE + "select 2 as a, 1 as b"})
    bench.build("p")
    bench.write({"models/m.sql": TABLE + "select a from p"})
    bench.build()
    same_as_anew(bench)


def test_a_failure_between_two_changes_leaves_nothing_behind(bench: Bench) -> None:
    bench.write({"models/m.sql": TABLE + "select p.a, q.a as b from p, q"})
    bench.write({"models/q.sql": TABLE + "select 1 as a"})
    for value, other, q in ((1, 1, "1"), (2, 1, "error('no')"), (2, 2, "1")):
        bench.write({"models/p.sql": TABLE + f"select {value} as a, {other} as b"})
        bench.write({"models/q.sql": TABLE + f"select {q} as a"})
        bench.build()
    same_as_anew(bench)


def test_a_model_that_failed_and_is_ephemeral_now_holds_nothing_back(bench: Bench) -> None:
    bench.write({"models/e.sql": TABLE + "select 1 as a", "models/m.sql": TABLE + "from e"})
    to = "{name: out, model: m, key: a, to: {kind: files, path: out.csv}}"
    bench.write({"models/_m.yml": f"activations: [{to}]\n"})
    bench.build()
    bench.write({"models/e.sql": TABLE + "select error('no')::int as a"})
    assert not bench.build().ok
    bench.write({"models/e.sql": EPHEMERAL + "select 2 as a"})
    assert ended(bench) == {"m": "success", "out": "success"}
    assert bench.rows("from m") == [(2,)]


def test_a_relation_that_another_node_made_meanwhile_is_made_again(bench: Bench) -> None:
    model = {"models/p.sql": TABLE + "select 1 as a"}
    bench.write({**model, "models/m.sql": TABLE + "select a from p"})
    bench.build()
    (bench.root / "models/p.sql").unlink()
    bench.write({"seeds/p.csv": "a\n2\n"})
    ended(bench)
    (bench.root / "seeds/p.csv").unlink()
    bench.write(model)
    ended(bench)
    same_as_anew(bench)


# ------------------------------------------------------------------ checks


CHECKED = {
    "seeds/s.csv": "a,b\n1,1\n",
    "models/m.sql": TABLE + "select a from s",
    "models/_m.yml": "models: [{name: m, columns: [{name: a, data_tests: [not_null]}]}]\n",
}


def test_a_new_check_of_a_table_that_stays_is_measured(bench: Bench) -> None:
    bench.write(CHECKED)
    bench.build()
    text = CHECKED["models/_m.yml"].replace("[not_null]", "[not_null, {accepted_values: VALUES}]")
    bench.write({"seeds/s.csv": "a,b\n1,2\n"})
    bench.write({"models/_m.yml": text.replace("VALUES", "{values: [5]}")})
    report = bench.build()
    assert {o.label: o.status for o in report.results.every()} == {
        "s": "success",
        "m": "skipped",
        "accepted_values m.a": "fail",
    }
    assert not report.ok
    bench.write({"models/_m.yml": text.replace("VALUES", "{values: [1]}")})
    ended(bench)


@pytest.mark.parametrize("kept", ["table", "view"])
def test_a_check_that_reads_more_than_its_model_follows_that(bench: Bench, kept: str) -> None:
    bench.write(CHECKED)
    rule = "{relationships: {to: ref('s'), field: b}}"
    bench.write({"models/_m.yml": CHECKED["models/_m.yml"].replace("not_null", rule)})
    bench.write({"models/m.sql": f"{{{{ config(materialized='{kept}') }}}} select a from s"})
    assert bench.build().ok
    bench.write({"seeds/s.csv": "a,b\n1,2\n"})
    report = bench.build()
    assert [o.status for o in report.results.every() if o.action == "check"] == ["fail"]
    bench.write({"seeds/s.csv": "a,b\n1,1\n"})
    ended(bench)


def test_a_failed_check_of_a_table_that_stayed_stops_what_stands_on_it(bench: Bench) -> None:
    bench.write(CHECKED)
    bench.write({"models/below.sql": TABLE + "select a, b from m, (select b from s)"})
    bench.build()
    text = CHECKED["models/_m.yml"].replace("not_null", "{accepted_values: {values: [5]}}")
    bench.write({"seeds/s.csv": "a,b\n1,2\n", "models/_m.yml": text})
    assert done(bench.build()) == {"s": "success", "m": "skipped", "below": "skipped"}
    bench.write(CHECKED)
    assert ended(bench)["below"] == "success"


# ------------------------------------------------------------------ files that queries name


def test_a_file_is_watched_through_views(bench: Bench) -> None:
    file = bench.root / "x.csv"
    for kept in ("table", "view", "ephemeral"):
        head = f"{{{{ config(materialized='{kept}') }}}} "
        bench.write({f"models/{kept}_1.sql": head + f"from read_csv('{file}')"})
        bench.write({f"models/{kept}_2.sql": head + f"select * from range(1), '{file}'"})
        for number in (1, 2):
            name = f"{kept}_{number}"
            bench.write({f"models/{name}_read.sql": TABLE + f"select * from {name}"})
            bench.write({f"models/{name}_below.sql": TABLE + f"select * from {name}_read"})
    for rows in ("a\n1\n", "a\n2\n", "a,b\n2,3\n"):
        file.write_text(rows)
        ended(bench)
        same_as_anew(bench)


def test_a_check_follows_the_file_that_it_names(bench: Bench) -> None:
    file = bench.root / "x.csv"
    bench.write({"tests/c.sql": f"select * from read_csv('{file}') where a > 1"})
    bench.write({"models/m.sql": TABLE + "select 1 as a"})
    file.write_text("a\n1\n")
    ended(bench)
    file.write_text("a\n2\n")
    assert not bench.build().ok


# ------------------------------------------------------------------ time, chance, order


@pytest.mark.parametrize("kept", ["view", "ephemeral"])
def test_time_and_chance_are_seen_through_views(bench: Bench, kept: str) -> None:
    bench.write({"models/v.sql": f"{{{{ config(materialized='{kept}') }}}} select random() as r"})
    bench.write({"models/m.sql": TABLE + "select r from v"})
    bench.build()
    first = bench.rows("from m")
    assert done(bench.build())["m"] == "success"
    assert bench.rows("from m") != first


def test_a_query_that_only_the_engine_can_read_is_built(bench: Bench) -> None:
    bench.write({"models/m.sql": TABLE + "select x'ff' as b, random() as r"})
    assert bench.build().ok
    assert done(bench.build()) == {"m": "success"}


ORDERED = {
    "a_row_place": "select rowid as n, a from s",
    "rows_beside_rows": "select * from range(2) t(n) positional join s",
    "a_list_of_a_query": "select array(select a from s) as l",
    "the_first_of_a_group": "select first(a) as a from s",
    "ties": "select a from s order by b limit 1",
    "ties_in_a_window": "select a, row_number() over (order by b) as n from s",
    "rows_before_a_row": "select a, sum(a) over (order by b rows unbounded preceding) as n from s",
}


@pytest.mark.parametrize("kept", ["table", "ephemeral"])
def test_what_depends_on_the_order_of_rows_is_built_again(bench: Bench, kept: str) -> None:
    for name, query in ORDERED.items():
        text = f"{{{{ config(materialized='{kept}') }}}} {query}"
        bench.write({f"models/{name}.sql": text, f"models/{name}_.sql": TABLE + f"from {name}"})
    for text in ("a,b\n1,1\n2,1\n", "a,b\n2,1\n1,1\n"):
        bench.write({"seeds/s.csv": text})
        ended(bench)
        same_as_anew(bench)


def test_a_python_model_may_depend_on_the_order_of_rows(bench: Bench) -> None:
    text = "def model(project):\n    return project.ref('s').head(1)\n"
    bench.write({"models/m.py": text})
    for rows in ("a\n1\n2\n", "a\n2\n1\n"):
        bench.write({"seeds/s.csv": rows})
        ended(bench)
        same_as_anew(bench)


def test_a_check_that_asks_for_the_time_is_measured_in_each_build(bench: Bench) -> None:
    rules = "{expression_is_true: {expression: '< now()'}}, {not_null: {where: 'a < now()'}}"
    text = f"models: [{{name: m, columns: [{{name: a, data_tests: [{rules}, unique]}}]}}]\n"
    bench.write({"models/m.sql": TABLE + "select date '2020-01-01' as a", "models/_m.yml": text})
    bench.build()
    steps = {step.label for step in bench.build().plan}
    assert len(steps) == 1
    assert len(list(bench.build().results.every())) == 2


# ------------------------------------------------------------------ edits that say nothing


@pytest.mark.parametrize("kept", ["table", "view", "ephemeral"])
def test_comments_layout_and_case_of_keywords_are_no_work(bench: Bench, kept: str) -> None:
    head = f"{{{{ config(materialized='{kept}') }}}} "
    query = (
        "with x as (select a, count(*) as n from s group by a order by a), y as (from s)"
        " select x.a, rank() over (partition by n order by x.a) as r from x join y on x.a = y.a"
    )
    turned = (
        "-- why\nWITH y AS (FROM s), /* first */ x AS (SELECT a, count(*) AS n FROM s\n"
        "GROUP   BY a ORDER\n\tBY a)\nSELECT x.a, rank() over (PARTITION  BY n ORDER BY x.a) AS r"
        " FROM x JOIN y ON x.a = y.a\n;\n"
    )
    bench.write({"seeds/s.csv": "a\n1\n2\n", "models/m.sql": head + query})
    bench.write({"models/below.sql": TABLE + "select * from m"})
    text = "models: [{name: m, columns: [{name: a, data_tests: [not_null]}]}]\n"
    bench.write({"models/_m.yml": text})
    bench.build()
    bench.write({"models/m.sql": head + turned})
    assert not bench.build().plan.steps


@pytest.mark.parametrize("kept", ["table", "view", "ephemeral"])
def test_ctes_over_ephemeral_models_have_no_order_either(bench: Bench, kept: str) -> None:
    head = f"{{{{ config(materialized='{kept}') }}}} "
    parts = ["x as (select a from e)", "y as (select max(b) as m from f)"]
    bench.write(
        {
            "seeds/s.csv": "a,b\n1,2\n",
            "models/e.sql": EPHEMERAL + "select a from s",
            "models/f.sql": EPHEMERAL + "select b from s",
            "models/below.sql": TABLE + "select * from m",
        }
    )
    check = "with {} select * from x, y where m < a"
    for ordered in (parts, parts[::-1]):
        bench.write({"models/m.sql": head + f"with {', '.join(ordered)} select a, m from x, y"})
        bench.write({"tests/t.sql": check.format(", ".join(ordered))})
        report = bench.build()
    assert not report.plan.steps


def test_a_cte_that_hides_a_table_does_so_only_behind_it(bench: Bench) -> None:
    parts = ["s as (select 5 as a)", "x as (select sum(a) as n from s)"]
    bench.write({"seeds/s.csv": "a\n1\n2\n"})
    for ordered in (parts, parts[::-1], parts):
        bench.write({"models/m.sql": TABLE + f"with {', '.join(ordered)} select n from x"})
        assert ended(bench)["m"] == "success"
        same_as_anew(bench)


# ------------------------------------------------------------------ steps at the same time


def test_many_parents_at_once_tell_the_same_reader(bench: Bench) -> None:
    names = [f"p{i}" for i in range(12)]
    joined = " union all ".join(f"select a from {name}" for name in names)
    bench.write({"models/m.sql": TABLE + joined})
    for value in range(4):
        bench.write({f"models/{n}.sql": TABLE + f"select 1 as a where {value} < 9" for n in names})
        report = bench.build(how=BuildOptions(threads=8))
        assert report.ok, report.results.bad
        same_as_anew(bench)
    assert done(report)["m"] == "skipped"


def test_columns_are_read_rightly_while_other_steps_run(bench: Bench) -> None:
    """A column that stands in a filter only is read, whatever the planner makes of it."""
    names = [f"p{i}" for i in range(8)]
    for value in range(3):
        bench.write({f"models/{n}.sql": TABLE + f"select 1 as a, {value} as b" for n in names})
        bench.write({f"models/r_{n}.sql": TABLE + f"select a from {n} where b = 1" for n in names})
        assert bench.build(how=BuildOptions(threads=8)).ok
        same_as_anew(bench)


def test_a_reader_beside_a_view_with_ctes_sees_other_columns(bench: Bench) -> None:
    """Of a table that is joined with such a view DuckDB's plan does not say what is read."""
    bench.write(
        {
            "seeds/s.csv": "a,b,c\n1,2,3\n",
            "models/t.sql": TABLE + "select 1 as a, 5 as d",
            "models/v.sql": "with y as materialized (select max(d) as m from t)"
            " select a, m from y, t",
            "models/r.sql": TABLE + "select * from v natural join s",
        }
    )
    ended(bench)
    bench.write({"seeds/s.csv": "c,a,b\n3,1,2\n"})
    assert ended(bench)["r"] == "success"
    assert [name for name, *_ in bench.rows("describe r")] == ["a", "m", "c", "b"]
    same_as_anew(bench)
