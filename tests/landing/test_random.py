"""Random tables with random dirt, loaded again and again, against a simple model in Python."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sources.lab import Lab, lab
from transformer.errors import LoadError

# What stands in a cell: numbers and words, and what breaks naive readers.
CELLS = st.sampled_from(
    ["", "1", "-7", "007", "1.5", "2e3", "9007199254740993", "12345678901234567890", "true",
     "2024-02-29", "2023-02-29", "2024-01-01 10:00:00", "NaN", "NULL", "x", " 5 ", 'q"q', "a,b",
     "a\nb", "'", ";--", "é日", "\t"]
)  # fmt: skip
TYPES = st.sampled_from(["int", "bigint", "double", "boolean", "date", "timestamp", "text", None])
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def written(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


@QUICK
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=12),
    broken=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(["lone", "a,b,c,d,e"])), max_size=3
    ),
    types=st.tuples(TYPES, TYPES, TYPES),
)
def test_every_row_is_landed_or_waits_with_a_reason(
    rows: list[list[str]], broken: list[tuple[int, str]], types: tuple[str | None, ...]
) -> None:
    lines = [written([row]) for row in rows]
    for place, text in broken:
        lines.insert(min(place, len(lines)), text + "\n")
    names = ["a", "b", "c"]
    with tempfile.TemporaryDirectory() as folder:
        kinds = {n: k for n, k in zip(names, types, strict=True) if k}
        with lab(Path(folder), path="a.csv", types=kinds) as here:
            here.write("a.csv", "a,b,c\n" + "".join(lines))
            facts = here.load().facts
            assert facts["read"] == len(lines)
            _numbers_are_places(here, len(lines))
            _values_are_what_stood_there(here, rows, lines)


def _numbers_are_places(here: Lab, count: int) -> None:
    landed = [int(s.rpartition("#")[2]) for s in here.sources()]
    waiting = here.quarantine()
    assert all(q[0] == "a.csv" and q[4] for q in waiting)
    assert sorted([*landed, *(q[1] for q in waiting)]) == list(range(1, count + 1))


def _values_are_what_stood_there(here: Lab, rows: list[list[str]], lines: list[str]) -> None:
    """A landed value is the text's cast; a waiting one does not cast."""
    texts = {written([row]): row for row in rows}
    kinds = here.columns()
    listed = ", ".join(f"{n}::varchar" for n in kinds)
    for number, *values in here.ask(
        f"select regexp_extract(_source, '[0-9]+$')::int, {listed} from raw.things"
    ):
        stood = texts[lines[number - 1]]
        for kind, text, value in zip(kinds.values(), stood, values, strict=True):
            given_text = (text or None) if kind == "VARCHAR" else (text.strip(" ") or None)
            with here.engine.session() as session:
                told = session.rows(f"select try_cast(? as {kind})::varchar", [given_text])
            assert value == told[0][0]
            assert (value is None) == (given_text is None)
    for _, number, column, value, reason in here.quarantine():
        if not reason.startswith("is no"):
            continue
        assert value == texts[lines[number - 1]][list(kinds).index(column)]


# ---------------------------------------------------------------- sequences of loads
NUMBERS = {"whole": ["1", "2", "30"], "fraction": ["1.5", "2.25"], "word": ["x", "y"]}
FILE = st.builds(
    lambda rows, extra, kind: {"rows": rows, "extra": extra, "kind": kind},
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from(list(NUMBERS)),
)
LOADS = st.lists(
    st.tuples(st.sampled_from(["1.csv", "2.csv", "3.csv"]), FILE), min_size=1, max_size=5
)


class Model:
    """What the table should hold: rows by file, and what is refused, by hand."""

    def __init__(self, mode: str, policy: str) -> None:
        self.mode, self.policy = mode, policy
        self.rows: dict[str, list[dict[str, str]]] = {}
        self.merged: dict[str, dict[str, str]] = {}
        self.waiting: dict[str, int] = {}
        self.kind = ""
        self.extra = False

    def refused(self, rows: list[dict[str, str]]) -> bool:
        """Whether a frozen table refuses them."""
        if self.policy != "freeze" or not self.kind:
            return False
        # A column that is missing is a change as well; so is one that is new, or wider.
        return ("w" in rows[0]) != self.extra or (
            self.kind == "whole" and self._kind(rows) == "fraction"
        )

    @staticmethod
    def _kind(rows: list[dict[str, str]]) -> str:
        values = [r["v"] for r in rows]
        if all(v in NUMBERS["whole"] for v in values):
            return "whole"
        fits = [*NUMBERS["whole"], *NUMBERS["fraction"]]
        return "fraction" if all(v in fits for v in values) else "word"

    def take(self, name: str, rows: list[dict[str, str]]) -> None:
        asked = self._kind(rows)
        first = not self.kind
        if first:
            self.kind, self.extra = asked, "w" in rows[0]
        elif self.policy == "evolve":
            self.extra = self.extra or "w" in rows[0]
            if self.kind == "whole" and asked == "fraction":
                self.kind = "fraction"
        good = [r for r in rows if self._fits(r)]
        self.waiting[name] = len(rows) - len(good)
        self.rows[name] = good
        for row in good:
            self.merged[row["id"]] = row

    def _fits(self, row: dict[str, str]) -> bool:
        if row.get("w") and not self.extra:
            return False
        if self.kind == "word":
            return True
        return row["v"] in NUMBERS["whole"] or (
            self.kind == "fraction" and row["v"] in NUMBERS["fraction"]
        )

    def holds(self) -> Counter[tuple[Any, ...]]:
        rows = list(self.merged.values())
        if self.mode == "append":
            rows = [r for part in self.rows.values() for r in part]
        value = str if self.kind == "word" else float
        return Counter((r["id"], value(r["v"]), r.get("w") or None) for r in rows)


@settings(parent=QUICK, max_examples=30)
@given(
    loads=LOADS,
    mode=st.sampled_from(["append", "merge"]),
    policy=st.sampled_from(["evolve", "freeze", "quarantine"]),
)
def test_many_loads_are_what_the_model_says(
    loads: list[tuple[str, dict[str, Any]]], mode: str, policy: str
) -> None:
    model = Model(mode, policy)
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"mode": mode, "key": ("id",), "on_schema_change": policy}
        with lab(Path(folder), path="*.csv", types={"id": "text"}, **options) as here:
            for number, (name, made) in enumerate(loads):
                _one(here, model, name, {**made, "number": number})
            if model.kind:
                here.load()
                _agree(here, model)


def _one(here: Lab, model: Model, name: str, made: dict[str, Any]) -> None:
    values = NUMBERS[made["kind"]]
    rows = [{"id": str(i), "v": values[v % len(values)]} for i, v in made["rows"]]
    if made["extra"]:
        rows = [{**r, "w": f"w{made['number']}"} for r in rows]
    held = (here.folder / name).read_bytes() if (here.folder / name).exists() else None
    text = written([list(rows[0]), *([*r.values()] for r in rows)])
    if held == text.encode():
        return
    here.write(name, text)
    if model.refused(rows):
        try:
            here.load()
        except LoadError:
            # As a user would: back to what it was.
            (here.folder / name).unlink()
            if held:
                here.write(name, held)
            return
        raise AssertionError("a frozen table took a change")
    here.load()
    model.take(name, rows)
    _agree(here, model)


def _agree(here: Lab, model: Model) -> None:
    extra = "w" if "w" in here.columns() else "null"
    kind = "varchar" if model.kind == "word" else "double"
    found = Counter(here.ask(f"select id, v::{kind}, {extra} from raw.things"))
    assert found == model.holds()
    assert len(here.quarantine()) == sum(model.waiting.values())
