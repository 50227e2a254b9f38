"""What a Parquet file has more digits of than DuckDB reads is refused, not cut off."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.lab import lab
from transformer.errors import LoadError

FINE, WHOLE = 1_704_103_200_123_456_789, 1_704_103_200_123_456_000
CLOCK = 45_296_123_456_789
UTC, CLOCKS = pa.timestamp("ns", "UTC"), pa.time64("ns")


def written(folder: Path, values: list[Any], kind: Any, *, int96: bool = False) -> None:
    table = pa.table({"id": range(len(values)), "v": pa.array(values, kind)})
    pq.write_table(table, folder / "a.parquet", use_deprecated_int96_timestamps=int96)


LOST: dict[str, tuple[Any, Any, bool]] = {
    "a zone": ([None, WHOLE, FINE], UTC, False),
    "a time of day": ([CLOCK], CLOCKS, False),
    "INT96": ([WHOLE, FINE], pa.timestamp("ns"), True),
    "in lists": ([[WHOLE], None, [None, FINE]], pa.list_(UTC), False),
    "in lists of INT96": ([[FINE]], pa.list_(pa.timestamp("ns")), True),
    "in structs": ([{"x y": CLOCK}], pa.struct([("x y", CLOCKS)]), False),
    "in maps": ([[("k", FINE)]], pa.map_(pa.string(), UTC), False),
    "before 1970": ([-1], UTC, False),
}


@pytest.mark.parametrize("case", LOST)
def test_nanoseconds_are_not_cut_off(tmp_path: Path, case: str) -> None:
    values, kind, int96 = LOST[case]
    written(tmp_path, values, kind, int96=int96)
    with lab(tmp_path, path="*.parquet") as here:
        with pytest.raises(LoadError, match=r"`v` of `a\.parquet` has nanoseconds"):
            here.load()
        assert here.parts() == {}


@pytest.mark.parametrize(
    ("values", "kind", "int96", "shown"),
    [
        ([WHOLE, None], UTC, False, "2024-01-01 10:00:00.123456+00"),
        ([WHOLE], pa.timestamp("ns"), True, "2024-01-01 10:00:00.123456"),
        ([253402214400000000, 1], pa.timestamp("us"), True, "9999-12-31 00:00:00"),
        ([[-62135596800000000]], pa.list_(pa.timestamp("us")), True, "['0001-01-01 00:00:00']"),
        ([FINE], pa.timestamp("ns"), False, "2024-01-01 10:00:00.123456789"),
        ([[FINE]], pa.list_(pa.timestamp("ns")), False, "['2024-01-01 10:00:00.123456789']"),
        ([CLOCK - 789], CLOCKS, False, "12:34:56.123456"),
        ([Decimal("0.1")], pa.decimal256(38, 20), False, "0.10000000000000000000"),
        ([2.5], pa.float64(), False, "2.5"),
    ],
)
def test_what_loses_nothing_lands(
    tmp_path: Path, values: list[Any], kind: Any, int96: bool, shown: str
) -> None:
    written(tmp_path, values, kind, int96=int96)
    with lab(tmp_path, path="*.parquet") as here:
        here.load()
        assert here.ask("select v::varchar from raw.things where id = 0") == [(shown,)]


@pytest.mark.parametrize("nested", [False, True])
def test_decimals_of_more_than_38_digits_are_refused(tmp_path: Path, nested: bool) -> None:
    value: Any = Decimal("1234567890123456789012345678901234567890123.45")
    kind = pa.decimal256(50, 2)
    written(tmp_path, [[value]] if nested else [value], pa.list_(kind) if nested else kind)
    refused = pytest.raises(LoadError, match=r"`v` of `a\.parquet` has decimals of more than 38")
    with lab(tmp_path, path="*.parquet") as here, refused:
        here.load()


@pytest.mark.parametrize("name", ["file_row_number", "File_Row_Number"])
@pytest.mark.parametrize("values", ["5, 5, null", "'q', null, 'r'", "9223372036854775807, 1, 2"])
def test_a_column_named_as_the_engines_own_lands_beside_row_numbers(
    tmp_path: Path, name: str, values: str
) -> None:
    with lab(tmp_path, path="a.parquet") as here:
        here.ask(f"copy (select unnest([{values}]) as \"{name}\") to '{tmp_path}/a.parquet'")
        here.load()
        assert here.sources() == ["a.parquet#1", "a.parquet#2", "a.parquet#3"]
        assert here.ask(f'select "{name}" from raw.things') == here.ask(
            f"select unnest([{values}])"
        )
