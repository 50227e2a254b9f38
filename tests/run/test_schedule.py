"""What is said while steps are done: each begins and ends once, and how many have ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import write
from transformer.flows.build import build
from transformer.request import BuildOptions, Environment, Event, Request

TABLE = "{{ config(materialized='table') }} "


@pytest.mark.parametrize("threads", [1, 3])
def test_the_steps_that_have_ended_are_counted(tmp_path: Path, threads: int) -> None:
    files = {f"models/m{n}.sql": f"{TABLE}select {n} as x" for n in range(4)}
    files["models/bad.sql"] = f"{TABLE}select error('no') as x"
    files["models/below.sql"] = "select * from bad"
    heard: list[Event] = []
    write(tmp_path, files)
    build(Request(tmp_path), BuildOptions(threads=threads), Environment({}), heard.append)
    steps = [event for event in heard if event.action == "build"]
    assert {event.total for event in steps} == {6}
    ended = [event for event in steps if event.kind == "end"]
    assert [event.done for event in ended] == [1, 2, 3, 4, 5, 6]
    assert {event.label for event in ended} == {"m0", "m1", "m2", "m3", "bad", "below"}
    begun = [event for event in steps if event.kind == "begin"]
    assert len(begun) == 5, "what is skipped does not begin"
    for event in begun:  # as many as had ended by then
        assert event.done <= sum(e.kind == "end" for e in steps[: steps.index(event)])
    assert max(event.done for event in begun) >= 5 - threads
