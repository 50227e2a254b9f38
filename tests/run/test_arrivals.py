"""What arrived at sources: listed once a build, and right where it changes before it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Bench, done
from tests.sources.lab import Lab
from transformer.sources.files import FileReader
from transformer.steps import Arrivals, SourcePart

PROJECT = {
    "transform.yml": """
        name: shop
        targets: {dev: {path: warehouse.duckdb}}
        """,
    "models/raw.yml": """
        sources:
          - name: raw
            tables:
              - {name: orders, load: {kind: files, path: "data/*.csv", mode: append}}
              - {name: people, load: {kind: files, path: "people.csv", mode: replace}}
        """,
    "models/orders.sql": "select o.id, p.name from raw.orders o join raw.people p using (id)",
    "data/1.csv": "id\n1\n",
    "people.csv": "id,name\n1,Ada\n2,Bo\n",
}


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources in the order in which they are listed."""
    listed: list[str] = []
    real = FileReader.parts

    def parts(self: FileReader, session: Any) -> Sequence[SourcePart]:
        listed.append(self.request.table.name)
        return real(self, session)

    monkeypatch.setattr(FileReader, "parts", parts)
    return listed


def test_a_source_is_listed_once_in_a_build(tmp_path: Path, listings: list[str]) -> None:
    bench = Bench(tmp_path)
    bench.write(PROJECT)
    bench.build()
    assert sorted(listings) == ["orders", "people"]
    listings.clear()
    bench.write({"data/2.csv": "id\n2\n", "people.csv": "id,name\n1,Ada\n2,Bob\n"})
    assert done(bench.build()) == {
        "raw.orders": "success",
        "raw.people": "success",
        "orders": "success",
    }
    assert sorted(listings) == ["orders", "people"]
    assert bench.rows("from orders order by id") == [(1, "Ada"), (2, "Bob")]


def test_a_touched_file_is_not_digested_again_in_the_next_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.write(PROJECT)
    bench.build()
    (tmp_path / "people.csv").touch()
    bench.write({"data/2.csv": "id\n2\n"})
    bench.build()
    digested: list[str] = []
    real = FileReader.digest

    def digest(self: FileReader, part: SourcePart) -> str:
        digested.append(part.name)
        return real(self, part)

    monkeypatch.setattr(FileReader, "digest", digest)
    bench.write({"data/3.csv": "id\n3\n"})
    bench.build()
    assert "people.csv" not in digested


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_file_that_changed_since_the_plan_is_landed_as_it_is_now(
    tmp_path: Path, mode: str
) -> None:
    lab = Lab(tmp_path, options={"path": "data/*.csv", "mode": mode})
    lab.write("data/1.csv", "a\n1\n")
    planned = lab.arrivals()
    lab.write("data/1.csv", "a\n1\n2\n")
    lab.load(arrivals=planned)
    assert lab.rows() == [(1,), (2,)]
    lab.load()
    assert lab.rows() == [(1,), (2,)]


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_file_that_vanished_since_the_plan_is_no_failure_where_others_are_left(
    tmp_path: Path, mode: str
) -> None:
    lab = Lab(tmp_path, options={"path": "data/*.csv", "mode": mode})
    lab.write("data/1.csv", "a\n1\n")
    gone = lab.write("data/2.csv", "a\n2\n")
    planned = lab.arrivals()
    gone.unlink()
    lab.load(arrivals=planned)
    assert lab.rows() == [(1,)]


def test_a_file_that_came_since_the_plan_is_landed_by_the_next_build(tmp_path: Path) -> None:
    lab = Lab(tmp_path, options={"path": "data/*.csv", "mode": "append"})
    lab.write("data/1.csv", "a\n1\n")
    planned = lab.arrivals()
    lab.write("data/2.csv", "a\n2\n")
    lab.load(arrivals=planned)
    assert lab.rows() == [(1,)]
    assert lab.reason() == "1 new file"
    lab.load()
    assert lab.rows() == [(1,), (2,)]


@pytest.mark.parametrize(
    ("arrivals", "reason"),
    [
        (Arrivals(), ""),
        (Arrivals(new=(SourcePart("a", "1"),)), "1 new file"),
        (Arrivals(changed=(SourcePart("a", "1"), SourcePart("b", "1"))), "2 changed files"),
        (Arrivals(changed=(SourcePart("a", ""),)), "may have changed"),
        (Arrivals(gone=("a",)), "1 vanished file"),
        (
            Arrivals(new=(SourcePart("a", "1"),), changed=(SourcePart("b", "1"),), gone=("c",)),
            "1 new file, 1 changed file, 1 vanished file",
        ),
    ],
)
def test_the_reason_counts_what_arrived(arrivals: Arrivals, reason: str) -> None:
    assert arrivals.reason(mirrors=True) == reason
    assert arrivals.reason(mirrors=False) == ", ".join(
        each for each in reason.split(", ") if "vanished" not in each
    )
