"""What is landed when a source is loaded again: modes, changed columns, quarantine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.projects import query, transform, write
from tests.sources.lab import WHERE, lab
from transformer.errors import LoadError
from transformer.plan.check_kinds import Measure, ReadyCheck
from transformer.project.values import CheckConfig


def facts(outcome: Any) -> tuple[int, int, int, int]:
    found = outcome.facts
    return found["read"], found["landed"], found["quarantined"], found["new"]


def test_every_row_says_where_it_is_from(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", "a\n1\n2\n")
        assert facts(here.load()) == (2, 2, 0, 2)
        found = here.ask("select _source, _batch, _loaded_at::varchar from raw.things order by a")
        assert found[0] == ("a.csv#1", "run1", "2026-03-01 01:00:00+00")
        assert found[1][0] == "a.csv#2"


# ---------------------------------------------------------------- replace
def test_replace_with_the_same_keeps_the_version(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv") as here:
        file = here.write("a.csv", "a,b\n1,x\n2,y\n")
        here.load()
        version = here.version()
        assert here.reason() == ""
        os.utime(file, (1, 1))
        assert here.reason() == ""
        here.write("a.csv", 'a,b\n1,"x"\n2,y\n')
        assert here.reason() == "1 changed file"
        here.load()
        assert here.version() == version
        here.write("a.csv", "a,b\n1,z\n2,y\n")
        here.load()
        assert here.version() != version


def test_replace_notices_vanished_files(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv") as here:
        here.write("a.csv", "a\n1\n")
        gone = here.write("b.csv", "a\n2\nx\n")
        here.load()
        gone.unlink()
        assert here.reason() == "1 vanished file"
        here.load()
        assert here.rows() == [("1",)]  # the type that the column had
        assert here.quarantine() == []
        assert here.reason() == ""
        assert list(here.parts()) == ["a.csv"]


def test_replace_drops_columns_that_are_gone(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", "a,b\n1,2\n")
        here.load()
        here.write("a.csv", "a\n1\n")
        here.load()
        assert here.columns() == {"a": "BIGINT"}


# ---------------------------------------------------------------- append
def test_append_takes_each_file_once(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("a.csv", "a\n1\n")
        here.load()
        here.write("b.csv", "a\n1\n")
        assert here.reason() == "1 new file"
        assert facts(here.load()) == (1, 1, 0, 1)
        assert facts(here.load()) == (0, 0, 0, 0)
        assert here.sources() == ["a.csv#1", "b.csv#1"]


def test_append_replaces_the_rows_of_a_changed_file_and_keeps_those_of_a_vanished_one(
    tmp_path: Path,
) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("a.csv", "a\n1\n2\n3\n")
        gone = here.write("b.csv", "a\n9\n")
        here.load()
        gone.unlink()
        assert here.reason() == ""
        here.write("a.csv", "a\n1\n")
        here.load()
        assert here.rows() == [(1,), (9,)]


def test_a_renamed_file_lands_and_is_told(tmp_path: Path) -> None:
    """Nobody can tell it from a second file that says the same; no row is lost."""
    with lab(tmp_path, path="*.csv", mode="append") as here:
        file = here.write("a.csv", "a\n1\n")
        here.load()
        file.rename(tmp_path / "b.csv")
        outcome = here.load()
        assert here.rows() == [(1,), (1,)]
        assert outcome.message == "`b.csv` holds what `a.csv` held, which is gone"


@pytest.mark.parametrize("kind", ["double", "text"])
def test_changed_rules_replace_rows_and_double_none(tmp_path: Path, kind: str) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("a.csv", "a\n1\n2\n")
        gone = here.write("b.csv", "a\n3\n")
        here.load()
        gone.unlink()
        here.types = {"a": kind}
        here.load()
        assert [float(a) for (a,) in here.rows()] == [1, 2, 3]
        assert here.columns() == {"a": {"text": "VARCHAR"}.get(kind, "DOUBLE")}
        assert facts(here.load()) == (0, 0, 0, 0)


def test_a_declared_type_that_held_values_are_not_is_refused(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("a.csv", "a\n1\n")
        gone = here.write("b.csv", "a\nx\n")
        here.load()
        gone.unlink()
        here.types = {"a": "int"}
        with pytest.raises(LoadError, match="has values in `a` that are not valid as INTEGER"):
            here.load()
        assert here.rows() == [("1",), ("x",)]
        here.load(full_refresh=True)
        assert here.rows() == [(1,)]


def test_a_full_refresh_forgets_files_that_are_gone(tmp_path: Path) -> None:
    """Otherwise one that comes back would count as landed, and its rows would be lost."""
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("a.csv", "a\n1\n")
        file = here.write("b.csv", "a\n2\n")
        here.load()
        file.rename(tmp_path / "aside")
        here.load(full_refresh=True)
        assert here.rows() == [(1,)]
        (tmp_path / "aside").rename(file)
        here.load()
        assert here.rows() == [(1,), (2,)]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_dropped_table_is_landed_anew(tmp_path: Path, mode: str) -> None:
    with lab(tmp_path, path="*.csv", mode=mode, key=("a",)) as here:
        here.write("a.csv", "a\n1\n")
        here.load()
        here.ask("drop table raw.things")
        here.load()
        assert here.rows() == [(1,)]


# ---------------------------------------------------------------- merge
def test_merge_keeps_the_last_row_of_each_key(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="merge", key=("id",)) as here:
        here.write("1.csv", "id,v\n1,a\n1,b\n2,c\n")
        here.write("2.csv", "id,v\n2,d\n,e\n")
        assert facts(here.load()) == (5, 4, 1, 2)
        assert here.rows() == [(1, "b"), (2, "d")]
        assert [q[2:] for q in here.quarantine()] == [("id", None, "the key is missing")]
        version = here.version()
        assert facts(here.load(full_refresh=True)) == (5, 4, 1, 2)
        assert here.version() == version
        here.write("3.csv", "id,v\n1,b\n3,f\n")
        assert facts(here.load()) == (2, 2, 0, 1)
        assert here.rows() == [(1, "b"), (2, "d"), (3, "f")]
        assert here.sources() == ["1.csv#2", "2.csv#1", "3.csv#2"]


def test_merge_by_several_keys_with_odd_names(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="merge", key=('a"; x', "SELECT")) as here:
        here.write("1.csv", '"a""; x",select,v\n1,1,a\n1,2,b\n')
        here.load()
        here.write("2.csv", '"a""; x",select,v\n1,2,c\n')
        here.load()
        assert here.rows() == [(1, 1, "a"), (1, 2, "c")]


def test_merge_with_a_cursor_is_not_undone_by_a_late_file(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="merge", key=("id",), cursor="at") as here:
        here.write("1.csv", "id,at,v\n1,10,new\n1,9,old\n2,,x\n")
        here.load()
        assert here.rows() == [(1, 10, "new"), (2, None, "x")]
        here.write("2.csv", "id,at,v\n1,2,older\n2,1,y\n")
        here.load()
        assert here.rows() == [(1, 10, "new"), (2, 1, "y")]


def test_a_key_that_is_no_column(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="merge", key=("idd",)) as here:
        here.write("1.csv", "id\n1\n")
        with pytest.raises(LoadError, match="no column `idd`") as caught:
            here.load()
        assert caught.value.hint == "did you mean `id`?"


# ---------------------------------------------------------------- changed columns
@pytest.mark.parametrize("mode", ["append", "merge"])
def test_evolve_adds_and_widens_also_where_rows_are_replaced(tmp_path: Path, mode: str) -> None:
    with lab(tmp_path, path="*.csv", mode=mode, key=("id",)) as here:
        here.write("1.csv", "id,v\n1,1\n2,2\n")
        here.load()
        here.write("1.csv", "id,v,w\n1,1.5,x\n")
        here.write("2.csv", "W,id\ny,3\n")
        outcome = here.load()
        assert here.columns() == {"id": "BIGINT", "v": "DOUBLE", "w": "VARCHAR"}
        assert outcome.message == "new column `w`; `v` is now DOUBLE"
        kept = [(2, 2.0, None)] if mode == "merge" else []
        assert here.rows() == [(1, 1.5, "x"), *kept, (3, None, "y")]


def test_what_no_longer_fits_waits_with_its_reason(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("1.csv", "id,at\n1,2024-01-01\n")
        here.load()
        here.write("2.csv", "id,at\n2,soon\nx,2024-01-02\n3,2024-01-03\n")
        assert facts(here.load()) == (3, 1, 2, 1)
        assert here.quarantine() == [
            ("2.csv", 1, "at", "soon", "is not a valid DATE"),
            ("2.csv", 2, "id", "x", "is not a valid BIGINT"),
        ]
        assert here.ask("select record from _transform.quarantine order by 1") == [
            ('{"id":"2","at":"soon"}',), ('{"id":"x","at":"2024-01-02"}',),
        ]  # fmt: skip


def test_a_time_of_day_widens_a_day(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("1.csv", "at\n2024-01-01\n")
        here.load()
        here.write("2.csv", "at\n2024-01-01 10:30\n")
        here.load()
        assert here.columns() == {"at": "TIMESTAMP"}


def test_large_whole_numbers_do_not_become_doubles(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("1.csv", "id\n9007199254740993\n")
        here.load()
        here.write("2.csv", "id\n1.5\n2\n")
        here.load()
        assert here.rows() == [(2,), (9007199254740993,)]
        assert [q[3] for q in here.quarantine()] == ["1.5"]
        here.write("3.csv", "id\n99999999999999999999\n")
        here.load()
        assert here.columns() == {"id": "HUGEINT"}


@pytest.mark.parametrize("data", ["a,b\n2,x\n", "a\n1.5\n"])
def test_freeze_refuses_and_changes_nothing(tmp_path: Path, data: str) -> None:
    with lab(tmp_path, path="*.csv", mode="append", on_schema_change="freeze") as here:
        here.write("1.csv", "a\n1\n")
        here.load()
        file = here.write("2.csv", data)
        with pytest.raises(LoadError, match=r"the columns of `raw\.things` changed"):
            here.load()
        assert here.rows() == [(1,)]
        assert here.reason() == "1 new file"
        file.write_text("a\nx\n2\n")
        here.load()
        assert here.rows() == [(1,), (2,)]
        assert len(here.quarantine()) == 1


def test_quarantine_keeps_rows_with_unknown_columns_or_wider_types(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append", on_schema_change="quarantine") as here:
        here.write("1.csv", "a\n1\n")
        here.load()
        here.write("2.csv", "a,b\n2,\n3,x\n4.5,\n")
        assert facts(here.load()) == (3, 1, 2, 1)
        assert here.columns() == {"a": "BIGINT"}
        assert here.quarantine() == [
            ("2.csv", 2, "b", "x", "is not a known column"),
            ("2.csv", 3, "a", "4.5", "is not a valid BIGINT"),
        ]


# ---------------------------------------------------------------- quarantine and retry
def test_a_repaired_file_empties_quarantine(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append", types={"a": "int"}) as here:
        here.write("1.csv", "a,b\n1,2\nx,2\n1,2,3\n")
        here.load()
        assert len(here.quarantine()) == 2
        here.write("1.csv", "a,b\n1,2\n5,2\n1,2\n")
        here.load()
        assert here.quarantine() == []
        assert len(here.rows()) == 3


def test_retry_lands_what_waits_and_nothing_twice(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append", on_schema_change="quarantine") as here:
        here.write("1.csv", "a\n1\n")
        here.load()
        here.write("2.csv", "a,b\n2,\n3,x\n\n1,2,3\n4,\n")
        here.write("3.csv", "a,c\n5,y\n6,\n")
        here.load()
        assert len(here.quarantine()) == 3
        here.change(on_schema_change="evolve")
        assert facts(here.load()) == (0, 0, 0, 0)
        assert facts(here.load(retry=True)) == (3, 2, 1, 2)
        assert here.rows() == [
            (1, None, None), (2, None, None), (3, "x", None), (4, None, None),
            (5, None, "y"), (6, None, None),
        ]  # fmt: skip
        assert [q[3] for q in here.quarantine()] == ["1,2,3"]
        assert facts(here.load(retry=True)) == (1, 0, 1, 0)


def test_retry_with_another_type(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append", types={"a": "int"}) as here:
        here.write("1.csv", "a\n1\nx\n")
        here.load()
        here.types = {"a": "text"}
        here.load(retry=True)
        assert here.rows() == [("1",), ("x",)]
        assert here.quarantine() == []


def test_in_a_merge_a_later_row_with_the_same_cursor_counts(tmp_path: Path) -> None:
    rules: dict[str, Any] = {"mode": "merge", "key": ("id",), "cursor": "at"}
    with lab(tmp_path, path="*.csv", **rules) as here:
        here.write("1.csv", "id,at,v\n1,5,old\n2,5,old\n3,5,old\n")
        here.load()
        here.write("2.csv", "id,at,v\n1,5,same\n2,4,late\n3,6,new\n")
        here.load()
        assert here.rows() == [(1, 5, "same"), (2, 5, "old"), (3, 6, "new")]


def test_retry_in_a_merge_does_not_undo_later_rows(tmp_path: Path) -> None:
    rules: dict[str, Any] = {"mode": "merge", "key": ("id",), "on_schema_change": "quarantine"}
    with lab(tmp_path, path="*.csv", **rules) as here:
        here.write("1.csv", "id,v\n1,a\n")
        here.load()
        here.write("2.csv", "id,v,w\n1,late,x\n2,b,y\n")
        here.load()
        here.write("3.csv", "id,v\n1,last\n")
        here.load()
        here.change(on_schema_change="evolve").load(retry=True)
        assert here.rows() == [(1, "last", None), (2, "b", "y")]
        assert here.quarantine() == []


# ---------------------------------------------------------------- checks
def check(sql: str) -> ReadyCheck:
    return ReadyCheck(
        id="check.x", name="x", label="x", kind="sql", config=CheckConfig(),
        measure=Measure(sql, "count(*) filter (where a < 0)"), fingerprint="f", needs=(),
        where=WHERE,
    )  # fmt: skip


def test_a_failed_check_lands_nothing_and_the_next_load_tries_again(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        negative = check("select * from raw.things where a < 0")
        here.write("1.csv", "a\n1\n")
        here.load(checks=(negative,))
        here.write("2.csv", "a,b\n-2,3\nx,1\n")
        assert here.load(checks=(negative,)).status == "fail"
        assert here.rows() == [(1,)]
        assert here.quarantine() == []
        assert here.reason() == "1 new file"
        here.write("2.csv", "a,b\n2,3\nx,1\n")
        assert here.load(checks=(negative,)).status == "success"
        assert here.rows() == [(1, None), (2, 3)]
        assert len(here.quarantine()) == 1


def test_a_first_load_whose_check_fails(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        negative = check("select * from raw.things where a < 0")
        here.write("1.csv", "a\n-1\n")
        assert here.load(checks=(negative,)).status == "fail"
        assert here.parts() == {}
        here.write("1.csv", "a\n1\n")
        here.load(checks=(negative,))
        assert here.rows() == [(1,)]


def test_touched_files_are_unchanged(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        file = here.write("1.csv", "a\n1\n")
        here.load()
        os.utime(file, (5, 5))
        assert here.reason() == ""


def test_the_command_retries_what_waits(tmp_path: Path) -> None:
    """`transform quarantine retry`, after the file was repaired and after the rules were."""
    source = """
        sources:
          - name: raw
            tables:
              - name: things
                load: {kind: files, path: "data/*.csv", mode: append, on_schema_change: POLICY}
        """
    write(tmp_path, {
        "models/_raw.yml": source.replace("POLICY", "quarantine"),
        "models/all_things.sql": "select * from {{ source('raw', 'things') }}",
        "data/1.csv": "a\n1\n",
    })  # fmt: skip
    transform(tmp_path, "build")
    write(tmp_path, {"data/2.csv": "a,b\n2,\n3,x\n"})
    assert "quarantine" in transform(tmp_path, "build").stderr
    write(tmp_path, {"models/_raw.yml": source.replace("POLICY", "evolve")})
    transform(tmp_path, "quarantine", "retry", "raw.things")
    rows = query(tmp_path / "warehouse.duckdb", "select a, b from main.all_things order by a")
    assert rows == [(1, None), (2, None), (3, "x")]
    again = transform(tmp_path, "quarantine", "retry", "raw.things")
    assert "no rows in quarantine" in again.stdout + again.stderr
