"""The published file is always the last good build, whole, for everyone who reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from tests.projects import Bench, environment, query, start, transform, write
from transformer.errors import WarehouseError
from transformer.warehouse import file

PAIR = {
    "models/one.sql": """
        {{ config(materialized='table') }}
        select {{ var('n', 1) }} as n, i from range(5000) t(i)
    """,
    "models/two.sql": """
        {{ config(materialized='table') }}
        select n, count(*) as rows from one group by n
    """,
}
CHECKED = {
    **PAIR,
    "models/_m.yml": """
        models:
          - name: two
            data_tests:
              - expression_is_true: {expression: "n < 100"}
          - name: three
            config: {materialized: table}
    """,
    "models/three.sql": "select * from two",
}


def live(root: Path) -> Path:
    return root / "warehouse.duckdb"


def test_a_reader_in_a_loop_never_meets_an_error_or_half_a_state(tmp_path: Path) -> None:
    root = write(tmp_path, PAIR)
    transform(root, "build")
    reader = subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[1] / "reading_child.py"), str(live(root))],
        env=environment({"PYTHONPATH": str(Path(__file__).parents[2])}),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        for n in range(2, 8):
            transform(root, "build", "--vars", f"{{n: {n}}}")
        said, _ = reader.communicate("stop", timeout=30)
    finally:
        reader.kill()
        reader.wait()
    assert reader.returncode == 0, said
    opened, seen = said.split()[-2:]
    assert int(opened) > 20
    assert int(seen) >= 4, "the reader must have seen several builds come"


def test_who_holds_the_old_file_keeps_reading_it(tmp_path: Path) -> None:
    root = write(tmp_path, PAIR)
    transform(root, "build")
    held = duckdb.connect(str(live(root)), read_only=True)
    transform(root, "build", "--vars", "{n: 2}")
    assert held.execute("select n from two").fetchall() == [(1,)]
    held.close()
    assert query(live(root), "select n from two") == [(2,)]


def test_a_failed_gated_build_leaves_the_file_byte_for_byte(tmp_path: Path) -> None:
    root = write(tmp_path, CHECKED)
    transform(root, "build")
    before, times = live(root).read_bytes(), live(root).stat()
    done = transform(root, "build", "--vars", "{n: 100}", check=False)
    assert done.returncode == 1
    assert "not published" in done.stderr
    assert live(root).read_bytes() == before
    assert live(root).stat().st_mtime_ns == times.st_mtime_ns


def test_after_a_failed_build_the_next_one_goes_on_from_its_copy(tmp_path: Path) -> None:
    root = write(tmp_path, CHECKED)
    transform(root, "build")
    transform(root, "build", "--vars", "{n: 100}", check=False)
    plan = transform(root, "plan", "--vars", "{n: 100}").stdout
    assert "one" not in plan.split(), "what was built well is not built again"
    transform(root, "build", "--vars", "{n: 50}")
    assert query(live(root), "select n from three") == [(50,)]


def test_a_failed_model_keeps_its_old_table_and_what_stands_on_it_is_skipped(
    tmp_path: Path,
) -> None:
    files = {
        **CHECKED,
        "transform.yml": "targets: {dev: {publish: {mode: always}}}\n",
    }
    root = write(tmp_path, files)
    transform(root, "build")
    done = transform(root, "build", "--vars", "{n: 100}", check=False)
    assert done.returncode == 1
    assert query(live(root), "select (select max(n) from one), (select n from two)") == [(100, 1)]
    assert query(live(root), "select n from three") == [(1,)]
    transform(root, "build", "--vars", "{n: 100}", "--keep-failed", check=False)
    assert query(live(root), "select n from two") == [(100,)]


def test_someone_elses_writes_between_builds_are_kept(tmp_path: Path) -> None:
    root = write(tmp_path, PAIR)
    transform(root, "build")
    with duckdb.connect(str(live(root))) as con:
        con.execute("create table theirs as select 7 as seven")
    transform(root, "build", "--vars", "{n: 2}")
    assert query(live(root), "select seven, n from theirs, two") == [(7, 2)]


def test_someone_elses_writes_during_a_build_are_never_overwritten(tmp_path: Path) -> None:
    files = {**PAIR, "models/slow.py": SLOW}
    root = write(tmp_path, files)
    transform(root, "build", "--exclude", "slow")
    process = start(root, "build", env={"FLAG": str(root / "flag")})
    wait_for(root / "flag")
    with duckdb.connect(str(live(root))) as con:
        con.execute("create table theirs as select 7 as seven")
    (root / "flag").unlink()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "was changed by someone else during the build" in said
    assert query(live(root), "select seven from theirs") == [(7,)]
    transform(root, "build", env={"FLAG": ""})
    assert query(live(root), "select seven, x from theirs, slow") == [(7, 1)]


SLOW = """
    import os, pathlib, time
    import polars

    def model(project):
        flag = os.environ["FLAG"]
        if flag:
            pathlib.Path(flag).touch()
            while pathlib.Path(flag).exists():
                time.sleep(0.01)
        return polars.DataFrame({"x": [1]})
"""


def wait_for(path: Path) -> None:
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_second_build_is_told_who_builds_and_since_when(tmp_path: Path) -> None:
    root = write(tmp_path, {**PAIR, "models/slow.py": SLOW})
    first = start(root, "build", env={"FLAG": str(root / "flag")})
    wait_for(root / "flag")
    second = transform(root, "build", env={"FLAG": ""}, check=False)
    assert second.returncode == 1
    assert f"is being built by `transform build` (process {first.pid}, since 20" in second.stderr
    (root / "flag").unlink()
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_a_second_build_that_waits_gets_its_turn(tmp_path: Path) -> None:
    root = write(tmp_path, {**PAIR, "models/slow.py": SLOW})
    first = start(root, "build", env={"FLAG": str(root / "flag")})
    wait_for(root / "flag")
    second = start(root, "build", "--wait", "60", env={"FLAG": ""})
    time.sleep(0.5)
    (root / "flag").unlink()
    first.communicate(timeout=60)
    assert first.returncode == 0
    _, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert "nothing to do" in said


def test_the_lock_of_a_dead_build_is_no_lock(tmp_path: Path) -> None:
    root = write(tmp_path, {**PAIR, "models/slow.py": SLOW})
    first = start(root, "build", env={"FLAG": str(root / "flag")})
    wait_for(root / "flag")
    first.kill()
    first.communicate()
    transform(root, "build", env={"FLAG": ""})
    assert query(live(root), "select x from slow") == [(1,)]


def test_what_a_killed_writer_left_in_the_log_is_folded_in(tmp_path: Path) -> None:
    root = write(tmp_path, PAIR)
    transform(root, "build")
    child = (
        "import duckdb, os, sys;"
        "con = duckdb.connect(sys.argv[1]);"
        "con.execute('create table theirs as select 7 as seven');"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", child, str(live(root))], check=False)
    assert (root / "warehouse.duckdb.wal").exists()
    transform(root, "build", "--vars", "{n: 2}")
    assert not (root / "warehouse.duckdb.wal").exists()
    assert query(live(root), "select seven, n from theirs, two") == [(7, 2)]


def test_a_file_that_is_open_for_writing_elsewhere_is_reported_with_the_process(
    tmp_path: Path,
) -> None:
    root = write(tmp_path, PAIR)
    transform(root, "build")
    with duckdb.connect(str(live(root))):
        done = transform(root, "build", "--vars", "{n: 2}", check=False)
    assert done.returncode == 1
    assert f"(process {os.getpid()})" in done.stderr


def test_in_place_builds_in_the_file_itself(tmp_path: Path) -> None:
    root = write(
        tmp_path, {**PAIR, "transform.yml": "targets: {dev: {publish: {mode: in_place}}}\n"}
    )
    transform(root, "build")
    inode = live(root).stat().st_ino
    transform(root, "build", "--vars", "{n: 2}")
    assert live(root).stat().st_ino == inode
    assert query(live(root), "select n from two") == [(2,)]


def test_a_target_can_show_some_models_only(tmp_path: Path) -> None:
    files = {**PAIR, "transform.yml": "targets: {dev: {publish: {models: [two]}}}\n"}
    root = write(tmp_path, files)
    transform(root, "build")
    shown = query(
        live(root), "select table_name from information_schema.tables where table_schema = 'main'"
    )
    assert shown == [("two",)]
    assert query(live(root), "select status from _transform.runs") == [("ok",)]
    transform(root, "build", "--vars", "{n: 2}")
    assert query(live(root), "select n from two") == [(2,)]
    assert "nothing to do" in transform(root, "build", "--vars", "{n: 2}").stderr


def test_a_selector_of_what_is_shown_that_finds_nothing_is_a_mistake_of_the_project(
    tmp_path: Path,
) -> None:
    settings = "targets: {dev: {publish: {models: [twoo]}}}\n"
    root = write(tmp_path, {**PAIR, "transform.yml": settings})
    done = transform(root, "build", check=False)
    assert done.returncode == 1
    assert "error: `publish.models`: the selector `twoo` matches nothing" in done.stderr
    assert "transform.yml:1:26" in done.stderr
    assert "did you mean `two`?" in done.stderr
    assert not live(root).exists()


def storage(path: Path) -> int:
    """The number of the storage version: bytes 12 to 20 of the header."""
    return int.from_bytes(path.read_bytes()[12:20], "little")


def test_the_published_file_is_readable_by_older_duckdb(tmp_path: Path) -> None:
    root = write(tmp_path, PAIR)
    transform(root, "build")
    made = storage(live(root))
    for name in ("v1.0.0", "v1.4.0", "latest"):
        with duckdb.connect() as con:
            con.execute(f"attach '{tmp_path / name}.duckdb' as x (storage_version '{name}')")
            con.execute("create table x.t as select 1 as a")
    assert made == storage(tmp_path / "v1.4.0.duckdb")
    assert made != storage(tmp_path / "latest.duckdb"), "what DuckDB now makes is another"
    assert made != storage(tmp_path / "v1.0.0.duckdb"), "the oldest one packs worse"


def test_a_build_leaves_nothing_beside_the_file_but_its_folder(tmp_path: Path) -> None:
    root = write(tmp_path, PAIR)
    transform(root, "build")
    names = {p.name for p in root.iterdir()}
    assert names == {"models", "warehouse.duckdb", ".transform"}
    left = [p.name for p in (root / ".transform" / "warehouse.duckdb").iterdir()]
    assert left == ["lock"]


def test_comments_of_tables_are_the_descriptions(tmp_path: Path) -> None:
    text = """
        models:
          - name: two
            description: It's the count
            columns: [{name: n, description: "the \\"n\\""}]
    """
    root = write(tmp_path, {**PAIR, "models/_m.yml": text})
    transform(root, "build")
    found = query(
        live(root),
        "select t.comment, c.comment from duckdb_tables() t"
        " join duckdb_columns() c using (table_oid)"
        " where t.table_name = 'two' and c.column_name = 'n'",
    )
    assert found == [("It's the count", 'the "n"')]


# Commits rows, and is killed before they are in the file itself.
KILLED = """
import duckdb, os, sys
con = duckdb.connect(sys.argv[1])
con.execute("create table if not exists theirs (seven int)")
con.execute("insert into theirs values (7)")
os.kill(os.getpid(), 9)
"""
CLEAN = KILLED.replace("os.kill(os.getpid(), 9)", "con.close()")
TARGETS = {
    "gated": "{mode: gated}",
    "always": "{mode: always}",
    "some models": "{models: [two]}",
}


def written(path: Path, how: str) -> None:
    """Another process writes to the file."""
    subprocess.run([sys.executable, "-c", how, str(path)], check=False)
    assert query(path, "select seven from theirs") == [(7,)]


def published(publish: str) -> dict[str, str]:
    return {
        **PAIR,
        "models/slow.py": SLOW,
        "transform.yml": f"targets: {{dev: {{publish: {publish}}}}}\n",
    }


@pytest.mark.parametrize("how", [KILLED, CLEAN], ids=["killed", "clean"])
@pytest.mark.parametrize(
    ("publish", "name"),
    [
        ("gated", "warehouse.duckdb"),
        ("always", "warehouse.duckdb"),
        ("some models", "warehouse.duckdb"),
        ("some models", "warehouse.full.duckdb"),
    ],
)
def test_committed_rows_of_another_writer_are_never_removed(
    tmp_path: Path, publish: str, how: str, name: str
) -> None:
    """Whether it ended well or was killed while its rows were in the log only."""
    root = write(tmp_path, published(TARGETS[publish]))
    transform(root, "build", env={"FLAG": ""})
    (root / "models/slow.py").write_text((root / "models/slow.py").read_text() + "\n\nx = 1\n")
    process = start(root, "build", env={"FLAG": str(root / "flag")})
    wait_for(root / "flag")
    written(root / name, how)
    (root / "flag").unlink()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"`{name}` was changed by someone else during the build" in said
    assert query(root / name, "select seven from theirs") == [(7,)]
    done = transform(root, "build", env={"FLAG": ""}, check=False)
    assert query(root / name, "select seven from theirs") == [(7,)]
    if publish in ("gated", "always") or "full" in name:  # it is the ground of the next build
        assert done.returncode == 0, done.stderr
        assert query(live(root), "select n from two") == [(1,)]
        assert not list(root.glob("*.wal*"))
    else:
        assert done.returncode == 1
        assert "holds what others wrote into it" in done.stderr
        (root / name).unlink()
        transform(root, "build", env={"FLAG": ""})


@pytest.mark.parametrize("publish", TARGETS)
@pytest.mark.parametrize("others", ["none", "one that ends", "one that still runs"])
def test_a_build_whose_folder_is_removed_publishes_nothing_of_anybody(
    tmp_path: Path, others: str, publish: str
) -> None:
    root = write(tmp_path, published(TARGETS[publish]))
    transform(root, "build", env={"FLAG": ""})
    (root / "models/slow.py").write_text((root / "models/slow.py").read_text() + "\n\nx = 1\n")
    first = start(root, "build", "--vars", "{n: 2}", env={"FLAG": str(root / "flag")})
    wait_for(root / "flag")
    shutil.rmtree(root / ".transform")
    wanted, second = 1, None
    if others == "one that ends":
        wanted = 3
        transform(root, "build", "--vars", "{n: 3}", env={"FLAG": ""})
    elif others == "one that still runs":
        more = {"FLAG": str(root / "other")}
        second = start(root, "build", "--vars", "{n: 4}", env=more)
        wait_for(root / "other")
    (root / "flag").unlink()
    _, words = first.communicate(timeout=60)
    assert first.returncode == 1, words
    assert "bug in the tool" not in words
    assert "`.transform` was removed during the build" in words
    assert query(live(root), "select n from two") == [(wanted,)]
    if second:
        (root / "other").unlink()
        _, words = second.communicate(timeout=60)
        assert second.returncode == 0, words
        assert query(live(root), "select n from two") == [(4,)]
    transform(root, "build", "--vars", "{n: 5}", env={"FLAG": ""})
    assert query(live(root), "select n from two") == [(5,)]
    assert not list(root.glob("*.wal*"))


@pytest.mark.parametrize("publish", [*TARGETS, "in place"])
def test_a_log_that_stands_before_a_build_is_folded_in_not_lost(
    tmp_path: Path, publish: str
) -> None:
    spelled = TARGETS.get(publish, "{mode: in_place}")
    root = write(tmp_path, {**PAIR, "transform.yml": f"targets: {{dev: {{publish: {spelled}}}}}\n"})
    transform(root, "build")
    name = "warehouse.full.duckdb" if "models" in publish else "warehouse.duckdb"
    written(root / name, KILLED)
    assert (root / f"{name}.wal").exists()
    transform(root, "build", "--vars", "{n: 2}")
    assert query(root / name, "select seven, n from theirs, two") == [(7, 2)]
    assert not list(root.glob("*.wal*"))


def test_a_log_is_folded_in_where_the_target_shows_some_models_from_now_on(tmp_path: Path) -> None:
    root = write(tmp_path, PAIR)
    transform(root, "build")
    written(live(root), KILLED)
    write(root, {"transform.yml": "targets: {dev: {publish: {models: [two]}}}\n"})
    transform(root, "build")
    assert query(root / "warehouse.full.duckdb", "select seven from theirs") == [(7,)]
    assert query(live(root), "select n from two") == [(1,)]


def test_a_log_without_its_file_is_left_alone(tmp_path: Path) -> None:
    root = write(tmp_path, PAIR)
    transform(root, "build")
    written(live(root), KILLED)
    live(root).rename(root / "aside.duckdb")
    held = (root / "warehouse.duckdb.wal").read_bytes()
    done = transform(root, "build", check=False)
    assert done.returncode == 1
    assert "`warehouse.duckdb.wal` holds what someone wrote" in done.stderr
    assert (root / "warehouse.duckdb.wal").read_bytes() == held
    (root / "aside.duckdb").rename(live(root))
    transform(root, "build")
    assert query(live(root), "select seven, n from theirs, two") == [(7, 1)]


def test_a_database_of_someone_else_is_not_replaced_by_an_extract(tmp_path: Path) -> None:
    files = {**PAIR, "transform.yml": "targets: {dev: {publish: {models: [two]}}}\n"}
    root = write(tmp_path, files)
    written(live(root), CLEAN)
    done = transform(root, "build", check=False)
    assert done.returncode == 1
    assert "holds what others wrote into it" in done.stderr
    assert query(live(root), "select seven from theirs") == [(7,)]


def test_an_extract_whose_publication_was_cut_short_is_still_ours(tmp_path: Path) -> None:
    """It is noted before it is put in its place."""
    files = {**PAIR, "transform.yml": "targets: {dev: {publish: {models: [two]}}}\n"}
    root = write(tmp_path, files)
    transform(root, "build")
    before = live(root).read_bytes()
    transform(root, "build", "--vars", "{n: 2}")
    live(root).write_bytes(before)  # as if it had been killed in between
    transform(root, "build", "--vars", "{n: 3}")
    assert query(live(root), "select n from two") == [(3,)]


@pytest.mark.parametrize("publish", ["{mode: gated}", "{models: [two]}"])
@pytest.mark.parametrize("damage", ["another file", "cut", "block"])
def test_what_cannot_be_read_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: str, damage: str
) -> None:
    """Whoever damages the finished copy: a disk, or somebody's program."""
    files = {**PAIR, "transform.yml": f"targets: {{dev: {{publish: {publish}}}}}\n"}
    bench = Bench(write(tmp_path, files))
    bench.build()
    before = live(tmp_path).read_bytes()
    plain = file._thin

    def thin(made: Path) -> None:
        plain(made)
        held = made.read_bytes()
        if damage == "another file":
            made.write_bytes(b"n,i\n1,2\n" * 4000)
        elif damage == "cut":
            made.write_bytes(held[: len(held) // 2])
        else:
            made.write_bytes(held[:12288] + bytes(len(held) - 12288))

    write(tmp_path, {"models/one.sql": "{{ config(materialized='table') }} select 2 as n, 1 as i"})
    with monkeypatch.context() as damaged:
        damaged.setattr(file, "_thin", thin)
        with pytest.raises(WarehouseError, match="not published: what was built cannot be read"):
            bench.build()
    assert live(tmp_path).read_bytes() == before
    assert bench.build().ok
    assert query(live(tmp_path), "select n from two") == [(2,)]
