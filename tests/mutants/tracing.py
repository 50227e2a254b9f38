"""Notes which lines of the tool each process runs, and for which test.

Python imports this as `sitecustomize` in every process that has its folder in PYTHONPATH. A test
runs commands in processes of their own: they find its name by the process that began them, in
`now/`, and leave what they ran in `ran/`, one JSON document a line: the test, and lines by file.
"""

from __future__ import annotations

import atexit
import json
import os
from pathlib import Path
from typing import NoReturn

import coverage  # type: ignore[import-not-found] # only where changes are made

HOME = Path(__file__).parent
NOW, RAN = HOME / "now", HOME / "ran"
CODE = (HOME / "code").read_text()
_LEAVE = os._exit


def _parent(process: int) -> int:
    try:
        told = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0
    return int(told.rpartition(")")[2].split()[1])


def _test() -> str:
    process = os.getpid()
    while process > 1:
        if (NOW / str(process)).exists():
            return (NOW / str(process)).read_text()
        process = _parent(process)
    return ""


class Trace:
    def __init__(self) -> None:
        self.coverage = coverage.Coverage(
            data_file=None, include=[f"{CODE}/*"], config_file=False, messages=False
        )
        self.coverage.set_option("run:disable_warnings", ["no-data-collected"])
        self.coverage.start()

    def note(self, test: str) -> None:
        """Writes what ran since the last call, and starts over."""
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {
            os.path.relpath(file, CODE): sorted(data.lines(file) or ())
            for file in data.measured_files()
        }
        if test and lines:
            with (RAN / str(os.getpid())).open("a") as out:
                out.write(json.dumps([test, lines]) + "\n")
        self.coverage.erase()
        self.coverage.start()


def _left(status: int) -> NoReturn:
    TRACE.note(_test())
    _LEAVE(status)


TRACE = Trace()
os._exit = _left
atexit.register(lambda: TRACE.note(_test()))
