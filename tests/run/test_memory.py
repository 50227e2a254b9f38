"""A step that runs out of memory is done again, alone and with one thread."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import Bench, done
from transformer.errors import MemoryShortError
from transformer.request import BuildOptions

# What needs too much on eight threads, and not on one; and what needs too much in any case.
SORTED = (
    "{{ config(materialized='table') }}"
    " select range as a, md5(range::varchar) as b, hash(range) as c from range(1000000) order by b"
)
GROUPED = (
    "{{ config(materialized='table') }}"
    " select hash(range) % 100000 as a, string_agg(md5(range::varchar), ',') as b"
    " from range(1000000) group by 1"
)
SMALL = "{{ config(materialized='table') }} select 1 as a"
BELOW = "{{ config(materialized='table') }} select count(*) as n from big"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    settings = "{memory_limit: 60MB, threads: 8}"
    made.write({"transform.yml": f"targets: {{dev: {{settings: {settings}}}}}\n"})
    return made


@pytest.mark.parametrize("threads", [1, 3])
def test_a_model_that_needs_too_much_at_once_is_built_with_one_thread(
    bench: Bench, threads: int
) -> None:
    small = {f"models/small_{i}.sql": SMALL for i in range(4)}
    bench.write({"models/big.sql": SORTED, "models/below.sql": BELOW, **small})
    report = bench.build(how=BuildOptions(threads=threads))
    assert report.ok
    assert set(done(report)) == {"big", "below", *(f"small_{i}" for i in range(4))}
    said = "`big` ran out of memory: retrying it alone and with one thread"
    assert bench.notices.count(said) == 1
    assert bench.rows("select n from below") == [(1_000_000,)]
    assert bench.rows("select status from _transform.nodes where id like '%.big'") == [("success",)]


def test_one_that_always_needs_too_much_fails_and_is_named(bench: Bench) -> None:
    bench.write({"models/big.sql": GROUPED, "models/below.sql": BELOW, "models/small.sql": SMALL})
    report = bench.build()
    assert done(report) == {"big": "error", "below": "skipped", "small": "success"}
    failed = next(o for o in report.results.outcomes if o.label == "big")
    assert isinstance(failed.error, MemoryShortError)
    assert "memory_limit" in failed.error.hint
    assert len([text for text in bench.notices if "`big` ran out of memory" in text]) == 1
