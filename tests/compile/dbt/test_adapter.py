"""The adapter: what templates learn of a warehouse, and do in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment

from tests.compile.dbt.harness import Database
from transformer.compile.dbt.adapter import Adapter, AdapterSettings, NeedsWarehouse
from transformer.compile.dbt.relation import Relation
from transformer.errors import RenderError


def dispatch(name: str, namespace: str | None = None) -> Callable[..., Any]:
    return lambda *arguments: (name, namespace, arguments)


@pytest.fixture
def database() -> Database:
    made = Database()
    made.run("create schema s; create table s.t as select 1 as a, 'x' as b, {'q': 1} as c")
    made.run("create view s.v as from s.t")
    return made


@pytest.fixture
def adapter(database: Database) -> Adapter:
    return Adapter(database, dispatch)


T = Relation("memory", "s", "t")


@pytest.mark.parametrize(
    "ask",
    [
        lambda a: a.get_relation("memory", "s", "t"),
        lambda a: a.get_columns_in_relation(T),
        lambda a: a.check_schema_exists("memory", "s"),
        lambda a: a.execute("select 1", fetch=True),
        lambda a: a.drop_relation(T),
        lambda a: a.location_exists("x.csv"),
        lambda a: a.get_column_schema_from_query("select 1"),
    ],
)
def test_what_needs_a_warehouse_says_so_where_there_is_none(ask: Callable[..., Any]) -> None:
    with pytest.raises(NeedsWarehouse):
        ask(Adapter(None, dispatch))


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("adapter.type()", "duckdb"),
        ("adapter.quote('a\"b')", '"a""b"'),
        ("adapter.quote_as_configured('a', 'identifier')", '"a"'),
        ("adapter.quote_seed_column('a', none)", '"a"'),
        ("adapter.quote_seed_column('a', false)", "a"),
        ("adapter.dispatch('star', 'dbt_utils')(1)", "('star', 'dbt_utils', (1,))"),
        ("adapter.valid_incremental_strategies() | length", "4"),
        ("adapter.behavior.whatever.no_warn", "False"),
        ("'on' if adapter.behavior.whatever else 'off'", "off"),
        ("adapter.commit()", ""),
        ("adapter.expand_target_column_types(from_relation=1, to_relation=2)", ""),
        ("adapter.cache_added(1)", ""),
        ("adapter.use_database('x')", ""),
        ("adapter.disable_transactions()", "False"),
        ("adapter.is_ducklake(1) or adapter.is_motherduck()", "False"),
        ("adapter.external_root()", "."),
        ("adapter.is_before_version('1.10.0')", "True"),
        ("adapter.is_at_or_after_version('1.9')", "True"),
        ("adapter.is_current_version('1.9.1')", "True"),
        ("adapter.Relation.create(identifier='x')", '"x"'),
        ("adapter.get_binding_char()", "?"),
    ],
)
def test_much_is_known_without_a_warehouse(expression: str, wanted: str) -> None:
    adapter = Adapter(None, dispatch, AdapterSettings(version="v1.9.1"))
    text = SandboxedEnvironment().from_string("{{ " + expression + " }}").render(adapter=adapter)
    assert text == wanted


def test_relations_are_found_without_regard_to_case(adapter: Adapter) -> None:
    found = adapter.get_relation("MEMORY", "S", "T")
    assert found is not None
    assert (found.render(), found.is_table) == ('"memory"."s"."t"', True)
    assert adapter.get_relation(schema="s", identifier="none") is None
    view = adapter.load_relation(Relation("memory", "s", "v"))
    assert view is not None
    assert view.is_view
    assert adapter.already_exists("s", "t")


def test_a_schema_lists_its_relations(adapter: Adapter) -> None:
    listed = adapter.list_relations("memory", "s")
    assert {(r.identifier, r.type) for r in listed} == {("t", "table"), ("v", "view")}
    assert adapter.list_relations("other", "s") == []
    assert len(adapter.list_relations_without_caching(T)) == 2
    assert "s" in adapter.list_schemas("memory")
    assert adapter.check_schema_exists("memory", "S")
    assert not adapter.check_schema_exists("memory", "other")


def test_columns_are_those_of_the_engine(adapter: Adapter) -> None:
    columns = adapter.get_columns_in_relation(T)
    assert [(c.name, c.dtype) for c in columns] == [
        ("a", "INTEGER"),
        ("b", "VARCHAR"),
        ("c", "STRUCT(q INTEGER)"),
    ]
    assert adapter.get_columns_in_relation(Relation("memory", "s", "none")) == []
    assert adapter.get_columns_in_relation(Relation.ephemeral("x")) == []
    file = Relation.expression("memory", "raw", "r", "(select 1 as i)")
    assert [c.name for c in adapter.get_columns_in_relation(file)] == ["i"]
    with pytest.raises(RenderError, match="not a relation"):
        adapter.get_columns_in_relation("s.t")


def test_missing_columns_are_those_only_the_first_has(adapter: Adapter, database: Database) -> None:
    database.run("create table s.u(b varchar)")
    missing = adapter.get_missing_columns(T, Relation("memory", "s", "u"))
    assert [c.name for c in missing] == ["a", "c"]


def test_a_query_gives_its_columns_with_structs_taken_apart(adapter: Adapter) -> None:
    columns = adapter.get_column_schema_from_query("select * from s.t -- all")
    assert [c.name for c in columns] == ["a", "b", "c.q"]


def test_statements_give_a_response_and_rows_when_wanted(adapter: Adapter) -> None:
    response, table = adapter.execute("select unnest([1, 2, 3]) as n", fetch=True, limit=2)
    assert (str(response), response.rows_affected, len(table)) == ("OK", 2, 2)
    assert len(adapter.execute("create table s.w(x int)")[1]) == 0
    adapter.add_query("insert into s.w values (1); insert into s.w values (2)")
    assert adapter.execute("select count(*) from s.w", fetch=True)[1][0][0] == 2


def test_relations_are_dropped_as_what_they_are(adapter: Adapter, database: Database) -> None:
    assert adapter.drop_relation(Relation("memory", "s", "v", "table")) == ""
    assert adapter.drop_relation(Relation("memory", "s", "none")) == ""
    assert adapter.drop_relation(None) == ""
    adapter.rename_relation(T, Relation("memory", "s", "new"))
    adapter.truncate_relation(Relation("memory", "s", "new"))
    assert database.all("from s.new") == []
    database.run("create temp table gone(x int)")
    adapter.drop_relation(Relation(None, None, "gone", "table"))
    adapter.clean_up_table(Relation("memory", "s", "new"))
    assert adapter.list_relations("memory", "s") == []
    adapter.create_schema(Relation("memory", "z", "x"))
    assert adapter.check_schema_exists("memory", "z")
    adapter.drop_schema(Relation("memory", "z"))
    assert not adapter.check_schema_exists("memory", "z")


def test_types_of_results_have_names_of_the_engine(adapter: Adapter) -> None:
    sql = "select 1, 1.5, true, date '2024-01-01', now(), 'x'"
    table = adapter.execute(sql, fetch=True)[1]
    assert [adapter.convert_type(table, at) for at in range(6)] == [
        "integer",
        "float8",
        "boolean",
        "date",
        "timestamp without time zone",
        "text",
    ]


def test_grants_are_listed_by_privilege(adapter: Adapter) -> None:
    sql = "select 'a' as grantee, 'select' as privilege_type union all select 'b', 'select'"
    granted = adapter.standardize_grants_dict(adapter.execute(sql, fetch=True)[1])
    assert {k: sorted(v) for k, v in granted.items()} == {"select": ["a", "b"]}


@pytest.mark.parametrize(
    ("constraint", "wanted"),
    [
        ({"type": "not_null"}, "x int not null"),
        ({"type": "primary_key"}, "x int primary key"),
        ({"type": "unique"}, "x int unique"),
        ({"type": "check", "expression": "x > 0"}, "x int check (x > 0)"),
        ({"type": "check"}, "x int"),
        ({"type": "custom", "expression": "default 1"}, "x int default 1"),
        (
            {"type": "foreign_key", "to": "db.s.t", "to_columns": ["k"]},
            "x int references s.t (k)",
        ),
        ({"type": "foreign_key", "expression": "t (k)"}, "x int references t (k)"),
    ],
)
def test_rules_of_a_column_stand_behind_its_type(constraint: dict[str, Any], wanted: str) -> None:
    column = {"name": "x", "data_type": "int", "constraints": [constraint]}
    assert Adapter(None, dispatch).render_raw_columns_constraints({"x": column}) == [wanted]


@pytest.mark.parametrize(
    ("constraint", "wanted"),
    [
        ({"type": "primary_key", "columns": ["a", "b"]}, ["primary key (a, b)"]),
        (
            {"type": "unique", "name": "u", "columns": ["a"]},
            ["constraint u unique (a)"],
        ),
        ({"type": "check", "expression": "a > 0"}, ["check (a > 0)"]),
        ({"type": "not_null", "columns": ["a"]}, []),
        (
            {"type": "foreign_key", "columns": ["a"], "to": "t", "to_columns": ["k"]},
            ["foreign key (a) references t (k)"],
        ),
    ],
)
def test_rules_of_a_table_stand_behind_its_columns(
    constraint: dict[str, Any], wanted: list[str]
) -> None:
    assert Adapter(None, dispatch).render_raw_model_constraints([constraint]) == wanted


def test_a_column_without_a_type_and_an_unknown_rule_are_refused() -> None:
    adapter = Adapter(None, dispatch)
    with pytest.raises(RenderError, match="data_type"):
        adapter.render_raw_columns_constraints({"x": {"name": "x"}})
    with pytest.raises(RenderError, match="no constraint"):
        adapter.render_raw_model_constraints([{"type": "uniq"}])


@pytest.mark.parametrize(
    ("location", "options", "wanted"),
    [
        ("x.parquet", {}, "format parquet"),
        ("s3://b/x.csv", {}, "format csv, header 1"),
        ("x", {"delimiter": "|"}, "format csv, delimiter '|', header 1"),
        ("x", {"format": "json", "array": True}, "format json, array true"),
        ("x", {"FORMAT": "parquet", "codec": "zstd"}, "format parquet, codec zstd"),
        (
            "x",
            {"format": "parquet", "partition_by": ["a", "b"]},
            "format parquet, partition_by (a, b)",
        ),
        ("x", {"format": "csv", "header": 0, "null": "NULL"}, "format csv, header 0, null 'NULL'"),
    ],
)
def test_files_are_written_in_the_format_of_their_name(
    location: str, options: dict[str, Any], wanted: str
) -> None:
    assert Adapter(None, dispatch).external_write_options(location, options) == wanted


def test_a_file_without_a_format_is_parquet() -> None:
    """As dbt-duckdb has it since 1.11."""
    assert Adapter(None, dispatch).external_write_options("x", {}) == "format parquet"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, "x"),
        ({"partition_by": "a, b"}, "x/*/*/*.parquet"),
        ({"partition_by": ["a"], "format": "csv"}, "x/*/*.csv"),
        ({"per_thread_output": True}, "x/*.parquet"),
    ],
)
def test_parts_of_a_file_are_read_by_a_pattern(options: dict[str, Any], wanted: str) -> None:
    assert Adapter(None, dispatch).external_read_location("x", options) == wanted


def test_plug_ins_of_other_tools_are_refused() -> None:
    with pytest.raises(RenderError, match="plug-in `excel`"):
        Adapter(None, dispatch).store_relation("excel", T, [], "x", "xlsx", {})
