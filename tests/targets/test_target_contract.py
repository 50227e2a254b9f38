"""What holds for every kind of target: a new file in `transformer/targets/` joins by existing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from tests.targets.cases import NOW, PLACES, WHERE, Place, Warehouse, warehouse
from transformer import targets
from transformer.errors import ConfigError, TransformError
from transformer.project.paths import Places
from transformer.targets import BatchShape, TargetRequest, find, kinds

OURS = tuple(
    sorted(p.stem for p in Path(targets.__file__).parent.glob("*.py") if not p.stem.startswith("_"))
)


@dataclass
class Case:
    home: Warehouse
    place: Place

    def ids(self) -> list[int]:
        return sorted(self.place.rows())

    def score(self, key: int) -> object:
        return self.place.rows()[key]["score"]


@pytest.fixture(params=OURS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    kind = request.param
    assert kind in PLACES, f"add a real place of kind `{kind}` to tests/targets/cases.py"
    with PLACES[kind](tmp_path) as place, warehouse(tmp_path, kind, place.options) as home:
        yield Case(home, place)


def test_every_file_is_a_kind() -> None:
    assert set(OURS) <= set(kinds())


@pytest.mark.parametrize("kind", OURS)
def test_every_option_is_documented(kind: str) -> None:
    fields = find(kind).FIELDS
    assert all(each.doc and not each.doc.endswith(".") for each in fields)
    assert len({each.name for each in fields}) == len(fields)


def test_an_unknown_kind_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown kind of target `postgre`") as caught:
        find("postgre", WHERE)
    assert caught.value.hint == "did you mean `postgres`?"
    assert caught.value.where == WHERE


def test_finding_kinds_loads_no_driver() -> None:
    heavy = "{'httpx', 'psycopg', 'pyarrow', 'polars', 'duckdb'}"
    code = (
        "import sys; from transformer.targets import find, kinds; "
        f"[find(k).FIELDS for k in kinds()]; print(sorted({heavy} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_first_sync_sends_everything_and_the_second_nothing(case: Case) -> None:
    case.home.fill((1, "Ann", 10), (2, "Bob", 20), (3, "Cy", None))
    first = case.home.sync()
    assert (first.added, first.sent, first.unchanged) == (3, 3, 0)
    assert case.ids() == [1, 2, 3]
    assert case.score(3) is None
    second = case.home.sync()
    assert (second.added, second.changed, second.sent, second.unchanged) == (0, 0, 0, 3)


def test_upsert_sends_what_differs_and_leaves_the_rest(case: Case) -> None:
    case.home.fill((1, "Ann", 10), (2, "Bob", 20))
    case.home.sync()
    case.home.fill((2, "Bob", 21), (3, "Cy", 30))
    done = case.home.sync()
    assert (done.added, done.changed, done.removed) == (1, 1, 0)
    assert case.ids() == [1, 2, 3]
    assert (case.score(1), case.score(2)) == (10, 21)


def test_a_row_that_comes_back_is_compared_with_what_was_sent(case: Case) -> None:
    case.home.fill((1, "Ann", 10), (2, "Bob", 20))
    case.home.sync()
    case.home.fill((2, "Bob", 20))
    case.home.sync()
    case.home.fill((1, "Ann", 10), (2, "Bob", 20))
    assert case.home.sync().sent == 0


def test_mirror_removes_what_left(case: Case) -> None:
    case.home.change(mode="mirror", max_removed=1.0)
    case.home.fill((1, "Ann", 10), (2, "Bob", 20), (3, "Cy", 30))
    case.home.sync()
    case.home.fill((2, "Bob", 22), (4, "Di", 40))
    done = case.home.sync()
    assert (done.added, done.changed, done.removed) == (1, 1, 2)
    assert case.ids() == [2, 4]
    assert case.home.sync().sent == 0


def test_append_sends_a_key_once(case: Case) -> None:
    case.home.change(mode="append")
    case.home.fill((1, "Ann", 10))
    case.home.sync()
    case.home.fill((1, "Ann", 99), (2, "Bob", 20))
    again = case.home.sync()
    assert (again.sent, again.added, again.unchanged) == (1, 1, 1)
    assert case.ids() == [1, 2]
    assert case.score(1) == 10
    case.home.fill()
    case.home.sync()
    assert case.ids() == [1, 2]


def test_only_mapped_columns_count(case: Case) -> None:
    case.home.change(fields={"id": "id", "score": "score"})
    case.home.fill((1, "Ann", 10))
    case.home.sync()
    case.home.fill((1, "Another", 10))
    assert case.home.sync().sent == 0
    assert set(case.place.rows()[1]) == {"id", "score"}


def test_a_batch_size_changes_nothing_but_the_number_of_batches(case: Case) -> None:
    case.home.change(batch_size=2, mode="mirror")
    case.home.fill(*((n, f"name {n}", n) for n in range(7)))
    assert case.home.sync().sent == 7
    case.home.fill(*((n, f"name {n}", n + 1) for n in range(3, 9)))
    case.home.sync()
    assert case.ids() == [3, 4, 5, 6, 7, 8]
    assert all(row["score"] == key + 1 for key, row in case.place.rows().items())


def test_every_type_and_awkward_text_arrives(case: Case) -> None:
    case.home.con.execute("""create or replace table people as select
        1 as id, 'a"b,c''\\\n;é漢 =1+1' as text, '' as empty, null::varchar as nothing,
        true as yes, 1.5::double as ratio, 12.50::decimal(9, 2) as price, 5::hugeint as total,
        date '2026-01-02' as day, timestamp '2026-01-02 03:04:05' as moment,
        timestamptz '2026-01-02 03:04:05+02' as instant, time '03:04:05' as hour,
        [1, 2] as list, {'a': 'x'} as struct, 'x'::blob as bytes,
        'b5a1ddf7-6c3c-4e8e-9b52-6b3d4d0f9e11'::uuid as uid, interval 2 hour as wait""")
    case.home.sync()
    row = case.place.rows()[1]
    assert (row["text"], row["empty"], row["nothing"]) == ("a\"b,c'\\\n;é漢 =1+1", "", None)
    assert (row["yes"], row["ratio"], row["price"], row["total"]) == (True, 1.5, 12.5, 5)
    assert (row["list"], row["struct"]) == ([1, 2], {"a": "x"})
    assert row["day"] == "2026-01-02"
    assert str(row["moment"]).startswith("2026-01-02T03:04:05")
    assert str(row["instant"]).startswith("2026-01-02T01:04:05")
    assert case.home.sync().sent == 0


def test_rows_with_a_bad_key_wait_in_quarantine(case: Case) -> None:
    case.home.change(mode="mirror")
    case.home.fill((1, "Ann", 10), (2, "Bob", 20))
    case.home.sync()
    case.home.fill((1, "Ann", 11), (2, "Bob", 20), (2, "Rob", 21), (None, "Nobody", 0))
    done = case.home.sync()
    assert (done.changed, done.removed, done.quarantined) == (1, 0, 3)
    assert case.ids() == [1, 2]
    assert case.score(2) == 20
    reasons = sorted(row["reason"] for row in case.home.quarantine())
    assert reasons == ["its key `id` is null", *["its key occurs 2 times"] * 2]
    case.home.fill((1, "Ann", 11), (2, "Rob", 21))
    assert case.home.sync().quarantined == 0
    assert case.score(2) == 21


def test_reset_sends_everything_again(case: Case) -> None:
    case.home.fill((1, "Ann", 10), (2, "Bob", 20))
    case.home.sync()
    case.home.reset()
    assert case.home.sync().sent == 2
    assert case.ids() == [1, 2]


def test_what_was_lost_is_sent_again(case: Case) -> None:
    if case.place.lose is None:
        pytest.skip("a place of this kind cannot be seen to be lost")
    case.home.fill((1, "Ann", 10), (2, "Bob", 20))
    case.home.sync()
    case.place.lose()
    case.home.sync()
    assert case.ids() == [1, 2]
    assert case.home.sync().sent == 0


def test_a_preview_writes_nothing(case: Case, tmp_path: Path) -> None:
    case.home.fill((1, "Ann", 10), (2, "Bob", 20))
    seen = case.home.preview()
    assert (seen.added, seen.changed, seen.unchanged) == (2, 0, 0)
    assert not case.home.ledger.exists()
    assert case.place.rows() == {}


def test_no_secret_is_shown_or_kept(case: Case) -> None:
    case.home.fill((1, "Ann", 10))
    case.home.sync()
    if not case.place.secret:
        pytest.skip("a place of this kind has no secret")
    shape = BatchShape("people_out", "upsert", ("id",), pa.schema([("id", pa.int32())]))
    to = TargetRequest(case.place.options, shape, Places(case.home.folder), WHERE, lambda: NOW)
    session = find(case.home.activation.kind).connect(to)
    assert case.place.secret not in repr(session) + repr(to) + session.label
    session.close()
    assert case.place.secret.encode() not in case.home.ledger.read_bytes()


def test_progress_counts_what_was_sent_up_to_the_total(case: Case) -> None:
    case.home.change(batch_size=2)
    case.home.fill(*((n, "x", n) for n in range(5)))
    case.home.sync()
    at_once = [(5, 5)]
    in_batches = [(2, 5), (4, 5), (5, 5)]
    whole = case.home.activation.kind == "files"  # a file is written in one go
    assert case.home.progress == (at_once if whole else in_batches)


@pytest.mark.parametrize(
    ("change", "what", "hint"),
    [
        ({"key": ("idd",)}, "uses column `idd`, which `people` does not have", "`id`"),
        ({"fields": {"x": "scor"}}, "uses column `scor`", "`score`"),
        ({"fields": {"id": "score"}}, "sends two columns as `id`", ""),
    ],
)
def test_a_mapping_that_cannot_be_says_where(
    case: Case, change: dict[str, object], what: str, hint: str
) -> None:
    case.home.fill((1, "Ann", 10))
    case.home.change(**change)
    with pytest.raises(TransformError, match=what) as caught:
        case.home.sync()
    assert caught.value.where == WHERE
    assert hint in caught.value.hint
