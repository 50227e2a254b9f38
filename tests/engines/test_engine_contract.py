"""What every engine keeps to; a new file in `transformer/engines/` joins by existing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from transformer import engines
from transformer.dialects import Dialect
from transformer.errors import ConfigError, Fault, WarehouseError
from transformer.names import RelationName
from transformer.steps import RelationState

HOSTILE = ['a"b', "select", "x; drop table t", "ünï", "with space", "new\nline", "1st"]


@pytest.fixture(params=engines.kinds())
def module(request: pytest.FixtureRequest) -> Any:
    return engines.find(request.param)


@pytest.fixture
def engine(module: Any, tmp_path: Path) -> Iterator[Any]:
    made = module.connect(tmp_path / "w.duckdb")
    yield made
    made.close()


def test_an_unknown_engine_is_told_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="unknown type"):
        engines.find("duckbd")


def test_its_dialect_is_data_with_at_most_eight_abilities(module: Any) -> None:
    assert isinstance(module.DIALECT, Dialect)
    assert len(Dialect.__struct_fields__) - 1 <= 8


def test_what_was_written_is_there_after_closing(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    first = module.connect(path)
    with first.session() as session:
        session.run("create table t as select 1 as x")
    first.close()
    assert not path.with_name("w.duckdb.wal").exists()
    again = module.connect(path, read_only=True)
    with again.session() as session:
        assert session.rows("from t") == [(1,)]
    again.close()


def test_a_transaction_that_fails_leaves_nothing(engine: Any) -> None:
    with engine.session() as session:
        session.run("create table t as select 1 as x")
        with suppress(ZeroDivisionError), session.transaction():
            session.run("create or replace table t as select 2 as x")
            session.run("create table u as select 1 as y")
            raise ZeroDivisionError
        assert session.rows("from t") == [(1,)]
    assert engine.relation(RelationName("main", "u")) is None


def test_faults_say_what_where_and_the_nearest_name(engine: Any) -> None:
    with engine.session() as session:
        session.run("create table t (amount int)")
        with pytest.raises(Fault) as caught:
            session.run("select amuont from t")
    fault = caught.value
    assert (fault.kind, fault.name, fault.position) == ("COLUMN_NOT_FOUND", "amuont", 7)
    assert "amount" in fault.candidates


def test_relations_are_told_with_kind_and_columns(engine: Any) -> None:
    with engine.session() as session:
        session.run("create schema s")
        session.run("create table s.T (a int, b varchar)")
        session.run("create view v as select a from s.t")
    found = engine.relations()
    assert found["s", "t"] == RelationState("table", (("a", "INTEGER"), ("b", "VARCHAR")))
    assert found["main", "v"] == RelationState("view", (("a", "INTEGER"),))
    assert engine.relation(RelationName("S", "t")) == found["s", "t"]


def test_relations_that_are_named_are_told_as_all_are(engine: Any) -> None:
    with engine.session() as session:
        session.run("create schema s")
        session.run("create type mood as enum ('a', 'b')")
        session.run(
            'create table s.kinds (a decimal(12, 3), b varchar[], c struct(x int, "y z" text[3]),'
            " d map(text, int), e mood, f enum('p', 'q'), g timestamptz, h union(n int, t text),"
            " i double not null, j blob, k hugeint, l bit)"
        )
        session.run("create table gone (a int)")
        session.run("create view looks as from gone")
        session.run("create view s.kinds_too as from s.kinds")
        session.run("drop table gone")
    every = engine.relations()
    asked = ["kinds", "KINDS_too", "missing"]
    names = [*(RelationName("S", table) for table in asked), RelationName("main", "looks")]
    assert engine.relations(names) == every
    assert set(every) == {("s", "kinds"), ("s", "kinds_too"), ("main", "looks")}
    assert engine.relations([RelationName("main", "kinds")]) == {}
    assert engine.relations([]) == {}


def test_names_that_are_like_others_are_not_taken_for_them(engine: Any, tmp_path: Path) -> None:
    views = ["ΟΔΟΣ", "İx"]
    with engine.session() as session:
        session.run("create table ab (other int)")
        session.run(f"attach '{tmp_path / 'raw.duckdb'}' as raw")
        session.run("create table raw.cust (a int)")
        for view in views:
            session.run(f'create view "{view}" as select 1 as a')
        names = [
            RelationName("main", 'a"b"'),
            RelationName("raw", "cust"),
            RelationName("main", "duckdb_tables"),
        ]
        names += [
            RelationName("information_schema", "tables"),
            RelationName("main", "sqlite_master"),
        ]
        assert engine.relations(names) == {}
        for name in [*names, *(RelationName("main", view) for view in views)]:
            assert engine.relations([name]) == engine.relations([name] * 17)
        session.run('create table "a""b""" (own int)')
        found = engine.relation(names[0])
        session.run("detach raw")
    assert found == RelationState("table", (("own", "INTEGER"),))


def test_a_file_is_no_relation(engine: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    (tmp_path / "main.csv").write_text("a\n1\n")
    monkeypatch.chdir(tmp_path)
    names = [RelationName("main", "x.csv"), RelationName("main", "csv"), RelationName("x", "csv")]
    assert engine.relations(names) == {}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_outside_are_only_names(engine: Any, name: str) -> None:
    relation = RelationName("main", name)
    with engine.session() as session:
        assert session.create_table(relation, pl.DataFrame({"x": [1, 2]})) == 2
        assert session.frame(relation).to_dict(as_series=False) == {"x": [1, 2]}
    assert engine.relation(relation) is not None


def test_a_sample_is_text(engine: Any) -> None:
    with engine.session() as session:
        sample = session.sample("select 1 as a, null as b union all select 2, 'x'", 1)
    assert sample.columns == ("a", "b")
    assert sample.rows == (("1", ""),)


def test_an_extract_holds_what_is_named(module: Any, engine: Any, tmp_path: Path) -> None:
    with engine.session() as session:
        session.run("create schema _transform")
        session.run("create table _transform.runs as select 1 as n")
        session.run("create table t as select 1 as x")
        session.run("create view v as select x + 1 as y from t")
    engine.export(
        tmp_path / "shown.duckdb", [RelationName("main", "v"), RelationName("_transform", "runs")]
    )
    shown = module.connect(tmp_path / "shown.duckdb", read_only=True)
    assert set(shown.relations()) == {("main", "v"), ("_transform", "runs")}
    shown.close()


def test_a_bloated_file_is_rewritten_and_holds_the_same(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    made = module.connect(path)
    with made.session() as session:
        session.run(
            "create table gone as select range as a, md5(range::text) as b from range(300000)"
        )
        session.run("create table kept as select 1 as x")
        session.run("create view v as select x from kept")
    made.close()
    made = module.connect(path)
    with made.session() as session:
        session.run("drop table gone")
    made.close()
    before = path.stat().st_size
    assert not module.compact_if_bloated(path), "a small file is left alone"
    assert module.compact_if_bloated(path, least=1)
    assert path.stat().st_size < before / 2
    made = module.connect(path, read_only=True)
    with made.session() as session:
        assert session.rows("from v") == [(1,)]
    made.close()


def test_sessions_of_several_threads_do_not_disturb_each_other(engine: Any) -> None:
    def work(n: int) -> None:
        with engine.session() as session, session.transaction():
            session.run(f"create table t{n} as select range as x from range(1000)")
            session.run(f"create or replace temp table same as select {n} as n")
            assert session.rows("from temp.same") == [(n,)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engine.relations()) == 8


def test_a_file_of_another_kind_is_refused(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_text("this is no database" * 1000)
    with pytest.raises(WarehouseError, match="is not a DuckDB file"):
        module.connect(path)


def test_a_wrong_setting_is_told(module: Any, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="memory_limt"):
        module.connect(tmp_path / "w.duckdb", {"memory_limt": "1GB"})


@pytest.mark.parametrize(
    "sql",
    [
        "with x as (select 2 as a) insert into s.t select a from x",
        "with x as (select 2 as a) insert into s.t select a from x returning a",
        "with x as (select 1) delete from s.t returning a",
        "select * from nothing",
        "select * from sql",
        "select * from told",
        "with x as (from s.t) select nope from x",
    ],
)
def test_what_is_no_query_or_does_not_bind_is_a_fault_and_does_nothing(
    module: Any, sql: str
) -> None:
    catalog = module.scratch()
    catalog.create(RelationName("s", "t"), (("a", "INTEGER"),))
    with pytest.raises(Fault):
        catalog.describe(sql)
    with pytest.raises(Fault, match="SELECT list is empty"):  # for there are no rows
        catalog.describe("pivot s.t on a using count(*)")


def test_queries_are_bound_and_not_run(module: Any) -> None:
    catalog = module.scratch()
    catalog.create(RelationName("s", "t"), (("a", "INTEGER"), ('we"ird', "VARCHAR")))
    assert catalog.describe('select a, "we""ird" from s.t') == (
        ("a", "INTEGER"),
        ('we"ird', "VARCHAR"),
    )
    with pytest.raises(Fault) as caught:
        catalog.describe("select a,\n  'é' as e, b from s.t")
    assert caught.value.position == len("select a,\n  'é' as e, ")
