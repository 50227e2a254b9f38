"""Project files that are read again when they are built: seeds and Python models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from transformer.errors import BuildError, Where
from transformer.project.inputs import identity


@contextmanager
def unchanged_since_compile(path: Path, shown: str, same: Callable[[], bool]) -> Iterator[None]:
    """Raises BuildError if the file read inside is not the one the project was compiled from: the
    ledger would pair the fingerprint of one version with the rows of another."""
    before = identity(path)
    yield
    if identity(path) != before or not same():
        raise BuildError(
            "this file was changed during the build",
            Where(shown, 1),
            hint="run the build again; the table is unchanged",
        )
