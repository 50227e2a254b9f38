"""The files of a dbt project or package, located as dbt does."""

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
    """A file: its path, and its path in messages, in its package, and in the searched folder.

    `shown` is for messages, `local` relative to the package, `inner` to the searched folder.
    """

    path: Path
    shown: str
    local: str
    inner: str

    @property
    def stem(self) -> str:
        """Its name without the extension."""
        return self.path.stem

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders between the searched folder and the file."""
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
        """The files with one of the extensions below the folders, without duplicates, in order."""
        ignored = _ignored(self.root)
        files: dict[str, PackageFile] = {}
        for folder in folders:
            home = Path(os.path.normpath(self.root / folder))
            for path in self._walked(home, endings):
                local = Path(os.path.relpath(path, self.root)).as_posix()
                if not ignored.search(local):
                    inner = path.relative_to(home).as_posix()
                    files.setdefault(local, PackageFile(path, self.show(local), local, inner))
        return list(files.values())

    def _walked(self, home: Path, endings: tuple[str, ...]) -> Iterator[Path]:
        if reason := unusable(str(home)):
            self.notes.mistake(
                f"this is not a folder: {reason}", Where(self.show("dbt_project.yml"))
            )
            return
        for path in _walk(home, endings):
            if reason := not_a_file(path):
                shown = path_shown(self.show(os.path.relpath(path, self.root)))
                self.notes.mistake(reason, Where(shown, 1), hint="remove or repair it")
            else:
                yield path

    def read(self, file: PackageFile) -> str:
        """The file's text; an unreadable file is noted as a mistake and returns an empty text."""
        return read_text(file.path, file.shown, self.notes)


def read_text(path: Path, shown: str, notes: ReadingNotes) -> str:
    """The text of a file; an unreadable file is noted as a mistake and returns an empty text."""
    try:
        return read_file(path, shown)
    except ConfigError as error:
        notes.mistakes.append(error)
        notes.unread.add(shown)
        return ""


def digest(file: PackageFile, notes: ReadingNotes) -> str:
    """The checksum of the file's content, as in dbt's manifest."""
    saw(file.path)
    try:
        return dbt_digest(file.path.read_bytes())
    except OSError as error:
        what = f"this file cannot be read: {reason_of(error)}"
        notes.mistake(what, Where(file.shown, 1), hint="check its permissions")
        return ""


def _walk(home: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Files below a folder; links are followed, but no folder is visited twice."""
    visited: set[str] = set()
    saw_folder(home)
    for folder, inner, names in os.walk(home, followlinks=True):
        saw_folder(folder)
        real = os.path.realpath(folder)
        if real in visited:
            inner.clear()
            continue
        visited.add(real)
        inner.sort()
        for name in sorted(names):
            if name[0] not in ".#~" and name.lower().endswith(endings):
                yield Path(folder, name)


def _ignored(root: Path) -> re.Pattern[str]:
    """The paths that `.dbtignore` excludes, in the syntax of `.gitignore`."""
    path = root / IGNORE
    saw(path)
    lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith(("#", "!"))]
    return re.compile("|".join(_pattern(pattern) for pattern in patterns) or r"(?!)")


def _pattern(text: str) -> str:
    anchored = "/" in text.rstrip("/")
    body = re.escape(text.strip("/"))
    for glob, regex in ((r"\*\*/", "(?:.*/)?"), (r"\*\*", ".*"), (r"\*", "[^/]*"), (r"\?", ".")):
        body = body.replace(glob, regex)
    return rf"{'^' if anchored else '(?:^|/)'}{body}(?:/|$)"
