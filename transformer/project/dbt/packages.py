"""The packages of a dbt project: installed ones, and local ones in place."""

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
    """One package that a project requires, as written, with its Jinja rendered."""

    written: Mapping[str, Any]
    where: Where

    @property
    def local(self) -> str:
        """The folder of a local package, else empty."""
        return str(self.written.get("local") or "")

    @property
    def title(self) -> str:
        """Its name in messages: the last part of its source."""
        name = self.written.get("name") or self.written.get("package")
        source = str(name or self.written.get("git") or self.written.get("private") or self.local)
        if not name and self.written.get("subdirectory"):
            source = str(self.written["subdirectory"])
        last_part = str(source or self.written.get("tarball") or "").rstrip("/").split("/")[-1]
        return last_part.removesuffix(".git")


class FoundPackages(Struct):
    """Packages by their real folder, in order of discovery."""

    homes: dict[str, tuple[PackageHome, YamlItem]] = field(default_factory=dict)

    def take(self, root: Path, shown: str, notes: ReadingNotes) -> bool:
        """Adds the package in a folder; False if it is not readable or already present."""
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


def entries(root: Path, shown: str, renderer: YamlRenderer) -> list[PackageEntry]:
    """The packages that `packages.yml` and `dependencies.yml` in a folder require."""
    entries_: list[PackageEntry] = []
    for name in FILES:
        saw(root / name)
        if not (root / name).is_file():
            continue
        path = f"{shown}/{name}" if shown else name
        try:
            tree = parse(
                read_text(root / name, path, renderer.notes), path, renderer.notes.duplicate_key
            )
        except TransformError as error:
            renderer.notes.mistakes.append(error)
            continue
        packages = child(tree, "packages")
        for item in packages.value if packages is not None and packages.is_list else ():
            if item.is_map:
                entries_.append(PackageEntry(renderer.value(item, later=()), item.where))
        if child(tree, "projects") is not None:
            renderer.notes.say(f"`projects` in `{name}` is ignored: other projects are not read")
    return entries_


def find_packages(
    root: Path, installed: str, renderer: YamlRenderer
) -> list[tuple[PackageHome, YamlItem]]:
    """Every package once. A missing required package is noted as a mistake."""
    packages = FoundPackages()
    folder = root / installed
    saw_folder(folder)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (path / FILE).is_file() and not path.name.startswith(("__", ".")):
            packages.take(path, f"{installed}/{path.name}", renderer.notes)
    requested = entries(root, "", renderer)
    _take_local(root, root, requested, renderer, packages)
    for entry in _missing(requested, packages, root):
        renderer.notes.mistake(
            f"the package `{entry.title}` is not installed",
            entry.where,
            hint="run `transform deps`",
        )
    return list(packages.homes.values())


def _take_local(
    project_root: Path,
    package_root: Path,
    requested: list[PackageEntry],
    renderer: YamlRenderer,
    packages: FoundPackages,
) -> None:
    """Adds local packages that are not installed, and their local packages."""
    for entry in requested:
        folder = Path(os.path.normpath(package_root / entry.local)) if entry.local else None
        if folder is not None:
            saw(folder / FILE)
        if folder is None or not (folder / FILE).is_file():
            continue
        shown = Path(os.path.relpath(folder, project_root)).as_posix()
        if packages.take(folder, shown, renderer.notes):
            _take_local(project_root, folder, entries(folder, shown, renderer), renderer, packages)


def _missing(
    requested: list[PackageEntry], packages: FoundPackages, root: Path
) -> Iterator[PackageEntry]:
    """Entries without a matching package. The name of a repository may differ from its package's,
    so it counts as missing only if there are fewer packages than entries."""
    names = {_normalized(str(item.value["name"][1].value))
             for _, item in packages.homes.values() if "name" in item.value}  # fmt: skip
    names |= {_normalized(home.root.name) for home, _ in packages.homes.values()}
    for entry in requested:
        if entry.local:
            if os.path.realpath(root / entry.local) not in packages.homes:
                yield entry
        elif _normalized(entry.title) not in names and (
            entry.written.get("package") or len(packages.homes) < len(requested)
        ):
            yield entry


def _normalized(name: str) -> str:
    return re.sub(r"^dbt_", "", name.lower().replace("-", "_"))
