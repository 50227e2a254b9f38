"""A disk that is full, has no names left, or cannot be written to: the build says so, the published
file is as it was, and the next build ends where an undisturbed one does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.projects import environment

ALONE = ("unshare", "-rm")


def can_mount() -> bool:
    """Whether a disk can be mounted here, in a namespace of its own."""
    if not shutil.which("unshare"):
        return False
    words = [*ALONE, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="no disk can be mounted here")


def trials(kind: str, count: int, seed: int = 1) -> list[dict[str, Any]]:
    done = subprocess.run(
        [*ALONE, sys.executable, "-m", "tests.small_disk", kind, str(count), str(seed)],
        cwd=Path(__file__).parents[2],
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def hold(tried: list[dict[str, Any]]) -> None:
    for each in tried:
        assert each["code"] in (0, 1), each["words"]
        assert "bug in the tool" not in each["words"], each["words"]
        assert "Traceback" not in each["words"], each["words"]
        if each["untouched"]:
            assert each["code"] == 1, each
            assert "space left" in each["words"] or "read-only" in each["words"], each["words"]
        assert each["equal"], (each["left"], each["words"], each["then_words"])
        assert each["behind"] == ["lock"], each


def test_a_build_on_a_full_disk_fails_and_the_next_one_is_whole() -> None:
    tried = trials("space", 3)
    hold(tried)
    assert {each["code"] for each in tried} == {0, 1}  # from too little to enough


def test_a_build_on_a_disk_without_names_fails_and_the_next_one_is_whole() -> None:
    hold(trials("names", 3, seed=2))  # with none at all nothing begins


def test_a_build_on_a_disk_that_is_read_only_fails_and_the_next_one_is_whole() -> None:
    hold(trials("reading", 1))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["space", "names"])
def test_disks_of_twenty_sizes(kind: str, seed: int) -> None:
    hold(trials(kind, 20, seed))
