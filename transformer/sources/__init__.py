"""Sources: where raw data comes from. One module per kind, named like its `kind:` in YAML.

A kind defines `FIELDS` (its keys under `load:`) and `connect(request) -> Reader`. The suite in
`tests/sources/` runs over every module in this folder, so a new kind is covered automatically.
Rows never pass through Python: a reader returns SQL that the loading engine runs:

    reader = connect(request)
    staged = reader.stage(session, reader.parts(session), since=None, limit=None)
    session.rows(f"select * from ({staged.rows})")
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
    """What a reader needs. `extension(session, name)` loads an engine extension; `env` holds the
    credentials of servers."""

    table: SourceTable
    places: Places
    extension: Any = field(repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def options(self) -> Mapping[str, Any]:
        """The keys under `load:`."""
        return self.table.load.options if self.table.load else {}

    @property
    def place(self) -> Where:
        """The place in YAML of `path:` or `url:`, else of `load:`."""
        load = self.table.load
        if load is None:
            return self.table.where
        return load.place("url" if "url" in load.places else "path")

    def error(self, what: str, hint: str = "") -> LoadError:
        """An error placed at the `load:` in YAML, without secrets."""
        return LoadError(without_passwords(what), self.place, hint)


class Reader(Protocol):
    """Reads one source table. With `repeats`, rows that were loaded before are offered again, as
    by a table; a file is only offered if it is new or has changed."""

    repeats: bool

    def parts(self, session: ReaderSession) -> Sequence[SourcePart]:
        """What exists now: files, or one table. A part's `identity` changes when the part does;
        an empty identity means that only reading tells. Raises LoadError."""

    def digest(self, part: SourcePart) -> str:
        """The part's content digest; "" if there is none without reading the rows."""

    def stage(
        self,
        session: ReaderSession,
        parts: Sequence[SourcePart],
        since: Cursor | None,
        limit: int | None,
    ) -> Staged:
        """Makes the parts readable: all rows, or those from the cursor `since` on (plus those
        whose cursor is NULL or not a value of its type), or the first `limit` rows of each.
        Raises LoadError."""

    def confirm(self, session: ReaderSession, parts: Sequence[SourcePart]) -> None:
        """Called before a load is committed: raises LoadError if a part has changed since its
        identity and digest were taken."""

    def close(self) -> None:
        """Removes the temporary files of `stage`; its queries cannot be run afterwards."""


def kinds() -> tuple[str, ...]:
    """The names of all kinds: modules of this folder, then plug-ins."""
    return plugins.kinds(__name__)


def find(kind: str) -> Any:
    """The kind's module."""
    return plugins.find(__name__, kind)


def vocabulary() -> Mapping[str, Fields]:
    """The keys that each kind supports under `load:`."""
    return plugins.KindFields(__name__)
