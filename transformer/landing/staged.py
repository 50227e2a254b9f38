"""What a source offers, as SQL over rows that have not landed yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from transformer.landing.counting import ExpectedRows
from transformer.names import fold, literal, quoted
from transformer.steps import LOAD_COLUMNS, Columns

# The only column of files that are read line by line.
LINE = "__line"
# Columns that a reader adds: the part a row belongs to, its number there, and whether it was read
# exactly.
PART, ROW, SURE = "__part", "__row", "__sure"
# DuckDB's tables of rejected lines, and of the files they belong to.
REJECTS, SCANS = "__rejects", "__scans"
# Names that a source's column cannot have: it gets a number appended.
RESERVED = frozenset(
    {PART, ROW, SURE, LINE, "__file", "__copy", "__own", "__place", "__again", "__record"}
    | {name for name, _ in LOAD_COLUMNS}
)


class ReaderSession(Protocol):
    """The part of an engine's session that readers use. Its methods raise `errors.Fault`."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Runs a statement."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a small result."""

    def columns(self, sql: str) -> Columns:
        """Names and types of a query's columns."""


class Cursor(Struct, frozen=True):
    """How far a table was read: the last value as text, and its type in the raw table."""

    value: str
    kind: str


class TextLines(Struct, frozen=True):
    """A text file some of whose lines may be rejected: its path as DuckDB knows it, its name, and
    the number of lines before the first row. `blank` returns the row numbers that lines without a
    row (blank lines, comments) would have; None if there are none."""

    path: str
    part: str
    before: int
    blank: Callable[[], Sequence[int]] | None = None


def rejected_lines(files: Sequence[TextLines]) -> str:
    """The query of rejected lines: part, row_number, column_name, record, reason."""
    listed = ", ".join(f"({literal(f.path)}, {literal(f.part)}, {f.before})" for f in files)
    record = "ltrim(any_value(csv_line), chr(10) || chr(13))"
    kind, column, message = (  # of the first error in a row
        f"arg_min({field}, coalesce(column_idx, 0))"
        for field in ("error_type::varchar", "column_name", "error_message")
    )
    missing = (
        f"case when {kind} = 'MISSING COLUMNS' then ' (no value for ' || string_agg("
        "'`' || column_name || '`', ', ' order by column_idx) || ')' else '' end"
    )
    encoding = (
        f"case when {kind} = 'INVALID ENCODING'"
        " then 'invalid encoding: the line is not UTF-8; set `encoding:` under `load:` if the file"
        " has another'"
        f" else lower({kind}) || ': ' || regexp_replace({message},"
        " 'Expected Number of Columns: ([0-9]+) Found: ([0-9]+)', 'found \\2, expected \\1') end"
    )
    return (
        f"select f.part, e.line - f.before as row_number,"
        f" nullif({column}, {literal(LINE)}) as column_name,"
        f" {record} as record, {encoding} || {missing} as reason"
        f" from {REJECTS} e join {SCANS} s using (scan_id, file_id)"
        f" join (values {listed}) f(path, part, before) on f.path = s.file_path"
        f" group by f.part, e.line, f.before"
    )


class Staged(Struct, frozen=True):
    """What a source offers, as SQL.

    - `columns`: names and types as the source gives them; with `text` the values are still text
      to be cast, and the type `UNKNOWN` means that it is to be inferred.
    - `reading`: the query of these columns (or of others, learned later), `__part`, `__row`, and
      with `sure` the column `__sure`: whether the row was read exactly. It can be run repeatedly,
      but only the `first` reading stores rejected lines of the files `lines`.
    - `bad`: a query of further rejects: part, row_number, column_name, record, reason.
    - `again`: reads unsure rows a second time, exactly but slowly, from a table of columns `kept`.
    - `texts`: columns of typed rows whose values are text nevertheless, of the source's own type.
    - `repeats`: rows loaded before may be offered again, as a table does; a file is offered once.
    - `count`: the number of rows, if known without reading.
    """

    reading: Callable[[Columns], str]
    columns: Columns
    text: bool = False
    texts: frozenset[str] = frozenset()
    first: Callable[[Columns], str] | None = None
    lines: tuple[TextLines, ...] = ()
    bad: str | None = None
    sure: bool = False
    kept: tuple[str, ...] = ()
    again: SecondReading | None = None
    repeats: bool = False
    notation: Any = None
    count: ExpectedRows | None = None

    @property
    def broken(self) -> str | None:
        """The query of everything that is not a row, after the first reading; None if all is."""
        queries = [rejected_lines(self.lines)] if self.lines else []
        return " union all ".join([*queries, *([self.bad] if self.bad else [])]) or None

    @property
    def rows(self) -> str:
        """The query of the current columns."""
        return self.reading(self.columns)


class SecondReading(Struct, frozen=True):
    """How rows that were not read exactly are read again, from a table that stores them.

    `columns` returns their columns with the source's types, `rows` the query of given columns, and
    `broken` a query of what is not a row after all.
    """

    columns: Callable[[ReaderSession, str], Columns]
    rows: Callable[[str, Columns], str]
    broken: Callable[[str], str]


def constant_reading(query: str) -> Callable[[Columns], str]:
    """A `reading` for a query whose columns never change."""
    return lambda columns: query  # noqa: ARG005 - the query has its columns


# The type of a text column that is to be inferred.
UNKNOWN = "UNKNOWN"
# The type of a JSON key that has only nulls so far.
NOTHING = "NULL"
UNTYPED = (UNKNOWN, NOTHING)


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Column names for one table: none empty, reserved, or duplicated (ignoring case)."""
    unique: list[str] = []
    taken = set(RESERVED)
    for number, raw in enumerate(names, 1):
        base = name = raw.replace("\x00", "").strip().lstrip("\ufeff") or f"column_{number}"
        count = 1
        while fold(name) in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(fold(name))
        unique.append(name)
    return tuple(unique)


def renamed_columns(columns: Columns) -> tuple[str, Columns]:
    """A select list that gives typed columns valid unique names, and the resulting columns."""
    names = unique_names(name for name, _ in columns)
    pairs = zip(columns, names, strict=True)
    listed = ", ".join(f"{quoted(old)} as {quoted(new)}" for (old, _), new in pairs)
    return listed, tuple((new, kind) for new, (_, kind) in zip(names, columns, strict=True))


def path_literal(path: str) -> str:
    """A path as a SQL literal, with the characters that DuckDB treats as glob patterns escaped."""
    escaped = "".join(f"[{c}]" if c in "[*?" else c for c in path)
    return literal(escaped)
