"""Markdown that is a test: project files, commands, and what they print, in the order of the text.

A story is a Markdown file. Its fenced blocks are done one after the other in an empty folder:

    ```sql models/orders.sql     a file of the project; a later block with the same path changes it
    ```python setup              Python for what text cannot say; it knows `project` (the folder)
                                 and `cleanup` (an ExitStack that is closed after the story)
    ```console                   commands after `$ `, run by a shell; below each what it prints,
                                 stdout and stderr as one, and `(exit N)` where N is not 0;
                                 `as-user` before a command lets permissions count for root too

Blocks in other languages without a path are prose. The words are compared exactly; only
durations, sizes, moments and process ids are evened out. `UPDATE_GOLDEN=1` writes down what is
printed now.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests import forked
from tests.forked import Servers

UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))
_FENCE = re.compile(
    r"^```(?P<lang>\w+)(?: (?P<what>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_EVEN = (
    (re.compile(r"\d+\.\d s\b"), "0.1 s"),
    (re.compile(r"\b\d+(\.\d)? [kM]B\b"), "1.0 MB"),
    (re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}(?P<s>:\d{2})?(?= UTC|\)| \()"), "2024-07-01 18:02"),
    (re.compile(r"\bpython[\d.]* \(process"), "python (process"),
    (re.compile(r"\(process \d+"), "(process 4711"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the word behind it, its text, and where the text stands."""

    lang: str
    what: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Step:
    """A command that was run. `kept`: whether the warehouse is, byte for byte, the same."""

    line: str
    expected: str
    printed: str
    code: int
    kept: bool

    @property
    def shown(self) -> str:
        """What is printed, as it stands in the story."""
        code = f"(exit {self.code})\n" if self.code else ""
        return self.printed + code


@dataclass(frozen=True, slots=True)
class _Place:
    """Where commands are run: the project's folder, and a folder of commands for PATH."""

    project: Path
    bin_folder: Path
    servers: Servers | None

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": f"{self.bin_folder}:{os.environ['PATH']}",
            "HOME": str(self.bin_folder),
            "COLUMNS": "120",
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }


@dataclass(frozen=True, slots=True)
class Played:
    """A story and everything that came of it."""

    path: Path
    folder: Path
    steps: tuple[Step, ...]
    text: str


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text."""
    for found in _FENCE.finditer(text):
        start, end = found.span("text")
        yield Block(found["lang"], found["what"] or "", found["text"], start, end)


def play(path: Path, folder: Path, servers: Servers | None = None) -> Played:
    """Tells the story in the folder. `text` is the story with what was printed now. With `servers`
    plain commands do not wait for their imports."""
    text = path.read_text(encoding="utf-8")
    bin_folder = _command(folder)
    project = folder / "project"
    project.mkdir()
    place = _Place(project, bin_folder, servers)
    steps: list[Step] = []
    made, at = [], 0
    with ExitStack() as cleanup:
        for block in blocks(text):
            if block.lang == "console":
                done = [_run(line, said, place) for line, said in _asked(block)]
                steps += done
                shown = "\n".join(f"$ {step.line}\n{step.shown}" for step in done)
                made += [text[at : block.start], shown]
                at = block.end
            elif block.what == "setup":
                exec(block.text, {"project": project, "cleanup": cleanup})  # noqa: S102 - our own text
            elif block.what:
                _write(project / block.what, block.text)
    return Played(path, folder, tuple(steps), "".join([*made, text[at:]]))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _asked(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of the block and what it is expected to print."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, said = part.partition("\n")
        yield line, said


def _command(folder: Path) -> Path:
    """A folder for PATH that holds `transform`, run by this very Python, and `as-user`, under which
    permissions count even for root."""
    home = folder / "bin"
    home.mkdir(parents=True)
    plain = "setpriv --inh-caps=-all --bounding-set=-all" if os.geteuid() == 0 else ""
    for name, words in (("transform", f"{sys.executable} -m transformer"), ("as-user", plain)):
        script = home / name
        script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        script.chmod(0o755)
    return home


def _run(line: str, expected: str, place: _Place) -> Step:
    """Runs the line in the project's folder, with an environment of its own."""
    before = _digest(place.project)
    code, said = _forked(line, place) or _shell(line, place)
    printed = evened(said)
    return Step(line, expected, printed, code, _digest(place.project) == before)


def _forked(line: str, place: _Place) -> tuple[int, str] | None:
    """A plain command, without the time of its imports; None for what only a shell can do."""
    plain = line.startswith("transform ") and not re.search(r"[|&;<>$`*]", line)
    if place.servers is None or not plain:
        return None
    return forked.run(place.servers, shlex.split(line)[1:], place.project, place.env)


def _shell(line: str, place: _Place) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=place.project,
        env=place.env,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    return done.returncode, done.stdout.decode()


def _digest(project: Path) -> dict[str, str]:
    """Every warehouse file of the project, told by its bytes."""
    files = [path for path in project.glob("*.duckdb") if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def evened(text: str) -> str:
    """The text with durations, sizes, moments and process ids that are always the same."""
    for pattern, word in _EVEN:
        text = pattern.sub(word, text)
    lines = [line.rstrip() for line in text.splitlines()]
    return "".join(f"{line}\n" for line in lines).strip("\n") + "\n" if text.strip() else ""


def agree(played: Played) -> None:
    """Compares what was printed with the story, or writes it down."""
    if UPDATE:
        played.path.write_text(played.text, encoding="utf-8")
        return
    for step in played.steps:
        assert step.shown.strip("\n") == step.expected.strip("\n"), _differs(played, step)


def _differs(played: Played, step: Step) -> str:
    shown = textwrap.indent(step.shown, "    ")
    return f"{played.path.name}: `{step.line}` prints\n{shown}"


def told(folder: Path) -> Sequence[Path]:
    """The stories of a folder."""
    return sorted(folder.glob("*.md"))
