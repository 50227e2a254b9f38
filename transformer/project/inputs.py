"""What was looked at while a project was read: files, folders, variables of the environment.

Whoever reads something of a project says so here. While nobody listens that costs nothing; while
somebody does, it is what a remembered project depends on: nothing else can change it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import ItemsView, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from glob import glob
from pathlib import Path

from msgspec import Struct, field

# Size, time of content, time of the entry itself, number: what tells one state of a file from
# another. All are 0 for what is not there.
Identity = tuple[int, int, int, int]
ABSENT: Identity = (0, 0, 0, 0)
# A file that was written so many nanoseconds before it is looked at may be written once more in
# the same tick of the clock: such a one is known by its content.
_FRESH = 50_000_000
# No file or folder has this identity: only what it holds counts.
_UNTOLD: Identity = (-1, -1, -1, -1)


class InputsSeen(Struct):
    """What was looked at. Files and folders have their identity, and what they hold where that is
    not enough; variables have a digest of their value, none where they are not set."""

    files: dict[str, tuple[Identity, str]] = field(default_factory=dict)
    folders: dict[str, tuple[Identity, str]] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def and_then(self, later: InputsSeen) -> InputsSeen:
        """Both together; what was seen later counts."""
        return InputsSeen(
            {**self.files, **later.files},
            {**self.folders, **later.folders},
            {**self.env, **later.env},
        )


_LISTENING: ContextVar[InputsSeen | None] = ContextVar("witness", default=None)


@contextmanager
def watching() -> Iterator[InputsSeen]:
    """Notes what is looked at inside."""
    seen = InputsSeen()
    token = _LISTENING.set(seen)
    try:
        yield seen
    finally:
        _LISTENING.reset(token)


def saw(path: Path | str) -> None:
    """A file is about to be read, or looked for."""
    seen = _LISTENING.get()
    if seen is not None and str(path) not in seen.files:
        own = identity(path)
        seen.files[str(path)] = (own, content(path) if _is_fresh(own) else "")


def saw_folder(path: Path | str) -> None:
    """A folder is about to be listed, or looked for."""
    seen = _LISTENING.get()
    if seen is not None and str(path) not in seen.folders:
        own = identity(path)
        seen.folders[str(path)] = (_UNTOLD if _is_fresh(own) else own, listing(path))


def identity(path: Path | str) -> Identity:
    """What tells this state of a file or folder from another."""
    try:
        found = os.stat(path)  # noqa: PTH116 - there are thousands of them
    except OSError:
        return ABSENT
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def content(path: Path | str) -> str:
    """A digest of what a file holds."""
    try:
        return digest(Path(path).read_bytes())
    except OSError:
        return "-"


def listing(path: Path | str) -> str:
    """A digest of the names in a folder."""
    try:
        return digest(os.fsencode("\n".join(sorted(os.listdir(path)))))  # noqa: PTH208
    except OSError:
        return "-"


def named(name: str, root: Path) -> str:
    """What tells whether the files that a name in a query means have changed: their sizes and
    times. What lies elsewhere is not looked at: it is what `load:` is for."""
    if "://" in name:
        return ""
    # It may be absolute, or in somebody's home. A name with brackets may be a pattern or a file's
    # own, and what reads it may show hidden files: rather one too many.
    full = str(Path(name).expanduser())
    found = sorted({full, *glob(full, root_dir=root, recursive=True, include_hidden=True)})  # noqa: PTH207
    return digest(os.fsencode("\n".join(f"{path}:{identity(root / path)[:3]}" for path in found)))


def digest(data: bytes) -> str:
    """A short digest."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def _is_fresh(own: Identity) -> bool:
    return own[1] > time.time_ns() - _FRESH


class WatchedEnvironment(Mapping[str, str]):
    """An environment that notes which variables are asked for."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def __getitem__(self, name: str) -> str:
        seen = _LISTENING.get()
        if seen is not None:
            seen.env[name] = valued(self._env, name)
        return self._env[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def items(self) -> ItemsView[str, str]:
        """All of them; nobody has asked for one by its name."""
        return self._env.items()

    def __len__(self) -> int:
        return len(self._env)


def valued(env: Mapping[str, str], name: str) -> str:
    """A digest of a variable's value; nothing where it is not set."""
    return digest(env[name].encode("utf-8", "surrogateescape")) if name in env else ""
