"""JSON declared to be a struct, list or map: every value in it is exact, or the row waits."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.landing.test_values import QUICK
from tests.sources.lab import lab

GOOD = [
    ("STRUCT(p BIGINT, q VARCHAR)", '{"p": 9007199254740993, "q": "x\\"y\\u00e9"}',
     {"p": 2**53 + 1, "q": 'x"yé'}),
    ("STRUCT(p BIGINT, q VARCHAR)", '{"q": 1.25}', {"p": None, "q": "1.25"}),
    ("STRUCT(p BIGINT)", "{}", {"p": None}),
    ("STRUCT(p DECIMAL(38,20))", '{"p": 0.12345678901234567891}',
     {"p": Decimal("0.12345678901234567891")}),
    ("DECIMAL(30,10)[][]", "[[12345678901234567890.0123456789], null, []]",
     [[Decimal("12345678901234567890.0123456789")], None, []]),
    ("HUGEINT[]", f"[{2**127 - 1}, {-(2**100)}]", [2**127 - 1, -(2**100)]),
    ("MAP(VARCHAR, STRUCT(on_ BOOLEAN)[])", '{"k": [{"on_": true}, null]}',
     {"k": [{"on_": True}, None]}),
    ("MAP(VARCHAR, DOUBLE)", '{"k": 0.30000000000000004, "l": 5e-324}',
     {"k": 0.30000000000000004, "l": 5e-324}),
    ('STRUCT("a b" STRUCT(c INTEGER[]))', '{"a b": {"c": [1, null]}}', {"a b": {"c": [1, None]}}),
]  # fmt: skip
BAD = [
    ("STRUCT(p INTEGER)", '{"p": 1.5}'),
    ("STRUCT(p INTEGER)", '{"p": "x"}'),
    ("STRUCT(p INTEGER)", '{"p": 1, "q": 2}'),
    ("STRUCT(p INTEGER)", '{"p": true}'),
    ("STRUCT(p INTEGER)", "[1]"),
    ("STRUCT(p INTEGER)", "5"),
    ("SMALLINT[]", "[1, 40000]"),
    ("INTEGER[]", "[1, 2.5]"),
    ("INTEGER[]", '{"p": 1}'),
    ("MAP(VARCHAR, BIGINT)", '{"k": 1e400}'),
    ("MAP(VARCHAR, BIGINT[])", '{"k": [1], "l": [2, "y"]}'),
    ("STRUCT(p DATE)", '{"p": "2024-01-01T10:00:00"}'),
    ("STRUCT(p STRUCT(q BIGINT)[])", '{"p": [{"q": 0.5}]}'),
    ("STRUCT(p DOUBLE[])", '{"p": [1e400]}'),
]


@pytest.mark.parametrize("form", ["ndjson", "json"])
@pytest.mark.parametrize(("kind", "text", "value"), GOOD)
def test_what_fits_lands_with_all_its_digits(
    tmp_path: Path, form: str, kind: str, text: str, value: Any
) -> None:
    with lab(tmp_path, path=f"a.{form}", types={"v": kind}) as here:
        row = f'{{"v": {text}}}'
        here.write(f"a.{form}", row if form == "ndjson" else f"[{row}]")
        here.load()
        assert here.rows() == [(value,)]


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_what_would_be_rounded_or_lost_waits(tmp_path: Path, kind: str, text: str) -> None:
    with lab(tmp_path, path="a.ndjson", types={"v": kind}) as here:
        here.write("a.ndjson", f'{{"v": {text}}}\n{{"v": null}}')
        here.load()
        assert here.rows() == [(None,)]
        ((_, _, column, value, reason),) = here.quarantine()
        assert (column, reason) == ("v", f"is not a valid {kind}")
        assert json.loads(value) == json.loads(text)


NUMBERS = st.sampled_from(["1", "-7", "2.5", "1e3", "9223372036854775807", "0.1", '"4"', "null"])
LISTS = st.lists(NUMBERS, max_size=4).map(lambda items: f"[{', '.join(items)}]")


@QUICK
@given(st.lists(LISTS, min_size=1, max_size=40))
def test_lists_at_random(tmp_path_factory: Any, rows: list[str]) -> None:
    with lab(
        tmp_path_factory.mktemp("lists"), path="a.ndjson", types={"v": "DECIMAL(30,2)[]"}
    ) as here:
        here.write("a.ndjson", "\n".join(f'{{"v": {row}}}' for row in rows))
        here.load()
        waiting = {q[1] for q in here.quarantine()}
        held = here.ask("select split_part(_source, '#', 2)::int, v from raw.things")
        assert {n for n, _ in held} | waiting == set(range(1, len(rows) + 1))
        for number, value in held:
            stood = json.loads(rows[number - 1], parse_float=Decimal, parse_int=Decimal)
            assert value == [None if x is None else Decimal(x) for x in stood]
        assert not waiting
