"""Tables of very many columns follow the rules of others, and cost no more for each column."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.sources.lab import lab

WIDE = 250
NAMES = [f"c{n}" for n in range(WIDE)]


def _csv(*rows: dict[int, str]) -> str:
    """Rows of numbers; of some columns, other values."""
    lines = [",".join(r.get(n, str(n + k)) for n in range(WIDE)) for k, r in enumerate(rows)]
    return "\n".join([",".join(NAMES), *lines]) + "\n"


def test_each_misfit_of_a_wide_table_is_named(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="append") as here:
        here.write("1.csv", _csv({}, {}, {3: ""}))
        here.load()
        assert set(here.columns().values()) == {"BIGINT"}
        here.write("2.csv", _csv({7: "x"}, {}, {249: "y", 0: "001"}, {8: ""}))
        here.load()
        assert [(row, column, value) for _, row, column, value, _ in here.quarantine()] == [
            (1, "c7", "x"), (3, "c0", "001"),
        ]  # fmt: skip
        assert "`c249`" in here.quarantine()[1][4]
        assert here.ask("select c7, c8, c249 from raw.things where _source like '2%' order by 1") == [  # noqa: E501
            (8, 9, 250), (10, None, 252),
        ]  # fmt: skip


def test_columns_of_a_wide_table_get_other_types_beyond_the_sample(tmp_path: Path) -> None:
    rows: list[dict[int, str]] = [{} for _ in range(2_300)]
    rows[2_100] = {5: "1.5", 6: "word", 7: "170141183460469231731687303715884105727"}
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", _csv(*rows))
        here.load()
        kinds = here.columns()
        assert (kinds.pop("c5"), kinds.pop("c6"), kinds.pop("c7")) == (
            "DOUBLE",
            "VARCHAR",
            "HUGEINT",
        )
        assert set(kinds.values()) == {"BIGINT"}
        assert here.ask("select count(*), sum(c8), count(c6) from raw.things") == [
            (2_300, sum(range(8, 2_308)), 2_300)
        ]


def test_a_missing_key_of_a_wide_table_is_named(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.csv", mode="merge", key=("c1",)) as here:
        here.write("1.csv", _csv({1: "1"}, {1: "2"}, {1: ""}))
        here.load()
        assert here.ask("select c1 from raw.things order by 1") == [(1,), (2,)]
        assert [(q[1], q[2], q[4]) for q in here.quarantine()] == [(3, "c1", "the key is missing")]


def test_values_that_only_look_alike_keep_their_form_in_wide_tables(tmp_path: Path) -> None:
    values = ["1", "1.25", "true", "2024-02-29", "2024-02-29 10:00:00", "007", "1e5", "é"]
    kinds = ["BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "VARCHAR", "DOUBLE", "VARCHAR"]
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", _csv({n: values[n % 8] for n in range(WIDE)}))
        here.load()
        assert list(here.columns().values()) == [kinds[n % 8] for n in range(WIDE)]
        assert here.ask("select c0, c1, c2, c3::varchar, c5, c6 from raw.things") == [
            (1, 1.25, True, "2024-02-29", "007", 100000.0)
        ]


@pytest.mark.soak
def test_ten_times_the_columns_take_no_more_than_fifteen_times_as_long(tmp_path: Path) -> None:
    took = {}
    for columns in (1_000, 10_000):
        folder = tmp_path / str(columns)
        folder.mkdir()
        with lab(folder, path="a.csv") as here:
            names, values = (",".join(f"{p}{n}" for n in range(columns)) for p in ("c", ""))
            here.write("a.csv", f"{names}\n{values}\n")
            start = time.process_time()
            here.load()
            took[columns] = time.process_time() - start
            assert len(here.columns()) == columns
    assert took[10_000] <= 15 * took[1_000], took
