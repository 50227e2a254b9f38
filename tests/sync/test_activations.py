"""What an activation does to a build: it holds nothing back, and says when it did not send."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.projects import query, transform, write
from tests.servers import receiver

SECRET = 'pass"word/4711'
PROJECT = {
    "transform.yml": """
        targets:
          here: {path: warehouse.duckdb}
          there: {path: there.duckdb}
          also: {path: also.duckdb, activate: true}
    """,
    "models/people.sql": """
        {{ config(materialized='table') }}
        select i as id, 'name ' || i as name from range({{ var('n', 20) }}) t(i)
    """,
    "models/_people.yml": """
        models:
          - name: people
            columns: [{name: id, data_tests: [not_null, unique]}]
        activations:
          - name: crm
            model: people
            key: id
            mode: mirror
            to:
              kind: http
              url: "{{ env_var('CRM_URL') }}"
              headers: {X-Key: "{{ env_var('TRANSFORM_SECRET_CRM') }}"}
              attempts: 1
              timeout: 2
          - name: copy
            model: people
            key: id
            mode: mirror
            to: {kind: files, path: out/people.csv}
    """,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path, PROJECT)


def env(url: str) -> dict[str, str]:
    return {"CRM_URL": url, "TRANSFORM_SECRET_CRM": SECRET}


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/in"


def count(root: Path) -> int:
    return int(query(root / "warehouse.duckdb", "select count(*) from people")[0][0])


def test_a_target_that_is_down_holds_back_nothing_and_is_named(root: Path) -> None:
    for n in (20, 21):
        words = ("build", "--vars", f"{{n: {n}}}")
        done = transform(root, *words, env=env(nobody()), check=False)
        assert done.returncode == 1
        assert "activation `crm`" in done.stderr
        assert "published warehouse.duckdb" in done.stderr
        assert count(root) == n
    again = transform(root, *words, env=env(nobody()), check=False)
    assert again.returncode == 1
    assert (root / "out/people.csv").read_text().count("\n") == 22
    with receiver() as there:
        transform(root, *words, env=env(there.url))
        assert len(there.rows) == 21


def test_a_target_that_raises_anything_fails_alone(root: Path) -> None:
    done = transform(root, "build", env=env("http://a\tb/in"), check=False)
    assert done.returncode == 1
    assert "activation `crm`" in done.stderr
    assert "Traceback" not in done.stderr
    assert count(root) == 20


def test_a_build_that_a_failed_activation_stops_is_not_published(root: Path) -> None:
    later = {
        f"models/later_{n}.sql": "{{ config(materialized='table') }} select count(*) as n from "
        + ("people" if n == 0 else f"later_{n - 1}")
        for n in range(4)
    }
    write(root, later)
    done = transform(root, "build", "--fail-fast", env=env(nobody()), check=False)
    assert done.returncode == 1
    built = [n for n in range(4) if f"later_{n}" in _tables(root)]
    assert built in ([], [0, 1, 2, 3])
    transform(root, "build", env=env(nobody()), check=False)
    assert _tables(root) >= {f"later_{n}" for n in range(4)}


def _tables(root: Path) -> set[str]:
    path = root / "warehouse.duckdb"
    found = query(path, "select table_name from duckdb_tables()") if path.exists() else []
    return {name for (name,) in found}


def test_a_sync_that_is_mostly_rejected_has_failed_each_time(root: Path) -> None:
    with receiver(style="batch", refuses=lambda row: f"no {row['id']} {SECRET}") as there:
        for _ in range(2):
            done = transform(root, "build", env=env(there.url), check=False)
            assert done.returncode == 1
            assert "rejected 20 of 20 rows, more than `max_rejected` (10 %)" in done.stderr
            assert "HTTP 422" in done.stderr
        assert count(root) == 20
        held = transform(root, "quarantine", "show", "--json", env=env(there.url))
    answers = [json.loads(line)["answer"] for line in held.stdout.splitlines()]
    assert sorted(json.loads(each)["error"] for each in answers) == sorted(
        f"no {n} ***" for n in range(20)
    )
    for text in (done.stdout, done.stderr, held.stdout, held.stderr):
        assert "4711" not in text


def test_a_few_rejected_rows_are_a_warning(root: Path) -> None:
    with receiver(refuses=lambda row: "too odd" if row["id"] == 7 else None) as there:
        done = transform(root, "build", env=env(there.url))
        assert "1 rejected" in done.stderr
        strict = transform(root, "build", "--warn-error", env=env(there.url), check=False)
        assert strict.returncode == 1
        raised = {"models/_people.yml": PROJECT["models/_people.yml"].replace(
            "            key: id\n            mode: mirror\n            to:\n",
            "            key: id\n            mode: mirror\n            max_rejected: 0.01\n"
            "            to:\n",
        )}  # fmt: skip
        write(root, raised)
        done = transform(root, "activate", env=env(there.url), check=False)
        assert done.returncode == 1
        assert "rejected 1 of 20 rows, more than `max_rejected` (1 %)" in done.stderr


def test_a_mirror_does_not_take_away_more_than_is_allowed(root: Path) -> None:
    with receiver() as there:
        transform(root, "build", env=env(there.url))
        seen = len(there.requests)
        words = ("build", "--vars", "{n: 9}")
        for _ in range(2):
            done = transform(root, *words, env=env(there.url), check=False)
            assert done.returncode == 1
            assert "11 of 20 rows are no longer in `people`" in done.stderr
            assert "`max_removed: 100 %`" in done.stderr
        looked = transform(root, "activate", "--dry-run", *words[1:], env=env(there.url))
        assert looked.stdout.count("refused: 11 of 20 rows are no longer in `people`") == 2
        assert len(there.requests) == seen
        assert (root / "out/people.csv").read_text().count("\n") == 21
        assert count(root) == 9
        allowed = PROJECT["models/_people.yml"].replace(
            "mode: mirror", "mode: mirror\n            max_removed: 55 %"
        )
        write(root, {"models/_people.yml": allowed})
        transform(root, *words, env=env(there.url))
        assert sorted(there.rows) == list(range(9))


def test_only_the_default_target_sends_and_the_others_say_so(root: Path) -> None:
    with receiver() as there:
        done = transform(root, "build", "--target", "there", env=env(there.url))
        assert "copy, crm: not sent, since the target `there`" in done.stderr
        assert not there.requests
        transform(root, "activate", "--target", "there", env=env(there.url))
        assert not there.requests
        transform(root, "build", "--target", "also", env=env(there.url))
        assert len(there.rows) == 20


@pytest.mark.parametrize("share", ["20", "-1 %", "101 %", "half", "true"])
def test_a_share_that_may_mean_anything_is_refused(root: Path, share: str) -> None:
    wrong = PROJECT["models/_people.yml"].replace(
        "mode: mirror", f"mode: mirror\n            max_removed: {share}"
    )
    write(root, {"models/_people.yml": wrong})
    done = transform(root, "plan", env=env(nobody()), check=False)
    assert done.returncode == 1
    assert "`max_removed` must be a share: `20 %` or `0.2`" in done.stderr
