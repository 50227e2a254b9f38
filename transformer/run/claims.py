"""Paths that a project reads or writes itself, to which no activation may write.

The file system decides which paths are the same: links are followed, `..` is resolved, and names
may be case-insensitive. So this is checked for every plan.
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

# Files in the project's root folder.
_OWN = ("transform.yml", "dbt_project.yml", "profiles.yml", ".env")
# Databases that are files.
_IN_A_FILE = ("sqlite", "duckdb")
# The magic bytes of a DuckDB file, after eight bytes of checksum.
_DUCKDB = b"DUCK"


class _Claim(Struct, frozen=True):
    """A file, a folder with everything in it, or a pattern, and its owner as text for messages."""

    path: Path
    whose: str
    folder: bool = False
    pattern: bool = False


def taken(
    project: Project, graph: Graph, places: Places, place: Publication
) -> list[TransformError]:
    """A mistake for each activation that would write to a path that the project reads or writes, or
    that another activation writes."""
    heads = (node for node in graph if node.kind == "activation")  # bodies are decoded when read
    sent = [node.body.activation for node in heads if isinstance(node.body, ActivationBody)]
    files = [item for item in sent if item.kind == "files" and "path" in item.options]
    if not files:
        return []
    same = _Names(is_folding(places.root))
    claims = [*_own(project, places, place), *_read(graph, places)]
    mistakes: list[TransformError] = []
    written: dict[str, Activation] = {}
    for activation in files:
        try:
            path = places.resolve(str(activation.options["path"]), activation.place("to"))
        except TransformError as error:
            mistakes.append(error)
            continue
        owner = next((c.whose for c in claims if same.covers(c, path)), "")
        other = written.setdefault(same.key(path), activation)
        if other is not activation:
            owner = owner or f"the file of the activation `{other.name}`"
        if not owner and _is_database(path):
            owner = "a database"
        if owner:
            target = activation.options["path"]
            mistakes.append(
                ConfigError(
                    f"activation `{activation.name}` would replace `{target}`: {owner}",
                    activation.place("to"),
                    hint="use a separate file, such as `exports/"
                    f"{activation.name}.csv`; nothing was built",
                )
            )
    return mistakes


def _own(project: Project, places: Places, place: Publication) -> Iterator[_Claim]:
    """The project's own files, and those that the tool writes."""
    root = places.root
    for name in _OWN:
        yield _Claim(root / name, "a file of the project")
    for name in (*project.folders, *project.asset_paths):
        yield _Claim(root / name, f"`{name}` contains files of the project", folder=True)
    yield _Claim(
        root / (project.target_path or "target"), "artifacts are written there", folder=True
    )
    for live in dict.fromkeys((place.shown, place.warehouse.live, *_others(project, places))):
        warehouse = WarehouseFiles(live)
        for path in (live, warehouse.synced):
            owner = "the warehouse" if path == live else "the sync ledger"
            for file in (path, *(path.with_name(path.name + suffix) for suffix in log_names())):
                yield _Claim(file, owner)
        yield _Claim(live.parent / ".transform", "builds work there", folder=True)
    yield _Claim(root / ".transform", "builds work there", folder=True)


def _others(project: Project, places: Places) -> Iterator[Path]:
    """Databases that the target attaches."""
    for database in project.target.attach:
        path = database.get("path")
        if isinstance(path, str) and "://" not in path:
            yield places.root / Path(path).expanduser()


def _read(graph: Graph, places: Places) -> Iterator[_Claim]:
    """Files that sources load and queries read."""
    for node in graph:
        for name in node.volatility.files:
            if "://" not in name:
                yield _claimed(places, name, f"`{node.name}` reads it")
        load = node.body.table.load if isinstance(node.body, SourceBody) else None
        for path in _texts(load.options.get("path")) if load else ():
            if not is_remote(path):
                yield _claimed(places, path, f"the source `{node.name}` is loaded from it")
        for path in _texts(load.options.get("url")) if load else ():
            scheme, _, file = path.partition(":")
            if scheme in _IN_A_FILE:
                database_path = places.root / Path(file.removeprefix("//")).expanduser()
                for suffix in ("", "-wal", ".wal"):
                    file_path = database_path.with_name(database_path.name + suffix)
                    yield _Claim(file_path, f"the source `{node.name}` is loaded from it")


def _claimed(places: Places, name: str, whose: str) -> _Claim:
    return _Claim(places.root / Path(name).expanduser(), whose, pattern=glob.has_magic(name))


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


class _Names(Struct, frozen=True):
    """How file names are compared."""

    folds: bool

    def key(self, path: Path) -> str:
        """A key that is equal for two names of the same file."""
        text = os.fspath(path)
        return unicodedata.normalize("NFC", text).casefold() if self.folds else text

    def covers(self, claim: _Claim, path: Path) -> bool:
        """Whether a path is the claimed file, or inside the claimed folder."""
        if _same_file(claim.path, path):
            return True
        own = self.key(claim.path.resolve())
        if claim.folder:
            return self.key(path) == own or self.key(path).startswith(own + os.sep)
        if own == self.key(path):
            return True
        return claim.pattern and self._matches(claim.path, path)

    def _matches(self, pattern: Path, path: Path) -> bool:
        """Whether a pattern matches a file, or will once it exists."""
        parts = pattern.parts
        first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        fixed = self.key(Path(*parts[:first]).resolve())
        if self.key(path).startswith(fixed.rstrip(os.sep) + os.sep):
            inner = Path(self.key(path)).parts[len(Path(fixed).parts) :]
            if _fits(inner, tuple(map(self.key, map(Path, parts[first:])))):
                return True
        # Folders in the pattern may be links.
        name = "*" if parts[-1] == "**" else self.key(Path(parts[-1]))
        way = str(pattern if parts[-1] == "**" else pattern.parent)
        folders = glob.glob(way, recursive=True, include_hidden=True)  # noqa: PTH207 - absolute
        folder_key = self.key(path.parent)
        return fnmatchcase(self.key(Path(path.name)), name) and any(
            self.key(Path(folder).resolve()) == folder_key for folder in folders
        )


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether the parts of a path match a pattern; `**` matches any number of them."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        rest = pattern[1:]
        return any(_fits(parts[at:], rest or ("*",)) for at in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(12)[8:] == _DUCKDB
    except (OSError, ValueError):
        return False


def is_folding(folder: Path) -> bool:
    """Whether file names in the folder are case-insensitive."""
    return any(
        _same_file(name, name.with_name(name.name.swapcase())) for name in _cased_names(folder)
    )


def _cased_names(folder: Path) -> Iterable[Path]:
    """Some entries whose names have letters."""
    try:
        return [entry for entry in folder.iterdir() if entry.name.swapcase() != entry.name][:3]
    except OSError:
        return []
