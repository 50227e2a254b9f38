"""Engines: where models are built. One module per engine, named like the target's `type`.

The contract is `Engine`, `EngineSession` and `ScratchCatalog`. The suite in `tests/engines/` runs
over every module in this folder, so a new engine is covered automatically:

    engine = find("duckdb").connect(path, settings)
    with engine.session() as session, session.transaction():
        session.run("create table t as select 1 as x")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from transformer import plugins
from transformer.dialects import Dialect
from transformer.errors import ConfigError, Where, did_you_mean
from transformer.names import RelationName
from transformer.steps import Columns, RelationState, Sample


class EngineSession(Protocol):
    """One connection to the warehouse, used by one step at a time. Methods raise `errors.Fault`.

    `connection` is the driver's own, for code that reads rows in bulk.
    """

    connection: Any

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Runs a statement for its effect."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The result as tuples: for counts and small lists, never for data."""

    def sample(self, sql: str, limit: int = 5) -> Sample:
        """The first rows as text, for display."""

    def named_rows(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The column names and rows of any statement that returns rows."""

    def columns(self, sql: str) -> Columns:
        """Names and types of a query's columns."""

    def reads(self, sql: str, name: RelationName) -> frozenset[str] | None:
        """The columns of the relation that the query reads; None if that is unknown. Must not be
        called while another session runs a statement."""

    def arrow(self, sql: str) -> Any:
        """The result as an Arrow table."""

    def frame(self, name: RelationName) -> Any:
        """The relation's rows as a polars data frame."""

    def lazy(self, name: RelationName) -> Any:
        """The relation as the engine's own lazy relation, for Python models."""

    def create_table(self, name: RelationName, data: Any) -> int:
        """Creates a table from anything Arrow-capable; returns its number of rows."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commits at the end; rolls back on an exception."""


class ScratchCatalog(Protocol):
    """A private, empty warehouse in which queries are bound but not run."""

    def create(self, name: RelationName, columns: Columns) -> None:
        """Creates an empty table. Raises Fault if a type is unknown."""

    def describe(self, sql: str) -> Columns:
        """The columns of the query. Raises Fault if it does not bind."""


class Engine(Protocol):
    """An open warehouse."""

    dialect: Dialect
    version: str

    def session(self) -> AbstractContextManager[EngineSession]:
        """A new session."""

    def separate_session(self) -> AbstractContextManager[EngineSession]:
        """A session that sees only committed data, not the caller's open transaction."""

    def relations(
        self, names: Sequence[RelationName] | None = None
    ) -> Mapping[tuple[str, str], RelationState]:
        """All existing relations, or those with these names, by case-folded schema and name."""

    def relation(self, name: RelationName) -> RelationState | None:
        """The relation of this name; None if it does not exist."""

    def comments(self) -> Mapping[tuple[str, str], Mapping[str, str]]:
        """The comments by case-folded schema and name: the relation's own under an empty name, and
        those of its columns under theirs, case-folded."""

    def use_all_threads(self, wanted: bool) -> None:
        """Whether statements use all threads, or only one, which is enough for few rows."""

    def interrupt(self) -> None:
        """Interrupts the running statements."""

    def close(self) -> None:
        """Writes everything and closes the warehouse."""


def kinds() -> tuple[str, ...]:
    """The names of all engines: modules of this folder, then plug-ins."""
    return plugins.kinds(__name__)


def find(kind: str, where: Where | None = None) -> Any:
    """The engine's module: `DIALECT`, `connect(path, settings)`, `scratch()`, `loose()` … Raises
    ConfigError."""
    try:
        return plugins.find(__name__, kind)
    except KeyError:
        hint = did_you_mean(kind, kinds())
        raise ConfigError(f"unknown type of target `{kind}`", where, hint) from None
