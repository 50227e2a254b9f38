"""Tables of other databases: DuckDB, SQLite, Postgres and MySQL, read through DuckDB's scanners."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformer.errors import Fault, LoadError
from transformer.landing.staged import PART, ROW, UNKNOWN, Session, Staged
from transformer.ledger import Part
from transformer.names import literal, quoted, slug
from transformer.project.schema import Field, Fields
from transformer.sources import Request

FIELDS: Fields = (
    Field(
        "url",
        "text",
        "`sqlite:PATH`, `duckdb:PATH`, `postgres://user:password@host/db` or `mysql://…`",
        required=True,
    ),
    Field(
        "table", "text", "The table there, with its schema if need be; without it, the same name"
    ),
    Field("query", "text", "A query in the place of a table, in the other database's tables"),
)

# URL scheme -> what DuckDB attaches it as, and the extension that does.
_TYPES = {
    "sqlite": ("sqlite", "sqlite_scanner"),
    "duckdb": ("duckdb", None),
    "postgres": ("postgres", "postgres_scanner"),
    "postgresql": ("postgres", "postgres_scanner"),
    "mysql": ("mysql", "mysql_scanner"),
}


def connect(request: Request) -> DatabaseReader:
    """The reader of one table of another database."""
    load = request.table.load
    url = str(load.options["url"]) if load else ""
    scheme, _, rest = url.partition(":")
    if scheme not in _TYPES:
        raise LoadError(
            f"`{scheme}:` is no kind of database that can be read",
            load.where if load else None,
            hint=f"known: {', '.join(f'`{s}:`' for s in _TYPES)}",
        )
    path = None
    if scheme in ("sqlite", "duckdb"):
        path = request.places.resolve(rest.removeprefix("//"), load.where if load else None)
    return DatabaseReader(request, scheme, url, path)


@dataclass(slots=True)
class DatabaseReader:
    """One table. Only a file's identity can be told from outside; servers are asked."""

    request: Request
    scheme: str
    url: str
    path: Path | None

    @property
    def options(self) -> Any:
        """The options under `load:`."""
        load = self.request.table.load
        return load.options if load else {}

    @property
    def name(self) -> str:
        """What the rows are said to come from; it never holds the URL."""
        table = self.options.get("table") or self.request.table.name
        if self.path:
            return f"{self.request.places.shown(self.path)}:{table}"
        return f"{self.scheme}:{table}"

    @property
    def bare_alias(self) -> str:
        """What it is attached as: of its own, since attachments are shared by all sessions."""
        table = self.request.table
        return f"__source_{slug(table.source)}_{slug(table.name)}"

    @property
    def alias(self) -> str:
        """The same, quoted."""
        return quoted(self.bare_alias)

    def error(self, what: str, hint: str = "") -> LoadError:
        """An error placed at the `load:` in YAML."""
        load = self.request.table.load
        return LoadError(what, load.where if load else None, hint)

    def parts(self, session: Session) -> Sequence[Part]:
        """The table, as one part."""
        del session
        if self.path is None:
            return (Part(self.name, ""),)
        if not self.path.is_file():
            raise self.error(
                f"there is no file `{self.request.places.shown(self.path)}`",
                hint="the path in `url:` is relative to the project",
            )
        log = self.path.with_name(self.path.name + "-wal")
        stats = [p.stat() for p in (self.path, log) if p.is_file()]
        return (Part(self.name, ",".join(f"{s.st_size}:{s.st_mtime_ns}" for s in stats)),)

    def digest(self, part: Part) -> str:
        """The file's digest; none for a server."""
        del part
        if self.path is None:
            return ""
        made = hashlib.blake2b(digest_size=16)
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            if path.is_file():
                with path.open("rb") as stream:
                    while block := stream.read(1 << 20):
                        made.update(block)
        return made.hexdigest()

    def stage(
        self, session: Session, parts: Sequence[Part], since: str | None, limit: int | None
    ) -> Staged:
        """The table's rows from the cursor on. SQLite's are staged as text: its columns may hold
        values of any type, whatever they declare."""
        del parts
        relation = self._attach(session)
        try:
            columns = session.columns(f"select * from {relation}")
            narrowed = self._narrowed(relation, dict(columns), since)
            bound = f" limit {limit}" if limit else ""
            picked = f"select *, {literal(self.name)} as {PART}, null::bigint as {ROW}"
            if self.scheme != "sqlite":
                return Staged(f"{picked} from {narrowed}{bound}", columns, repeats=True)
            stage = quoted("__stage_table")
            session.run("set sqlite_all_varchar = true")
            try:
                session.run(
                    f"create or replace temp table {stage} as"
                    f" select columns(*)::varchar from {narrowed}{bound}"
                )
            finally:
                session.run("set sqlite_all_varchar = false")
            if self.options.get("query"):  # SQLite does not say what type an expression has
                columns = tuple((n, UNKNOWN if k == "VARCHAR" else k) for n, k in columns)
            return Staged(f"{picked} from {stage}", columns, text=True, repeats=True)
        except Fault as fault:
            raise self._refused(fault) from None

    def _narrowed(self, relation: str, columns: dict[str, str], since: str | None) -> str:
        load = self.request.table.load
        cursor = load.cursor if load else None
        if since is None or not cursor or cursor not in columns:
            return relation
        # `>=`, and NULLs too: what came late with the last value must not be lost. The landing
        # tells what is there already.
        kind = columns[cursor]
        bound = f"{literal(since)}::{kind}"
        column = quoted(cursor)
        if self.scheme == "sqlite":
            column, bound = f"{column}::varchar", literal(since)
            if kind in ("BIGINT", "DOUBLE"):
                column, bound = f"try_cast({column} as {kind})", f"{literal(since)}::{kind}"
        return f"{relation} where {column} >= {bound} or {column} is null"

    def _attach(self, session: Session) -> str:
        kind, extension = _TYPES[self.scheme]
        if extension:
            self.request.extension(session, extension)
        place = str(self.path) if self.path else self.url
        try:
            session.run(f"detach database if exists {self.alias}")
            session.run(f"attach {literal(place)} as {self.alias} (type {kind}, read_only)")
        except Fault as fault:
            raise self._refused(fault) from None
        if self.options.get("query"):
            return f"({self._query(session)})"
        table = str(self.options.get("table") or self.request.table.name)
        return ".".join([self.alias, *(quoted(part) for part in table.split("."))])

    def _query(self, session: Session) -> str:
        """The query, run where the tables are."""
        text = str(self.options["query"]).strip().rstrip(";")
        if self.scheme in ("postgres", "postgresql", "mysql"):
            kind = _TYPES[self.scheme][0]
            return f"from {kind}_query({literal(self.bare_alias)}, {literal(text)})"
        if self.scheme == "sqlite":
            return f"from sqlite_query({literal(self.bare_alias)}, {literal(text)})"
        home = session.rows("select current_database()")[0][0]
        stage = quoted("__stage_query")
        session.run(f"use {self.alias}")
        try:
            session.run(f"create or replace temp table {stage} as {text}")
        finally:
            session.run(f"use {quoted(home)}")
        return f"from {stage}"

    def _refused(self, fault: Fault) -> LoadError:
        said = fault.message.splitlines()[0]
        said = said.replace(self.url, f"{self.scheme}:…").replace(f"{self.bare_alias}.", "")
        said = re.sub(r"(password=)\S+", r"\1…", said)
        said = re.sub(r"(://[^:/@\s]+:)[^@\s]+@", r"\1…@", said)
        return self.error(
            f"`{self.name}` cannot be read: {said.rstrip('.!')}",
            hint="look at `url:` and `table:` under `load:`",
        )
