"""Every wrong project in `tests/wrong/` is told what is wrong, where, and what to do; and nothing
that was built before is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forked import Servers, servers
from tests.stories import Step, agree, play, told

STORIES = told(Path(__file__).parent / "wrong")
# What is wrong lies in no file of the project, or in its data: there is no line to show.
_NO_PLACE = frozenset(
    {
        "bad_vars",
        "check_fails",
        "disk_full",
        "missing_project",
        "selector_finds_nothing",
        "source_check_fails",
        "two_builds_at_once",
        "unknown_setting",
        "warehouse_is_locked",
        "warehouse_is_no_duckdb_file",
        "warehouse_not_writable",
    }
)


@pytest.fixture(scope="module")
def free() -> Iterator[Servers]:
    """A process that does not wait for its imports: one for each worker, which tells the stories
    that it is given."""
    with servers(1) as made:
        yield made


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_wrong_project_is_told_what_to_do(story: Path, tmp_path: Path, free: Servers) -> None:
    done = play(story, tmp_path / story.stem, free)
    agree(done)
    wrong = [step for step in done.steps if step.code]
    assert wrong, "nothing was wrong"
    for step in wrong:
        _tells(step, done.folder, placed=story.stem not in _NO_PLACE)


def _tells(step: Step, folder: Path, *, placed: bool) -> None:
    """What is true of every failure, whatever it says."""
    text = step.printed
    assert "Traceback" not in text
    assert "bug in the tool" not in text
    assert str(folder) not in text
    assert re.search(r"^(  hint: .|see all rows: .)", text, re.MULTILINE), text
    assert not placed or re.search(r"^  \S+\.\w+:\d+", text, re.MULTILINE), text
    assert step.kept, "the warehouse was changed"
