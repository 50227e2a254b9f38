"""What a source offers, as SQL over rows that are not landed yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from transformer.steps import Columns

# Columns that a reader adds to what it stages: the part a row is of, and its number in it.
PART, ROW = "__part", "__row"


class Session(Protocol):
    """The part of an engine's session that readers use."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Runs a statement."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a small result."""

    def columns(self, sql: str) -> Columns:
        """Names and types of a query's columns."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What a source offers, as SQL.

    `rows` selects the columns, then `__part` and `__row`. `columns` are the types that the
    source says; with `text` the values are still text and have to be cast, and the type
    `UNKNOWN` asks for one to be inferred. `bad` selects what could not even be read as rows:
    part, row number, column, text, reason. `repeats`: rows that were landed before may be
    offered again, as a table does; a file is only offered when it is new.
    """

    rows: str
    columns: Columns
    text: bool = False
    bad: str | None = None
    repeats: bool = False


# The type of a column of text whose type nobody has said.
UNKNOWN = "UNKNOWN"
