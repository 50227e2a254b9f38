"""DuckDB: the warehouse is one file, attached under its base name to a private connection."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from transformer.dialects.abilities import Dialect
from transformer.engines._connection import (
    PER_CURSOR,
    connection,
    fault,
    faults,
    in_memory,
    open_catalog,
)
from transformer.engines._equipment import BUILT_IN, attach, loading, secret, wheel_of
from transformer.engines._files import STORAGE, recreate, with_log, without_log
from transformer.engines._plans import columns_read
from transformer.engines._relations import comments, relations, rows_of_all
from transformer.engines._scratch import CATALOG, scratch, serializer
from transformer.errors import Fault, LoadError, WarehouseError
from transformer.names import RelationName, literal, quoted
from transformer.permissions import folder
from transformer.steps import Columns, RelationState, Sample

__all__ = ["DIALECT", "connect", "load_extension", "loose", "scratch", "serializer"]

DIALECT = Dialect("duckdb")

# Readable by DuckDB 1.4, 1.5, 2.0, WASM and Node; from this version on a foreign write-ahead
# log is refused, where older files replay it silently.

# So large may the write-ahead log grow before what is in it goes to its place.
_LOG = "256MB"
# So many bytes of it are put in their place by more than one thread.
_MUCH = 128 << 20
_LOCKED = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


class DuckSession:
    """One cursor of the warehouse's connection."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, extensions: set[str] | None = None
    ) -> None:
        self.connection = connection
        # Extensions belong to the whole database instance: what one session loads, all have.
        self.extensions = set() if extensions is None else extensions

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Runs a statement for its effect."""
        with faults():
            self.connection.execute(sql, parameters or None)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The result as tuples: for figures and small lists, never for data."""
        with faults():
            return self.connection.execute(sql, parameters or None).fetchall()

    def told(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names and rows of whatever gives rows: `show`, `pragma`, `call` too."""
        with faults():
            made = self.connection.execute(sql)
            return [str(column[0]) for column in made.description or ()], made.fetchall()

    def sample(self, sql: str, limit: int = 5) -> Sample:
        """The first rows as text, to be shown."""
        with faults():
            shown = self.connection.execute(
                f"select columns(*)::varchar from ({sql}\n) limit {int(limit)}"
            )
            names = tuple(str(column[0]) for column in shown.description or ())
            rows = shown.fetchall()
        return Sample(names, tuple(tuple("" if v is None else v for v in row) for row in rows))

    def columns(self, sql: str) -> Columns:
        """Names and types of a query's columns."""
        return tuple((str(row[0]), str(row[1])) for row in self.rows(f"describe\n{sql}"))

    def reads(self, sql: str, name: RelationName) -> frozenset[str] | None:
        """The columns of the relation that the query reads, as the engine's own planner finds
        them; None where that cannot be told. Raises nothing: a query that does not bind reads
        what nobody knows. The planner is set for all sessions meanwhile."""
        try:
            before = self.rows("select current_setting('disabled_optimizers')")[0][0]
            self.run(f"set disabled_optimizers = '{_all_but('unused_columns')}'")
            try:
                told = self.rows(f"explain (format json)\n{sql}")
            finally:
                self.run(f"set disabled_optimizers = {literal(before)}")
            return columns_read(str(told[0][1]), name)
        except (Fault, LookupError, ValueError):
            return None

    def arrow(self, sql: str) -> Any:
        """The result as an Arrow table."""
        with faults():
            return self.connection.execute(sql).to_arrow_table()

    def frame(self, name: RelationName) -> Any:
        """The relation's rows as a polars data frame."""
        with faults():
            return self.connection.execute(f"select * from {name.sql()}").pl()

    def lazy(self, name: RelationName) -> Any:
        """The relation as a DuckDB relation, for Python models."""
        with faults():
            return self.connection.sql(f"select * from {name.sql()}")

    def take(self, name: RelationName, data: Any) -> int:
        """Makes a table of anything Arrow-capable; the number of its rows."""
        with faults():
            self.connection.register("__taken", data)
            try:
                kind = "temp table" if name.schema == "temp" else "table"
                place = quoted(name.table) if name.schema == "temp" else name.sql()
                self.connection.execute(
                    f"create or replace {kind} {place} as select * from __taken"
                )
            finally:
                self.connection.unregister("__taken")
        return int(self.rows(f"select count(*) from {place}")[0][0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits at the end, rolls back when an exception leaves it."""
        self.run("begin transaction")
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        try:
            self.run("commit")
        except Fault:
            with suppress(duckdb.Error):  # DuckDB itself may have ended it
                self.connection.rollback()
            raise


@cache
def _all_but(kept: str) -> str:
    """DuckDB's optimizers but one: a plan that was made so reads just what the query says."""
    made = duckdb.connect()
    with made:
        names = [row[0] for row in made.execute("select name from duckdb_optimizers()").fetchall()]
    if kept not in names:
        raise LookupError(kept)
    return ",".join(name for name in names if name != kept)


class DuckEngine:
    """A warehouse file that is open for building."""

    dialect = DIALECT
    version = f"DuckDB {duckdb.__version__}"

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        catalog: str,
        settings: Mapping[str, Any] | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self._connection, self._path = connection, path
        self._catalog, self._read_only = catalog, read_only
        # Many settings belong to a session: each cursor gets them anew.
        self._settings = {
            name: value
            for name, value in (settings or {}).items()
            if str(name).lower() not in ("threads", "worker_threads")  # `hurry` sets them
        }
        self._open: set[duckdb.DuckDBPyConnection] = set()
        self._extensions: set[str] = set()
        self._guard = threading.Lock()
        self._most: int | None = None
        self._hurried = True
        # Whether a large share of the file was free space when it was closed.
        self.bloated = False

    def hurry(self, wanted: bool) -> None:
        """Whether statements are spread over all threads, or done by one. Over few rows a second
        thread costs more than it brings."""
        if wanted == self._hurried:
            return
        if self._most is None:
            found = self._connection.execute("select current_setting('threads')").fetchone()
            self._most = int(found[0]) if found else 1
        self._connection.execute(f"set threads = {self._most if wanted else 1}")
        self._hurried = wanted

    def equip(
        self,
        extensions: Sequence[str],
        attached: Sequence[Mapping[str, Any]],
        secrets: Sequence[Mapping[str, Any]],
    ) -> None:
        """Loads extensions, makes secrets and attaches databases. Raises WarehouseError."""
        with self.session() as session:
            for name in extensions:
                if name not in BUILT_IN:
                    _equipped(session, f"extension `{name}`", loading(name))
            for each in secrets:
                _equipped(session, "a secret of the profile", secret(each))
            for each in attached:
                _equipped(session, f"database `{each.get('alias') or ''}`", attach(each))

    @contextmanager
    def session(self) -> Iterator[DuckSession]:
        """A cursor of its own: transactions and temporary tables belong to it."""
        cursor = self._connection.cursor()
        cursor.execute(f"{PER_CURSOR}; use {quoted(self._catalog)}")
        for name, value in self._settings.items():
            cursor.execute(f"set {name} = {literal(str(value))}")
        with self._guard:
            self._open.add(cursor)
        try:
            yield DuckSession(cursor, self._extensions)
        finally:
            with self._guard:
                self._open.discard(cursor)
            cursor.close()

    def apart(self) -> AbstractContextManager[DuckSession]:
        """A session that sees what is committed, whatever the caller has not committed yet."""
        return self.session()

    def relation(self, name: RelationName) -> RelationState | None:
        """One of them, when it is there."""
        return self.relations([name]).get(name.key())

    def relations(
        self, names: Sequence[RelationName] | None = None
    ) -> Mapping[tuple[str, str], RelationState]:
        """Every table and view of the file, or those of these names."""
        with self.session() as session:
            return relations(session, names)

    def comments(self) -> Mapping[tuple[str, str], Mapping[str, str]]:
        """The comments of every relation and of its columns."""
        with self.session() as session:
            return comments(session)

    def export(self, path: Path, names: Sequence[RelationName]) -> None:
        """Writes a new file of these relations only, views as tables, and how fresh it is."""
        recreate(path, self._path)
        said = self.comments()
        with self.session() as session:
            session.run(f"attach {literal(str(path))} as __shown (storage_version '{STORAGE}')")
            for name in (*names, RelationName("_transform", "runs")):
                session.run(f"create schema if not exists __shown.{quoted(name.schema)}")
                session.run(f"create table __shown.{name.sql()} as from {name.sql()}")
                for column, text in said.get(name.key(), {}).items():
                    on = f"column __shown.{name.sql()}.{quoted(column)}" if column else ""
                    on = on or f"table __shown.{name.sql()}"
                    session.run(f"comment on {on} is {literal(text)}")
            session.run("checkpoint __shown")
            session.run("detach __shown")

    def read_through(self) -> int:
        """The rows of all tables. Raises Fault where the file does not hold what it says."""
        with self.session() as session:
            return rows_of_all(session, self._path.stat().st_size)

    def interrupt(self) -> None:
        """Stops the statements that run."""
        with self._guard:
            for cursor in self._open:
                cursor.interrupt()

    def _unwritten(self) -> int:
        """The bytes of what is in the write-ahead log and not yet in its place."""
        log = self._path.with_name(f"{self._path.name}.wal")
        return log.stat().st_size if log.exists() else 0

    def _has_room(self) -> bool:
        """Whether a large share of the file is free space."""
        found = self._connection.execute(
            "select free_blocks >= 0.5 * total_blocks from pragma_database_size()"
            f" where database_name = {literal(self._catalog)}"
        ).fetchone()
        return bool(found and found[0])

    def close(self) -> None:
        """Writes everything to the file and lets go of it."""
        with faults():
            self._connection.execute(f"use {in_memory(self._catalog)}")
            if not self._read_only:
                # One thread puts little in order as soon, and at less cost.
                self.hurry(self._unwritten() > _MUCH)
                self._connection.execute(f"checkpoint {quoted(self._catalog)}")
                self.bloated = self._has_room()
            self._connection.execute(f"detach {quoted(self._catalog)}")
        self._connection.close()
        if not self._read_only:
            without_log(self._path)


def _equipped(session: DuckSession, what: str, statement: str) -> None:
    try:
        session.run(statement)
    except Fault as fault:
        raise WarehouseError(
            f"the {what} cannot be had: {fault.message.splitlines()[0]}",
            hint="look at the target in profiles.yml",
        ) from None


@contextmanager
def loose() -> Iterator[DuckSession]:
    """A session without a warehouse, to look at files with.

    It takes our own extension wheels at their word: reading their signatures costs a tenth of a
    second each, and the warehouse that loads the same ones reads them.
    """
    made = connection(config={"allow_unsigned_extensions": "true"})
    try:
        yield DuckSession(made)
    finally:
        made.close()


def connect(
    path: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    read_only: bool = False,
    catalog: str = "",
) -> DuckEngine:
    """The warehouse file, made when it is not there. Raises WarehouseError when it is locked.
    `catalog` is what queries may call it."""
    made = connection(settings)
    catalog = catalog or CATALOG
    options = "read_only" if read_only else f"storage_version {literal(STORAGE)}"
    if not read_only:
        made.execute(f"set temp_directory = {literal(str(_spilling(path)))}")
        # Not every few steps: the file is put in order once, at the end.
        made.execute(f"set checkpoint_threshold = '{_LOG}'")
    try:
        open_catalog(made, str(path), catalog, f"({options})")
        if not read_only:
            with_log(path)
    except duckdb.Error as error:
        made.close()
        raise _cannot_open(path, fault(error).message) from None
    return DuckEngine(made, path, catalog, settings, read_only=read_only)


def _spilling(path: Path) -> Path:
    """Where rows go that memory does not hold: the builder's folder, which only those may read who
    may read the warehouse."""
    inside = path.parent.parent.name == ".transform"
    return (path.parent if inside else path.parent / ".transform" / path.name) / "tmp"


def compact_if_bloated(path: Path, share: float = 0.5, least: int = 64 << 20) -> bool:
    """Rewrites a closed file when so large a share of it is free space; small files are left."""
    if path.stat().st_size < least:
        return False
    held = connection()
    try:
        held.execute(f"attach {literal(str(path))} as held (read_only)")
        size = held.execute(
            "select total_blocks, free_blocks from pragma_database_size()"
            " where database_name = 'held'"
        ).fetchone()
        if not size or size[1] < share * size[0]:
            return False
        slim = path.with_name("compact") / path.name
        folder(slim.parent, path)
        recreate(slim, path)
        held.execute(f"attach {literal(str(slim))} as slim (storage_version '{STORAGE}')")
        held.execute("copy from database held to slim")
        held.execute("checkpoint slim")
    finally:
        held.close()
    slim.replace(path)
    return True


def _cannot_open(path: Path, message: str) -> WarehouseError:
    held = _LOCKED.search(message)
    if held:
        program = Path(held["program"]).name
        return WarehouseError(
            f"`{path.name}` is open for writing in {program} (process {held['pid']})",
            hint="close it there and try again; readers do not stand in the way",
        )
    if "not a valid DuckDB database" in message or "Could not read" in message:
        return WarehouseError(
            f"`{path.name}` is no DuckDB file",
            hint="move it away; the next build makes a new one",
        )
    return WarehouseError(f"`{path.name}` cannot be opened: {message.splitlines()[0]}")


def load_extension(session: Any, name: str) -> None:
    """Loads an extension from its wheel. Raises LoadError when the wheel is not there."""
    if name in session.extensions:
        return
    found = wheel_of(name)
    if found:
        session.run(f"load {literal(found)}")
        session.extensions.add(name)
        return
    wheel = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
    raise LoadError(f"DuckDB's extension `{name}` is not installed", hint=f"pip install '{wheel}'")
