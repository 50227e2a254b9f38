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

from transformer.dialects import Dialect
from transformer.engines._connection import (
    PER_CURSOR,
    connection,
    fault,
    faults,
    in_memory,
    open_catalog,
    search,
)
from transformer.engines._equipment import BUILT_IN, attach, loading, secret, wheel_of
from transformer.engines._files import STORAGE, create_log, recreate, remove_empty_log
from transformer.engines._plans import columns_read
from transformer.engines._relations import comments, relations, rows_of_all
from transformer.engines._scratch import CATALOG, scratch, serializer
from transformer.errors import Fault, LoadError, WarehouseError
from transformer.names import RelationName, literal, quoted
from transformer.permissions import folder
from transformer.steps import Columns, RelationState, Sample

__all__ = ["DIALECT", "connect", "load_extension", "loose", "scratch", "serializer"]

DIALECT = Dialect("duckdb")

# STORAGE is readable by DuckDB 1.4, 1.5, 2.0, WASM and Node; from this version on, another file's
# write-ahead log is refused, while older files replay it silently.

# The size of the write-ahead log at which DuckDB checkpoints it.
_CHECKPOINT_SIZE = "256MB"
# Logs larger than this many bytes are checkpointed with all threads.
_LARGE_LOG = 128 << 20
_LOCKED = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


class DuckSession:
    """One cursor of the warehouse's connection."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, extensions: set[str] | None = None
    ) -> None:
        self.connection = connection
        # Extensions belong to the database instance, so all sessions share this set.
        self.extensions = set() if extensions is None else extensions

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Runs a statement for its effect."""
        with faults():
            self.connection.execute(sql, parameters or None)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The result as tuples: for counts and small lists, never for data."""
        with faults():
            return self.connection.execute(sql, parameters or None).fetchall()

    def named_rows(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The column names and rows of a statement; `show`, `pragma` and `call` too."""
        with faults():
            result = self.connection.execute(sql)
            return [str(column[0]) for column in result.description or ()], result.fetchall()

    def sample(self, sql: str, limit: int = 5) -> Sample:
        """The first rows as text, for display."""
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
        """The columns of the relation that the query reads, according to the engine's planner; None
        if unknown, also for a query that does not bind. Changes the planner's settings for all
        sessions while it runs."""
        try:
            previous = self.rows("select current_setting('disabled_optimizers')")[0][0]
            self.run(f"set disabled_optimizers = '{_all_but('unused_columns')}'")
            try:
                plan = self.rows(f"explain (format json)\n{sql}")
            finally:
                self.run(f"set disabled_optimizers = {literal(previous)}")
            return columns_read(str(plan[0][1]), name)
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

    def create_table(self, name: RelationName, data: Any) -> int:
        """Creates a table from anything Arrow-capable; returns its number of rows."""
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
        """Commits at the end; rolls back on an exception."""
        self.run("begin transaction")
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        try:
            self.run("commit")
        except Fault:
            with suppress(duckdb.Error):  # DuckDB may have ended the transaction itself
                self.connection.rollback()
            raise


@cache
def _all_but(enabled: str) -> str:
    """All of DuckDB's optimizers except one: such a plan reads exactly what the query reads."""
    connection = duckdb.connect()
    with connection:
        names = [
            row[0] for row in connection.execute("select name from duckdb_optimizers()").fetchall()
        ]
    if enabled not in names:
        raise LookupError(enabled)
    return ",".join(name for name in names if name != enabled)


class DuckEngine:
    """An open warehouse file."""

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
        # Many settings belong to a session, so they are set for every cursor.
        self._settings = {
            name: value
            for name, value in (settings or {}).items()
            if str(name).lower() not in ("threads", "worker_threads")  # set by `use_all_threads`
        }
        self._open: set[duckdb.DuckDBPyConnection] = set()
        self._extensions: set[str] = set()
        self._guard = threading.Lock()
        self._most: int | None = None
        self._all_threads = True
        # Whether a large part of the file was free space when it was closed.
        self.bloated = False

    def use_all_threads(self, wanted: bool) -> None:
        """Whether statements use all threads, or only one: for few rows a second thread costs more
        than it gains."""
        if wanted == self._all_threads:
            return
        if self._most is None:
            row = self._connection.execute("select current_setting('threads')").fetchone()
            self._most = int(row[0]) if row else 1
        self._connection.execute(f"set threads = {self._most if wanted else 1}")
        self._all_threads = wanted

    def equip(
        self,
        extensions: Sequence[str],
        attached: Sequence[Mapping[str, Any]],
        secrets: Sequence[Mapping[str, Any]],
    ) -> None:
        """Loads extensions, creates secrets and attaches databases. Raises WarehouseError."""
        with self.session() as session:
            for name in extensions:
                if name not in BUILT_IN:
                    _run_setup(session, f"extension `{name}`", loading(name))
            for entry in secrets:
                _run_setup(session, "profile's secret", secret(entry))
            for entry in attached:
                _run_setup(session, f"database `{entry.get('alias') or ''}`", attach(entry))

    @contextmanager
    def session(self) -> Iterator[DuckSession]:
        """A new cursor, with its own transactions and temporary tables."""
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

    def separate_session(self) -> AbstractContextManager[DuckSession]:
        """A session that sees only committed data, not the caller's open transaction."""
        return self.session()

    def relation(self, name: RelationName) -> RelationState | None:
        """The relation of this name; None if it does not exist."""
        return self.relations([name]).get(name.key())

    def relations(
        self, names: Sequence[RelationName] | None = None
    ) -> Mapping[tuple[str, str], RelationState]:
        """All tables and views of the file, or those with these names."""
        with self.session() as session:
            return relations(session, names)

    def comments(self) -> Mapping[tuple[str, str], Mapping[str, str]]:
        """The comments of every relation and of its columns."""
        with self.session() as session:
            return comments(session)

    def export(self, path: Path, names: Sequence[RelationName]) -> None:
        """Writes a new file with only these relations (views as tables) and the list of runs."""
        recreate(path, self._path)
        comments = self.comments()
        with self.session() as session:
            session.run(f"attach {literal(str(path))} as __shown (storage_version '{STORAGE}')")
            for name in names:
                session.run(f"create schema if not exists __shown.{quoted(name.schema)}")
                session.run(f"create table __shown.{name.sql()} as from {name.sql()}")
                for column, text in comments.get(name.key(), {}).items():
                    on = f"column __shown.{name.sql()}.{quoted(column)}" if column else ""
                    on = on or f"table __shown.{name.sql()}"
                    session.run(f"comment on {on} is {literal(text)}")
            session.run("checkpoint __shown")
            session.run("detach __shown")

    def read_through(self) -> int:
        """The total number of rows. Raises Fault if the file is damaged."""
        with self.session() as session:
            return rows_of_all(session, self._path.stat().st_size)

    def interrupt(self) -> None:
        """Interrupts the running statements."""
        with self._guard:
            for cursor in self._open:
                cursor.interrupt()

    def _log_size(self) -> int:
        """The size of the write-ahead log in bytes."""
        log = self._path.with_name(f"{self._path.name}.wal")
        return log.stat().st_size if log.exists() else 0

    def _is_bloated(self) -> bool:
        """Whether a large part of the file is free space."""
        row = self._connection.execute(
            "select free_blocks >= 0.5 * total_blocks from pragma_database_size()"
            f" where database_name = {literal(self._catalog)}"
        ).fetchone()
        return bool(row and row[0])

    def close(self) -> None:
        """Writes everything to the file and closes it."""
        with faults():
            self._connection.execute(f"use {in_memory(self._catalog)}")
            if not self._read_only:
                # For a small log, one thread is as fast and costs less.
                self.use_all_threads(self._log_size() > _LARGE_LOG)
                self._connection.execute(f"checkpoint {quoted(self._catalog)}")
                self.bloated = self._is_bloated()
            self._connection.execute(f"detach {quoted(self._catalog)}")
        self._connection.close()
        if not self._read_only:
            remove_empty_log(self._path)


def _run_setup(session: DuckSession, what: str, statement: str) -> None:
    try:
        session.run(statement)
    except Fault as fault:
        raise WarehouseError(
            f"cannot set up the {what}: {fault.message.splitlines()[0]}",
            hint="check the target in profiles.yml",
        ) from None


@contextmanager
def loose() -> Iterator[DuckSession]:
    """A session without a warehouse, for previewing files.

    It does not verify the signatures of extension wheels, which takes a tenth of a second each; the
    warehouse's connection does.
    """
    con = connection(config={"allow_unsigned_extensions": "true"})
    try:
        yield DuckSession(con)
    finally:
        con.close()


def connect(
    path: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    read_only: bool = False,
    catalog: str = "",
    folder: Path | None = None,
) -> DuckEngine:
    """The open warehouse file, created if missing; `catalog` is its name in queries, `folder` is
    where relative file names in SQL lead to. Raises WarehouseError if it is locked or cannot be
    opened."""
    con = connection(settings)
    search(con, folder)
    catalog = catalog or CATALOG
    options = "read_only" if read_only else f"storage_version {literal(STORAGE)}"
    if not read_only:
        con.execute(f"set temp_directory = {literal(str(_spill_folder(path)))}")
        # One checkpoint at the end, instead of one every few steps.
        con.execute(f"set checkpoint_threshold = '{_CHECKPOINT_SIZE}'")
    try:
        open_catalog(con, str(path), catalog, f"({options})")
        if not read_only:
            create_log(path)
    except duckdb.Error as error:
        con.close()
        raise _cannot_open(path, fault(error).message) from None
    return DuckEngine(con, path, catalog, settings, read_only=read_only)


def _spill_folder(path: Path) -> Path:
    """The folder for rows that exceed memory: the build's own, with the warehouse's permissions."""
    inside = path.parent.parent.name == ".transform"
    return (path.parent if inside else path.parent / ".transform" / path.name) / "tmp"


def compact_if_bloated(path: Path, share: float = 0.5, least: int = 64 << 20) -> bool:
    """Rewrites a closed file of at least `least` bytes if this share of it is free space; returns
    whether it did."""
    if path.stat().st_size < least:
        return False
    con = connection()
    try:
        con.execute(f"attach {literal(str(path))} as held (read_only)")
        size = con.execute(
            "select total_blocks, free_blocks from pragma_database_size()"
            " where database_name = 'held'"
        ).fetchone()
        if not size or size[1] < share * size[0]:
            return False
        slim = path.with_name("compact") / path.name
        folder(slim.parent, path)
        recreate(slim, path)
        con.execute(f"attach {literal(str(slim))} as slim (storage_version '{STORAGE}')")
        con.execute("copy from database held to slim")
        con.execute("checkpoint slim")
    finally:
        con.close()
    slim.replace(path)
    return True


def _cannot_open(path: Path, message: str) -> WarehouseError:
    lock = _LOCKED.search(message)
    if lock:
        program = Path(lock["program"]).name
        return WarehouseError(
            f"`{path.name}` is open for writing in {program} (process {lock['pid']})",
            hint="close it there and try again; readers do not block a build",
        )
    if "not a valid DuckDB database" in message or "Could not read" in message:
        return WarehouseError(
            f"`{path.name}` is not a DuckDB file",
            hint="move it away; the next build creates a new one",
        )
    return WarehouseError(f"`{path.name}` cannot be opened: {message.splitlines()[0]}")


def load_extension(session: Any, name: str) -> None:
    """Loads an extension from its wheel. Raises LoadError if the wheel is not installed."""
    if name in session.extensions:
        return
    wheel_path = wheel_of(name)
    if wheel_path:
        session.run(f"load {literal(wheel_path)}")
        session.extensions.add(name)
        return
    wheel = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
    raise LoadError(f"DuckDB's extension `{name}` is not installed", hint=f"pip install '{wheel}'")
