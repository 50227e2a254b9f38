"""Fails where the tests notice the change that was made in a copy of the checkout.

    python -m tests.mutants.noticed MAP ORIGINAL

Run in the copy: the tests that run a changed line go first that run little else. Exits 0 where all
of them pass, and where the time is up: what is not noticed by then counts as not noticed.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from tests.mutants.covered import tests_of

ROOT = Path(__file__).parents[2]
LIMIT = 240.0  # seconds for one change
# So many seconds' worth of tests are started at once, first few, then more.
_STEPS = (10.0, 60.0, 200.0, 300.0)


def main() -> int:
    known, original = Path(sys.argv[1]), Path(sys.argv[2])
    end = time.monotonic() + LIMIT
    for file, lines in _changed(original):
        inside = [line for line in lines if line in _in_functions(original / file)]
        tests = tests_of(known, file.removeprefix("transformer/"), inside)
        for group in _groups(tests):
            left = end - time.monotonic()
            if left <= 0:
                return 0
            if _fail(group, left):
                return 1
    return 0


def _changed(original: Path) -> Iterator[tuple[str, list[int]]]:
    """The modules that are not what they were, and their changed lines as they were numbered."""
    for path in sorted((ROOT / "transformer").rglob("*.py")):
        file = str(path.relative_to(ROOT))
        old, new = (original / file).read_text(), path.read_text()
        if old != new:
            matcher = SequenceMatcher(None, old.splitlines(), new.splitlines(), autojunk=False)
            yield (
                file,
                [
                    line
                    for kind, start, stop, _, _ in matcher.get_opcodes()
                    if kind != "equal"
                    for line in range(start + 1, max(stop, start + 1) + 1)
                ],
            )


def _in_functions(path: Path) -> set[int]:
    made: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            body = node.body if isinstance(node.body, list) else [node.body]
            made.update(range(body[0].lineno, (body[-1].end_lineno or body[-1].lineno) + 1))
    return made


def _groups(tests: Sequence[tuple[str, float]]) -> Iterator[list[str]]:
    steps, group, spent = iter(_STEPS), list[str](), 0.0
    most = next(steps)
    for test, seconds in tests:
        group.append(test)
        spent += seconds
        if spent > most:
            yield group
            group, spent, most = [], 0.0, next(steps, _STEPS[-1])
    if group:
        yield group


def _fail(tests: Sequence[str], seconds: float) -> bool:
    """Whether one of these tests fails. What does not end is noticed too, by whoever waits."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(tests))
        listed.flush()
        words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        words += ["-n", "2", "--dist", "worksteal", f"@{listed.name}"]
        try:
            done = subprocess.run(words, cwd=ROOT, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
    return done.returncode not in (0, 5)


if __name__ == "__main__":
    sys.exit(main())
