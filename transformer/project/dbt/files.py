"""The files of a dbt project or package: found as dbt finds them, shown by their place in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from msgspec import Struct

from transformer.errors import ConfigError, Where, reason_of
from transformer.project.dbt.words import ReadingNotes
from transformer.project.digests import dbt_digest
from transformer.project.inputs import saw, saw_folder
from transformer.project.paths import not_a_file, path_shown, unusable
from transformer.project.settings import read_file

IGNORE = ".dbtignore"


class PackageFile(Struct, frozen=True):
    """A file: where it lies, how it is shown, and where it stands in its package.

    `local` is its path in the package, `inner` its path in the folder that was searched.
    """

    path: Path
    shown: str
    local: str
    inner: str

    @property
    def stem(self) -> str:
        """Its name without the ending."""
        return self.path.stem

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders between the searched one and the file."""
        return PurePosixPath(self.inner).parent.parts


class PackageHome(Struct, frozen=True):
    """The folder of a project or package, and how paths in it are shown."""

    root: Path
    shown: str
    notes: ReadingNotes

    def show(self, local: str) -> str:
        """The path as messages name it: relative to the root project."""
        return f"{self.shown}/{local}" if self.shown else local

    def find(self, folders: tuple[str, ...], *endings: str) -> list[PackageFile]:
        """The files with one of the endings under the folders, each once, in order."""
        ignored = _ignored(self.root)
        found: dict[str, PackageFile] = {}
        for folder in folders:
            home = Path(os.path.normpath(self.root / folder))
            for path in self._walked(home, endings):
                local = Path(os.path.relpath(path, self.root)).as_posix()
                if not ignored.search(local):
                    inner = path.relative_to(home).as_posix()
                    found.setdefault(local, PackageFile(path, self.show(local), local, inner))
        return list(found.values())

    def _walked(self, home: Path, endings: tuple[str, ...]) -> Iterator[Path]:
        if reason := unusable(str(home)):
            self.notes.mistake(
                f"this is not a folder: {reason}", Where(self.show("dbt_project.yml"))
            )
            return
        for path in _walk(home, endings):
            if reason := not_a_file(path):
                shown = path_shown(self.show(os.path.relpath(path, self.root)))
                self.notes.mistake(reason, Where(shown, 1), hint="remove it, or repair it")
            else:
                yield path

    def read(self, file: PackageFile) -> str:
        """The file's text; one that cannot be read is a mistake, and empty."""
        return read_text(file.path, file.shown, self.notes)


def read_text(path: Path, shown: str, notes: ReadingNotes) -> str:
    """The text of a file; one that cannot be read is a mistake, and empty."""
    try:
        return read_file(path, shown)
    except ConfigError as error:
        notes.mistakes.append(error)
        notes.unread.add(shown)
        return ""


def digest(file: PackageFile, notes: ReadingNotes) -> str:
    """A hash of what the file holds, as dbt's manifest has it."""
    saw(file.path)
    try:
        return dbt_digest(file.path.read_bytes())
    except OSError as error:
        what = f"this file cannot be read: {reason_of(error)}"
        notes.mistake(what, Where(file.shown, 1), hint="look at its permissions")
        return ""


def _walk(home: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Files below a folder, links followed, no folder entered twice."""
    seen: set[str] = set()
    saw_folder(home)
    for folder, inner, names in os.walk(home, followlinks=True):
        saw_folder(folder)
        real = os.path.realpath(folder)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner.sort()
        for name in sorted(names):
            if name[0] not in ".#~" and name.lower().endswith(endings):
                yield Path(folder, name)


def _ignored(root: Path) -> re.Pattern[str]:
    """What `.dbtignore` leaves out, written as in `.gitignore`."""
    path = root / IGNORE
    saw(path)
    lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith(("#", "!"))]
    return re.compile("|".join(_pattern(each) for each in patterns) or r"(?!)")


def _pattern(text: str) -> str:
    anchored = "/" in text.rstrip("/")
    body = re.escape(text.strip("/"))
    for written, meant in ((r"\*\*/", "(?:.*/)?"), (r"\*\*", ".*"), (r"\*", "[^/]*"), (r"\?", ".")):
        body = body.replace(written, meant)
    return rf"{'^' if anchored else '(?:^|/)'}{body}(?:/|$)"
