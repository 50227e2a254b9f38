"""Types are read from the names that DuckDB gives them."""

from __future__ import annotations

import duckdb
import pytest

from transformer.dialects.types import read
from transformer.sync.types import carried, texts

NAMES = [
    "STRUCT(\"a b\" INTEGER, \"q\"\"x\" ENUM('x', 'y''z,(')[], c TIMESTAMP WITH TIME ZONE)",
    "MAP(VARCHAR, STRUCT(a DECIMAL(4,2)[])[3])[]",
    'UNION("a b" INTEGER, t MAP(VARCHAR, INTEGER))',
    "DECIMAL(38,9)[][2]",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_taken_apart_is_still_a_type(name: str) -> None:
    with duckdb.connect() as con:
        assert con.execute(f"select typeof(null::{name})").fetchone() == (name,)
        if read(name).kind == "union":
            assert carried(read(name)) is None
        else:
            con.execute(f"select null::{name}::{carried(read(name))}")
            con.execute(f"select null::{name}::{texts(read(name))}::{name}")


def test_parts_have_their_names() -> None:
    found = read(NAMES[0])
    assert [name for name, _ in found.parts] == ["a b", 'q"x', "c"]
    assert [part.kind for _, part in found.parts] == ["scalar", "list", "scalar"]
    assert [leaf.text for leaf in read(NAMES[1]).leaves()] == ["VARCHAR", "DECIMAL(4,2)"]


def test_what_a_carrier_cannot_hold_goes_as_text_or_json() -> None:
    assert carried(read("INTERVAL")) == "VARCHAR"
    assert carried(read("HUGEINT[]")) == "DECIMAL(38, 0)[]"
    assert carried(read("STRUCT(a JSON)")) is None
    assert carried(read(NAMES[2])) is None
