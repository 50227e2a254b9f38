"""What a source offers, as SQL over rows that are not landed yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from transformer.landing.counting import ExpectedRows
from transformer.names import fold, literal, quoted
from transformer.steps import Columns

# The column of files that are read line by line.
LINE = "__line"
# Columns that a reader adds to what it stages: the part a row is of, its number in it, and
# whether it was read exactly.
PART, ROW, SURE = "__part", "__row", "__sure"
# Where DuckDB keeps lines that are no rows, and which file they are of.
REJECTS, SCANS = "__rejects", "__scans"
# What every landed row carries: when, in which batch, from which file or table and row.
OWN: Columns = (
    ("_loaded_at", "TIMESTAMP WITH TIME ZONE"),
    ("_batch", "VARCHAR"),
    ("_source", "VARCHAR"),
)
# Names that a column from outside cannot have: it gets a number behind its own.
RESERVED = frozenset(
    {PART, ROW, SURE, LINE, "__file", "__copy", "__own", "__place", "__again", "__record"}
    | {name for name, _ in OWN}
)


class ReaderSession(Protocol):
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


class TextLines(Struct, frozen=True):
    """A file of text whose lines may be no rows: its path as DuckDB knows it, its name, and how
    many lines stand before the first row. `blank` tells the numbers that lines without a row, such
    as blank ones, would have as rows; None where there are none."""

    path: str
    part: str
    before: int
    blank: Callable[[], Sequence[int]] | None = None


def rejected(files: Sequence[TextLines]) -> str:
    """The query of the lines that are no rows."""
    listed = ", ".join(f"({literal(f.path)}, {literal(f.part)}, {f.before})" for f in files)
    record = "ltrim(any_value(csv_line), chr(10) || chr(13))"
    kind, column, message = (  # of a row's faults, the first
        f"arg_min({each}, coalesce(column_idx, 0))"
        for each in ("error_type::varchar", "column_name", "error_message")
    )
    missing = (
        f"case when {kind} = 'MISSING COLUMNS' then ' (nothing stands for ' || string_agg("
        "'`' || column_name || '`', ', ' order by column_idx) || ')' else '' end"
    )
    encoding = (
        f"case when {kind} = 'INVALID ENCODING'"
        " then 'invalid encoding: the line is not UTF-8; `encoding:` under `load:` names another'"
        f" else lower({kind}) || ': ' || regexp_replace({message},"
        " 'Expected Number of Columns: ([0-9]+) Found: ([0-9]+)', '\\2 where \\1 are expected') end"
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

    `columns` are the types that the source says; with `text` the values are still text and have
    to be cast, and the type `UNKNOWN` asks for one to be inferred. `reading` gives the query of
    these columns (or of others, found later), `__part`, `__row`, and where `sure` is set that
    column: whether the row is read exactly. It may be run more than once, but lines that are no
    rows are only kept by the `first` reading, of the files `lines`; `bad` selects more of them:
    part, row number, column, text, reason. `again` reads rows that were not sure once more, slowly
    and exactly, from a table that kept them with the columns `kept`. `texts` are columns of a typed
    staging whose values are text all the same, of exactly the type that the source says.
    `repeats`: rows that were landed before may be offered again, as a table does; a file is only
    offered when it is new. `count` is how many rows there are, where that is known without reading.
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
        """The query of what is no row, after the first reading."""
        made = [rejected(self.lines)] if self.lines else []
        return " union all ".join([*made, *([self.bad] if self.bad else [])]) or None

    @property
    def rows(self) -> str:
        """The query of the columns as they are known now."""
        return self.reading(self.columns)


class SecondReading(Struct, frozen=True):
    """How rows that were not read exactly are read once more, from a table that kept them.

    `columns` are those of these rows, in the words of the source. `rows` gives the query of
    columns, and `broken` selects what is no row after all.
    """

    columns: Callable[[ReaderSession, str], Columns]
    rows: Callable[[str, Columns], str]
    broken: Callable[[str], str]


def fixed(query: str) -> Callable[[Columns], str]:
    """The reading of a query whose columns never change."""
    return lambda columns: query  # noqa: ARG005 - the query has its columns


# The type of a column of text whose type nobody has said.
UNKNOWN = "UNKNOWN"
# What a JSON key holds of which only nulls were seen.
NOTHING = "NULL"
UNSAID = (UNKNOWN, NOTHING)


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Names that can stand in one table: none empty, none twice (case folded), none reserved."""
    made: list[str] = []
    taken = set(RESERVED)
    for number, raw in enumerate(names, 1):
        base = name = raw.replace("\x00", "").strip().lstrip("\ufeff") or f"column_{number}"
        count = 1
        while fold(name) in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(fold(name))
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
