"""Who may read the warehouse stays as it was, and nothing beside it is for more than they are, at
no instant."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.projects import COMMAND, environment, query, transform, write

FILES = {
    "transform.yml": "targets: {dev: {publish: PUBLISH}}\n",
    "seeds/people.csv": "id,name\n1,ann\n2,bob\n",
    "models/two.sql": """
        {{ config(materialized='table') }}
        select id, name, {{ var('n', 1) }} as n from {{ ref('people') }}
    """,
    "models/large.sql": """
        {{ config(materialized='table') }}
        select i, {{ var('n', 1) }} as n from range(400000) t(i)
    """,
    "models/a.yml": """
        activations:
          - name: out
            model: two
            key: id
            to: {kind: files, path: exports/out.csv}
    """,
}
PUBLISH = {"whole": "{mode: gated}", "some": "{models: [two]}", "in place": "{mode: in_place}"}
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def project(root: Path, publish: str) -> Path:
    text = FILES["transform.yml"].replace("PUBLISH", PUBLISH[publish])
    return write(root, {**FILES, "transform.yml": text})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def build(root: Path, n: int, umask: int = 0o022) -> None:
    done = subprocess.run(
        [*COMMAND, "build", "--vars", f"{{n: {n}}}"],
        cwd=root,
        env=environment({"PYTHONPATH": str(Path(__file__).parents[2])}),
        umask=umask,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert query(root / "warehouse.duckdb", "select distinct n from two") == [(n,)]


def left(root: Path) -> list[Path]:
    """All that the tool has made, but for what it was asked to send."""
    homes = (root / ".transform", root / "target")
    inside = [path for home in homes for path in home.rglob("*")]
    return [*inside, *root.glob("warehouse*")]


def readers(path: Path, top: Path) -> int:
    """Who may read it, through its folders: the bits of group and others."""
    bits = mode(path) & 0o077
    for folder in path.relative_to(top).parents:
        if folder != Path():
            passing = mode(top / folder)
            bits &= (0o070 if passing & 0o010 else 0) | (0o007 if passing & 0o001 else 0)
    return bits


@contextmanager
def watched(root: Path, allowed: int) -> Iterator[list[str]]:
    """Looks again and again at all that is there; what is found that is for more than allowed."""
    found: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for path in left(root):
                try:
                    if path.is_file() and readers(path, root) & ~allowed:
                        found.append(f"{path.relative_to(root)} {mode(path):o}")
                except FileNotFoundError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
@pytest.mark.parametrize("publish", PUBLISH)
def test_what_is_made_first_follows_the_umask(tmp_path: Path, publish: str, umask: int) -> None:
    root = project(tmp_path, publish)
    with watched(root, 0o077 & ~umask) as found:
        build(root, 1, umask)
    assert not found
    made = [path for path in left(root) if path.is_file()]
    assert (root / "warehouse.sync.duckdb") in made
    assert {mode(path) for path in made} == {0o666 & ~umask}
    assert mode(root / "exports/out.csv") == 0o666 & ~umask


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("own", [0o600, 0o640, 0o664])
@pytest.mark.parametrize("publish", PUBLISH)
def test_the_file_keeps_its_mode_and_nothing_beside_it_is_for_more(
    tmp_path: Path, publish: str, own: int, umask: int
) -> None:
    root = project(tmp_path, publish)
    build(root, 1, 0o000)
    (root / "warehouse.duckdb").chmod(own)
    build(root, 2, umask)  # what an earlier one left wider is narrowed by this one
    assert mode(root / "warehouse.duckdb") == own
    allowed = own & 0o077
    wide = [str(p) for p in left(root) if p.is_file() and readers(p, root) & ~allowed]
    assert not wide


@pytest.mark.parametrize("publish", PUBLISH)
def test_nothing_is_wider_at_any_instant(tmp_path: Path, publish: str) -> None:
    root = project(tmp_path, publish)
    build(root, 1, 0o077)
    with watched(root, 0o000) as found:
        for n in (2, 3):
            build(root, n, 0o000)
    assert not sorted(set(found))


@needs_root
@pytest.mark.parametrize("publish", PUBLISH)
def test_the_file_keeps_its_owner_and_group(tmp_path: Path, publish: str) -> None:
    root = project(tmp_path, publish)
    build(root, 1)
    live = root / "warehouse.duckdb"
    os.chown(live, NOBODY, 12345)
    live.chmod(0o640)
    build(root, 2)
    now = live.stat()
    assert (now.st_uid, now.st_gid, mode(live)) == (NOBODY, 12345, 0o640)
    for path in left(root):
        own = path.stat()
        if path.is_file() and readers(path, root) & 0o070:
            assert own.st_gid == 12345, path


@needs_root
def test_where_the_group_cannot_be_kept_it_is_given_nothing(tmp_path: Path) -> None:
    """Another group would read what it never could."""
    tmp_path.chmod(0o755)
    root = project(tmp_path / "here", "whole")
    build(root, 1)
    live = root / "warehouse.duckdb"
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.chown(live, NOBODY, 12345)
    live.chmod(0o640)
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from transformer.permissions import like\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "made = Path('made'); made.write_text(''); like(made, Path('warehouse.duckdb'))\n"
        "print(oct(made.stat().st_mode & 0o777))"
    )
    script = tmp_path / "child.py"
    script.write_text(code)
    package = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=root,
        env=environment({"PYTHONPATH": str(package)}),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout.strip() == "0o600", done.stderr


def entries(*listed: tuple[int, int, int]) -> bytes:
    """An access list as Linux keeps it: tag, permissions, id."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in listed)


NONE = 0xFFFFFFFF
LISTED = entries((1, 6, NONE), (2, 4, NOBODY), (4, 0, NONE), (0x10, 4, NONE), (0x20, 0, NONE))


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="there are no extended attributes")
@pytest.mark.parametrize("publish", PUBLISH)
def test_the_file_keeps_its_attributes_and_access_list(tmp_path: Path, publish: str) -> None:
    root = project(tmp_path, publish)
    build(root, 1)
    live = root / "warehouse.duckdb"
    try:
        os.setxattr(live, "user.owner", b"finance")
        os.setxattr(live, "system.posix_acl_access", LISTED)
    except OSError:
        pytest.skip("this file system has no access lists")
    build(root, 2)
    assert os.getxattr(live, "user.owner") == b"finance"
    assert os.getxattr(live, "system.posix_acl_access") == LISTED


@needs_root
def test_what_a_build_sends_to_a_file_keeps_owner_and_mode(tmp_path: Path) -> None:
    root = project(tmp_path, "whole")
    build(root, 1)
    sent = root / "exports/out.csv"
    os.chown(sent, NOBODY, 12345)
    sent.chmod(0o604)
    build(root, 2)
    now = sent.stat()
    assert (now.st_uid, now.st_gid, mode(sent)) == (NOBODY, 12345, 0o604)


def test_artifacts_of_other_commands_are_no_wider_either(tmp_path: Path) -> None:
    root = project(tmp_path, "whole")
    build(root, 1)
    (root / "warehouse.duckdb").chmod(0o600)
    transform(root, "docs", "generate")
    transform(root, "compile")
    written = [path for path in (root / "target").rglob("*") if path.is_file()]
    assert written
    assert {mode(path) & 0o077 for path in written} == {0}
