"""No activation writes where the project reads or builds: such a one is refused before anything is
built, with its place."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from tests.projects import Bench, transform, write
from transformer.errors import Mistakes, TransformError
from transformer.flows.plan import preview
from transformer.project.paths import Places
from transformer.request import Environment, Request
from transformer.run.claims import _Claim, _Names, is_folding

FILES = {
    "transform.yml": "name: shop\nallowed-paths: [../inbox]\n",
    "data/a.csv": "id\n1\n",
    "data/deep/x/b.csv": "id\n2\n",
    "data/rates.csv": "rate\n2\n",
    "seeds/codes.csv": "code\nx\n",
    "macros/one.sql": "{% macro one() %}1{% endmacro %}",
    "tests/none.sql": "select 1 where false",
    "models/s.yml": """
        sources:
          - name: shop
            tables:
              - {name: flat, load: {kind: files, path: data/a.csv}}
              - {name: deep, load: {kind: files, path: "data/deep/**/*.csv"}}
              - {name: linked, load: {kind: files, path: "link/*.csv"}}
              - {name: other, load: {kind: database, url: "duckdb:other.duckdb", table: t}}
    """,
    "models/two.sql": """
        {{ config(materialized='table') }} select id from {{ source('shop', 'flat') }}
    """,
    "models/rated.sql": "select * from read_csv('data/rates.csv')",
}


def activation(name: str, path: str) -> str:
    return f"""
        activations:
          - name: {name}
            model: two
            key: id
            to: {{kind: files, path: "{path}"}}
    """


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = write(tmp_path / "here", FILES)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/in.csv").write_text("id\n3\n")
    (made / "link").symlink_to(tmp_path / "inbox")
    (made / "exports").mkdir()
    with duckdb.connect(str(made / "other.duckdb")) as con:
        con.execute("create table t as select 1 as id")
    monkeypatch.chdir(made)
    return made


def refused(root: Path) -> list[TransformError]:
    """What the plan says, and a build: nothing is made then."""
    with pytest.raises(Mistakes) as found:
        preview(Request(root), Environment({}))
    with pytest.raises(Mistakes) as again:
        Bench(root).build()
    assert [str(e) for e in again.value.errors] == [str(e) for e in found.value.errors]
    return list(found.value.errors)


TAKEN = [
    "warehouse.duckdb",
    "warehouse.duckdb.wal",
    "warehouse.sync.duckdb",
    "warehouse.sync.duckdb.wal",
    "transform.yml",
    "models/two.sql",
    "models/new.sql",
    "seeds/codes.csv",
    "seeds/new/later.csv",
    "macros/one.sql",
    "tests/none.sql",
    "data/a.csv",
    "data/deep/x/b.csv",
    "data/deep/new.csv",
    "data/deep/new/er/c.csv",
    "data/rates.csv",
    "link/in.csv",
    "link/new.csv",
    "../inbox/new.csv",
    "other.duckdb",
    "other.duckdb.wal",
    "exports/../data/./a.csv",
    ".transform/x.csv",
    ".transform/warehouse.duckdb/warehouse.duckdb",
    "target/manifest.json",
    "exports/held.csv",
    "exports/way/a.csv",
]


@pytest.mark.parametrize("path", TAKEN)
def test_a_path_that_the_project_reads_or_makes_is_refused(root: Path, path: str) -> None:
    (root / "exports/held.csv").symlink_to(root / "seeds/codes.csv")
    (root / "exports/way").symlink_to(root / "data")
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    write(root, {"models/a.yml": activation("out", path)})
    (error,) = refused(root)
    assert f"activation `out` would replace `{path}`" in error.what
    assert str(error.where).startswith("models/a.yml:5")
    assert "exports/out.csv" in error.hint
    assert {p: p.read_bytes() for p in before} == before


def test_a_database_of_someone_else_is_refused(root: Path) -> None:
    with duckdb.connect(str(root / "exports/theirs.csv")) as con:
        con.execute("create table t as select 1 as id")
    write(root, {"models/a.yml": activation("out", "exports/theirs.csv")})
    (error,) = refused(root)
    assert "a database" in error.what


def test_two_activations_do_not_share_a_file(root: Path) -> None:
    (root / "exports/here").symlink_to(root / "exports")
    write(root, {"models/a.yml": activation("one", "exports/x.csv")})
    write(root, {"models/b.yml": activation("two_", "exports/here/x.csv")})
    (error,) = refused(root)
    assert "the file of the activation `" in error.what


def test_with_an_extract_both_files_are_refused(root: Path) -> None:
    write(
        root,
        {
            "transform.yml": FILES["transform.yml"]
            + "targets: {dev: {publish: {models: [two]}}}\n",
            "models/a.yml": activation("one", "warehouse.duckdb"),
            "models/b.yml": activation("two_", "warehouse.full.duckdb"),
        },
    )
    assert len(refused(root)) == 2


def test_other_paths_are_taken(root: Path) -> None:
    write(root, {"models/a.yml": activation("one", "exports/x.csv")})
    write(root, {"models/b.yml": activation("two_", "data/a.json")})
    assert Bench(root).build().ok
    assert (root / "exports/x.csv").read_text() == "id\n1\n"
    assert Bench(root).build().ok, "what it has written itself is no obstacle"


def test_the_command_says_where(root: Path) -> None:
    write(root, {"models/a.yml": activation("one", "seeds/codes.csv")})
    for command in ("plan", "build"):
        done = transform(root, command, check=False)
        assert done.returncode == 1
        assert "models/a.yml:5" in done.stderr
        assert "hint:" in done.stderr


@pytest.mark.parametrize(
    ("claim", "path", "folds"),
    [
        (_Claim(Path("/p/Data/A.csv"), ""), "/p/data/a.CSV", True),
        (_Claim(Path("/p/Seeds"), "", folder=True), "/p/seeds/x.csv", True),
        (_Claim(Path("/p/In/*.CSV"), "", pattern=True), "/p/in/x.csv", True),
        (_Claim(Path("/p/caf\u00e9.csv"), ""), "/p/cafe\u0301.csv", True),
    ],
)
def test_names_are_compared_as_the_file_system_does(claim: _Claim, path: str, folds: bool) -> None:
    assert _Names(folds).covers(claim, Path(path))
    assert not _Names(False).covers(claim, Path(path))


def test_whether_case_counts_is_looked_up(tmp_path: Path) -> None:
    (tmp_path / "transform.yml").write_text("")
    assert is_folding(tmp_path) == (tmp_path / "TRANSFORM.YML").exists()
    os.link(tmp_path / "transform.yml", tmp_path / "TRANSFORM.YML")
    assert is_folding(tmp_path)
    assert not is_folding(Places(tmp_path / "none").root)
