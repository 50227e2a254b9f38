"""CSV and TSV: every value as text; lines that are not rows are set aside."""

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
    LineCount,
    blank_rows,
    expected_rows,
    refuse_lost,
    rows_again,
    total_rows,
)
from transformer.landing.small import FILE, SmallFile, path_list, size_of, with_part_and_row
from transformer.landing.source_file import IGNORE_REJECTS, STORE_REJECTS, SourceFile, buffer_for
from transformer.landing.staged import (
    PART,
    REJECTS,
    ROW,
    SCANS,
    UNKNOWN,
    ReaderSession,
    Staged,
    TextLines,
    constant_reading,
    rejected_lines,
    unique_names,
)
from transformer.landing.text import (
    encoding_of,
    head_of,
    in_utf8,
    lines_of,
    with_one_line_end,
)
from transformer.landing.whole import compression_of
from transformer.names import literal, quoted
from transformer.steps import Columns

_DELIMITERS = (",", ";", "\t", "|")
# Lines searched for the column names; a name may contain a few line breaks.
_HEAD = 50
# DuckDB stores this much of a rejected line.
_KEPT = 10_000
# Files up to this size are read together with others of the same shape.
_SMALL = 1 << 20


class _Shape(Struct, frozen=True):
    """The layout of a delimited file: column names, dialect, lines before the header."""

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


def csv(session: ReaderSession, file: SourceFile) -> Staged | SmallFile:
    """Stages delimited text: every value as text; lines that are not rows are set aside.

    A local UTF-8 file is read in place, as often as needed. Others are copied into a temporary
    table, because they are converted first or come over a network.
    """
    encoding = encoding_of(file)
    with ExitStack() as copies:
        converted = copies.enter_context(in_utf8(file, encoding))
        file = replace(file, converted=converted)
        shape = _shape(session, file, "utf-8" if converted else encoding)
        if file.remote:
            return _copied(session, file, shape, None)
        readable = replace(file, path=converted, converted=None) if converted else file
        counts = lines_of(readable, shape.quote, shape.skip)
        if counts.alike and not converted:
            return _small(file, shape, counts) or _staged(
                _buffered(file, counts), shape, (file, counts)
            )
        if not counts.alike:
            copy = copies.enter_context(with_one_line_end(readable, shape.delimiter, shape.quote))
            file, readable = replace(file, converted=copy), replace(readable, path=copy)
            counts = lines_of(readable, shape.quote, shape.skip)
        return _copied(session, _buffered(file, counts), shape, (readable, counts))


def _small(file: SourceFile, shape: _Shape, counts: LineCount) -> SmallFile | None:
    """The file as one that can be read together with others; None if it is too large. A preview
    of a small file reads all of it."""
    size = size_of(file, _SMALL)
    if size is None:
        return None
    # Names come from the paths; everything else must be the same.
    same = (shape, file.options.get("compression"), file.notation)
    staged = _staged(_buffered(file, counts), shape, (file, counts))
    return SmallFile(
        same,
        size,
        staged.lines[0],
        staged.count,
        alone=lambda: staged,
        together=partial(_together, staged, file, shape),
    )


def _together(
    first: Staged,
    file: SourceFile,
    shape: _Shape,
    session: ReaderSession,
    small: Sequence[SmallFile],
) -> Sequence[Staged]:
    """Files of one shape, staged as one; a row's number is its position in its own file."""
    del session
    files = tuple(member.file for member in small)
    names = ", ".join(quoted(name) for name in shape.names)
    file = replace(file, limit=None, buffer=max(_SMALL * 2, file.buffer))

    def reading(bad_lines: str, columns: Columns) -> str:
        del columns
        more = f"{bad_lines}, filename={literal(FILE)}"
        return with_part_and_row(
            names, f"from {_reader(file, shape, path_list(files), more)}", files
        )

    return [
        replace(
            first,
            reading=partial(reading, IGNORE_REJECTS),
            first=partial(reading, STORE_REJECTS),
            lines=files,
            count=total_rows([member.count for member in small]),
        )
    ]


def _buffered(file: SourceFile, counts: LineCount) -> SourceFile:
    return file if file.limit else replace(file, buffer=buffer_for(counts))


def _count(readable: SourceFile, shape: _Shape, counts: LineCount) -> ExpectedRows | None:
    """How many rows the file has; None if comments make that unknowable."""
    if readable.limit or shape.comment:
        return None
    rows = expected_rows(counts, int(shape.header), len(shape.names))
    if not counts.quoted:
        return rows
    marks = (shape.delimiter, shape.quote, shape.escape)
    if compression_of(readable.path, readable.options):
        return replace(rows, again=lambda: 0)
    again = partial(rows_again, Path(readable.path), shape.skip, int(shape.header), marks)
    return replace(rows, again=again)


def tsv(session: ReaderSession, file: SourceFile) -> Staged | SmallFile:
    """Tab-separated text."""
    return csv(session, file.with_options(delimiter=file.options.get("delimiter") or "\t"))


def _staged(
    file: SourceFile, shape: _Shape, counted: tuple[SourceFile, LineCount] | None = None
) -> Staged:
    columns = tuple((name, UNKNOWN) for name in shape.names)
    return Staged(
        reading=partial(_reading, file, shape, IGNORE_REJECTS),
        columns=columns,
        text=True,
        first=partial(_reading, file, shape, STORE_REJECTS),
        lines=(_lines(file, shape, counted),),
        notation=file.notation,
        count=_count(counted[0], shape, counted[1]) if counted else None,
    )


def _copied(
    session: ReaderSession,
    file: SourceFile,
    shape: _Shape,
    counted: tuple[SourceFile, LineCount] | None,
) -> Staged:
    """The rows in a temporary table, counted now: the file may be gone when they land."""
    stage = file.table("rows")
    staged = _staged(file, shape, counted)
    session.run(
        f"create or replace temp table {stage} as {_reading(file, shape, STORE_REJECTS, ())}"
    )
    if staged.count:
        broken = f"select count(*) from ({rejected_lines(staged.lines)})"
        read = session.rows(f"select count(*) + ({broken}) from {stage}")[0][0]
        refuse_lost(file.name, staged.count, int(read))
    lines = tuple(replace(line, blank=_materialized(line.blank)) for line in staged.lines)
    reading = constant_reading(f"select * from {stage}")
    return replace(staged, reading=reading, first=None, lines=lines, count=None)


def _materialized(blank: Callable[[], Sequence[int]] | None) -> Callable[[], Sequence[int]] | None:
    numbers = blank() if blank else ()
    return (lambda: numbers) if numbers else None


def _lines(
    file: SourceFile, shape: _Shape, counted: tuple[SourceFile, LineCount] | None
) -> TextLines:
    path = file.converted or file.path
    header = int(shape.header)
    skips_lines = (
        counted
        and not file.limit
        and (shape.comment or (counted[1].blank and len(shape.names) > 1))
    )
    blank = partial(_blank, Path(counted[0].path), shape) if counted and skips_lines else None
    return TextLines(path, file.name, shape.skip + header, blank)


def _blank(path: Path, shape: _Shape) -> list[int]:
    marks = (shape.delimiter, shape.quote, shape.escape)
    numbers = blank_rows(path, shape.skip, marks, shape.comment)
    return [number - int(shape.header) for number in numbers]


def _reading(file: SourceFile, shape: _Shape, bad_lines: str, columns: Columns) -> str:
    del columns  # always those of the header
    return file.bounded(
        f"select *, {file.part} as {PART}, row_number() over () as {ROW}"
        f" from {_reader(file, shape, file.place, bad_lines)}"
    )


def _reader(file: SourceFile, shape: _Shape, place: str, more: str) -> str:
    listed = ", ".join(f"{literal(n)}: 'VARCHAR'" for n in shape.names)
    nulls = ", ".join(literal(v) for v in ("", *file.options.get("null_values", ())))
    return (
        f"read_csv({place}, auto_detect=false, {shape.options()},"
        f" {file.reading()}, columns={{{listed}}}, nullstr=[{nulls}]{more})"
    )


def _shape(session: ReaderSession, file: SourceFile, encoding: str) -> _Shape:
    options = file.options
    text = _head(session, file, encoding)
    lines = re.split(r"\r\n|\n|\r", text)[: _HEAD + int(options.get("skip") or 0)]
    first = _first(file, lines)
    quote = options.get("quote", '"')
    for name in ("quote", "escape", "comment"):
        if len(options.get(name) or "") > 1:
            raise LoadError(
                f"`{name}` must be one character",
                hint="use a single character, or remove the option",
            )
    head = lines[first:]
    delimiter = options.get("delimiter") or _delimiter(head[0] if head else "")
    _sane_delimiter(file, delimiter, head[0] if head else "")
    header = bool(options.get("header", True))
    names = _names(file, _cells(head, delimiter, quote), header=header)
    escape = options.get("escape") or quote
    comment = options.get("comment") or ""
    # DuckDB does not count comments among the lines it skips.
    notes = sum(bool(comment) and line.startswith(comment) for line in lines[:first])
    return _Shape(names, delimiter, quote, escape, header, first - notes, comment)


def _head(session: ReaderSession, file: SourceFile, encoding: str) -> str:
    """The first lines; those of remote files are read by DuckDB."""
    if file.converted is None and file.remote:
        rows = session.rows(f"{file.lines(IGNORE_REJECTS)} limit {_HEAD}")
        return "\n".join(str(line or "") for (line,) in rows).lstrip("\ufeff")
    readable = replace(file, path=file.converted) if file.converted else file
    return head_of(readable, encoding).lstrip("\ufeff")


def _first(file: SourceFile, lines: list[str]) -> int:
    """The index of the header line, or of the first row if there is no header."""
    skip = int(file.options.get("skip") or 0)
    row = file.options.get("header_row")
    if row and int(row) > 1:
        return int(row) - 1
    comment = file.options.get("comment")
    for number, line in enumerate(lines[skip:], skip):
        if line.strip() and not (comment and line.startswith(comment)):
            return number
    return skip


def _delimiter(line: str) -> str:
    unquoted = re.sub(r'"[^"]*"', "", line)
    return max(_DELIMITERS, key=lambda d: (unquoted.count(d), d == ","))


def _sane_delimiter(file: SourceFile, delimiter: str, first: str) -> None:
    other = _delimiter(first)
    if delimiter not in first and other in first:
        shown = {"\t": "tab"}.get(other, other)
        raise LoadError(
            f"the first line of `{file.name}` has no `{delimiter}`, but it has `{shown}`",
            hint=f"set `delimiter: {json.dumps(other)}`",
        )


def _cells(head: list[str], delimiter: str, quote: str) -> list[str]:
    """The first row's values; a quoted one may span several lines."""
    lines = (f"{line}\n" for line in head)
    with suppress(CsvError):  # a value too long for Python's reader
        if len(delimiter) == 1 and quote:
            return next(iter(csv_reader(lines, delimiter=delimiter, quotechar=quote)), [])
        if len(delimiter) == 1:
            return next(iter(csv_reader(lines, delimiter=delimiter, quoting=QUOTE_NONE)), [])
    return head[0].split(delimiter) if head else []


def _names(file: SourceFile, cells: list[str], *, header: bool) -> tuple[str, ...]:
    """The column names: from the header, else those declared in YAML, else numbers."""
    if header:
        if not any(cell.strip() for cell in cells):
            raise LoadError(
                f"`{file.name}` has no header",
                hint="set `header: false` if the file has no header row",
            )
        return unique_names(cells)
    count = max(len(file.declared), len(cells))
    return unique_names([*file.declared, *[""] * (count - len(file.declared))])


# At most this many lines that are not UTF-8 are shown byte for byte; of the rest, what DuckDB kept.
_SHOWN = 1_000


def show_bytes(session: ReaderSession, lines: Sequence[TextLines], broken: str) -> None:
    """Replaces DuckDB's `?` in rejected lines by the file's own bytes (`\\xE9`)."""
    files = {line.path: line for line in lines if not line.path.endswith((".gz", ".zst"))}
    undecodable = session.rows(
        f"select distinct s.file_path, e.line, e.line_byte_position from {REJECTS} e"
        f" join {SCANS} s using (scan_id, file_id)"
        f" where e.error_type::varchar = 'INVALID ENCODING' order by 1, 2 limit {_SHOWN}"
    )
    for path, number, position in undecodable:
        if path in files and Path(path).is_file():
            session.run(
                f"update {broken} set record = ? where part = ? and row_number = ?",
                [_raw_line(path, position - 1), files[path].part, number - files[path].before],
            )


def _raw_line(path: str, start: int) -> str:
    with Path(path).open("rb") as stream:
        stream.seek(start)
        line = stream.readline(_KEPT)
        while line and not line.strip(b"\r\n"):  # the end of the previous line, or blank lines
            line = stream.readline(_KEPT)
        while line.count(b'"') % 2 and len(line) < _KEPT and (more := stream.readline(_KEPT)):
            line += more
    return line.decode("utf-8", "backslashreplace").rstrip("\r\n")


def refuse_open_quote(session: ReaderSession, broken: str, where: Where) -> None:
    """Raises LoadError if an unclosed quote swallows more lines than quarantine can store."""
    swallowed = f"length(record) >= {_KEPT} and contains(trim(record, chr(10)), chr(10))"
    open_quotes = session.rows(
        f"select part, min(row_number) from ({broken}) where {swallowed} group by part limit 1"
    )
    for part, row in open_quotes:
        raise LoadError(
            f"a quote in row {row} of `{part}` is never closed, so everything after it is"
            " read as its text",
            where,
            hint="fix the line, or set `quote: ''` if the file does not use quotes",
        )
