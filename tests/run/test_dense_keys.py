"""Keys of large tables that are whole numbers close to each other are counted by bits: the same
verdicts and the same numbers as with a hash table."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.projects import Bench
from transformer.plan.check_kinds import CheckSubject, measure
from transformer.request import BuildOptions, Report
from transformer.run.dense_keys import MANY
from transformer.steps import Outcome

ROWS = MANY + 100_000


def built(root: Path, key: str, *, where: str = "", config: str = "table") -> Report:
    """A build of one model of so many rows, whose key is this expression of `i`."""
    narrowed = f"{{where: '{where}'}}" if where else "{}"
    bench = Bench(root)
    bench.write(
        {
            "models/many.sql": f"{{{{ config(materialized='{config}') }}}}\n"
            f"select {key} as id, i from range({ROWS}) r(i)",
            "models/_m.yml": f"""
                models:
                  - name: many
                    columns:
                      - {{name: id, data_tests: [{{unique: {narrowed}}}]}}
            """,
        }
    )
    return bench.build()


def check_of(report: Report) -> Outcome:
    (found,) = [o for o in report.results.every() if o.action == "check"]
    return found


@pytest.mark.parametrize(
    ("key", "failures"),
    [
        ("i", 0),
        ("-i", 0),
        ("i::int", 0),
        ("i::ubigint", 0),
        ("7 * i + 1", 0),
        ("case when i = 9 then 8 else i end", 1),
        ("i // 2", ROWS // 2),
        ("nullif(i, 4)", 0),
        ("case when i < 3 then null when i < 6 then 10 else i end", 1),
        ("9223372036854775807 - i", 0),
        ("-9223372036854775807 + i - 1", 0),
        ("18446744073709551615::ubigint - i::ubigint", 0),
    ],
)
def test_values_that_stand_twice_are_found_by_bits(tmp_path: Path, key: str, failures: int) -> None:
    found = check_of(built(tmp_path, key))
    assert found.error is None
    assert found.facts["failures"] == failures
    assert found.status == ("fail" if failures else "success")
    assert "bitstring_agg" in found.ran


@pytest.mark.parametrize(
    ("key", "failures"),
    [
        ("i * 1000", 0),
        ("i::varchar", 0),
        ("i::decimal(18, 2)", 0),
        ("i::hugeint", 0),
        ("null::int", 0),
        ("case when i = 9 then 8 else i * 1000 end", 0),
        ("case when i = 9 then 8000 else i * 1000 end", 1),
    ],
)
def test_other_values_are_found_as_ever(tmp_path: Path, key: str, failures: int) -> None:
    found = check_of(built(tmp_path, key))
    assert (found.error, found.facts["failures"]) == (None, failures)
    assert "bitstring_agg" not in found.ran


def test_rows_that_do_not_count_are_not_counted(tmp_path: Path) -> None:
    report = built(tmp_path, "case when i = 9 then 8 else i end", where="i <> 9")
    assert check_of(report).facts["failures"] == 0
    assert "bitstring_agg" in check_of(report).ran
    nothing = check_of(built(tmp_path / "none", "i // 2", where="i < 0"))
    assert (nothing.error, nothing.facts["failures"]) == (None, 0)


def test_a_view_is_asked_once(tmp_path: Path) -> None:
    found = check_of(built(tmp_path, "i", config="view"))
    assert found.status == "success"
    assert "bitstring_agg" not in found.ran


def test_a_check_by_itself_counts_by_bits_too(tmp_path: Path) -> None:
    built(tmp_path, "i")
    report = Bench(tmp_path).build(how=BuildOptions(actions=frozenset({"check"}), always=True))
    assert check_of(report).status == "success"
    assert "bitstring_agg" in check_of(report).ran


@pytest.mark.parametrize(
    "kind", ["tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger"]
)
def test_both_ways_of_counting_give_one_figure(kind: str) -> None:
    made = measure("unique", CheckSubject("numbers", "k", where="k % 3 <> 1"))
    assert made.key is not None
    with duckdb.connect() as con:
        con.execute(
            f"create table numbers as select (abs(hash(i)) % 100)::{kind} as k"
            " from range(500) r(i) union all select null"
        )
        low, high = con.execute("select min(k), max(k) from numbers").fetchall()[0]
        for low_, high_ in ((low, high), (low, high + 5)):
            bits = made.key.by_bits(low_, high_)
            hashed, counted = con.execute(f"select {made.figure}, {bits} from numbers").fetchall()[
                0
            ]
            assert hashed == counted > 0
