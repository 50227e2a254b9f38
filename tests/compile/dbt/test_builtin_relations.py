"""The macros about relations, tables, tests and names, run on DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.compile.dbt.harness import Rendering, S, T, made
from transformer.compile.dbt.relation import Relation
from transformer.errors import RenderError


# ---------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("macro", "arguments", "wanted"),
    [
        ("generate_schema_name", (None,), "main"),
        ("generate_schema_name", (" marts ",), "main_marts"),
        ("default__generate_schema_name", ("marts", None), "main_marts"),
        ("generate_schema_name_for_env", ("marts", None), "main"),
        ("generate_alias_name", (None, {"name": "orders"}), "orders"),
        ("generate_alias_name", (" o ", {"name": "orders"}), "o"),
        ("generate_alias_name", (None, {"name": "orders", "version": 2.1}), "orders_v2_1"),
        ("generate_database_name", (None,), "memory"),
        ("generate_database_name", ("lake",), "lake"),
        ("information_schema_name", ("lake",), "system.information_schema"),
    ],
)
def test_names_are_made_by_the_rules_of_dbt(
    macro: str, arguments: tuple[Any, ...], wanted: str
) -> None:
    assert Rendering().macros[macro](*arguments) == wanted


def test_a_schema_stands_alone_in_production() -> None:
    prod = Rendering(target=SimpleNamespace(name="prod", schema="main"))
    assert prod.generate_schema_name_for_env("marts", None) == "marts"


# ---------------------------------------------------------------- making and dropping
def test_relations_are_made_renamed_emptied_and_dropped() -> None:
    database = made()
    run = Rendering(database)
    run.create_schema(Relation("memory", "new", "t"))
    table = Relation("memory", "new", "t", "table")
    database.run(run.create_table_as(False, table, "select 1 as x"))
    view = Relation("memory", "new", "v", "view")
    database.run(run.create_view_as(view, "select * from new.t"))
    assert database.all("from new.v") == [(1,)]
    run.drop_relation_if_exists(None)
    run.drop_relation(view)
    run.rename_relation(table, Relation("memory", "new", "u", "table"))
    run.truncate_relation(Relation("memory", "new", "u"))
    assert database.all("from new.u") == []
    run.drop_relation_if_exists(Relation("memory", "new", "u"))
    assert run.load_relation(Relation("memory", "new", "u")) is None
    run.drop_schema(table)
    assert not run.adapter.check_schema_exists("memory", "new")


def test_a_temporary_table_stands_in_no_schema() -> None:
    database = made()
    run = Rendering(database)
    temp = run.make_temp_relation(T)
    assert (temp.database, temp.schema) == (None, None)
    assert temp.identifier.startswith("t__dbt_tmp2")
    database.run(run.create_table_as(True, temp, "select 1 as x"))
    assert database.all(f"from {temp}") == [(1,)]
    assert run.make_intermediate_relation(T).render() == '"memory"."main"."t__dbt_tmp"'
    backup = run.make_backup_relation(T, "view")
    assert (backup.identifier, backup.type) == ("t__dbt_backup", "view")


def test_a_relation_is_found_or_begun() -> None:
    run = Rendering(made("create table t(x int)"))
    assert run.get_or_create_relation("memory", "main", "T", "table")[0] is True
    found, new = run.get_or_create_relation("memory", "main", "other", "view")
    assert (found, new.type) == (False, "view")


CONTRACT = {
    "name": "m",
    "constraints": [{"type": "check", "expression": "x > 0"}],
    "columns": {
        "x": {"name": "x", "data_type": "integer", "constraints": [{"type": "not_null"}]},
        "y": {"name": "y", "data_type": "varchar", "quote": True},
    },
}


def test_a_contract_gives_the_table_its_columns_and_rules() -> None:
    database = made()
    run = Rendering(database, config={"contract": {"enforced": True}}, model=CONTRACT)
    database.run(run.create_table_as(False, T, "select 'a' as y, 1 as x"))
    assert database.all("select x, y from t") == [(1, "a")]
    with pytest.raises(Exception, match="CHECK"):
        database.run("insert into t values (0, 'b')")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select 1 as x", "`y` is missing"),
        ("select 1 as x, 2 as y", "`y` is INTEGER"),
        ("select 1 as x, 'a' as y, 1 as z", "expected no column"),
    ],
)
def test_a_query_that_breaks_its_contract_is_refused(sql: str, said: str) -> None:
    run = Rendering(made(), config={"contract": {"enforced": True}}, model=CONTRACT)
    with pytest.raises(RenderError) as caught:
        run.create_table_as(False, T, sql)
    assert said in "\n".join(caught.value.detail)


def test_columns_of_a_contract_without_a_type_are_refused() -> None:
    with pytest.raises(RenderError, match="without `data_type`"):
        Rendering().get_empty_schema_sql({"x": {"name": "x"}})


# ---------------------------------------------------------------- columns
def test_columns_of_relations_and_queries() -> None:
    run = Rendering(made("create table t(a int, b varchar)"))
    assert [c.name for c in run.get_columns_in_relation(T)] == ["a", "b"]
    assert run.get_columns_in_query("select 1 as q, 2 as r") == ["q", "r"]
    schema = run.get_column_schema_from_query("select {'a': 1} as s, 2::decimal(5,1) as d")
    assert [(c.name, c.dtype) for c in schema] == [("s.a", "INTEGER"), ("d", "DECIMAL(5,1)")]
    assert run.get_quoted_csv(["a", 'b"']) == '"a", "b"""'


def test_a_table_follows_the_columns_of_its_query() -> None:
    database = made("create table t(a int, gone int)", "create table s(a bigint, new varchar)")
    run = Rendering(database)
    found = run.check_for_schema_changes(S, T)
    assert found["schema_changed"] is True
    assert found["new_target_types"] == [{"column_name": "a", "new_type": "BIGINT"}]
    with pytest.raises(RenderError, match="no longer"):
        run.process_schema_changes("fail", S, T)
    assert run.process_schema_changes("ignore", S, T) == {}
    run.process_schema_changes("append_new_columns", S, T)
    assert [c.name for c in run.get_columns_in_relation(T)] == ["a", "gone", "new"]
    run.process_schema_changes("sync_all_columns", S, T)
    described = [(c.name, c.dtype) for c in run.get_columns_in_relation(T)]
    assert described == [("a", "BIGINT"), ("new", "VARCHAR")]
    assert run.check_for_schema_changes(S, T)["schema_changed"] is False


@pytest.mark.parametrize(("given", "wanted"), [("fail", "fail"), ("what", "ignore")])
def test_an_unknown_way_to_follow_columns_is_the_default(given: str, wanted: str) -> None:
    assert Rendering().incremental_validate_on_schema_change(given) == wanted


# ---------------------------------------------------------------- tests
@pytest.mark.parametrize(
    ("macro", "more", "wanted"),
    [
        ("test_unique", {}, [(1, 2)]),
        ("test_not_null", {}, [(None,)]),
        ("test_accepted_values", {"values": [1, 2], "quote": False}, [(3, 1)]),
        ("test_accepted_values", {"values": ["1", "3"]}, []),
        ("test_relationships", {"to": S, "field": "k"}, [(1,), (1,)]),
    ],
)
def test_tests_find_the_rows_that_break_them(
    macro: str, more: dict[str, Any], wanted: list[tuple[Any, ...]]
) -> None:
    database = made(
        "create table t as select unnest([1, 1, 3, null]) as k", "create table s as select 3 as k"
    )
    sql = Rendering().macros[macro](T, "k", **more)
    assert database.all(sql) == wanted


def test_failures_of_a_test_are_kept_with_every_column() -> None:
    run = Rendering(config={"store_failures": True})
    assert run.test_not_null(T, "k").startswith("select *")
    assert Rendering().should_store_failures() is False
    assert Rendering(config={"full_refresh": True}).should_full_refresh() is True


def test_a_test_reads_the_rows_its_where_leaves() -> None:
    database = made("create table t as select unnest([1, 2]) as k")
    subquery = Rendering(config={"where": "k > 1"}).get_where_subquery(T)
    assert database.all(f"select k from {subquery}") == [(2,)]
    assert Rendering().get_where_subquery(T) is T


@pytest.mark.parametrize(("limit", "wanted"), [(None, (3, True, False)), (1, (1, True, False))])
def test_a_test_counts_its_failures(limit: int | None, wanted: tuple[Any, ...]) -> None:
    sql = Rendering().get_test_sql("select unnest([1, 2, 3])", "count(*)", "!= 0", "> 10", limit)
    assert made().all(sql) == [wanted]


def test_a_row_of_a_unit_test_is_cast_to_its_columns() -> None:
    types = {"a": "INTEGER", "b": "character varying(1)"}
    row = Rendering().format_row({"A": None, "b": "it's"}, types)
    assert row == {"a": "cast(null as INTEGER)", "b": "cast('it''s' as character varying)"}
    with pytest.raises(RenderError, match="no column 'c'"):
        Rendering().format_row({"c": 1}, types)


# ---------------------------------------------------------------- the rest
def test_the_warehouse_tells_what_is_in_it() -> None:
    run = Rendering(made("create table t(x int)", "comment on column t.x is 'a number'"))
    assert "main" in run.list_schemas("memory").columns["schema_name"].values()
    assert run.check_schema_exists(T.information_schema(), "MAIN")[0][0] == 1
    assert run.list_relations_without_caching(T)[0].values() == ("memory", "t", "main", "table")
    tables = run.adapter.execute(run.get_tables_by_pattern_sql("main", "T%"), fetch=True)[1]
    assert tables.columns["table_name"].values() == ("t",)
    for catalog in (
        run.get_catalog(T.information_schema(), ["main"]),
        run.get_catalog_relations(T.information_schema(), [T]),
    ):
        assert catalog[0]["column_comment"] == "a number"
        assert catalog[0]["table_type"] == "BASE TABLE"


def test_freshness_is_the_newest_row_and_now() -> None:
    run = Rendering(made("create table t as select timestamp '2024-01-01' as since"))
    for found in (
        run.collect_freshness(T, "since", "1 = 1"),
        run.collect_freshness_custom_sql(T, "select max(since) from t"),
    ):
        assert str(found["table"][0]["max_loaded_at"]) == "2024-01-01 00:00:00"


def test_descriptions_are_kept_as_comments() -> None:
    database = made("create table t(x int)")
    model = {
        "name": "t",
        "description": "it's a table",
        "columns": {"x": {"description": "a number"}, "gone": {"description": "?"}},
    }
    run = Rendering(database, config={"persist_docs": {"relation": True, "columns": True}})
    run.persist_docs(T, model)
    assert database.all("select comment from duckdb_tables()") == [("it's a table",)]
    assert database.one("comment", "from duckdb_columns() where not internal") == "a number"
    assert "gone" in run.warned[0]


def test_indexes_are_made_and_dropped() -> None:
    database = made("create table t(x int)")
    run = Rendering(database, config={"indexes": [{"columns": ["x"], "unique": True}]})
    run.create_indexes(T)
    assert database.one("is_unique", "from duckdb_indexes()") is True
    run.drop_indexes_on_relation(T)
    assert database.all("from duckdb_indexes()") == []


def test_hooks_run_in_or_outside_the_transaction() -> None:
    database = made()
    run = Rendering(database)
    hooks = [
        {"sql": "create table {{ 'inside' }}(x int)", "transaction": True},
        {"sql": " ", "transaction": True},
        {"sql": "create table outside(x int)", "transaction": False},
    ]
    run.run_hooks(hooks)
    assert [name for _, _, name, _ in database.relations(None)] == ["inside"]
    assert run.after_commit("x") == '{"sql": "x", "transaction": false}'


def test_a_statement_that_runs_nothing_leaves_its_result() -> None:
    run = Rendering()
    run.noop_statement("main", res=None)
    assert run.results["main"]["data"] == []


def test_grants_are_only_warned_of() -> None:
    run = Rendering(made())
    run.apply_grants(T, {"select": ["a"]})
    run.apply_grants(T, {"select": ["a"]})
    run.apply_grants(T, {})
    assert len(run.warned) == 1
    grant: Callable[..., str] = run.get_grant_sql
    assert run.get_dcl_statement_list(T, {"select": ["a", "b"], "insert": []}, grant) == [
        'grant select on "memory"."main"."t" to a, b'
    ]
    assert (run.should_revoke(None), run.should_revoke(T), run.should_revoke(T, False)) == (
        False,
        True,
        True,
    )


def test_files_are_written_and_read_back(tmp_path: Any) -> None:
    database = made("create table t as select 1 as x")
    run = Rendering(database)
    place = f"{tmp_path}/t.csv"
    assert run.location_exists(place) is False
    options = run.render_write_options({"format": "csv", "options": {"header": "{{ 1 }}"}})
    run.write_to_file(T, place, run.adapter.external_write_options(place, options))
    assert run.location_exists(place) is True
    assert database.all(f"from '{place}'") == [(1,)]
    assert run.external_location(T, {}) == "./t.parquet"
    assert run.external_location(T, {"options": {"partition_by": "x"}}) == "./t"


def test_files_of_models_outside_the_run_become_views(tmp_path: Any) -> None:
    database = made(f"copy (select 1 as x) to '{tmp_path}/up.parquet'")
    nodes = {
        "model.p.down": {"depends_on": {"nodes": ["model.p.up"]}},
        "model.p.up": {
            "database": "memory",
            "schema": "files",
            "alias": "up",
            "config": {"materialized": "external", "location": f"{tmp_path}/up.parquet"},
        },
    }
    run = Rendering(database, graph={"nodes": nodes}, selected_resources=["model.p.down"])
    run.register_upstream_external_models()
    assert database.all("from files.up") == [(1,)]


def test_seeds_take_the_types_they_are_told() -> None:
    database = made()
    run = Rendering(database, this=T)
    table = run.adapter.execute("select 1 as a, 'x' as b, 1.5 as c", fetch=True)[1]
    model = {"config": {"column_types": {"a": "bigint"}, "quote_columns": False}}
    assert run.create_csv_table(model, table).endswith("(a bigint, b text, c float8)")
    assert run.get_seed_column_quoted_csv({"config": {}}, ["a"]) == '"a"'
    run.reset_csv_table(model, False, T, table)
    run.reset_csv_table(model, True, T, table)
    assert [c.dtype for c in run.adapter.get_columns_in_relation(T)] == [
        "BIGINT",
        "VARCHAR",
        "DOUBLE",
    ]


def test_keys_of_snapshots_have_numbered_names() -> None:
    run = Rendering()
    assert run.unique_key_fields(["a", "b"]) == "a as dbt_unique_key_1, b as dbt_unique_key_2"
    assert run.unique_key_join_on("a", "x", "y") == "x.dbt_unique_key = y.dbt_unique_key"
    assert run.unique_key_is_null(["a"], "x") == "x.dbt_unique_key_1 is null"
