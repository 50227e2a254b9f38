"""CSV and TSV: every value as text; lines that are no rows are told apart."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from csv import QUOTE_NONE
from csv import Error as CsvError
from csv import reader as csv_reader
from pathlib import Path

from msgspec import Struct

from transformer.errors import Fault, LoadError
from transformer.landing.given import Given
from transformer.landing.staged import PART, ROW, UNKNOWN, Session, Staged, distinct
from transformer.names import literal

_DELIMITERS = (",", ";", "\t", "|")
# Lines that are looked at for the names; a name may hold a few line breaks.
_HEAD = 50
# DuckDB keeps so much of a line that is no row.
_KEPT = 10_000


class _Shape(Struct, frozen=True):
    """What a file of delimited text looks like: names, and blank lines before them."""

    names: tuple[str, ...]
    delimiter: str
    quote: str
    header: bool
    skip: int

    def options(self) -> str:
        quote = literal(self.quote)
        return (
            f"delim={literal(self.delimiter)}, quote={quote}, escape={quote},"
            f" header={self.header}, skip={self.skip}"
        )


def csv(session: Session, given: Given) -> Staged:
    """Delimited text: every value as text; lines that are no rows are told apart."""
    _right_encoding(given)
    try:
        shape = _shape(session, given)
        _stage(session, given, shape)
    except Fault as fault:
        raise _clearer(fault, given) from None
    before = shape.skip + int(shape.header)
    errors, _ = given.rejects()
    bad = None
    if _some(session, given, errors):
        _renumber(session, given.table("rows"), errors, before)
        bad = _bad(given, errors, before)
    columns = tuple((name, UNKNOWN) for name in shape.names)
    return Staged(f"from {given.table('rows')}", columns, text=True, bad=bad)


def _stage(session: Session, given: Given, shape: _Shape) -> None:
    _, keep = given.rejects()
    listed = ", ".join(f"{literal(n)}: 'VARCHAR'" for n in shape.names)
    nulls = ", ".join(literal(v) for v in ("", *given.options.get("null_values", ())))
    session.run(given.fresh_rejects())
    session.run(
        f"create or replace temp table {given.table('rows')} as "
        + given.bounded(
            f"select *, {given.part} as {PART}, row_number() over () as {ROW}"
            f" from read_csv({given.place}, auto_detect=false, {shape.options()},"
            f" {given.reading()}, columns={{{listed}}}, nullstr=[{nulls}]{keep})"
        )
    )


def tsv(session: Session, given: Given) -> Staged:
    """Tab-separated text."""
    return csv(session, given.with_options(delimiter=given.options.get("delimiter") or "\t"))


def _bad(given: Given, errors: str, before: int) -> str:
    record = "ltrim(any_value(csv_line), chr(10) || chr(13))"
    return (
        f"select {given.part} as part, line - {before} as row_number,"
        f" any_value(column_name) as column_name, {record} as record,"
        f" lower(any_value(error_type::varchar)) || ': ' || any_value(error_message) as reason"
        f" from {errors} group by line"
    )


def _right_encoding(given: Given) -> None:
    """Says when a local file's first bytes contradict its encoding."""
    encoding = given.options.get("encoding", "utf-8")
    if "://" in given.path:
        return
    with Path(given.path).open("rb") as stream:
        mark = stream.read(2)
    if mark == b"\xfe\xff":
        raise LoadError(
            f"`{given.name}` is big-endian UTF-16, which cannot be read",
            hint="save it as UTF-8, or as little-endian UTF-16",
        )
    if mark == b"\xff\xfe" and encoding != "utf-16":
        raise LoadError(f"`{given.name}` is UTF-16", hint="set `encoding: utf-16`")


def _shape(session: Session, given: Given) -> _Shape:
    options = given.options
    found = session.rows(f"{given.lines(', ignore_errors=true')} limit {_HEAD}")
    lines = [str(line or "") for (line,) in found]
    blank = next((n for n, line in enumerate(lines) if line.strip("\ufeff\r ")), 0)
    quote = options.get("quote", '"')
    head = lines[blank:]
    first = head[0].lstrip("\ufeff") if head else ""
    delimiter = options.get("delimiter") or _delimiter(first)
    _sane_delimiter(given, delimiter, first)
    cells = _cells(head, delimiter, quote)
    header = bool(options.get("header", True))
    return _Shape(_names(given, cells, header=header), delimiter, quote, header, blank)


def _delimiter(line: str) -> str:
    bare = re.sub(r'"[^"]*"', "", line)
    return max(_DELIMITERS, key=lambda d: (bare.count(d), d == ","))


def _sane_delimiter(given: Given, delimiter: str, first: str) -> None:
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


def _names(given: Given, cells: list[str], *, header: bool) -> tuple[str, ...]:
    """The names of the columns: the header's, else those declared in YAML, else numbers."""
    if header:
        if not any(cell.strip() for cell in cells):
            raise LoadError(
                f"`{given.name}` has no header", hint="set `header: false` if it has none"
            )
        return distinct(cells)
    count = max(len(given.declared), len(cells))
    return distinct([*given.declared, *[""] * (count - len(given.declared))])


def _some(session: Session, given: Given, errors: str) -> bool:
    """Whether there are lines that are no rows. Refuses a file in which an open quote takes more
    lines with it than quarantine can keep."""
    swallowed = f"length(csv_line) >= {_KEPT} and contains(trim(csv_line, chr(10)), chr(10))"
    count, line = session.rows(
        f"select count(*), min(line) filter (where {swallowed}) from {errors}"
    )[0]
    if line is not None:
        raise LoadError(
            f"a quote in line {line} of `{given.name}` is never closed, and all that follows is"
            " taken for its text",
            hint="repair the line, or set `quote: ''` when quotes mean nothing there",
        )
    return bool(count)


def _clearer(fault: Fault, given: Given) -> Exception:
    if "invalid state" not in fault.message:
        return fault
    return LoadError(
        f"the lines of `{given.name}` do not all end alike, or a quote is out of place",
        hint="save it with one kind of line end",
    )


def _renumber(session: Session, stage: str, errors: str, before: int) -> None:
    """Counts the rows that were rejected too, so that a row's number is its place in the file."""
    session.run(
        f"update {stage} set {ROW} = {ROW} + (select count(*) from"
        f" (select line - {before} - row_number() over (order by line) as before"
        f" from (select distinct line from {errors})) e where e.before < {stage}.{ROW})"
    )
