"""Engines: where models are built. One file per engine; the file's name is the target's `type`.

The contract is `Engine`, `EngineSession` and `ScratchCatalog`. The suite in `tests/engines/` runs
over every file of this folder, so a new engine joins it by existing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from transformer import plugins
from transformer.dialects.abilities import Dialect
from transformer.errors import ConfigError, Where, did_you_mean
from transformer.names import RelationName
from transformer.steps import Columns, RelationState, Sample


class EngineSession(Protocol):
    """One connection to the warehouse; a step has it to itself. Faults are `errors.Fault`.

    `connection` is the driver's own, for what reads rows in bulk.
    """

    connection: Any

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Runs a statement for its effect."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The result as tuples: for figures and small lists, never for data."""

    def sample(self, sql: str, limit: int = 5) -> Sample:
        """The first rows as text, to be shown."""

    def told(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names and rows of whatever gives rows."""

    def columns(self, sql: str) -> Columns:
        """Names and types of a query's columns."""

    def reads(self, sql: str, name: RelationName) -> frozenset[str] | None:
        """The columns of the relation that the query reads; None where that cannot be told. It
        may only be asked while no other session runs a statement."""

    def arrow(self, sql: str) -> Any:
        """The result as an Arrow table."""

    def frame(self, name: RelationName) -> Any:
        """The relation's rows as a polars data frame."""

    def lazy(self, name: RelationName) -> Any:
        """The relation as the engine's own lazy relation, for Python models."""

    def take(self, name: RelationName, data: Any) -> int:
        """Makes a table of anything Arrow-capable; the number of its rows."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commits at the end, rolls back when an exception leaves it."""


class ScratchCatalog(Protocol):
    """A private, empty warehouse in which queries are bound, not run."""

    def create(self, name: RelationName, columns: Columns) -> None:
        """An empty table. Raises Fault when a type is unknown."""

    def describe(self, sql: str) -> Columns:
        """The columns the query would give. Raises Fault when it does not bind."""


class Engine(Protocol):
    """A warehouse that is open."""

    dialect: Dialect
    version: str

    def session(self) -> AbstractContextManager[EngineSession]:
        """A connection of its own."""

    def apart(self) -> AbstractContextManager[EngineSession]:
        """A session that sees what is committed, whatever others have not committed yet."""

    def relations(
        self, names: Sequence[RelationName] | None = None
    ) -> Mapping[tuple[str, str], RelationState]:
        """Everything that is there, or what has one of these names, by folded schema and name."""

    def relation(self, name: RelationName) -> RelationState | None:
        """One of them, when it is there."""

    def comments(self) -> Mapping[tuple[str, str], Mapping[str, str]]:
        """The comments of every relation, by folded schema and name: its own under an empty name,
        and those of its columns by theirs, folded."""

    def hurry(self, wanted: bool) -> None:
        """Whether statements use all threads; few rows need but one."""

    def interrupt(self) -> None:
        """Stops the statements that run."""

    def close(self) -> None:
        """Lets go of the warehouse, everything written."""


def kinds() -> tuple[str, ...]:
    """The names of all engines: files of this folder, then entry points."""
    return plugins.kinds(__name__)


def find(kind: str, where: Where | None = None) -> Any:
    """The engine's module: `DIALECT`, `connect(path, settings)`, `scratch()`, `loose()` …"""
    try:
        return plugins.find(__name__, kind)
    except KeyError:
        hint = did_you_mean(kind, kinds())
        raise ConfigError(f"unknown type of target `{kind}`", where, hint) from None
