"""Paths in project files: relative to the project, and never outside it unless declared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from transformer.errors import ConfigError, Where


class Places(Struct, frozen=True):
    """The project's folder and the folders outside it that `allowed-paths:` declares."""

    root: Path
    allowed: tuple[Path, ...] = ()

    def resolve(self, text: str, where: Where | None = None) -> Path:
        """The absolute path meant by `text`; ConfigError when it leads outside (also by a link)."""
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


def _within(path: Path, home: Path) -> bool:
    return path == home or home in path.parents


def is_remote(text: str) -> bool:
    """Whether the text names a place that DuckDB's httpfs reads, not a local file."""
    return text.startswith(("http://", "https://", "s3://", "gcs://", "r2://", "az://", "hf://"))


def places_of(root: Path, allowed: Iterable[str]) -> Places:
    """Where a project may look for files: in its folder, and where it says."""
    return Places(root, tuple((root / path).resolve() for path in allowed))
