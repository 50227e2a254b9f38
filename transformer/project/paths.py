"""Paths in project files: relative to the project, and outside it only if declared."""

from __future__ import annotations

from collections.abc import Iterable
from errno import ELOOP
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from msgspec import Struct

from transformer.errors import ConfigError, Where, reason_of


class Places(Struct, frozen=True):
    """The project's folder, and the outside folders declared in `allowed-paths:`."""

    root: Path
    allowed: tuple[Path, ...] = ()

    def resolve(self, text: str, where: Where | None = None) -> Path:
        """The absolute path of `text`. Raises ConfigError if it is outside, also by a link."""
        if reason := unusable(text):
            raise ConfigError(f"this is not a path: {reason}", where)
        path = Path(text).expanduser()
        full = (path if path.is_absolute() else self.root / path).resolve()
        if any(_within(full, home.resolve()) for home in (self.root, *self.allowed)):
            return full
        raise ConfigError(
            f"the path `{text}` points outside the project",
            where,
            hint="declare its folder under `allowed-paths:` in transform.yml",
        )

    def shown(self, path: Path) -> str:
        """The path for messages: relative to the project if inside it."""
        root = self.root.resolve()
        return path.relative_to(root).as_posix() if _within(path, root) else path.as_posix()


# Limits of file systems: bytes of a name, and of a whole path.
_LONGEST_NAME, _LONGEST = 255, 4_000


def unusable(text: str) -> str | None:
    """Why this can never be the path of a file; None if it can."""
    encoded = text.encode("utf-8", "surrogatepass")
    if b"\0" in encoded:
        return "it contains a NUL character"
    if len(encoded) > _LONGEST or any(len(part) > _LONGEST_NAME for part in encoded.split(b"/")):
        return f"it is too long (at most {_LONGEST_NAME} bytes per name, {_LONGEST:,} in all)"
    try:
        Path(text).expanduser()
    except RuntimeError:
        return f"there is no user `{text.split('/', maxsplit=1)[0][1:]}`"
    return None


def not_a_file(path: Path) -> str | None:
    """Why the path is not a readable file; None for a file, a folder and a path that does not
    exist."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        return "the name of this file is not UTF-8"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "this link is broken" if path.is_symlink() else None
    except OSError as error:
        if error.errno == ELOOP:
            return "this link points to itself"
        return f"this file cannot be read: {reason_of(error)}"
    return None if S_ISREG(mode) or S_ISDIR(mode) else "this is not a regular file"


def path_shown(path: str) -> str:
    """A printable form of a path with any bytes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _within(path: Path, home: Path) -> bool:
    return path == home or home in path.parents


def is_remote(text: str) -> bool:
    """Whether the text is a URL for DuckDB's httpfs rather than a local file."""
    return text.startswith(("http://", "https://", "s3://", "gcs://", "r2://", "az://", "hf://"))


def places_of(root: Path, allowed: Iterable[str]) -> Places:
    """Where a project may read files: in its folder and in the allowed paths."""
    return Places(root, tuple((root / path).resolve() for path in allowed))
