"""Files, names and streams as nobody wishes them: named with their place, never the tool's own
fault, and never left out without a word."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projects import COMMAND, environment, query, transform, write

FILES = {
    "data/a.csv": "id\n1\n",
    "models/_all.yml": """
        sources: [{name: crm, load: {kind: files}, tables: [{name: t, load: {path: data/*.csv}}]}]
    """,
    "models/m.sql": "select id from crm.t",
}
DBT = {
    "dbt_project.yml": 'name: shop\nversion: "1.0"\nprofile: shop\n',
    "profiles.yml": "shop: {outputs: {default: {type: duckdb, path: w.duckdb}}}\n",
    "models/m.sql": "select 1 as id",
}


def odd(path: Path) -> bytes:
    return os.fsencode(path).replace(b"ODD", b"\xff")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "link to nothing": (lambda p: p.symlink_to("nowhere"), "this link is broken"),
    "link to itself": (lambda p: p.symlink_to(p.name), "this link points to itself"),
    "pipe": (os.mkfifo, "this is not a regular file"),
    "name that is not UTF-8": (
        lambda p: os.close(os.open(odd(p.with_stem("ODD")), os.O_CREAT)),
        "the name of this file is not UTF-8",
    ),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", ["models/x.sql", "data/x.csv", "dbt/models/x.sql"])
def test_what_is_no_file_is_named(tmp_path: Path, kind: str, name: str) -> None:
    make, said = BAD[kind]
    root = write(tmp_path, FILES)
    if name.startswith("dbt/"):
        root, name = write(tmp_path / "dbt", DBT), name.removeprefix("dbt/")
    make(root / name)
    done = transform(root, "build", check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert name.partition("/")[0] in done.stderr
    assert str(root) not in done.stderr


def test_the_projects_own_file_is_no_folder_and_no_link_to_the_outside(tmp_path: Path) -> None:
    root = write(tmp_path / "project", FILES)
    (tmp_path / "outside.yml").write_text("name: other\n")
    (root / "transform.yml").symlink_to(tmp_path / "outside.yml")
    done = transform(root, "build", check=False)
    assert (done.returncode, "this link points outside the project" in done.stderr) == (1, True)
    (root / "transform.yml").unlink()
    (root / "transform.yml").mkdir()
    done = transform(root, "build", check=False)
    assert (done.returncode, "this is a folder" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("s3://b/x.duckdb", "not a local file"),
        ("a?b.duckdb", "after `?`"),
        ("~nosuch/x.duckdb", "there is no user"),
        ("x" * 300 + ".duckdb", "too long"),
    ],
)
def test_a_warehouse_has_a_path_of_this_machine(tmp_path: Path, path: str, said: str) -> None:
    root = write(tmp_path, FILES)
    (root / "transform.yml").write_text(f'targets: {{dev: {{path: "{path}"}}}}\n')
    done = transform(root, "build", check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "transform.yml:1:23" in done.stderr


@pytest.mark.parametrize("schema", ["_transform", "_TRANSFORM_failures"])
def test_the_tools_own_schemas_are_not_for_models_seeds_and_loads(
    tmp_path: Path, schema: str
) -> None:
    root = write(tmp_path, FILES)
    (root / "transform.yml").write_text(f"targets: {{dev: {{schema: {schema}}}}}\n")
    assert f"the schema `{schema}` is reserved" in transform(root, "build", check=False).stderr
    (root / "transform.yml").unlink()
    text = (root / "models" / "_all.yml").read_text()
    (root / "models" / "_all.yml").write_text(text.replace("crm,", f"crm, schema: {schema},"))
    assert "is reserved" in transform(root, "plan", check=False).stderr


def test_the_ledger_may_be_read_as_a_source(tmp_path: Path) -> None:
    root = write(tmp_path, FILES)
    transform(root, "build")
    (root / "models" / "own.yml").write_text(
        "sources: [{name: ledger, schema: _transform, tables: [{name: nodes}]}]\n"
    )
    (root / "models" / "n.sql").write_text("select count(*) as n from ledger.nodes")
    transform(root, "build")


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-", "0<&-"])
@pytest.mark.parametrize("words", ["build", "ls", "build --json"])
def test_closed_streams_change_nothing(tmp_path: Path, closed: str, words: str) -> None:
    root = write(tmp_path, FILES)
    command = f"{' '.join(COMMAND)} {words} {closed}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=root, env=environment(), check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert b"bug in the tool" not in done.stderr
    if "build" in words:
        assert query(root / "warehouse.duckdb", "from m") == [(1,)]


@pytest.mark.parametrize("words", ["ls", "build --json"])
def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path, words: str) -> None:
    root = write(tmp_path, FILES)
    for number in range(300):
        (root / "models" / f"m{number}.sql").write_text("select 1 as a")
    command = f"({' '.join(COMMAND)} {words}; echo $? > code) 2> said | head -c 1"
    subprocess.run(["sh", "-c", command], cwd=root, env=environment(), check=True,
                   capture_output=True)  # fmt: skip
    assert (root / "code").read_text() == "0\n"
    assert "bug in the tool" not in (root / "said").read_text()
    assert "Broken" not in (root / "said").read_text()


def test_what_a_terminal_would_obey_is_shown(tmp_path: Path) -> None:
    root = write(tmp_path, FILES)
    (root / "data" / "a.csv").write_bytes(b"id,note\n1,\x1b[31mred\xc2\x9b2J\x07\n")
    (root / "models" / "m.sql").write_text("select * from crm.t")
    shown = transform(root, "build", "--full-refresh").stderr
    shown += transform(root, "show", "m").stdout + transform(root, "show", "m", "--json").stdout
    assert "\\x1b[31mred" in shown
    assert not {"\x1b", "\x9b", "\x07"} & set(shown)
    stored = query(root / "warehouse.duckdb", "select encode(note) from m")
    assert stored == [(b"\x1b[31mred\xc2\x9b2J\x07",)]
