"""`transform deps`: installs the packages of a dbt project."""

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
from functools import partial
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
    """An installed package: its name, and its source."""

    name: str
    source: Mapping[str, Any]


class _Work(Struct):
    """One installation: its folder, and what has been installed so far."""

    folder: Path
    renderer: YamlRenderer
    say: Say
    env: Mapping[str, str]
    installed: dict[str, InstalledPackage] = field(default_factory=dict)


def install(
    root: Path,
    variables: Mapping[str, Any],
    render: Render,
    env: Mapping[str, str],
    say: Say | None = None,
) -> tuple[InstalledPackage, ...]:
    """Installs all packages with their dependencies, and writes `package-lock.yml`. `env` is the
    environment in which git runs.

    Raises ConfigError or DataError for the first package that cannot be installed, and Mistakes
    if the project file cannot be read.
    """
    notes = ReadingNotes()
    values = {**read_vars(root, VARS, notes), **variables}
    renderer = YamlRenderer(render, notes, {"var": VarLookup(values)})
    install_path = child(read_raw(root, FILE), "packages-install-path")
    folder = root / str((renderer.scalar(install_path) if install_path else None) or INSTALLED)
    requested = entries(root, "", renderer)
    if notes.mistakes:
        raise notes.mistakes[0]
    folder.mkdir(parents=True, exist_ok=True)
    work = _Work(folder, renderer, say or (lambda _: None), env)
    _install_all(requested, root, work)
    installed = tuple(work.installed.values())
    if requested:
        (root / LOCK).write_text(_lock(installed, requested), encoding="utf-8")
    return installed


def _install_all(requested: list[PackageEntry], home: Path, work: _Work) -> None:
    for entry in requested:
        with tempfile.TemporaryDirectory(dir=work.folder, prefix=".new-") as temporary:
            fetched, source = _fetch(entry, home, Path(temporary), work.env)
            name = _package_name(fetched, entry)
            if name in work.installed:
                continue
            destination = work.folder / name
            _clear(destination)
            if entry.local:
                destination.symlink_to(
                    os.path.relpath(fetched, work.folder), target_is_directory=True
                )
            else:
                shutil.move(fetched, destination)
        work.installed[name] = InstalledPackage(name, source)
        work.say(f"installed `{name}`")
        package_root = destination.resolve() if entry.local else destination
        _install_all(entries(package_root, name, work.renderer), package_root, work)


def _package_name(folder: Path, entry: PackageEntry) -> str:
    if not (folder / FILE).is_file():
        raise ConfigError(
            f"the package `{entry.title}` has no `{FILE}`",
            entry.where,
            hint="a package in a folder of a repository needs `subdirectory:`",
        )
    name_item = child(read_raw(folder, f"{entry.title}/{FILE}"), "name")
    name = str(name_item.value) if name_item else entry.title
    if not re.fullmatch(r"\w+", name):
        raise ConfigError(f"`{name}` is not a valid package name", entry.where)
    return name


def _clear(path: Path) -> None:
    """Removes what is at the path; links are not followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def _fetch(
    entry: PackageEntry, home: Path, temporary: Path, env: Mapping[str, str]
) -> tuple[Path, dict[str, Any]]:
    """The package's folder, fetched if necessary, and its entry in the lock file."""
    written = entry.written
    if entry.local:
        return _local(entry, home), {"local": entry.local}
    if written.get("git"):
        return _git(entry, home, temporary, env)
    if written.get("tarball"):
        url = str(written["tarball"])
        return _tarball(url, entry, temporary), {"tarball": url, "name": entry.title}
    if written.get("package"):
        return _hub(entry, temporary)
    raise ConfigError(
        f"the package `{entry.title}` does not say where it comes from",
        entry.where,
        hint="write `local:`, `git:`, `tarball:` or `package:`",
    )


def _local(entry: PackageEntry, home: Path) -> Path:
    path = Path(os.path.normpath(home / entry.local))
    if not path.is_dir():
        raise ConfigError(f"there is no folder `{entry.local}`", entry.where)
    return path


def _git(
    entry: PackageEntry, home: Path, temporary: Path, env: Mapping[str, str]
) -> tuple[Path, dict[str, Any]]:
    url = _address(str(entry.written["git"]), home)
    revision = str(entry.written.get("revision") or "HEAD")
    clone = temporary / "clone"
    clone.mkdir()
    if url.startswith("-") or revision.startswith("-"):
        raise ConfigError("a repository URL or revision cannot begin with `-`", entry.where)
    git = partial(_run_git, clone, entry, env)
    git("init", "--quiet")
    git("fetch", "--quiet", "--depth", "1", url, revision)
    git("checkout", "--quiet", "FETCH_HEAD")
    commit = git("rev-parse", "HEAD").strip()
    shutil.rmtree(clone / ".git")
    below = str(entry.written.get("subdirectory") or "")
    folder = clone / below
    if not folder.resolve().is_relative_to(clone.resolve()) or not folder.is_dir():
        raise ConfigError(f"the repository has no folder `{below}`", entry.where)
    lock = {"git": str(entry.written["git"]), "name": entry.title, "revision": commit}
    return folder, lock | ({"subdirectory": below} if below else {})


def _address(written: str, home: Path) -> str:
    """The absolute path of a folder relative to the project; anything else as it is."""
    folder = (home / written).resolve()
    return str(folder) if "://" not in written and folder.is_dir() else written


def _run_git(folder: Path, entry: PackageEntry, env: Mapping[str, str], *args: str) -> str:
    git = shutil.which("git", path=env.get("PATH"))
    if git is None:
        raise DataError(f"`git` is not installed; the package `{entry.title}` needs it")
    try:
        process = subprocess.run(  # noqa: S603 - the address is checked, and no shell reads it
            [git, *args],
            cwd=folder,
            env={**env, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(
            f"the package `{entry.title}` could not be fetched: timeout", entry.where
        ) from None
    if process.returncode:
        messages = [_without_login(line) for line in process.stderr.strip().splitlines()[-3:]]
        raise DataError(
            f"the package `{entry.title}` cannot be fetched", entry.where, detail=messages
        )
    return process.stdout


def _without_login(text: str) -> str:
    """The text without user names and passwords in URLs."""
    return re.sub(r"://[^/@\s]+@", "://…@", text)


def _tarball(url: str, entry: PackageEntry, temporary: Path) -> Path:
    packed, folder = temporary / "packed.tar.gz", temporary / "unpacked"
    packed.write_bytes(_download(url, entry))
    try:
        _check_complete(packed)
        with tarfile.open(packed) as archive:
            _extract(archive, folder)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise DataError(
            f"the archive of the package `{entry.title}` cannot be unpacked: {error}", entry.where
        ) from None
    folders = [path for path in folder.iterdir() if path.is_dir()]
    return folders[0] if len(folders) == 1 and not (folder / FILE).is_file() else folder


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpacks files and folders into the folder. Raises TarError for members outside of it."""
    if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
        archive.extractall(folder, filter="data")
        return
    for member in archive.getmembers():
        path = PurePosixPath(member.name)
        is_inside = not path.is_absolute() and ".." not in path.parts
        if not is_inside or not (member.isfile() or member.isdir()):
            raise tarfile.ReadError(f"`{member.name}` is not a file below its folder")
        member.mode = 0o755 if member.isdir() else 0o644
    archive.extractall(folder)  # noqa: S202 - each member was checked


def _check_complete(packed: Path) -> None:
    """Raises TarError for a truncated archive. `tarfile` accepts one that ends between two files;
    a complete one ends with zeros (pax, POSIX.1-2001: two records of 512 bytes)."""
    with tarfile.open(packed) as archive:
        archive.getmembers()
        stream = archive.fileobj
        stream.seek(archive.offset)
        if bytes(512) != stream.read(512):
            raise tarfile.ReadError("it is truncated")
        while stream.read(1 << 20):  # the checksum at the end is verified by reading
            pass


def _download(url: str, entry: PackageEntry) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise ConfigError(
            "the URL of an archive must begin with `https://` or `http://`", entry.where
        )
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as response:  # noqa: S310 - checked above
            return bytes(response.read())
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise DataError(
            f"the package `{entry.title}` cannot be fetched: {_without_login(str(error))}",
            entry.where,
            hint="to install it without a network, write `local:` and its folder",
        ) from None


def _hub(entry: PackageEntry, temporary: Path) -> tuple[Path, dict[str, Any]]:
    """A package of dbt's hub, in its newest allowed version."""
    package = str(entry.written["package"])
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", package):
        raise ConfigError(f"`{package}` is not a package name of the hub", entry.where)
    versions = json.loads(_download(f"{HUB}/{package}.json", entry)).get("versions", {})
    specs = [part for text in texts(entry.written.get("version")) for part in text.split(",")]
    prerelease = bool(entry.written.get("install_prerelease"))
    allowed = [version for version in versions if _fits(version, specs, prerelease=prerelease)]
    if not allowed:
        raise ConfigError(
            f"there is no version {', '.join(specs)} of the package `{package}`", entry.where
        )
    version = max(allowed, key=_version)
    url = str(versions[version]["downloads"]["tarball"])
    lock = {"name": package.split("/")[1], "package": package, "version": version}
    return _tarball(url, entry, temporary), lock


def _version(text: str) -> tuple[int, ...]:
    release = re.split(r"[-+]", text, maxsplit=1)[0]
    numbers = [int(digits) for digits in re.findall(r"\d+", release)[:3]]
    return (*numbers, *[0] * (3 - len(numbers)), 0 if "-" in text else 1)


def _fits(version: str, specs: list[str], *, prerelease: bool) -> bool:
    if "-" in version and not prerelease and version not in [spec.strip(" =") for spec in specs]:
        return False
    for spec in specs:
        match = re.match(r"\s*(>=|<=|!=|==|>|<|=)?\s*v?(\S+)", spec)
        if match and not _COMPARED[match[1] or "="](_version(version), _version(match[2])):
            return False
    return True


def _lock(installed: tuple[InstalledPackage, ...], requested: list[PackageEntry]) -> str:
    """The lock file: the installed packages, and a hash of the requested ones."""
    return "\n".join(
        ["packages:", *_lock_lines(installed), f"sha1_hash: {_entries_hash(requested)}", ""]
    )


def _lock_lines(installed: tuple[InstalledPackage, ...]) -> Iterator[str]:
    for package in installed:
        prefix = "-"
        for key, value in package.source.items():
            yield f"  {prefix} {key}: {json.dumps(_without_login(str(value)))}"
            prefix = " "


def _entries_hash(requested: list[PackageEntry]) -> str:
    texts = sorted(
        json.dumps(dict(entry.written), sort_keys=True, default=str) for entry in requested
    )
    return hashlib.sha1("\n".join(texts).encode(), usedforsecurity=False).hexdigest()
