"""CSV and TSV: every value as text; lines that are no rows are told apart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from csv import QUOTE_NONE
from csv import Error as CsvError
from csv import reader as csv_reader
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from transformer.errors import LoadError, Where
from transformer.landing.counting import (
    ExpectedRows,
    blank_rows,
    both,
    expected,
    refuse_lost,
    rows_again,
)
from transformer.landing.counting import LineCount as Found
from transformer.landing.small import FILE, SmallFile, paths, placed, size_of
from transformer.landing.source_file import KEPT, PASSED, SourceFile, buffer_for
from transformer.landing.staged import (
    PART,
    REJECTS,
    ROW,
    SCANS,
    UNKNOWN,
    ReaderSession,
    Staged,
    TextLines,
    distinct,
    fixed,
    rejected,
)
from transformer.landing.text import (
    encoding_of,
    head_of,
    in_utf8,
    lines_of,
    with_one_line_end,
)
from transformer.landing.whole import packing
from transformer.names import literal, quoted
from transformer.steps import Columns

_DELIMITERS = (",", ";", "\t", "|")
# Lines that are looked at for the names; a name may hold a few line breaks.
_HEAD = 50
# DuckDB keeps so much of a line that is no row.
_KEPT = 10_000
# Files up to this size are read with others like them.
_SMALL = 1 << 20


class _Shape(Struct, frozen=True):
    """What a file of delimited text looks like: names, and lines before them."""

    names: tuple[str, ...]
    delimiter: str
    quote: str
    escape: str
    header: bool
    skip: int
    comment: str = ""

    def options(self) -> str:
        comment = f", comment={literal(self.comment)}" if self.comment else ""
        return (
            f"delim={literal(self.delimiter)}, quote={literal(self.quote)},"
            f" escape={literal(self.escape)}, header={self.header}, skip={self.skip}{comment}"
        )


def csv(session: ReaderSession, given: SourceFile) -> Staged | SmallFile:
    """Delimited text: every value as text; lines that are no rows are told apart.

    A local file in UTF-8 is read where it lies, as often as it is needed. Others are copied into
    a temporary table: their bytes are converted first, or come over a network.
    """
    encoding = encoding_of(given)
    with ExitStack() as copies:
        converted = copies.enter_context(in_utf8(given, encoding))
        given = replace(given, converted=converted)
        shape = _shape(session, given, "utf-8" if converted else encoding)
        if given.remote:
            return _copied(session, given, shape, None)
        here = replace(given, path=converted, converted=None) if converted else given
        found = lines_of(here, shape.quote, shape.skip)
        if found.alike and not converted:
            return _small(given, shape, found) or _staged(
                _buffered(given, found), shape, (given, found)
            )
        if not found.alike:
            copy = copies.enter_context(with_one_line_end(here, shape.delimiter, shape.quote))
            given, here = replace(given, converted=copy), replace(here, path=copy)
            found = lines_of(here, shape.quote, shape.skip)
        return _copied(session, _buffered(given, found), shape, (here, found))


def _small(given: SourceFile, shape: _Shape, found: Found) -> SmallFile | None:
    """The file as one that is read with others like it; of a small file, all rows are a look."""
    size = size_of(given, _SMALL)
    if size is None:
        return None
    # The names come from the paths, the rest has to be the same.
    same = (shape, given.options.get("compression"), given.notation)
    staged = _staged(_buffered(given, found), shape, (given, found))
    return SmallFile(
        same,
        size,
        staged.lines[0],
        staged.count,
        alone=lambda: staged,
        together=partial(_together, staged, given, shape),
    )


def _together(
    first: Staged,
    given: SourceFile,
    shape: _Shape,
    session: ReaderSession,
    small: Sequence[SmallFile],
) -> Sequence[Staged]:
    """Files of one shape, read in one go; a row's number is its place in its own file."""
    del session
    files = tuple(each.file for each in small)
    names = ", ".join(quoted(name) for name in shape.names)
    given = replace(given, limit=None, buffer=max(_SMALL * 2, given.buffer))

    def reading(bad_lines: str, columns: Columns) -> str:
        del columns
        more = f"{bad_lines}, filename={literal(FILE)}"
        return placed(names, f"from {_reader(given, shape, paths(files), more)}", files)

    return [
        replace(
            first,
            reading=partial(reading, PASSED),
            first=partial(reading, KEPT),
            lines=files,
            count=both([each.count for each in small]),
        )
    ]


def _buffered(given: SourceFile, found: Found) -> SourceFile:
    return given if given.limit else replace(given, buffer=buffer_for(found))


def _count(here: SourceFile, shape: _Shape, found: Found) -> ExpectedRows | None:
    """How many rows the file has. Nobody knows how many of its lines are comments."""
    if here.limit or shape.comment:
        return None
    made = expected(found, int(shape.header), len(shape.names))
    if not found.quoted:
        return made
    marks = (shape.delimiter, shape.quote, shape.escape)
    if packing(here.path, here.options):
        return replace(made, again=lambda: 0)
    again = partial(rows_again, Path(here.path), shape.skip, int(shape.header), marks)
    return replace(made, again=again)


def tsv(session: ReaderSession, given: SourceFile) -> Staged | SmallFile:
    """Tab-separated text."""
    return csv(session, given.with_options(delimiter=given.options.get("delimiter") or "\t"))


def _staged(
    given: SourceFile, shape: _Shape, seen: tuple[SourceFile, Found] | None = None
) -> Staged:
    columns = tuple((name, UNKNOWN) for name in shape.names)
    return Staged(
        reading=partial(_reading, given, shape, PASSED),
        columns=columns,
        text=True,
        first=partial(_reading, given, shape, KEPT),
        lines=(_lines(given, shape, seen),),
        notation=given.notation,
        count=_count(seen[0], shape, seen[1]) if seen else None,
    )


def _copied(
    session: ReaderSession, given: SourceFile, shape: _Shape, seen: tuple[SourceFile, Found] | None
) -> Staged:
    """The rows in a table. They are counted at once: the file may be gone when they land."""
    stage = given.table("rows")
    staged = _staged(given, shape, seen)
    session.run(f"create or replace temp table {stage} as {_reading(given, shape, KEPT, ())}")
    if staged.count:
        broken = f"select count(*) from ({rejected(staged.lines)})"
        read = session.rows(f"select count(*) + ({broken}) from {stage}")[0][0]
        refuse_lost(given.name, staged.count, int(read))
    lines = tuple(replace(line, blank=_kept(line.blank)) for line in staged.lines)
    reading = fixed(f"select * from {stage}")
    return replace(staged, reading=reading, first=None, lines=lines, count=None)


def _kept(blank: Callable[[], Sequence[int]] | None) -> Callable[[], Sequence[int]] | None:
    numbers = blank() if blank else ()
    return (lambda: numbers) if numbers else None


def _lines(given: SourceFile, shape: _Shape, seen: tuple[SourceFile, Found] | None) -> TextLines:
    path = given.converted or given.path
    header = int(shape.header)
    some = seen and not given.limit and (shape.comment or (seen[1].blank and len(shape.names) > 1))
    blank = partial(_blank, Path(seen[0].path), shape) if seen and some else None
    return TextLines(path, given.name, shape.skip + header, blank)


def _blank(path: Path, shape: _Shape) -> list[int]:
    marks = (shape.delimiter, shape.quote, shape.escape)
    found = blank_rows(path, shape.skip, marks, shape.comment)
    return [number - int(shape.header) for number in found]


def _reading(given: SourceFile, shape: _Shape, bad_lines: str, columns: Columns) -> str:
    del columns  # they are those of the header
    return given.bounded(
        f"select *, {given.part} as {PART}, row_number() over () as {ROW}"
        f" from {_reader(given, shape, given.place, bad_lines)}"
    )


def _reader(given: SourceFile, shape: _Shape, place: str, more: str) -> str:
    listed = ", ".join(f"{literal(n)}: 'VARCHAR'" for n in shape.names)
    nulls = ", ".join(literal(v) for v in ("", *given.options.get("null_values", ())))
    return (
        f"read_csv({place}, auto_detect=false, {shape.options()},"
        f" {given.reading()}, columns={{{listed}}}, nullstr=[{nulls}]{more})"
    )


def _shape(session: ReaderSession, given: SourceFile, encoding: str) -> _Shape:
    options = given.options
    text = _head(session, given, encoding)
    lines = re.split(r"\r\n|\n|\r", text)[: _HEAD + int(options.get("skip") or 0)]
    first = _first(given, lines)
    quote = options.get("quote", '"')
    for name in ("quote", "escape", "comment"):
        if len(options.get(name) or "") > 1:
            raise LoadError(f"`{name}` must be one character", hint="or leave it out")
    head = lines[first:]
    delimiter = options.get("delimiter") or _delimiter(head[0] if head else "")
    _sane_delimiter(given, delimiter, head[0] if head else "")
    header = bool(options.get("header", True))
    names = _names(given, _cells(head, delimiter, quote), header=header)
    escape = options.get("escape") or quote
    comment = options.get("comment") or ""
    # DuckDB does not count comments among the lines that it leaves out.
    notes = sum(bool(comment) and line.startswith(comment) for line in lines[:first])
    return _Shape(names, delimiter, quote, escape, header, first - notes, comment)


def _head(session: ReaderSession, given: SourceFile, encoding: str) -> str:
    """The first lines. Only DuckDB gets at those of files that are remote."""
    if given.converted is None and given.remote:
        found = session.rows(f"{given.lines(PASSED)} limit {_HEAD}")
        return "\n".join(str(line or "") for (line,) in found).lstrip("\ufeff")
    here = replace(given, path=given.converted) if given.converted else given
    return head_of(here, encoding).lstrip("\ufeff")


def _first(given: SourceFile, lines: list[str]) -> int:
    """The line that holds the names (or the first row, where there are none)."""
    skip = int(given.options.get("skip") or 0)
    row = given.options.get("header_row")
    if row and int(row) > 1:
        return int(row) - 1
    comment = given.options.get("comment")
    for number, line in enumerate(lines[skip:], skip):
        if line.strip() and not (comment and line.startswith(comment)):
            return number
    return skip


def _delimiter(line: str) -> str:
    bare = re.sub(r'"[^"]*"', "", line)
    return max(_DELIMITERS, key=lambda d: (bare.count(d), d == ","))


def _sane_delimiter(given: SourceFile, delimiter: str, first: str) -> None:
    other = _delimiter(first)
    if delimiter not in first and other in first:
        shown = {"\t": "tab"}.get(other, other)
        raise LoadError(
            f"the first line of `{given.name}` has no `{delimiter}`, but it has `{shown}`",
            hint=f"set `delimiter: {json.dumps(other)}`",
        )


def _cells(head: list[str], delimiter: str, quote: str) -> list[str]:
    """The first row's values; a quoted one may go over several lines."""
    lines = (f"{line}\n" for line in head)
    with suppress(CsvError):  # a value that Python finds too long
        if len(delimiter) == 1 and quote:
            return next(iter(csv_reader(lines, delimiter=delimiter, quotechar=quote)), [])
        if len(delimiter) == 1:
            return next(iter(csv_reader(lines, delimiter=delimiter, quoting=QUOTE_NONE)), [])
    return head[0].split(delimiter) if head else []


def _names(given: SourceFile, cells: list[str], *, header: bool) -> tuple[str, ...]:
    """The names of the columns: the header's, else those declared in YAML, else numbers."""
    if header:
        if not any(cell.strip() for cell in cells):
            raise LoadError(
                f"`{given.name}` has no header", hint="set `header: false` if it has none"
            )
        return distinct(cells)
    count = max(len(given.declared), len(cells))
    return distinct([*given.declared, *[""] * (count - len(given.declared))])


# So many lines that are not UTF-8 are shown as they are; of others the engine keeps what it can.
_SHOWN = 1_000


def show_bytes(session: ReaderSession, lines: Sequence[TextLines], broken: str) -> None:
    """Puts the bytes that stand in the file (`\\xE9`) where the engine has `?` for them."""
    files = {line.path: line for line in lines if not line.path.endswith((".gz", ".zst"))}
    found = session.rows(
        f"select distinct s.file_path, e.line, e.line_byte_position from {REJECTS} e"
        f" join {SCANS} s using (scan_id, file_id)"
        f" where e.error_type::varchar = 'INVALID ENCODING' order by 1, 2 limit {_SHOWN}"
    )
    for path, number, position in found:
        if path in files and Path(path).is_file():
            session.run(
                f"update {broken} set record = ? where part = ? and row_number = ?",
                [_raw_line(path, position - 1), files[path].part, number - files[path].before],
            )


def _raw_line(path: str, start: int) -> str:
    with Path(path).open("rb") as stream:
        stream.seek(start)
        line = stream.readline(_KEPT)
        while line and not line.strip(b"\r\n"):  # the end of the line before, or blank ones
            line = stream.readline(_KEPT)
        while line.count(b'"') % 2 and len(line) < _KEPT and (more := stream.readline(_KEPT)):
            line += more
    return line.decode("utf-8", "backslashreplace").rstrip("\r\n")


def refuse_open_quote(session: ReaderSession, broken: str, where: Where) -> None:
    """Refuses a file in which an open quote takes more lines with it than quarantine can keep."""
    swallowed = f"length(record) >= {_KEPT} and contains(trim(record, chr(10)), chr(10))"
    found = session.rows(
        f"select part, min(row_number) from ({broken}) where {swallowed} group by part limit 1"
    )
    for part, row in found:
        raise LoadError(
            f"a quote in row {row} of `{part}` is never closed, and all that follows is"
            " taken for its text",
            where,
            hint="repair the line, or set `quote: ''` when quotes mean nothing there",
        )
