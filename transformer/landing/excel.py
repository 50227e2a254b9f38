"""Excel and OpenDocument sheets: every cell as a spreadsheet shows it, as text.

Each cell has its own kind and style, whatever stands above it.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import python_calamine
from msgspec import Struct
from python_calamine import SheetTypeEnum, SheetVisibleEnum

from transformer.errors import LoadError, did_you_mean
from transformer.landing.counting import LONGEST_LINE
from transformer.landing.excel_xml import Cell, CellExceptions, odd_cells, place
from transformer.landing.source_file import SourceFile
from transformer.landing.staged import PART, ROW, UNKNOWN, ReaderSession, Staged, distinct, fixed
from transformer.landing.text import private_copy
from transformer.landing.whole import refuse_damaged_book
from transformer.names import literal

_LAST_ROW = 1_048_576
# Rows that reach the engine in one statement.
_CHUNK = 10_000
# Whole numbers below it are a DOUBLE's, digit for digit.
_EXACT = 1e15
_MOMENTS = {datetime.time, datetime.date, datetime.datetime}


class _Area(Struct, frozen=True):
    """The cells to read, counted from 0; `bottom` and `right` are the first that are not."""

    top: int
    left: int
    bottom: int
    right: int | None


def excel(session: ReaderSession, given: SourceFile) -> Staged:
    """A sheet: cells as text, from the header row down; rows that are wholly blank are none. A
    row's number is the sheet's. Raises LoadError."""
    content = _content(session, given)
    area = _area(given)
    name, rows = _cells(given, content, area)
    if not given.limit:
        refuse_damaged_book(given.name, content)
    odd = odd_cells(content, name, _doubtful(rows))
    _completed(rows, odd, whole=not given.limit)
    header = bool(given.options.get("header", True))
    cells = [row[area.left : area.right] for row in rows[area.top : area.bottom]]
    names = _names(given, area, cells, header=header)
    first = area.top + int(header)
    nulls = frozenset(given.options.get("null_values", ()))
    stage, lost = given.table("rows"), given.table("lost")
    sheet = _Sheet(first, area.left, tuple(names), odd.lost, nulls)
    gone = _stage(session, stage, list(names.values()), sheet.chunks(cells[int(header) :]))
    session.run(f"create or replace temp table {lost} ({ROW} bigint, cell varchar, record varchar)")
    for row in gone:
        session.run(f"insert into {lost} values (?, ?, ?)", row)
    query = f"select * exclude ({ROW}), {given.part} as {PART}, {ROW} from {stage}"
    bad = (
        f"select {given.part} as part, {ROW} as row_number, null::varchar as column_name, record,"
        f" 'the formula in ' || cell || ' has no stored value: open the file and save it' as reason"
        f" from {lost}"
    )
    some = session.rows(f"select 1 from {lost} limit 1")
    columns = tuple((n, UNKNOWN) for n in names.values())
    return Staged(fixed(given.bounded(query)), columns, text=True, bad=bad if some else None)


def _doubtful(rows: Sequence[Sequence[Any]]) -> frozenset[Cell]:
    """Where the reader may have made a moment of a serial number that is not a day."""
    return frozenset(
        (row, column)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
        if type(cell) in _MOMENTS and _is_doubtful(cell)
    )


def _is_doubtful(moment: datetime.time | datetime.date) -> bool:
    if isinstance(moment, datetime.time):
        return True
    return (moment.year, moment.month, moment.day) == (1900, 2, 28)


def _completed(rows: list[list[Any]], odd: CellExceptions, *, whole: bool) -> None:
    """Puts the cells that the reader lost into the rows. In a mere look, not below the last one."""
    found = [*odd.texts, *odd.numbers, *odd.lost]
    if whole:
        rows += [[] for _ in range(len(rows), max((row + 1 for row, _ in found), default=0))]
    wide = max([*map(len, rows), *(column + 1 for _, column in found)], default=0)
    for cells in rows:
        cells.extend([""] * (wide - len(cells)))
    for (row, column), text in odd.texts.items():
        if row < len(rows):
            rows[row][column] = text
    for (row, column), text in odd.numbers.items():
        if row < len(rows) and isinstance(rows[row][column], float):  # a moment is one already
            rows[row][column] = text


def _stage(
    session: ReaderSession,
    stage: str,
    names: list[str],
    chunks: Iterator[tuple[list[list[Any]], list[tuple[Any, ...]]]],
) -> list[tuple[Any, ...]]:
    """Fills the table by way of a file, which costs a hundredth of handing values over one by one.
    Answers the rows that hold a formula without a value."""
    gone: list[tuple[Any, ...]] = []
    with private_copy() as copy, io.TextIOWrapper(copy, encoding="utf-8", newline="") as text:
        write = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows
        for columns, lost in chunks:
            write(zip(*columns, strict=True))
            gone += lost
        text.flush()
        listed = ", ".join(f"{literal(n)}: 'VARCHAR'" for n in names)
        session.run(
            f"create or replace temp table {stage} as from read_csv({literal(copy.name)},"
            f" auto_detect=false, header=false, delim=',', quote='\"', escape='\"', nullstr='',"
            f" max_line_size={LONGEST_LINE}, columns={{{listed}, {literal(ROW)}: 'BIGINT'}})"
        )
    return gone


class _Sheet(Struct, frozen=True):
    """How rows of cells become columns of text: the first row's number (from 0), the first
    column's, which columns are taken, lost formulas, and what means that nothing is there."""

    first: int
    left: int
    columns: tuple[int, ...]
    lost: frozenset[Cell]
    nulls: frozenset[str]

    def chunks(
        self, cells: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[list[list[Any]], list[tuple[Any, ...]]]]:
        """Columns of text and row numbers, some rows at a time; beside them the rows that hold a
        formula without a value."""
        lost = {row for row, _ in self.lost}
        for start in range(0, len(cells), _CHUNK):
            rows = cells[start : start + _CHUNK]
            numbers = range(self.first + start, self.first + start + len(rows))
            texts = [_texts([row[c] for row in rows]) for c in self.columns]
            if self.nulls:
                texts = [[None if t in self.nulls else t for t in column] for column in texts]
            some = [any(t is not None for t in row) for row in zip(*texts, strict=True)]
            kept = [n not in lost and there for n, there in zip(numbers, some, strict=True)]
            yield self._kept(texts, numbers, kept), self._gone(texts, numbers)

    def _kept(self, texts: list[list[Any]], numbers: range, kept: list[bool]) -> list[list[Any]]:
        whole = [*texts, [number + 1 for number in numbers]]
        return [[v for v, k in zip(column, kept, strict=True) if k] for column in whole]

    def _gone(self, texts: list[list[Any]], numbers: range) -> list[tuple[Any, ...]]:
        cells = [
            (row, column)
            for row, column in sorted(self.lost)
            if row in numbers and column - self.left in self.columns
        ]
        first = dict(reversed(cells))
        return [
            (row + 1, f"{_letters(column)}{row + 1}", self._shown(texts, row - numbers[0]))
            for row, column in first.items()
        ]

    def _shown(self, texts: list[list[Any]], place: int) -> str:
        return "; ".join("" if column[place] is None else str(column[place]) for column in texts)


def _texts(cells: list[Any]) -> list[str | None]:
    kinds = set(map(type, cells))
    if kinds == {str}:
        return [cell or None for cell in cells]
    return [_SHOWN[type(cell)](cell) for cell in cells]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < _EXACT else repr(value)


def _moment(value: datetime.datetime) -> str:
    return value.isoformat(sep=" ")


def _duration(value: datetime.timedelta) -> str:
    seconds, rest = divmod(abs(value), datetime.timedelta(seconds=1))
    sign = "-" if value < datetime.timedelta() else ""
    part = f".{rest.microseconds:06}".rstrip("0") if rest else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}{part}"


_SHOWN: Mapping[type, Callable[[Any], str | None]] = {
    str: lambda text: text or None,
    int: str,
    float: lambda value: repr(value) if value in (float("inf"), float("-inf")) else _number(value),
    bool: lambda value: "true" if value else "false",
    datetime.date: datetime.date.isoformat,
    datetime.datetime: _moment,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: _duration,
    type(None): lambda _: None,
}


def _content(session: ReaderSession, given: SourceFile) -> bytes:
    if given.remote:
        return bytes(session.rows(f"select content from read_blob({literal(given.path)})")[0][0])
    with open(given.path, "rb") as stream:  # noqa: PTH123 - a path as text
        return stream.read()


def _cells(given: SourceFile, content: bytes, area: _Area) -> tuple[str, list[list[Any]]]:
    """The sheet's name and its rows from the first one on."""
    try:
        book = python_calamine.load_workbook(io.BytesIO(content))
        wanted = given.options.get("sheet")
        found = _sheet(book, wanted)
        if found is None:
            hint = did_you_mean(str(wanted), book.sheet_names, otherwise="it has: {}")
            raise LoadError(f"`{given.name}` has no sheet `{wanted}`", hint=hint)
        most = area.top + given.limit + 1 if given.limit else None
        rows = book.get_sheet_by_name(found).to_python(skip_empty_area=False, nrows=most)
    except (python_calamine.CalamineError, zipfile.BadZipFile) as error:
        hint = "open it in a spreadsheet program and save it again"
        raise LoadError(f"`{given.name}` is no Excel workbook: {error}", hint=hint) from None
    return found, rows


def _sheet(book: python_calamine.CalamineWorkbook, wanted: Any) -> str | None:
    """The sheet of this name; without one, the first with cells that a user sees."""
    if wanted:
        return next((n for n in book.sheet_names if n.lower() == str(wanted).lower()), None)
    sheets = [s for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
    shown = (s.name for s in sheets if s.visible == SheetVisibleEnum.Visible)
    return next(shown, book.sheet_names[0])


def _area(given: SourceFile) -> _Area:
    area = given.options.get("range")
    if not area:
        top = max(1, int(given.options.get("header_row") or 1)) - 1
        return _Area(top, 0, _LAST_ROW, None)
    found = re.fullmatch(r"\s*([A-Za-z]+)(\d+):([A-Za-z]+)(\d*)\s*", str(area))
    if not found:
        raise LoadError(f"`{area}` is no range of cells", hint="write it like `A3:F200`")
    left, first, right, last = found.groups()
    return _Area(int(first) - 1, place(left), int(last or _LAST_ROW), place(right) + 1)


def _letters(place: int) -> str:
    made = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        made = chr(ord("A") + rest) + made
    return made


def _names(
    given: SourceFile, area: _Area, cells: Sequence[Sequence[Any]], *, header: bool
) -> dict[int, str]:
    """The name of each column that holds anything, by its place."""
    wide = max(map(len, cells), default=0)
    used = [any(row[c] not in ("", None) for row in cells) for c in range(wide)]
    if header:
        known = [str(name) for name in _texts(list(cells[0]))] if cells else []
        known = ["" if name == "None" else name for name in known]
    else:
        declared = given.declared
        known = [declared[n] if n < len(declared) else "" for n in range(wide)]
    if not any(used) or (header and not any(known)):
        raise LoadError(
            f"`{given.name}` has no names in row {area.top + 1}",
            hint="set `header_row` to the row that has them",
        )
    kept = [c for c in range(wide) if used[c]]
    return dict(zip(kept, distinct(known[c] for c in kept), strict=True))
