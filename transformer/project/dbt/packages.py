"""The packages of a dbt project: those installed, and local ones where they lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from transformer.errors import TransformError, Where
from transformer.project.dbt.files import PackageHome, read_text
from transformer.project.dbt.projectfile import FILE, read_raw
from transformer.project.dbt.words import ReadingNotes, YamlRenderer, child
from transformer.project.inputs import saw, saw_folder
from transformer.project.tree import YamlItem, parse

FILES = ("packages.yml", "dependencies.yml")
INSTALLED = "dbt_packages"


class PackageEntry(Struct, frozen=True):
    """One package that a project asks for, as written and filled in."""

    written: Mapping[str, Any]
    where: Where

    @property
    def local(self) -> str:
        """The folder it lies in, where it is a local one."""
        return str(self.written.get("local") or "")

    @property
    def title(self) -> str:
        """What to call it: the last word of where it comes from."""
        named = self.written.get("name") or self.written.get("package")
        source = str(named or self.written.get("git") or self.written.get("private") or self.local)
        if not named and self.written.get("subdirectory"):
            source = str(self.written["subdirectory"])
        tail = str(source or self.written.get("tarball") or "").rstrip("/").split("/")[-1]
        return tail.removesuffix(".git")


class FoundPackages(Struct):
    """Packages by the folder they really lie in, in the order they were found."""

    homes: dict[str, tuple[PackageHome, YamlItem]] = field(default_factory=dict)

    def take(self, root: Path, shown: str, notes: ReadingNotes) -> bool:
        """Takes in the package in a folder, unless it is none or there already."""
        real = os.path.realpath(root)
        if real in self.homes:
            return False
        try:
            item = read_raw(root, f"{shown}/{FILE}")
        except TransformError as error:
            notes.mistakes.append(error)
            return False
        self.homes[real] = (PackageHome(root, shown, notes), item)
        return True


def entries(root: Path, shown: str, words: YamlRenderer) -> list[PackageEntry]:
    """What the project in a folder asks for in `packages.yml` and `dependencies.yml`."""
    found: list[PackageEntry] = []
    for name in FILES:
        saw(root / name)
        if not (root / name).is_file():
            continue
        path = f"{shown}/{name}" if shown else name
        try:
            tree = parse(read_text(root / name, path, words.notes), path, words.notes.twice)
        except TransformError as error:
            words.notes.mistakes.append(error)
            continue
        listed = child(tree, "packages")
        for item in listed.value if listed is not None and listed.is_list else ():
            if item.is_map:
                found.append(PackageEntry(words.value(item, later=()), item.where))
        if child(tree, "projects") is not None:
            words.notes.say(f"`projects` in `{name}` is passed over: other projects are not read")
    return found


def find_packages(
    root: Path, installed: str, words: YamlRenderer
) -> list[tuple[PackageHome, YamlItem]]:
    """Every package, once. One that is asked for and not there is a mistake."""
    found = FoundPackages()
    folder = root / installed
    saw_folder(folder)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (path / FILE).is_file() and not path.name.startswith(("__", ".")):
            found.take(path, f"{installed}/{path.name}", words.notes)
    asked = entries(root, "", words)
    _take_local(root, root, asked, words, found)
    for entry in _missing(asked, found, root):
        words.notes.mistake(
            f"the package `{entry.title}` is not installed",
            entry.where,
            hint="`transform deps` installs packages",
        )
    return list(found.homes.values())


def _take_local(
    top: Path, home: Path, asked: list[PackageEntry], words: YamlRenderer, found: FoundPackages
) -> None:
    """Local packages that are not installed are read where they lie, and theirs as well."""
    for entry in asked:
        there = Path(os.path.normpath(home / entry.local)) if entry.local else None
        if there is not None:
            saw(there / FILE)
        if there is None or not (there / FILE).is_file():
            continue
        shown = Path(os.path.relpath(there, top)).as_posix()
        if found.take(there, shown, words.notes):
            _take_local(top, there, entries(there, shown, words), words, found)


def _missing(asked: list[PackageEntry], found: FoundPackages, root: Path) -> Iterator[PackageEntry]:
    """Entries for which no package is there, by name; a repository may have another name than
    its package, so one of those is missed only when there are fewer packages than entries."""
    names = {_bare(str(item.value["name"][1].value))
             for _, item in found.homes.values() if "name" in item.value}  # fmt: skip
    names |= {_bare(home.root.name) for home, _ in found.homes.values()}
    for entry in asked:
        if entry.local:
            if os.path.realpath(root / entry.local) not in found.homes:
                yield entry
        elif _bare(entry.title) not in names and (
            entry.written.get("package") or len(found.homes) < len(asked)
        ):
            yield entry


def _bare(name: str) -> str:
    return re.sub(r"^dbt_", "", name.lower().replace("-", "_"))
