"""In mode `gated` nothing is published that breaks a check of severity error, whichever command
made it; and every exit code says so, each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import query, transform, write

PROJECT = {
    "transform.yml": """
        vars: {first: 1, kind: a}
        targets: {dev: {path: warehouse.duckdb}}
    """,
    "data/raw.csv": "id,kind\n1,a\n2,b\n",
    "seeds/kinds.csv": "kind\na\nb\n",
    "models/_all.yml": """
        sources:
          - name: w
            load: {kind: files}
            tables:
              - name: raw
                load: {path: data/raw.csv}
                columns:
                  - name: id
                    data_tests: [unique]
        models:
          - name: rows
            columns:
              - name: id
                data_tests: [not_null]
          - name: known
            columns:
              - name: kind
                data_tests:
                  - accepted_values: {values: [a, b]}
        seeds:
          - name: kinds
        snapshots:
          - name: history
            relation: source('w', 'raw')
            config: {unique_key: id, strategy: check, check_cols: all}
            data_tests:
              - row_count: {max: 3}
    """,
    "models/rows.sql": """
        {{ config(materialized='table') }}
        select nullif(id, {{ var('without', 0) }}) as id, kind from {{ source('w', 'raw') }}
    """,
    "models/known.sql": "select kind from {{ ref('kinds') }}",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = write(tmp_path, PROJECT)
    transform(made, "build")
    return made


def refused(root: Path, *words: str) -> str:
    """What the command says, which fails twice and leaves the published file as it is."""
    before = (root / "warehouse.duckdb").read_bytes()
    for _ in range(2):
        done = transform(root, *words, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert (root / "warehouse.duckdb").read_bytes() == before, done.stderr
    return done.stdout + done.stderr


def test_run_does_not_publish_what_breaks_a_check(root: Path) -> None:
    said = refused(root, "run", "--vars", "{without: 2}")
    assert "not_null" in said
    transform(root, "run", "--vars", "{without: 7}")


def test_run_of_one_model_is_held_to_the_checks_that_read_it(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "models/a.sql": "{{ config(materialized='table') }} select {{ var('n', 1) }} as id",
            "models/b.sql": "{{ config(materialized='table') }} select 1 as id",
            "models/_b.yml": """
                models:
                  - name: b
                    columns:
                      - name: id
                        data_tests: [{relationships: {to: ref('a'), field: id}}]
            """,
        },
    )
    transform(root, "build")
    words = ("--select", "a", "--indirect-selection", "empty", "--vars", "{n: 2}")
    refused(root, "run", *words)
    refused(root, "build", *words)
    assert query(root / "warehouse.duckdb", "from a") == [(1,)]


def test_a_check_that_is_left_out_still_holds_back_what_breaks_it(root: Path) -> None:
    refused(root, "build", "--exclude", "test_type:data", "--vars", "{without: 1}")


def test_seed_does_not_publish_what_breaks_a_check_of_a_view_over_it(root: Path) -> None:
    write(root, {"seeds/kinds.csv": "kind\na\nx\n"})
    assert "accepted_values" in refused(root, "seed")
    write(root, {"seeds/kinds.csv": "kind\nb\n"})
    transform(root, "seed")
    assert query(root / "warehouse.duckdb", "from known") == [("b",)]


def test_load_does_not_publish_what_breaks_a_check(root: Path) -> None:
    write(root, {"data/raw.csv": "id,kind\n1,a\n1,b\n"})
    assert "unique" in refused(root, "load")


def test_snapshot_does_not_publish_what_breaks_a_check(root: Path) -> None:
    write(root, {"data/raw.csv": "id,kind\n1,x\n2,y\n"})
    transform(root, "load")
    assert "row_count" in refused(root, "snapshot")


def test_a_seed_of_a_new_project_waits_for_no_model(tmp_path: Path) -> None:
    root = write(tmp_path, PROJECT)
    transform(root, "seed")
    assert query(root / "warehouse.duckdb", "select count(*) from kinds") == [(2,)]


def test_a_check_that_only_warns_holds_nothing_back(root: Path) -> None:
    warns = PROJECT["models/_all.yml"].replace(
        "[not_null]", "[{not_null: {config: {severity: warn}}}]"
    )
    write(root, {"models/_all.yml": warns})
    transform(root, "run", "--vars", "{without: 2}")
    assert query(root / "warehouse.duckdb", "select count(*) from rows where id is null") == [(1,)]
    refused(root, "run", "--warn-error", "--vars", "{without: 1}")
    refused(root, "build", "--warn-error", "--vars", "{without: 1}")
    transform(root, "build", "--vars", "{without: 1}")
    assert query(root / "warehouse.duckdb", "from rows order by id") == [(2, "b"), (None, "a")]


def test_a_warning_that_stands_is_a_failure_again_with_warn_error(root: Path) -> None:
    warns = PROJECT["models/_all.yml"].replace(
        "[not_null]", "[{not_null: {config: {severity: warn}}}]"
    )
    write(root, {"models/_all.yml": warns})
    words = ("--vars", "{without: 2}")
    transform(root, "build", *words)
    said = refused(root, "build", "--warn-error", *words)
    assert "not_null_rows_id" in said
    transform(root, "build", *words)


def test_a_failure_is_one_again_when_the_build_is_repeated(root: Path) -> None:
    refused(root, "build", "--vars", "{without: 2}")
    transform(root, "build")


def test_quarantine_shows_the_rows_of_a_build_that_was_not_published(root: Path) -> None:
    rows = "".join(f"{number},a\n" for number in range(1, 10))
    (root / "data/raw.csv").write_text(f"id,kind\n{rows}x,b\n")
    failed = transform(root, "build", "--vars", "{without: 2}", check=False)
    assert failed.returncode == 1
    assert "transform quarantine show w.raw" in failed.stdout + failed.stderr
    assert "is not a valid BIGINT" in transform(root, "quarantine", "show", "w.raw").stdout
