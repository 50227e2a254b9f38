"""Sources: where raw data comes from. One file per kind; the file's name is the `kind:` in YAML.

A kind has `FIELDS` (its keys under `load:`) and `connect(request) -> Reader`. The suite in
`tests/sources/` runs over every file of this folder, so a new kind joins it by existing. Rows
never pass through Python: a reader answers with SQL that the loading engine runs.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from transformer.landing.staged import Session, Staged
from transformer.ledger import Part
from transformer.project.paths import Places
from transformer.project.schema import Fields
from transformer.project.values import SourceTable

GROUP = "transformer.sources"


@dataclass(frozen=True, slots=True)
class Request:
    """What a reader is made from. `extension` loads one of the engine's extensions by name."""

    table: SourceTable
    places: Places
    extension: Any = field(repr=False)


class Reader(Protocol):
    """One source table's way in."""

    def parts(self, session: Session) -> Sequence[Part]:
        """What is there now: files, or one table. `identity` changes when a part changes;
        an empty identity means that nobody can tell without reading."""

    def digest(self, part: Part) -> str:
        """The part's content digest, or "" when only reading it tells."""

    def stage(
        self, session: Session, parts: Sequence[Part], since: str | None, limit: int | None
    ) -> Staged:
        """Makes the parts readable: all rows, or those from the cursor `since` on, or the first
        `limit` of each. Raises LoadError."""


def kinds() -> Iterator[str]:
    """The names of all kinds: files of this folder, then entry points."""
    yield from sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]))
    yield from sorted(e.name for e in entry_points(group=GROUP))


def find(kind: str) -> Any:
    """The kind's module."""
    for entry in entry_points(group=GROUP):
        if entry.name == kind:
            return entry.load()
    return importlib.import_module(f"{__name__}.{kind}")


def vocabulary() -> dict[str, Fields]:
    """What each kind understands under `load:`."""
    return {kind: find(kind).FIELDS for kind in kinds()}
