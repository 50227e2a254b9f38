"""Which paths a project reads or makes itself: no activation may write there.

What is written is decided by the file system: links are followed, `..` is taken away, and names
that differ in their case alone are one name where it says so. So it is looked at for each plan.
"""

from __future__ import annotations

import glob
import os
import unicodedata
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct

from transformer.compile.nodes import ActivationBody, Graph, SourceBody
from transformer.errors import ConfigError, TransformError
from transformer.project.paths import Places, is_remote
from transformer.project.values import Activation, Project
from transformer.warehouse.file import WarehouseFiles
from transformer.warehouse.publication import Publication
from transformer.warehouse.sparse_copy import log_names

# Files of a project that lie in its folder itself.
_OWN = ("transform.yml", "dbt_project.yml", "profiles.yml", ".env")
# Databases that are a file.
_IN_A_FILE = ("sqlite", "duckdb")
# How a database names itself, behind eight bytes of a checksum.
_DUCKDB = b"DUCK"


class _Claim(Struct, frozen=True):
    """A file, a folder with all that is in it, or a pattern, and whose it is."""

    path: Path
    whose: str
    folder: bool = False
    pattern: bool = False


def taken(
    project: Project, graph: Graph, places: Places, place: Publication
) -> list[TransformError]:
    """A mistake for each activation that would write to a path that is read or made elsewhere in
    the project, or by another activation."""
    heads = (node for node in graph if node.kind == "activation")  # bodies are decoded when read
    sent = [each.body.activation for each in heads if isinstance(each.body, ActivationBody)]
    files = [each for each in sent if each.kind == "files" and "path" in each.options]
    if not files:
        return []
    same = _Names(is_folding(places.root))
    claims = [*_own(project, places, place), *_read(graph, places)]
    mistakes: list[TransformError] = []
    written: dict[str, Activation] = {}
    for each in files:
        try:
            path = places.resolve(str(each.options["path"]), each.place("to"))
        except TransformError as error:
            mistakes.append(error)
            continue
        whose = next((c.whose for c in claims if same.covers(c, path)), "")
        other = written.setdefault(same.key(path), each)
        if other is not each:
            whose = whose or f"the file of the activation `{other.name}`"
        if not whose and _is_database(path):
            whose = "a database"
        if whose:
            mistakes.append(
                ConfigError(
                    f"activation `{each.name}` would replace `{each.options['path']}`: {whose}",
                    each.place("to"),
                    hint="give it a file of its own, such as `exports/"
                    f"{each.name}.csv`; nothing was built",
                )
            )
    return mistakes


def _own(project: Project, places: Places, place: Publication) -> Iterator[_Claim]:
    """What a project consists of, and what the tool makes of it."""
    root = places.root
    for name in _OWN:
        yield _Claim(root / name, "a file of the project")
    for name in (*project.folders, *project.asset_paths):
        yield _Claim(root / name, f"`{name}` holds files of the project", folder=True)
    yield _Claim(root / (project.target_path or "target"), "artifacts are left there", folder=True)
    for live in dict.fromkeys((place.shown, place.warehouse.live, *_others(project, places))):
        warehouse = WarehouseFiles(live)
        for path in (live, warehouse.synced):
            whose = "the warehouse" if path == live else "the sync ledger"
            for file in (path, *(path.with_name(path.name + each) for each in log_names())):
                yield _Claim(file, whose)
        yield _Claim(live.parent / ".transform", "builds work there", folder=True)
    yield _Claim(root / ".transform", "builds work there", folder=True)


def _others(project: Project, places: Places) -> Iterator[Path]:
    """Databases that the target attaches."""
    for each in project.target.attach:
        path = each.get("path")
        if isinstance(path, str) and "://" not in path:
            yield places.root / Path(path).expanduser()


def _read(graph: Graph, places: Places) -> Iterator[_Claim]:
    """What is loaded, and what queries name."""
    for node in graph:
        for name in node.steadiness.files:
            if "://" not in name:
                yield _claimed(places, name, f"`{node.name}` reads it")
        load = node.body.table.load if isinstance(node.body, SourceBody) else None
        for path in _texts(load.options.get("path")) if load else ():
            if not is_remote(path):
                yield _claimed(places, path, f"the source `{node.name}` is loaded from it")
        for path in _texts(load.options.get("url")) if load else ():
            scheme, _, file = path.partition(":")
            if scheme in _IN_A_FILE:
                named = places.root / Path(file.removeprefix("//")).expanduser()
                for each in ("", "-wal", ".wal"):
                    beside = named.with_name(named.name + each)
                    yield _Claim(beside, f"the source `{node.name}` is loaded from it")


def _claimed(places: Places, name: str, whose: str) -> _Claim:
    return _Claim(places.root / Path(name).expanduser(), whose, pattern=glob.has_magic(name))


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


class _Names(Struct, frozen=True):
    """How names of files are compared."""

    folds: bool

    def key(self, path: Path) -> str:
        """The same for two names of one file."""
        text = os.fspath(path)
        return unicodedata.normalize("NFC", text).casefold() if self.folds else text

    def covers(self, claim: _Claim, path: Path) -> bool:
        """Whether a file is what is claimed, or lies in it."""
        if _is_one(claim.path, path):
            return True
        own = self.key(claim.path.resolve())
        if claim.folder:
            return self.key(path) == own or self.key(path).startswith(own + os.sep)
        if own == self.key(path):
            return True
        return claim.pattern and self._matches(claim.path, path)

    def _matches(self, pattern: Path, path: Path) -> bool:
        """Whether a pattern finds a file, or will once it is there."""
        parts = pattern.parts
        first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        fixed = self.key(Path(*parts[:first]).resolve())
        if self.key(path).startswith(fixed.rstrip(os.sep) + os.sep):
            inner = Path(self.key(path)).parts[len(Path(fixed).parts) :]
            if _fits(inner, tuple(map(self.key, map(Path, parts[first:])))):
                return True
        # Folders on the way may be links.
        name = "*" if parts[-1] == "**" else self.key(Path(parts[-1]))
        way = str(pattern if parts[-1] == "**" else pattern.parent)
        folders = glob.glob(way, recursive=True, include_hidden=True)  # noqa: PTH207 - absolute
        here = self.key(path.parent)
        return fnmatchcase(self.key(Path(path.name)), name) and any(
            self.key(Path(folder).resolve()) == here for folder in folders
        )


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether the parts of a path are what a pattern says; `**` is any number of them."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        rest = pattern[1:]
        return any(_fits(parts[at:], rest or ("*",)) for at in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _is_one(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(12)[8:] == _DUCKDB
    except (OSError, ValueError):
        return False


def is_folding(folder: Path) -> bool:
    """Whether names that differ in their case alone are one name there."""
    return any(_is_one(each, each.with_name(each.name.swapcase())) for each in _some(folder))


def _some(folder: Path) -> Iterable[Path]:
    """Names in which a case shows."""
    try:
        return [each for each in folder.iterdir() if each.name.swapcase() != each.name][:3]
    except OSError:
        return []
