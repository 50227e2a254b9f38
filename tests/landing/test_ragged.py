"""A row with fields too few names every one that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.lab import lab


@pytest.mark.parametrize(
    ("row", "missing"), [("1", "`b b`, `É`, `d`"), ("1,2", "`É`, `d`"), ('"1","2",3', "`d`")]
)
@pytest.mark.parametrize("place", [1, 2, 3])
def test_every_missing_field_is_named(tmp_path: Path, row: str, missing: str, place: int) -> None:
    rows = ["5,6,7,8", "6,7,8,9"]
    rows.insert(place - 1, row)
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", "\n".join(["a,b b,É,d", *rows, ""]))
        here.load()
        found = len(row.split(","))
        reason = f"missing columns: found {found}, expected 4 (no value for {missing})"
        column = missing.split("`")[1]
        assert here.quarantine() == [("a.csv", place, column, row, reason)]
        assert len(here.rows()) == 2


@pytest.mark.parametrize("row", ["1,2,3,4,5", "1,2,3,4,5,6", ",,,,5"])
def test_a_field_too_many_waits_and_an_empty_one_takes_nothing_away(
    tmp_path: Path, row: str
) -> None:
    with lab(tmp_path, path="a.csv") as here:
        here.write("a.csv", f"a,b,c,d\n{row}\n6,7,8,9,\n")
        here.load()
        assert here.rows() == [(6, 7, 8, 9)]
        ((_, number, _, _, reason),) = here.quarantine()
        assert (number, reason[:16]) == (1, "too many columns")
