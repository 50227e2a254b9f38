"""Paths in project files: relative to the project, and never outside it unless declared."""

from __future__ import annotations

from collections.abc import Iterable
from errno import ELOOP
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from msgspec import Struct

from transformer.errors import ConfigError, Where, reason_of


class Places(Struct, frozen=True):
    """The project's folder and the folders outside it that `allowed-paths:` declares."""

    root: Path
    allowed: tuple[Path, ...] = ()

    def resolve(self, text: str, where: Where | None = None) -> Path:
        """The absolute path meant by `text`; ConfigError when it leads outside (also by a link)."""
        if reason := unusable(text):
            raise ConfigError(f"this is not a path: {reason}", where)
        path = Path(text).expanduser()
        full = (path if path.is_absolute() else self.root / path).resolve()
        if any(_within(full, home.resolve()) for home in (self.root, *self.allowed)):
            return full
        raise ConfigError(
            f"the path `{text}` leads outside the project",
            where,
            hint="declare its folder under `allowed-paths:` in transform.yml",
        )

    def shown(self, path: Path) -> str:
        """The path as messages name it: relative to the project where it lies in it."""
        root = self.root.resolve()
        return path.relative_to(root).as_posix() if _within(path, root) else path.as_posix()


# What file systems take: bytes of a name, and of a whole path.
_LONGEST_NAME, _LONGEST = 255, 4_000


def unusable(text: str) -> str | None:
    """Why no file can have this path, whatever is there; None where one can."""
    held = text.encode("utf-8", "surrogatepass")
    if b"\0" in held:
        return "it holds a zero character"
    if len(held) > _LONGEST or any(len(part) > _LONGEST_NAME for part in held.split(b"/")):
        return f"it is too long (at most {_LONGEST_NAME} bytes a name, {_LONGEST:,} in all)"
    try:
        Path(text).expanduser()
    except RuntimeError:
        return f"there is no user `{text.split('/', maxsplit=1)[0][1:]}`"
    return None


def not_a_file(path: Path) -> str | None:
    """Why what has a file's name is none that can be read; None for a file, a folder and what
    is not there at all."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        return "the name of this file is not UTF-8"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "this link leads to nothing" if path.is_symlink() else None
    except OSError as error:
        if error.errno == ELOOP:
            return "this link leads to itself"
        return f"this file cannot be read: {reason_of(error)}"
    return None if S_ISREG(mode) or S_ISDIR(mode) else "this is not a regular file"


def path_shown(path: str) -> str:
    """A path as a message can show it, whatever its bytes are."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _within(path: Path, home: Path) -> bool:
    return path == home or home in path.parents


def is_remote(text: str) -> bool:
    """Whether the text names a place that DuckDB's httpfs reads, not a local file."""
    return text.startswith(("http://", "https://", "s3://", "gcs://", "r2://", "az://", "hf://"))


def places_of(root: Path, allowed: Iterable[str]) -> Places:
    """Where a project may look for files: in its folder, and where it says."""
    return Places(root, tuple((root / path).resolve() for path in allowed))
