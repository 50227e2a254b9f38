"""What a source offers, as SQL over rows that are not landed yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from transformer.names import literal, quoted
from transformer.steps import Columns

# Columns that a reader adds to what it stages: the part a row is of, and its number in it.
PART, ROW = "__part", "__row"
# What every landed row carries: when, in which batch, from which file or table and row.
OWN: Columns = (
    ("_loaded_at", "TIMESTAMP WITH TIME ZONE"),
    ("_batch", "VARCHAR"),
    ("_source", "VARCHAR"),
)
# Names that a column from outside cannot have: it gets a number behind its own.
RESERVED = frozenset(
    {PART, ROW, "__copy", "__own", "__place", "__again", "__record", *(name for name, _ in OWN)}
)


class Session(Protocol):
    """The part of an engine's session that readers use."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Runs a statement."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a small result."""

    def columns(self, sql: str) -> Columns:
        """Names and types of a query's columns."""


class Cursor(Struct, frozen=True):
    """How far a table was read: the last value, and the type it has in the raw table."""

    value: str
    kind: str


class Staged(Struct, frozen=True):
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


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Names that can stand in one table: none empty, none twice (case folded), none reserved."""
    made: list[str] = []
    taken = set(RESERVED)
    for number, raw in enumerate(names, 1):
        base = name = raw.replace("\x00", "").strip().lstrip("\ufeff") or f"column_{number}"
        count = 1
        while name.lower() in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name.lower())
        made.append(name)
    return tuple(made)


def picked(columns: Columns) -> tuple[str, Columns]:
    """Typed columns under names that can stand in one table: as SQL, and as they are then."""
    names = distinct(name for name, _ in columns)
    pairs = zip(columns, names, strict=True)
    listed = ", ".join(f"{quoted(old)} as {quoted(new)}" for (old, _), new in pairs)
    return listed, tuple((new, kind) for new, (_, kind) in zip(names, columns, strict=True))


def path_literal(path: str) -> str:
    """A path as DuckDB takes it literally: it would read `[`, `*` and `?` as patterns."""
    escaped = "".join(f"[{c}]" if c in "[*?" else c for c in path)
    return literal(escaped)
