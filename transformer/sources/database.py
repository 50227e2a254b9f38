"""Tables of other databases: DuckDB, SQLite, Postgres and MySQL, read through DuckDB's scanners."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Lock

from msgspec import Struct

from transformer.errors import Fault, LoadError
from transformer.landing.staged import (
    PART,
    ROW,
    UNKNOWN,
    Cursor,
    ReaderSession,
    Staged,
    constant_reading,
    renamed_columns,
    unique_names,
)
from transformer.names import fold, literal, quoted, slug
from transformer.project.schema import Field, Fields
from transformer.redaction import UNCLEAR_LOGIN, unclear_login
from transformer.sources import ReaderRequest
from transformer.sources._postgres import PostgresTable as PostgresTable
from transformer.sources._postgres import relation as relation_name
from transformer.steps import Columns, SourcePart

FIELDS: Fields = (
    Field(
        "url",
        "text",
        "`sqlite:PATH`, `duckdb:PATH`, `postgres://user:password@host/db` or `mysql://…`",
        required=True,
        secret=True,
    ),
    Field(
        "table", "text", "The table, optionally with its schema; by default the source table's name"
    ),
    Field("query", "text", "A query over the other database's tables, instead of a table"),
)

# URL scheme -> the type that DuckDB attaches it as, and the extension it needs.
_TYPES = {
    "sqlite": ("sqlite", "sqlite_scanner"),
    "duckdb": ("duckdb", None),
    "postgres": ("postgres", "postgres_scanner"),
    "postgresql": ("postgres", "postgres_scanner"),
    "mysql": ("mysql", "mysql_scanner"),
}
# SQLite: a value as text, and bytes as `X'…'`. SQLite may print a real as another number or not in
# its shortest form, so it prints excess digits with a mark, and DuckDB prints the number again.
_AS_TEXT = (
    "case typeof({0}) when 'blob' then quote({0}) when 'real' then char(1) || printf('%!.20g', {0})"
    " when 'text' then case when unicode({0}) in (1, 2) then char(2) || {0} else {0} end"
    " else cast({0} as text) end"
)
_WITHOUT_MARK = (
    "case left({0}, 1) when chr(1) then try_cast(substr({0}, 2) as double)::varchar"
    " when chr(2) then substr({0}, 2) else {0} end as {0}"
)
# `X'…'` as DuckDB writes bytes: `\x00`.
_BYTES = (
    r"case when regexp_full_match({0}, 'X''([0-9A-F]{{2}})*''')"
    r" then regexp_replace(substr({0}, 3, length({0}) - 3), '(..)', '\\x\1', 'g')"
    r" else {0} end as {0}"
)
# DuckDB can attach a DuckDB file only once per process, whatever the alias.
_ONE_AT_A_TIME = Lock()


def connect(request: ReaderRequest) -> DatabaseReader:
    """The reader of one table of another database."""
    load = request.table.load
    url = str(request.options.get("url") or "")
    scheme, _, rest = url.partition(":")
    if scheme not in _TYPES:
        raise request.error(
            f"databases of kind `{scheme}:` cannot be read" if rest else
            "`url:` does not start with the kind of the database",
            hint=f"supported: {', '.join(f'`{s}:`' for s in _TYPES)}",
        )  # fmt: skip
    path = None
    if scheme in ("sqlite", "duckdb"):
        path = request.places.resolve(rest.removeprefix("//"), load.where if load else None)
    elif unclear_login(url):
        raise request.error(*UNCLEAR_LOGIN)
    return DatabaseReader(request, scheme, url, path)


class DatabaseReader(Struct):
    """One table. Only a file has an identity without reading; a server must be queried."""

    request: ReaderRequest
    scheme: str
    url: str
    path: Path | None
    repeats: bool = True

    @property
    def name(self) -> str:
        """The part's name, stored with every row; it never contains the URL."""
        if self.path:
            return f"{self.request.places.shown(self.path)}:{self.table}"
        return f"{self.scheme}:{self.table}"

    @property
    def table(self) -> str:
        """The table's name in its database."""
        return str(self.request.options.get("table") or self.request.table.name)

    @property
    def bare_alias(self) -> str:
        """The name it is attached as: unique, since attachments are shared by all sessions."""
        table = self.request.table
        exact = hashlib.blake2b(f"{table.source}\0{table.name}".encode(), digest_size=4)
        return f"__source_{slug(table.source)}_{slug(table.name)}_{exact.hexdigest()}"

    @property
    def alias(self) -> str:
        """`bare_alias`, quoted."""
        return quoted(self.bare_alias)

    def confirm(self, session: ReaderSession, parts: Sequence[SourcePart]) -> None:
        """Does nothing: a table is read in one snapshot."""

    def close(self) -> None:
        """Does nothing: there are no temporary files."""

    def parts(self, session: ReaderSession) -> Sequence[SourcePart]:
        """The table, as one part."""
        del session
        if self.path is None:
            return (SourcePart(self.name, ""),)
        if not self.path.is_file():
            raise self.request.error(
                f"there is no file `{self.request.places.shown(self.path)}`",
                hint="the path in `url:` is relative to the project",
            )
        stats = [p.stat() for p in self._files()]
        return (SourcePart(self.name, ",".join(f"{s.st_size}:{s.st_mtime_ns}" for s in stats)),)

    def _files(self) -> list[Path]:
        """The database's file and its write-ahead log (`x-wal`, and DuckDB's `x.wal`)."""
        if self.path is None:
            return []
        logs = (self.path.with_name(self.path.name + ending) for ending in ("-wal", ".wal"))
        return [p for p in (self.path, *logs) if p.is_file()]

    def digest(self, part: SourcePart) -> str:
        """The file's digest; "" for a server."""
        del part
        if self.path is None:
            return ""
        hasher = hashlib.blake2b(digest_size=16)
        for path in self._files():
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    hasher.update(block)
        return hasher.hexdigest()

    def stage(
        self,
        session: ReaderSession,
        parts: Sequence[SourcePart],
        since: Cursor | None,
        limit: int | None,
    ) -> Staged:
        """The table's rows from the cursor on. Those of SQLite are staged as text, since its
        columns may hold values of any type. Raises LoadError."""
        del parts
        exclusively = _ONE_AT_A_TIME if self.scheme == "duckdb" else nullcontext()
        with exclusively:
            try:
                return self._staged(session, since, limit)
            except Fault as fault:
                raise self._read_error(fault) from None
            finally:
                if self.path:
                    session.run(f"detach database if exists {self.alias}")

    def _staged(self, session: ReaderSession, since: Cursor | None, limit: int | None) -> Staged:
        relation = self._attach(session)
        columns = session.columns(f"select * from {relation}")
        texts: frozenset[str] = frozenset()
        if self.scheme == "sqlite":
            relation, columns = self._as_text(session, columns)
        if _TYPES[self.scheme][0] == "postgres":
            bound = self._bound(columns, since)
            table_query = self._postgres(session, columns).query(session, bound, limit)
            if table_query.texts or (bound and bound[1].kind == "VARCHAR"):
                relation, columns, texts = (
                    f"({table_query.query})",
                    table_query.columns,
                    table_query.texts,
                )
        narrowed = self._narrowed(relation, columns, since, texts)
        listed, named = renamed_columns(columns)
        own = f"{literal(self.name)} as {PART}, null::bigint as {ROW}"
        rows = f"select {listed}, {own} from {narrowed}" + (f" limit {limit}" if limit else "")
        if self.path is None:
            pairs = zip(columns, named, strict=True)
            texts = frozenset(new for (old, _), (new, _) in pairs if old in texts)
            return Staged(constant_reading(rows), named, texts=texts, repeats=True)
        # Copied, so that the file can be detached: nobody else can open it while attached.
        stage = quoted("__stage_table")
        session.run(f"create or replace temp table {stage} as {rows}")
        return Staged(
            constant_reading(f"select * from {stage}"),
            named,
            text=self.scheme == "sqlite",
            repeats=True,
        )

    def _postgres(self, session: ReaderSession, columns: Columns) -> PostgresTable:
        query = self.request.options.get("query")
        relation = (
            f"({self._query_text()})"
            if query
            else relation_name(session, self.bare_alias, self.table, self._missing)
        )
        declared = {
            fold(c.name): session.columns(f"select null::{c.data_type}")[0][1]
            for c in self.request.table.described.columns
            if c.data_type
        }
        return PostgresTable(self.bare_alias, relation, columns, declared)

    def _missing(self) -> LoadError:
        return self.request.error(
            f"there is no table `{self.table}`", hint="check `url:` and `table:` under `load:`"
        )

    def _bound(self, columns: Columns, since: Cursor | None) -> tuple[str, Cursor] | None:
        name = self._cursor(columns)
        return (name[0], since) if name and since else None

    def _cursor(self, columns: Columns) -> tuple[str, str] | None:
        load = self.request.table.load
        cursor = fold(load.cursor) if load and load.cursor else ""
        return next(((n, k) for n, k in columns if fold(n) == cursor), None)

    def _as_text(self, session: ReaderSession, columns: Columns) -> tuple[str, Columns]:
        """The same rows with every value cast to text by SQLite, and the declared types. The types
        of expressions and of columns without one (BLOB for DuckDB) are unknown."""
        query = self.request.options.get("query")
        binary_columns = set() if query else self._holding_bytes(session)
        names = unique_names(n for n, _ in columns)
        values = ", ".join(
            f"{_AS_TEXT.format(quoted(old))} as {quoted(new)}"
            for (old, _), new in zip(columns, names, strict=True)
        )
        table = f"({self._query_text()})" if query else ".".join(map(quoted, self.table.split(".")))
        kinds = [
            UNKNOWN if query or (k == "BLOB" and fold(n) not in binary_columns) else k
            for n, k in columns
        ]
        unmarked = ", ".join(_WITHOUT_MARK.format(quoted(n)) for n in names)
        rows = f"(select {unmarked} from {self._sqlite_query(f'select {values} from {table}')})"
        bytes_columns = [
            _BYTES.format(quoted(n)) for n, k in zip(names, kinds, strict=True) if k == "BLOB"
        ]
        if bytes_columns:
            rows = f"(select * replace ({', '.join(bytes_columns)}) from {rows})"
        return rows, tuple(zip(names, kinds, strict=True))

    def _holding_bytes(self, session: ReaderSession) -> set[str]:
        """The columns that SQLite's table declares as BLOB."""
        table = literal(self.table.rpartition(".")[2])
        declared = self._sqlite_query(
            f"select lower(name) as n, upper(type) as t from pragma_table_info({table})"
        )
        return {
            name for name, kind in session.rows(f"select n, t from {declared}") if "BLOB" in kind
        }

    def _sqlite_query(self, text: str) -> str:
        return f"sqlite_query({literal(self.bare_alias)}, {literal(text)})"

    def _narrowed(
        self, relation: str, columns: Columns, since: Cursor | None, texts: frozenset[str]
    ) -> str:
        cursor = self._cursor(columns)
        if since is None or cursor is None:
            return relation
        # `>=`, and NULLs: late rows with the last value must not be lost; landing skips the rows it
        # has already. Compared in the loaded type, since text sorts differently.
        value = quoted(cursor[0])
        if cursor[1] != since.kind or cursor[0] in texts or self.scheme == "sqlite":
            value = f"try_cast({value} as {since.kind})"
        bound = f"{literal(since.value)}::{since.kind}"
        return f"{relation} where {value} >= {bound} or {value} is null"

    def _attach(self, session: ReaderSession) -> str:
        kind, extension = _TYPES[self.scheme]
        if extension:
            self.request.extension(session, extension)
        place = str(self.path) if self.path else self.url
        session.run(f"detach database if exists {self.alias}")
        session.run(f"attach {literal(place)} as {self.alias} (type {kind}, read_only)")
        if self.request.options.get("query"):
            return f"({self._query(session)})"
        return ".".join([self.alias, *(quoted(part) for part in self.table.split("."))])

    def _query_text(self) -> str:
        return str(self.request.options["query"]).strip().rstrip(";")

    def _query(self, session: ReaderSession) -> str:
        """The query, run in the other database."""
        text = self._query_text()
        if self.scheme != "duckdb":
            return (
                f"from {_TYPES[self.scheme][0]}_query({literal(self.bare_alias)}, {literal(text)})"
            )
        home = session.rows("select current_database()")[0][0]
        stage = quoted("__stage_query")
        session.run(f"use {self.alias}")
        try:
            session.run(f"create or replace temp table {stage} as {text}")
        finally:
            session.run(f"use {quoted(home)}")
        return f"from {stage}"

    def _read_error(self, fault: Fault) -> LoadError:
        reason = fault.message.splitlines()[0]
        reason = reason.replace(self.url, f"{self.scheme}:…").replace(f"{self.bare_alias}.", "")
        return self.request.error(
            f"`{self.name}` cannot be read: {reason.rstrip('.!')}",
            hint="check `url:` and `table:` under `load:`",
        )
