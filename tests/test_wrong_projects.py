"""Every wrong project in `tests/wrong/` is told what is wrong, where, and what to do; and nothing
that was built before is touched."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.forked import servers
from tests.stories import Played, Step, agree, play, told

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

Played_ = Callable[[Path], Played]


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Iterator[Played_]:
    """What came of a story. Two are told at a time: most of it is waiting for processes."""
    asked = [story for item in request.session.items for story in _told_by(item)]
    with (
        tempfile.TemporaryDirectory() as home,
        servers(2) as free,
        ThreadPoolExecutor(2) as pool,
    ):
        found: dict[Path, Future[Played]] = {
            story: pool.submit(play, story, Path(home, story.stem), free)
            for story in dict.fromkeys(asked)
        }
        yield lambda story: found[story].result()


def _told_by(item: pytest.Item) -> list[Path]:
    """The story that a test of this file tells, when it is one of the chosen tests."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return [params["story"]] if item.path == Path(__file__) else []


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_wrong_project_is_told_what_to_do(story: Path, played: Played_) -> None:
    done = played(story)
    agree(done)
    wrong = [step for step in done.steps if step.code]
    assert wrong, "nothing was wrong"
    for step in wrong:
        _tells(step, done.folder, placed=story.stem not in _NO_PLACE)


def _tells(step: Step, folder: Path, *, placed: bool) -> None:
    """What is true of every failure, whatever it says."""
    text = step.printed
    assert "Traceback" not in text
    assert "tool's own fault" not in text
    assert str(folder) not in text
    assert re.search(r"^(  hint: .|see all rows: .)", text, re.MULTILINE), text
    assert not placed or re.search(r"^  \S+\.\w+:\d+", text, re.MULTILINE), text
    assert step.kept, "the warehouse was changed"
