"""Sources: where raw data comes from. One file per kind; the file's name is the `kind:` in YAML.

A kind has `FIELDS` (its keys under `load:`) and `connect(request) -> Reader`. The suite in
`tests/sources/` runs over every file of this folder, so a new kind joins it by existing. Rows
never pass through Python: a reader answers with SQL that the loading engine runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from transformer import plugins
from transformer.errors import LoadError, Where
from transformer.landing.staged import Cursor, ReaderSession, Staged
from transformer.project.paths import Places
from transformer.project.schema import Fields
from transformer.project.values import SourceTable
from transformer.redaction import without_passwords
from transformer.steps import SourcePart


@dataclass(frozen=True, slots=True)
class ReaderRequest:
    """What a reader is made from. `extension` loads one of the engine's extensions by name;
    `env` is where keys of servers are looked up."""

    table: SourceTable
    places: Places
    extension: Any = field(repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def options(self) -> Mapping[str, Any]:
        """What stands under `load:`."""
        return self.table.load.options if self.table.load else {}

    @property
    def place(self) -> Where:
        """Where YAML says what is read: its `path:` or `url:`, else all of `load:`."""
        load = self.table.load
        if load is None:
            return self.table.where
        return load.place("url" if "url" in load.places else "path")

    def error(self, what: str, hint: str = "") -> LoadError:
        """An error placed at the `load:` in YAML, without secrets."""
        return LoadError(without_passwords(what), self.place, hint)


class Reader(Protocol):
    """One source table's way in. With `repeats` it offers rows again that were landed before, as
    a table does; a file is only offered when it is new or has changed."""

    repeats: bool

    def parts(self, session: ReaderSession) -> Sequence[SourcePart]:
        """What is there now: files, or one table. `identity` changes when a part changes;
        an empty identity means that nobody can tell without reading."""

    def digest(self, part: SourcePart) -> str:
        """The part's content digest, or "" when only reading it tells."""

    def stage(
        self,
        session: ReaderSession,
        parts: Sequence[SourcePart],
        since: Cursor | None,
        limit: int | None,
    ) -> Staged:
        """Makes the parts readable: all rows, or those from the cursor `since` on (and those
        whose cursor is NULL or no value of its type), or the first `limit` of each.
        Raises LoadError."""

    def confirm(self, session: ReaderSession, parts: Sequence[SourcePart]) -> None:
        """Asked before what was read is kept: raises LoadError where a part is no longer what its
        identity and digest say."""

    def close(self) -> None:
        """Removes what `stage` put aside; its queries are not run any more."""


def kinds() -> tuple[str, ...]:
    """The names of all kinds: files of this folder, then entry points."""
    return plugins.kinds(__name__)


def find(kind: str) -> Any:
    """The kind's module."""
    return plugins.find(__name__, kind)


def vocabulary() -> Mapping[str, Fields]:
    """What each kind understands under `load:`."""
    return plugins.KindFields(__name__)
