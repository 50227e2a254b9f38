"""`transform deps`: installs the packages that a dbt project asks for."""

from __future__ import annotations

import hashlib
import http.client
import json
import lzma
import operator
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct, field

from transformer.errors import ConfigError, DataError
from transformer.project.dbt.packages import INSTALLED, PackageEntry, entries
from transformer.project.dbt.projectfile import FILE, VARS, read_raw, read_vars
from transformer.project.dbt.words import (
    ReadingNotes,
    Render,
    VarLookup,
    YamlRenderer,
    child,
    texts,
)

LOCK = "package-lock.yml"
HUB = "https://hub.getdbt.com/api/v1"
_SECONDS = 300
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
}
Say = Callable[[str], None]


class InstalledPackage(Struct, frozen=True):
    """A package that was installed: its name, and what it was taken from."""

    name: str
    source: Mapping[str, Any]


class _Work(Struct):
    """One installation: where to, and what is there already."""

    folder: Path
    words: YamlRenderer
    say: Say
    done: dict[str, InstalledPackage] = field(default_factory=dict)


def install(
    root: Path, variables: Mapping[str, Any], render: Render, say: Say | None = None
) -> tuple[InstalledPackage, ...]:
    """Installs every package, and those that they ask for, and writes `package-lock.yml`.

    Raises ConfigError or DataError for the first one that cannot be installed, and Mistakes when
    the project file cannot be read.
    """
    notes = ReadingNotes()
    known = {**read_vars(root, VARS, notes), **variables}
    words = YamlRenderer(render, notes, {"var": VarLookup(known)})
    written = child(read_raw(root, FILE), "packages-install-path")
    folder = root / str((words.scalar(written) if written else None) or INSTALLED)
    asked = entries(root, "", words)
    if notes.mistakes:
        raise notes.mistakes[0]
    folder.mkdir(parents=True, exist_ok=True)
    work = _Work(folder, words, say or (lambda _: None))
    _install_all(asked, root, work)
    made = tuple(work.done.values())
    if asked:
        (root / LOCK).write_text(_lock(made, asked), encoding="utf-8")
    return made


def _install_all(asked: list[PackageEntry], home: Path, work: _Work) -> None:
    for entry in asked:
        with tempfile.TemporaryDirectory(dir=work.folder, prefix=".new-") as space:
            fetched, source = _fetch(entry, home, Path(space))
            name = _package_name(fetched, entry)
            if name in work.done:
                continue
            there = work.folder / name
            _clear(there)
            if entry.local:
                there.symlink_to(os.path.relpath(fetched, work.folder), target_is_directory=True)
            else:
                shutil.move(fetched, there)
        work.done[name] = InstalledPackage(name, source)
        work.say(f"installed `{name}`")
        nested = there.resolve() if entry.local else there
        _install_all(entries(nested, name, work.words), nested, work)


def _package_name(folder: Path, entry: PackageEntry) -> str:
    if not (folder / FILE).is_file():
        raise ConfigError(
            f"the package `{entry.title}` has no `{FILE}`",
            entry.where,
            hint="a package in a folder of a repository needs `subdirectory:`",
        )
    name = child(read_raw(folder, f"{entry.title}/{FILE}"), "name")
    found = str(name.value) if name else entry.title
    if not re.fullmatch(r"\w+", found):
        raise ConfigError(f"`{found}` is no name for a package", entry.where)
    return found


def _clear(path: Path) -> None:
    """Makes room; a link is removed and not followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def _fetch(entry: PackageEntry, home: Path, space: Path) -> tuple[Path, dict[str, Any]]:
    """The package's folder, fetched where it has to be, and what stands in the lock."""
    written = entry.written
    if entry.local:
        return _local(entry, home), {"local": entry.local}
    if written.get("git"):
        return _git(entry, home, space)
    if written.get("tarball"):
        url = str(written["tarball"])
        return _tarball(url, entry, space), {"tarball": url, "name": entry.title}
    if written.get("package"):
        return _hub(entry, space)
    raise ConfigError(
        f"the package `{entry.title}` says not where it comes from",
        entry.where,
        hint="write `local:`, `git:`, `tarball:` or `package:`",
    )


def _local(entry: PackageEntry, home: Path) -> Path:
    folder = Path(os.path.normpath(home / entry.local))
    if not folder.is_dir():
        raise ConfigError(f"there is no folder `{entry.local}`", entry.where)
    return folder


def _git(entry: PackageEntry, home: Path, space: Path) -> tuple[Path, dict[str, Any]]:
    url = _address(str(entry.written["git"]), home)
    revision = str(entry.written.get("revision") or "HEAD")
    clone = space / "clone"
    clone.mkdir()
    if url.startswith("-") or revision.startswith("-"):
        raise ConfigError("an address or a revision cannot begin with `-`", entry.where)
    _run_git(clone, entry, "init", "--quiet")
    _run_git(clone, entry, "fetch", "--quiet", "--depth", "1", url, revision)
    _run_git(clone, entry, "checkout", "--quiet", "FETCH_HEAD")
    commit = _run_git(clone, entry, "rev-parse", "HEAD").strip()
    shutil.rmtree(clone / ".git")
    below = str(entry.written.get("subdirectory") or "")
    folder = clone / below
    if not folder.resolve().is_relative_to(clone.resolve()) or not folder.is_dir():
        raise ConfigError(f"the repository has no folder `{below}`", entry.where)
    lock = {"git": str(entry.written["git"]), "name": entry.title, "revision": commit}
    return folder, lock | ({"subdirectory": below} if below else {})


def _address(written: str, home: Path) -> str:
    """A folder is meant from the project; anything else is an address."""
    folder = (home / written).resolve()
    return str(folder) if "://" not in written and folder.is_dir() else written


def _run_git(folder: Path, entry: PackageEntry, *words: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise DataError(f"`git` is not installed; the package `{entry.title}` needs it")
    try:
        done = subprocess.run(  # noqa: S603 - the address is checked, and no shell reads it
            [git, *words],
            cwd=folder,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"the package `{entry.title}` does not come", entry.where) from None
    if done.returncode:
        said = [_open(line) for line in done.stderr.strip().splitlines()[-3:]]
        raise DataError(f"the package `{entry.title}` cannot be fetched", entry.where, detail=said)
    return done.stdout


def _open(text: str) -> str:
    """The text without what stands before an `@` in an address."""
    return re.sub(r"://[^/@\s]+@", "://…@", text)


def _tarball(url: str, entry: PackageEntry, space: Path) -> Path:
    packed, folder = space / "packed.tar.gz", space / "unpacked"
    packed.write_bytes(_download(url, entry))
    try:
        _refuse_cut(packed)
        with tarfile.open(packed) as archive:
            _extract(archive, folder)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise DataError(
            f"the archive of the package `{entry.title}` cannot be unpacked: {error}", entry.where
        ) from None
    inner = [path for path in folder.iterdir() if path.is_dir()]
    return inner[0] if len(inner) == 1 and not (folder / FILE).is_file() else folder


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpacks files and folders below the folder. Raises TarError for what would leave it."""
    if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
        archive.extractall(folder, filter="data")
        return
    for member in archive.getmembers():
        place = PurePosixPath(member.name)
        inside = not place.is_absolute() and ".." not in place.parts
        if not inside or not (member.isfile() or member.isdir()):
            raise tarfile.ReadError(f"`{member.name}` is not a file below its folder")
        member.mode = 0o755 if member.isdir() else 0o644
    archive.extractall(folder)  # noqa: S202 - each member was looked at


def _refuse_cut(packed: Path) -> None:
    """Reads the archive to its end. `tarfile` takes one that ends between two files for whole; the
    end of a whole one is zeros (pax, POSIX.1-2001: two records of 512 bytes)."""
    with tarfile.open(packed) as archive:
        archive.getmembers()
        stream = archive.fileobj
        stream.seek(archive.offset)
        if bytes(512) != stream.read(512):
            raise tarfile.ReadError("it is cut short")
        while stream.read(1 << 20):  # a check sum stands at the end
            pass


def _download(url: str, entry: PackageEntry) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise ConfigError("an archive is fetched from `https://…`", entry.where)
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - checked above
            return bytes(answer.read())
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise DataError(
            f"the package `{entry.title}` cannot be fetched: {_open(str(error))}",
            entry.where,
            hint="without a network, write `local:` and the folder it lies in",
        ) from None


def _hub(entry: PackageEntry, space: Path) -> tuple[Path, dict[str, Any]]:
    """A package of dbt's hub: the newest version that is allowed."""
    package = str(entry.written["package"])
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", package):
        raise ConfigError(f"`{package}` is no package of the hub", entry.where)
    listed = json.loads(_download(f"{HUB}/{package}.json", entry)).get("versions", {})
    wanted = [part for text in texts(entry.written.get("version")) for part in text.split(",")]
    early = bool(entry.written.get("install_prerelease"))
    fitting = [each for each in listed if _fits(each, wanted, early=early)]
    if not fitting:
        raise ConfigError(
            f"there is no version {', '.join(wanted)} of the package `{package}`", entry.where
        )
    version = max(fitting, key=_version)
    url = str(listed[version]["downloads"]["tarball"])
    lock = {"name": package.split("/")[1], "package": package, "version": version}
    return _tarball(url, entry, space), lock


def _version(text: str) -> tuple[int, ...]:
    plain = re.split(r"[-+]", text, maxsplit=1)[0]
    numbers = [int(each) for each in re.findall(r"\d+", plain)[:3]]
    return (*numbers, *[0] * (3 - len(numbers)), 0 if "-" in text else 1)


def _fits(version: str, wanted: list[str], *, early: bool) -> bool:
    if "-" in version and not early and version not in [each.strip(" =") for each in wanted]:
        return False
    for each in wanted:
        found = re.match(r"\s*(>=|<=|!=|==|>|<|=)?\s*v?(\S+)", each)
        if found and not _COMPARED[found[1] or "="](_version(version), _version(found[2])):
            return False
    return True


def _lock(made: tuple[InstalledPackage, ...], asked: list[PackageEntry]) -> str:
    """The lock file: what was installed, and a hash of what was asked for."""
    return "\n".join(["packages:", *_lock_lines(made), f"sha1_hash: {_asked_hash(asked)}", ""])


def _lock_lines(made: tuple[InstalledPackage, ...]) -> Iterator[str]:
    for each in made:
        mark = "-"
        for key, value in each.source.items():
            yield f"  {mark} {key}: {json.dumps(_open(str(value)))}"
            mark = " "


def _asked_hash(asked: list[PackageEntry]) -> str:
    written = sorted(json.dumps(dict(each.written), sort_keys=True, default=str) for each in asked)
    return hashlib.sha1("\n".join(written).encode(), usedforsecurity=False).hexdigest()
