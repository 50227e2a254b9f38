"""The inputs read while a project is loaded: files, folders, environment variables.

All code that reads project inputs records them here, at no cost unless a recorder is active. A
cached project depends on the recorded inputs and on nothing else.
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

# Size, mtime, ctime and inode: they identify one state of a file. All are 0 if it does not exist.
Identity = tuple[int, int, int, int]
ABSENT: Identity = (0, 0, 0, 0)
# A file written this recently (nanoseconds) may be written again within the same clock tick, so
# it is identified by its content.
_RECENT_NS = 50_000_000
# Matches no file or folder, so that only the content is compared.
_UNKNOWN: Identity = (-1, -1, -1, -1)


class InputsSeen(Struct):
    """The inputs that were read: identity of files and folders, plus a digest of the content where
    the identity is not enough; a digest of each variable's value, empty if it is not set."""

    files: dict[str, tuple[Identity, str]] = field(default_factory=dict)
    folders: dict[str, tuple[Identity, str]] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def and_then(self, later: InputsSeen) -> InputsSeen:
        """Both combined; the later record wins."""
        return InputsSeen(
            {**self.files, **later.files},
            {**self.folders, **later.folders},
            {**self.env, **later.env},
        )


_RECORDING: ContextVar[InputsSeen | None] = ContextVar("witness", default=None)


@contextmanager
def watching() -> Iterator[InputsSeen]:
    """Records the inputs that are read inside the block."""
    inputs = InputsSeen()
    token = _RECORDING.set(inputs)
    try:
        yield inputs
    finally:
        _RECORDING.reset(token)


def saw(path: Path | str) -> None:
    """Records that a file is about to be read or looked up."""
    inputs = _RECORDING.get()
    if inputs is not None and str(path) not in inputs.files:
        current = identity(path)
        inputs.files[str(path)] = (current, content(path) if _is_recent(current) else "")


def saw_folder(path: Path | str) -> None:
    """Records that a folder is about to be listed or looked up."""
    inputs = _RECORDING.get()
    if inputs is not None and str(path) not in inputs.folders:
        current = identity(path)
        inputs.folders[str(path)] = (_UNKNOWN if _is_recent(current) else current, listing(path))


def identity(path: Path | str) -> Identity:
    """The identity of the current state of a file or folder; `ABSENT` if it does not exist."""
    try:
        stats = os.stat(path)  # noqa: PTH116 - there are thousands of them
    except OSError:
        return ABSENT
    return stats.st_size, stats.st_mtime_ns, stats.st_ctime_ns, stats.st_ino


def content(path: Path | str) -> str:
    """A digest of a file's content; `-` if it cannot be read."""
    try:
        return digest(Path(path).read_bytes())
    except OSError:
        return "-"


def listing(path: Path | str) -> str:
    """A digest of the names in a folder; `-` if it cannot be read."""
    try:
        return digest(os.fsencode("\n".join(sorted(os.listdir(path)))))  # noqa: PTH208
    except OSError:
        return "-"


def named(name: str, root: Path) -> str:
    """A digest of sizes and times of the files that a name in a query refers to, below `root` if it
    is relative. Remote files are not inspected: loading them is the job of `load:`."""
    if "://" in name:
        return ""
    # It may be absolute, or in a home directory. Brackets may be a pattern or part of a name, and
    # readers may include hidden files: rather one file too many than a missed change.
    full = str(Path(name).expanduser())
    paths = sorted({full, *glob(full, root_dir=root, recursive=True, include_hidden=True)})  # noqa: PTH207
    return digest(os.fsencode("\n".join(f"{path}:{identity(root / path)[:3]}" for path in paths)))


def digest(data: bytes) -> str:
    """A short digest."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def _is_recent(current: Identity) -> bool:
    return current[1] > time.time_ns() - _RECENT_NS


class WatchedEnvironment(Mapping[str, str]):
    """An environment that records which variables are read."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def __getitem__(self, name: str) -> str:
        inputs = _RECORDING.get()
        if inputs is not None:
            inputs.env[name] = valued(self._env, name)
        return self._env[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def items(self) -> ItemsView[str, str]:
        """All variables; not recorded, since none is read by name."""
        return self._env.items()

    def __len__(self) -> int:
        return len(self._env)


def valued(env: Mapping[str, str], name: str) -> str:
    """A digest of a variable's value; empty if it is not set."""
    return digest(env[name].encode("utf-8", "surrogateescape")) if name in env else ""
