"""What every kind of source keeps to. A new file in `sources/` joins by existing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sources.cases import CASES, COLUMNS, Case
from tests.sources.lab import Lab, lab
from transformer import sources
from transformer.engines import duckdb as engine
from transformer.errors import TransformError
from transformer.landing.staged import PART, ROW, SURE
from transformer.run.arrivals import reader

KINDS = tuple(sources.kinds())
GOOD: list[tuple[Any, Any]] = [(1, "a"), (2, "b"), (2, "b"), (3, None)]


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest) -> tuple[str, Case]:
    kind = request.param
    assert kind in CASES, f"the kind `{kind}` has no entry in tests/sources/cases.py: add one"
    return kind, CASES[kind]


def made(folder: Path, case: tuple[str, Case], **options: Any) -> Any:
    kind, given = case
    return lab(folder, kind, **{**given.options, **options})


def way(here: Lab) -> Any:
    return reader(here.request)


def test_every_kind_says_what_it_understands(case: tuple[str, Case]) -> None:
    kind, given = case
    fields = {f.name: f for f in sources.find(kind).FIELDS}
    assert set(given.options) | set(given.unreachable) <= set(fields)
    assert all(f.doc for f in fields.values())


def test_parts_and_digests_are_stable(tmp_path: Path, case: tuple[str, Case]) -> None:
    with made(tmp_path, case) as here:
        case[1].write(tmp_path, GOOD)
        with engine.loose() as one, engine.loose() as two:
            first, second = way(here), way(here)
            parts = first.parts(one)
            assert parts == second.parts(two)
            digests = [first.digest(p) for p in parts]
            assert digests == [second.digest(p) for p in parts]
            case[1].write(tmp_path, [*GOOD, (4, "x")])
            moved = way(here)
            assert [p.name for p in moved.parts(one)] == [p.name for p in parts]
            assert all(not p.identity or p not in parts for p in moved.parts(one))
            assert all(not d or d not in digests for d in map(moved.digest, moved.parts(one)))


def test_a_staging_offers_every_row_with_its_part(tmp_path: Path, case: tuple[str, Case]) -> None:
    with made(tmp_path, case) as here, engine.loose() as session:
        case[1].write(tmp_path, GOOD)
        reading = way(here)
        parts = reading.parts(session)
        staged = reading.stage(session, parts, None, None)
        names = [n for n, _ in session.columns(f"select * from ({staged.rows})")]
        assert [n for n in names if n not in (SURE, *staged.kept)] == [*COLUMNS, PART, ROW]
        assert [n for n, _ in staged.columns] == list(COLUMNS)
        assert session.rows(f"select count(*) from ({staged.rows})") == [(len(GOOD),)]
        found = session.rows(f"select distinct {PART} from ({staged.rows})")
        assert {row[0] for row in found} == {p.name for p in parts}
        look = reading.stage(session, parts, None, 1)
        assert session.rows(f"select count(*) from ({look.rows})") == [(1,)]


@pytest.mark.parametrize("mode", ["replace", "append", "merge"])
def test_the_same_twice_lands_nothing_twice(
    tmp_path: Path, case: tuple[str, Case], mode: str
) -> None:
    with made(tmp_path, case, mode=mode, key=("id",)) as here:
        case[1].write(tmp_path, GOOD)
        here.load()
        rows, version = here.rows(), here.version()
        assert len(rows) == (3 if mode == "merge" else 4)
        for _ in range(2):
            here.load()
            assert (here.rows(), here.version()) == (rows, version)
        case[1].write(tmp_path, [*GOOD, (4, "x")])
        here.load()
        assert len(here.rows()) == len(rows) + 1


@pytest.mark.parametrize("mode", ["replace", "append", "merge"])
def test_what_does_not_fit_waits_and_is_counted(
    tmp_path: Path, case: tuple[str, Case], mode: str
) -> None:
    types = {"id": "int"}
    with made(tmp_path, case, mode=mode, key=("id",), types=types) as here:
        case[1].write(tmp_path, [*GOOD, ("nope", "z")])
        for _ in range(2):
            here.load()
            held = here.quarantine()
            assert [(q[2], q[3], q[4]) for q in held] == [("id", "nope", "is not a valid INTEGER")]
        case[1].write(tmp_path, [*GOOD, (9, "z")])
        here.load(retry=True)
        assert here.quarantine() == []
        assert (9, "z") in here.rows()


def test_what_cannot_be_reached_is_placed_and_tells_no_secret(
    tmp_path: Path, case: tuple[str, Case]
) -> None:
    kind, given = case
    with lab(tmp_path, kind, **given.unreachable) as here:
        for attempt in (here.load, here.peek):
            with pytest.raises(TransformError) as caught:
                attempt()
            error = caught.value
            assert error.where is not None
            assert error.where.path == "models/_raw.yml"
            told = f"{error} {error.hint} {error.detail} {error!r}"
            assert given.secret not in told
