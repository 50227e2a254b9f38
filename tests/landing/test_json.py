"""Objects that are written in all the ways that JSON allows, against Python's own reader.

An object that stands in its line letter for letter is taken at its word, so the lines here are
those that nearly do: other spaces, orders and escapes, keys that are there twice or not at all.
"""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sources.lab import lab

TEXTS = [
    '"plain"',
    '""',
    '"null"',
    '"\\\\"',
    '"\\\\\\\\"',
    '"a\\\\"',
    '"\\\\\\""',
    '"\\"q\\""',
    '"\\u0041"',
    '"\\/"',
    '"/"',
    '"\\t"',
    '"é日"',
    '"\\u00e9"',
    '"x\\",\\"n\\":1,\\"t\\":\\"y"',
    '"12"',
    '"{}"',
    '"[1]"',
    '"true"',
    "null",
]
NUMBERS = [
    "1.5",
    "-0.0",
    "0.30000000000000004",
    "1e5",
    "1E5",
    "100000.0",
    "9007199254740993.0",
    "9007199254740992.0",
    "1.0000000000000000001",
    "12345678901234567890",
    "5e-324",
    "1e400",
    "null",
]
NESTED = [
    '{"k":1.10}',
    '{"k": 1.1}',
    "[]",
    "{}",
    '{"k":{"k":[0.1,2]}}',
    '{"k":1,"k":2}',
    "null",
    '{"k":1.0000000000000000001}',
    '["\\u0041"]',
    '{"k":"\\\\"}',
    '{"k":1e2}',
]
SPACES = [("", ""), (" ", " "), ("", " "), ("  ", "")]
ORDERS = ["tnj", "ntj", "jnt", "tn", "t", "j", ""]


def lines() -> list[str]:
    """Each value in some object, in each way of writing it."""
    made = ['{"t":"x","n":1.5,"j":{"k":1}}', '{"t":"x","n":2.5,"j":[1]}'] * 3
    ways = itertools.cycle(itertools.product(SPACES, ORDERS))
    values = itertools.zip_longest(
        TEXTS * 15, NUMBERS * 23, NESTED * 27, fillvalue="null"
    )  # lengths that have no common divisor: each meets each other, in all ways
    for value in values:
        (after_comma, after_colon), order = next(ways)
        held = dict(zip("tnj", value, strict=True))
        pairs = [f'"{key}":{after_colon}{held[key]}' for key in order]
        made.append("{" + f",{after_comma}".join(pairs) + "}")
    made += ['{"t":"x","n":1.5,"j":1,"t":"x"}', '{"t":"x","n":1.5,"n":1.5,"j":1}', '{"T":"x"}']
    return [*made, '{"t":"x","n":1.5,"j":{"k":1},"more":"m"}', "not JSON", "[1]"]


def exactly(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def readable(line: str) -> dict[str, Any] | None:
    """What Python reads; None where it is not JSON, or a key of the object is there twice."""
    try:
        keys = [k for k, _ in json.loads(line, object_pairs_hook=list)]
    except (ValueError, TypeError):
        return None
    return None if len(set(keys)) < len(keys) else dict(exactly(line))


@pytest.mark.parametrize("declared", [False, True])
def test_every_way_of_writing_an_object_lands_what_it_says(
    tmp_path: Path, *, declared: bool
) -> None:
    written = lines()
    with lab(tmp_path, path="a.ndjson") as here:
        if declared:
            here.types = {"t": "varchar", "n": "varchar", "j": "json"}
        here.write("a.ndjson", "\n".join(written))
        here.load()
        kinds = here.columns()
        listed = "".join(f', "{name}"::varchar' for name in kinds)
        landed = {row[0]: row[1:] for row in here.ask(f"select _source{listed} from raw.things")}
        waiting = {f"{q[0]}#{q[1]}" for q in here.quarantine()}
    assert not landed.keys() & waiting
    assert len(landed) + len(waiting) == len(written)
    for number, line in enumerate(written, 1):
        place, read = f"a.ndjson#{number}", readable(line)
        if place in waiting:
            continue
        assert read is not None, line
        assert read.keys() <= {*kinds, "T"}, line
        for (name, kind), value in zip(kinds.items(), landed[place], strict=True):
            stood = read.get("T" if name.startswith("T") else name)
            if value is None or stood is None:
                assert value is None, (line, name, value)
                assert stood is None or (stood == "" and kind != "VARCHAR"), (line, name)
            elif isinstance(stood, str) and kind != "JSON":
                assert value == stood, (line, name)
            else:
                assert exactly(value) == stood, (line, name, value)
    waited = [written[int(place.rpartition("#")[2]) - 1] for place in waiting]
    assert all(readable(line) is None for line in waited) or not declared, waited


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_may_end_in_several_ways(tmp_path: Path, end: str) -> None:
    with lab(tmp_path, path="a.ndjson") as here:
        here.write("a.ndjson", f'{{"a": "1"}}{end}{{"a": "x\\r\\n"}}\n\n[2]{end}{{"a": "3"}}\n')
        here.load()
        assert here.ask("select a, _source from raw.things") == [
            ("1", "a.ndjson#1"), ("x\r\n", "a.ndjson#2"), ("3", "a.ndjson#5"),
        ]  # fmt: skip
        assert [q[:4] for q in here.quarantine()] == [("a.ndjson", 4, None, "[2]")]


def test_keys_that_differ_in_case_are_one_column_when_rows_are_read_again(tmp_path: Path) -> None:
    with lab(tmp_path, path="*.ndjson") as here:
        here.write("1.ndjson", '{"Value": "x"}\n')
        here.write("2.ndjson", '{"value": 0.12345678901234567890}\n{"value": "y", "b": 1}\n')
        here.load()
        assert here.ask('select "Value" from raw.things order by 1') == [
            ('"x"',), ('"y"',), ("0.12345678901234567890",),
        ]  # fmt: skip


def test_numbers_and_texts_of_objects_stand_beside_plain_text(tmp_path: Path) -> None:
    with lab(tmp_path, path=("a.csv", "b.ndjson")) as here:
        here.write("a.csv", 'id,v\n1,x\n2,"{""k"": 1}"\n3,\n')
        lines = ["5", '"t"', "null", "0.12345678901234567890", '{"k":[1.12345678901234567890]}']
        rows = [f'{{"id": {n}, "v": {text}}}' for n, text in enumerate(lines, 4)]
        here.write("b.ndjson", "\n".join(rows))
        here.load()
        assert here.columns() == {"id": "BIGINT", "v": "VARCHAR"}
        assert [v for _, v in here.rows()] == [
            "x", '{"k": 1}', None, "5", "t", None, "0.12345678901234567890",
            '{"k":[1.12345678901234567890]}',
        ]  # fmt: skip


@pytest.mark.parametrize("name", ["a.ndjson", "a.json"])
def test_a_look_knows_the_type_of_numbers_beside_what_is_nested(tmp_path: Path, name: str) -> None:
    """Such rows are read twice when they land, so a look has to read them twice too."""
    rows = [{"lat": 52.52000659999, "deep": {"a": 1}, "id": n} for n in range(3)]
    rows[1]["late"] = 0.1234567890123
    with lab(tmp_path, path=name) as here:
        here.write(name, "\n".join(map(json.dumps, rows)))
        assert dict(here.peek()[:4]) == {
            "lat": "DOUBLE", "deep": "JSON", "id": "BIGINT", "late": "DOUBLE",
        }  # fmt: skip
        here.load()
        assert here.columns() == dict(here.peek()[:4])


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_scalars_of_several_kinds_in_several_files_keep_their_kind(
    tmp_path: Path, mode: str
) -> None:
    with lab(tmp_path, path="*.ndjson", mode=mode) as here:
        here.write("a.ndjson", '{"x":1}\n{"x":"q"}\n')
        here.load()
        here.write("b.ndjson", '{"x":-576.02}\n')
        here.write("c.ndjson", '{"x":true}\n')
        here.write("d.ndjson", '{"x":"5"}\n')
        here.load()
        assert sorted(x for (x,) in here.rows()) == ['"5"', '"q"', "-576.02", "1", "true"]


def test_characters_that_mark_numbers_stay_in_texts(tmp_path: Path) -> None:
    marked = '"\\u0001\\u00021.5"'
    with lab(tmp_path, path="*.ndjson", mode="append") as here:
        here.write("a.ndjson", f'{{"x":"a"}}\n{{"x":{marked}}}\n{{"x":"b", "y":[{marked}]}}\n')
        here.load()
        assert [x for x, *_ in here.rows()] == ["\x01\x021.5", "a", "b"]
        assert here.ask("select y from raw.things where y is not null") == [(f"[{marked}]",)]
