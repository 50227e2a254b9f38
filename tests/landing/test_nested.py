"""Structs, lists and maps of typed files: they grow new fields, and no value in them is changed."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.landing.test_values import LONG, QUICK
from tests.sources.lab import Lab, lab
from transformer.errors import LoadError
from transformer.landing.nested import castable, merge_nested
from transformer.landing.types import common_type, with_new_fields


def parquet(here: Lab, name: str, query: str) -> None:
    duckdb.sql(f"copy ({query}) to '{here.folder}/{name}.parquet'")


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
@pytest.mark.parametrize(
    ("sent", "kind", "rows"),
    [
        (("{'p': 1}", "{'p': 2, 'q': 'x'}"), "STRUCT(p INTEGER, q VARCHAR)",
         [{"p": 1, "q": None}, {"p": 2, "q": "x"}]),
        (("{'p': 1, 'q': 2}", "{'q': 3}"), "STRUCT(p INTEGER, q INTEGER)",
         [{"p": 1, "q": 2}, {"p": None, "q": 3}]),
        (("{'p': 1}", "{'q': 3}"), "STRUCT(p INTEGER, q INTEGER)",
         [{"p": 1, "q": None}, {"p": None, "q": 3}]),
        (("{'o': {'p': 1}}", "{'o': {'p': 2, 'q q': [true]}}"),
         'STRUCT(o STRUCT(p INTEGER, "q q" BOOLEAN[]))',
         [{"o": {"p": 1, "q q": None}}, {"o": {"p": 2, "q q": [True]}}]),
        (("[{'p': 1}]", "[{'q': date '2024-02-29', 'p': 2}, null]"),
         "STRUCT(p INTEGER, q DATE)[]",
         [[{"p": 1, "q": None}], [{"p": 2, "q": datetime.date(2024, 2, 29)}, None]]),
        (("map {'k': {'p': 1}}", "map {'k': {'p': 2, 'q': 3}}"),
         "MAP(VARCHAR, STRUCT(p INTEGER, q INTEGER))",
         [{"k": {"p": 1, "q": None}}, {"k": {"p": 2, "q": 3}}]),
        (("{'p': 1}", "{'p': 2::bigint << 40}"), "STRUCT(p BIGINT)", [{"p": 1}, {"p": 2**41}]),
        (("{'p': 1.25::decimal(6, 2)}", "{'p': 0.0000001::decimal(9, 7)}"),
         "STRUCT(p DECIMAL(11,7))",
         [{"p": Decimal("1.2500000")}, {"p": Decimal("0.0000001")}]),
    ],
)  # fmt: skip
def test_a_struct_takes_new_fields_in_and_old_rows_have_none(
    tmp_path: Path, mode: str, sent: tuple[str, str], kind: str, rows: list[Any]
) -> None:
    key: Any = ("i",) if mode == "merge" else ()
    with lab(tmp_path, path="*.parquet", mode=mode, key=key) as here:
        parquet(here, "1", f"select 1 as i, {sent[0]} as s")
        here.load()
        parquet(here, "2", f"select 2 as i, {sent[1]} as s")
        here.load()
        assert here.columns()["s"] == kind
        assert [row[1] for row in here.rows()] == rows
        assert here.quarantine() == []
        before = here.version()
        here.load()  # the type is known now: nothing is rebuilt for it
        assert here.version() == before


@pytest.mark.parametrize("mode", ["append", "replace"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{'p': 1}", "{'p': 'x'}"),
        ("{'p': 1}", "{'p': true}"),
        ("{'p': true}", "{'p': 1}"),
        ("{'p': 1::bigint}", "{'p': 1.5::double}"),
        ("[{'p': 1::bigint}]", "[{'p': 2.0::double}, {'p': 2.5}]"),
        ("map {'k': 2::bigint}", "map {'k': 2.5::double}"),
        ("{'p': date '2024-01-01'}", "{'p': '2024-01-01 10:00'}"),
        ("{'p': {'q': 1}, 'r': 1}", "{'p': {'q': 1}, 'r': 'x'}"),
        ("{'p': 7}", "{'p': '007'}"),
        ("{'p': 1}", "[1]"),
        ("{'p': 1.5::decimal(4, 1)}", "{'p': '1.55'}"),
    ],
)
def test_what_no_type_of_the_struct_holds_waits_with_its_text(
    tmp_path: Path, mode: str, first: str, second: str
) -> None:
    with lab(tmp_path, path="*.parquet", mode=mode) as here:
        parquet(here, "1", f"select 1 as i, {first} as s")
        here.load()
        kept = here.rows()
        parquet(here, "2", f"select 2 as i, {second} as s")
        here.load()
        assert here.rows() == [(1, *kept[0][1:])]
        ((_, _, column, _, reason),) = here.quarantine()
        assert (column, reason[:5]) == ("s", "is no")


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("map {'k': 'x'}", "map {'k': 9007199254740993}", {"k": "9007199254740993"}),
        ("map {'k': null::varchar}", "map {'k': 1.10::decimal(4, 2)}", {"k": "1.10"}),
        ("{'p': 'x'}", "{'p': 9007199254740993}", {"p": "9007199254740993"}),
        ("['x']", "[0.1::double, 5e-324]", ["0.1", "5e-324"]),
    ],
)
def test_a_text_in_a_nested_value_holds_a_number_as_its_digits(
    tmp_path: Path, first: str, second: str, text: Any
) -> None:
    with lab(tmp_path, path="*.parquet", mode="append") as here:
        parquet(here, "1", f"select 1 as i, {first} as s")
        here.load()
        parquet(here, "2", f"select 2 as i, {second} as s")
        here.load()
        assert here.rows()[1] == (2, text)
        assert here.quarantine() == []


def test_a_new_field_is_taken_in_though_another_does_not_fit(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.parquet", mode="append") as here:
        parquet(here, "1", "select 1 as i, {'p': 1} as s")
        here.load()
        parquet(
            here,
            "2",
            "select n as i, {'p': if(n = 2, 'x', '5'), 'q': n} as s from range(2, 4) t(n)",
        )
        here.load()
        assert here.rows() == [(1, {"p": 1, "q": None}), (3, {"p": 5, "q": 3})]
        assert [q[1] for q in here.quarantine()] == [1]


def test_a_struct_is_frozen_where_columns_are(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.parquet", mode="append", on_schema_change="freeze") as here:
        parquet(here, "1", "select {'p': 1} as s")
        here.load()
        parquet(here, "2", "select {'p': 1, 'q': 2} as s")
        with pytest.raises(LoadError, match="changed: \\+s STRUCT"):
            here.load()
        here.change(on_schema_change="quarantine").load()
        assert here.rows() == [({"p": 1},)]
        assert len(here.quarantine()) == 1


@pytest.mark.parametrize(
    ("old", "new", "both"),
    [
        ("STRUCT(a INTEGER)", "STRUCT(A BIGINT)", 'STRUCT("a" BIGINT)'),
        ("STRUCT(a INTEGER)", "STRUCT(a VARCHAR)", None),
        ("INTEGER[3]", "INTEGER[2]", "INTEGER[]"),
        ("INTEGER[3]", "BIGINT[3]", "BIGINT[3]"),
        ("INTEGER[][]", "DECIMAL(3,1)[][]", "DECIMAL(11,1)[][]"),
        ("MAP(INTEGER, VARCHAR)", "MAP(BIGINT, VARCHAR)", "MAP(BIGINT, VARCHAR)"),
        ("MAP(INTEGER, VARCHAR)", "STRUCT(a INTEGER)", None),
        ("UNION(a INTEGER)", "UNION(a BIGINT)", None),
        ('STRUCT("x y" INTEGER, b DATE)', 'STRUCT("x y" INTEGER)', 'STRUCT("x y" INTEGER, b DATE)'),
    ],
)
def test_the_type_that_holds_both(old: str, new: str, both: str | None) -> None:
    assert common_type(old, new) == both


def test_what_grows_keeps_the_types_that_it_has() -> None:
    assert (
        with_new_fields("STRUCT(a INTEGER)", "STRUCT(a VARCHAR, b DATE)")
        == 'STRUCT("a" INTEGER, "b" DATE)'
    )
    assert with_new_fields("INTEGER", "VARCHAR") is None
    assert merge_nested("INTEGER[]", "VARCHAR[]", lambda *_: None) is None


NESTED = [
    "STRUCT(a INTEGER)", "STRUCT(b INTEGER)", "INTEGER[]", "STRUCT(a INTEGER)[]",
    "MAP(VARCHAR, INTEGER)", "MAP(INTEGER, STRUCT(a INTEGER))", "STRUCT(a STRUCT(b INTEGER))",
    "STRUCT(a STRUCT(c INTEGER), b DATE)", "VARCHAR[][]",
]  # fmt: skip


@pytest.mark.parametrize("old", NESTED)
@pytest.mark.parametrize("new", NESTED)
def test_what_can_be_cast_the_engine_casts(old: str, new: str) -> None:
    if castable(old, new):
        duckdb.sql(f"select try_cast(null::{old} as {new})").fetchall()


# ---------------------------------------------------------------- against pyarrow
LEAVES: dict[str, tuple[Any, Any]] = {
    "int": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "long": (pa.int64(), st.sampled_from([0, 2**53 + 1, -(2**62)])),
    "cents": (pa.decimal128(10, 2), st.integers(-999, 999).map(lambda n: Decimal(n).scaleb(-2))),
    "fine": (pa.decimal128(30, 20), st.integers(0, 10**22).map(lambda n: Decimal(n).scaleb(-20))),
    "real": (pa.float64(), st.sampled_from([0.1, 2.5, 1e300, 5e-324])),
    "text": (pa.string(), st.sampled_from(["x", "007", "1.50", "", "NULL", "{'a': 1}", "a, b"])),
    "bool": (pa.bool_(), st.booleans()),
}


@st.composite
def makes(draw: Any, depth: int = 2) -> tuple[Any, Any]:
    """A type of Arrow and a strategy of its values."""
    kind = draw(st.sampled_from(["struct", "list", "map"] if depth else ["leaf"]))
    if kind == "leaf" or (depth < 2 and draw(st.booleans())):
        found: tuple[Any, Any] = LEAVES[draw(st.sampled_from(list(LEAVES)))]
        return found
    if kind == "struct":
        names = draw(st.lists(st.sampled_from("pqr"), min_size=1, max_size=3, unique=True))
        inner = {name: draw(makes(depth - 1)) for name in names}
        fields = {name: st.none() | values for name, (_, values) in inner.items()}
        return pa.struct([(n, t) for n, (t, _) in inner.items()]), st.fixed_dictionaries(fields)
    arrow, values = draw(makes(depth - 1))
    if kind == "list":
        return pa.list_(arrow), st.lists(st.none() | values, max_size=3)
    pairs = st.dictionaries(st.sampled_from("kl"), values, max_size=2)
    return pa.map_(pa.string(), arrow), pairs.map(lambda d: list(d.items()))


@st.composite
def files(draw: Any) -> list[Any]:
    made = []
    for _ in range(draw(st.integers(1, 3))):
        arrow, values = draw(makes())
        made.append(pa.array(draw(st.lists(st.none() | values, min_size=1, max_size=3)), arrow))
    return made


def bare(value: Any) -> Any:
    """A value without fields that hold nothing: those a file does not have are not there. Maps of
    texts and structs look alike in JSON, and so they do here."""
    if isinstance(value, list) and value and all(isinstance(v, tuple) for v in value):
        value = dict(value)
    if value == {}:
        return []
    if isinstance(value, dict):
        return {k: bare(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [bare(v) for v in value]
    if isinstance(value, bool) or value is None or isinstance(value, str | float):
        return value
    return Decimal(value)


def same(value: Any, stood: Any) -> bool:
    """Whether a landed value is that of the file; a column of text holds a number as its digits. A
    double is what it is exactly (an INT64 of -2^62), and what its shortest digits say (0.1)."""
    if isinstance(value, dict) and isinstance(stood, dict):
        return value.keys() == stood.keys() and all(same(value[k], stood[k]) for k in value)
    if isinstance(value, list) and isinstance(stood, list):
        return len(value) == len(stood) and all(map(same, value, stood))
    if isinstance(value, str) and isinstance(stood, Decimal | float):
        return Decimal(value) == Decimal(repr(stood) if isinstance(stood, float) else stood)
    if isinstance(value, float) and isinstance(stood, Decimal):
        return stood in (Decimal(value), Decimal(repr(value)))
    if isinstance(stood, float) and isinstance(value, Decimal):
        return same(stood, value)
    return bool(value == stood)


def test_numbers_are_compared_exactly() -> None:
    assert same(-4611686018427387904.0, Decimal(-4611686018427387904))
    assert same(0.1, Decimal("0.1"))
    assert not same(9007199254740992.0, Decimal(9007199254740993))
    assert not same(0.1, Decimal("0.10000000000000001"))


def landed(here: Lab) -> Iterator[tuple[str, Any]]:
    kind = here.columns()["v"]
    for place, value in here.ask("select _source, v from raw.things"):
        text = kind == "JSON" and value is not None
        read = json.loads(value, parse_float=Decimal, parse_int=Decimal) if text else value
        yield place, bare(read)


def agree(folder: Path, arrays: list[Any], *, at_once: bool) -> None:
    with lab(folder, path="*.parquet", mode="append") as here:
        truth: dict[str, Any] = {}
        for number, array in enumerate(arrays):
            pq.write_table(pa.table({"v": array}), folder / f"{number}.parquet")
            read = pq.read_table(folder / f"{number}.parquet").column("v").to_pylist()
            truth |= {f"{number}.parquet#{n}": bare(cell) for n, cell in enumerate(read, 1)}
            if not at_once:
                here.load()
        if at_once:
            here.load()
        table = dict(landed(here))
        waiting = {f"{q[0]}#{q[1]}" for q in here.quarantine()}
        assert table.keys() | waiting == truth.keys()
        assert not table.keys() & waiting
        for place, value in table.items():
            assert same(value, truth[place]), (place, here.columns(), truth[place], value)


@QUICK
@given(files(), st.booleans())
def test_nested_parquet(tmp_path_factory: Any, arrays: list[Any], at_once: bool) -> None:
    agree(tmp_path_factory.mktemp("nested"), arrays, at_once=at_once)


@pytest.mark.soak
@settings(LONG, max_examples=5_000)  # of two files each
@given(files(), st.booleans())
def test_many_nested_parquet(tmp_path_factory: Any, arrays: list[Any], at_once: bool) -> None:
    agree(tmp_path_factory.mktemp("nested"), arrays, at_once=at_once)
