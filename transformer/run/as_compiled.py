"""Files of the project that are read a second time, when they are built: seeds, Python models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from transformer.errors import BuildError, Where
from transformer.project.inputs import identity


@contextmanager
def as_compiled(path: Path, shown: str, same: Callable[[], bool]) -> Iterator[None]:
    """Raises BuildError where the file that is read inside is not what the project was compiled
    from: the ledger would keep the fingerprint of one text beside the rows of another."""
    before = identity(path)
    yield
    if identity(path) != before or not same():
        raise BuildError(
            "this file was changed during the build",
            Where(shown, 1),
            hint="run the build again; the table is as it was",
        )
