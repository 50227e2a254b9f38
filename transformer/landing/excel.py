"""Excel and OpenDocument sheets: every cell as text, as a spreadsheet shows it.

Each cell has its own kind and style, whatever is above it.
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
from transformer.landing.excel_xml import Cell, CellExceptions, column_index, odd_cells
from transformer.landing.source_file import SourceFile
from transformer.landing.staged import (
    PART,
    ROW,
    UNKNOWN,
    ReaderSession,
    Staged,
    constant_reading,
    unique_names,
)
from transformer.landing.text import private_copy
from transformer.landing.whole import refuse_damaged_book
from transformer.names import literal

_LAST_ROW = 1_048_576
# Rows written in one go.
_CHUNK = 10_000
# Below this, whole numbers are exact in a DOUBLE.
_EXACT = 1e15
_MOMENTS = {datetime.time, datetime.date, datetime.datetime}


class _Area(Struct, frozen=True):
    """The cells to read, counted from 0; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int | None


def excel(session: ReaderSession, file: SourceFile) -> Staged:
    """Stages a sheet: cells as text, from the header row down, without blank rows. Row numbers
    are the sheet's. Raises LoadError."""
    content = _content(session, file)
    area = _area(file)
    name, rows = _cells(file, content, area)
    if not file.limit:
        refuse_damaged_book(file.name, content)
    odd = odd_cells(content, name, _doubtful(rows))
    _completed(rows, odd, whole=not file.limit)
    header = bool(file.options.get("header", True))
    cells = [row[area.left : area.right] for row in rows[area.top : area.bottom]]
    names = _names(file, area, cells, header=header)
    first = area.top + int(header)
    nulls = frozenset(file.options.get("null_values", ()))
    stage, lost = file.table("rows"), file.table("lost")
    sheet = _Sheet(first, area.left, tuple(names), odd.lost, nulls)
    lost_rows = _stage(session, stage, list(names.values()), sheet.chunks(cells[int(header) :]))
    session.run(f"create or replace temp table {lost} ({ROW} bigint, cell varchar, record varchar)")
    for row in lost_rows:
        session.run(f"insert into {lost} values (?, ?, ?)", row)
    query = f"select * exclude ({ROW}), {file.part} as {PART}, {ROW} from {stage}"
    bad = (
        f"select {file.part} as part, {ROW} as row_number, null::varchar as column_name, record,"
        f" 'the formula in ' || cell || ' has no stored value: open the file and save it' as reason"
        f" from {lost}"
    )
    has_lost = session.rows(f"select 1 from {lost} limit 1")
    columns = tuple((n, UNKNOWN) for n in names.values())
    return Staged(
        constant_reading(file.bounded(query)), columns, text=True, bad=bad if has_lost else None
    )


def _doubtful(rows: Sequence[Sequence[Any]]) -> frozenset[Cell]:
    """Timestamps that the reader may have made of a serial number that is not a date."""
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
    """Fills in the cells that the reader lost; in a preview, none below the last row read."""
    cells_to_set = [*odd.texts, *odd.numbers, *odd.lost]
    if whole:
        rows += [[] for _ in range(len(rows), max((row + 1 for row, _ in cells_to_set), default=0))]
    width = max([*map(len, rows), *(column + 1 for _, column in cells_to_set)], default=0)
    for row_cells in rows:
        row_cells.extend([""] * (width - len(row_cells)))
    for (row, column), text in odd.texts.items():
        if row < len(rows):
            rows[row][column] = text
    for (row, column), text in odd.numbers.items():
        if row < len(rows) and isinstance(rows[row][column], float):  # a timestamp is exact already
            rows[row][column] = text


def _stage(
    session: ReaderSession,
    stage: str,
    names: list[str],
    chunks: Iterator[tuple[list[list[Any]], list[tuple[Any, ...]]]],
) -> list[tuple[Any, ...]]:
    """Fills the table through a file, which is a hundred times cheaper than passing single values.
    Returns the rows that contain a formula without a value."""
    lost_rows: list[tuple[Any, ...]] = []
    with private_copy() as copy, io.TextIOWrapper(copy, encoding="utf-8", newline="") as text:
        write = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows
        for columns, lost in chunks:
            write(zip(*columns, strict=True))
            lost_rows += lost
        text.flush()
        listed = ", ".join(f"{literal(n)}: 'VARCHAR'" for n in names)
        session.run(
            f"create or replace temp table {stage} as from read_csv({literal(copy.name)},"
            f" auto_detect=false, header=false, delim=',', quote='\"', escape='\"', nullstr='',"
            f" max_line_size={LONGEST_LINE}, columns={{{listed}, {literal(ROW)}: 'BIGINT'}})"
        )
    return lost_rows


class _Sheet(Struct, frozen=True):
    """How rows of cells become columns of text: the first row's and column's number (from 0), the
    columns taken, formulas without a value, and texts that mean NULL."""

    first: int
    left: int
    columns: tuple[int, ...]
    lost: frozenset[Cell]
    nulls: frozenset[str]

    def chunks(
        self, cells: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[list[list[Any]], list[tuple[Any, ...]]]]:
        """Per chunk of rows: their columns of text with row numbers, and the rows that contain a
        formula without a value."""
        lost = {row for row, _ in self.lost}
        for start in range(0, len(cells), _CHUNK):
            rows = cells[start : start + _CHUNK]
            numbers = range(self.first + start, self.first + start + len(rows))
            texts = [_texts([row[c] for row in rows]) for c in self.columns]
            if self.nulls:
                texts = [[None if t in self.nulls else t for t in column] for column in texts]
            filled = [any(t is not None for t in row) for row in zip(*texts, strict=True)]
            keep = [
                n not in lost and not_blank for n, not_blank in zip(numbers, filled, strict=True)
            ]
            yield self._kept(texts, numbers, keep), self._gone(texts, numbers)

    def _kept(self, texts: list[list[Any]], numbers: range, keep: list[bool]) -> list[list[Any]]:
        columns = [*texts, [number + 1 for number in numbers]]
        return [[v for v, k in zip(column, keep, strict=True) if k] for column in columns]

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

    def _shown(self, texts: list[list[Any]], index: int) -> str:
        return "; ".join("" if column[index] is None else str(column[index]) for column in texts)


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


def _content(session: ReaderSession, file: SourceFile) -> bytes:
    if file.remote:
        return bytes(session.rows(f"select content from read_blob({literal(file.path)})")[0][0])
    with open(file.path, "rb") as stream:  # noqa: PTH123 - a path as text
        return stream.read()


def _cells(file: SourceFile, content: bytes, area: _Area) -> tuple[str, list[list[Any]]]:
    """The sheet's name and its rows. Raises LoadError."""
    try:
        book = python_calamine.load_workbook(io.BytesIO(content))
        wanted = file.options.get("sheet")
        sheet = _sheet(book, wanted)
        if sheet is None:
            hint = did_you_mean(str(wanted), book.sheet_names, otherwise="it has: {}")
            raise LoadError(f"`{file.name}` has no sheet `{wanted}`", hint=hint)
        most = area.top + file.limit + 1 if file.limit else None
        rows = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False, nrows=most)
    except (python_calamine.CalamineError, zipfile.BadZipFile) as error:
        hint = "open it in a spreadsheet program and save it again"
        raise LoadError(f"`{file.name}` is not an Excel workbook: {error}", hint=hint) from None
    return sheet, rows


def _sheet(book: python_calamine.CalamineWorkbook, wanted: Any) -> str | None:
    """The sheet of this name; without a name, the first visible worksheet."""
    if wanted:
        return next((n for n in book.sheet_names if n.lower() == str(wanted).lower()), None)
    sheets = [s for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
    shown = (s.name for s in sheets if s.visible == SheetVisibleEnum.Visible)
    return next(shown, book.sheet_names[0])


def _area(file: SourceFile) -> _Area:
    area = file.options.get("range")
    if not area:
        top = max(1, int(file.options.get("header_row") or 1)) - 1
        return _Area(top, 0, _LAST_ROW, None)
    match = re.fullmatch(r"\s*([A-Za-z]+)(\d+):([A-Za-z]+)(\d*)\s*", str(area))
    if not match:
        raise LoadError(f"`{area}` is not a cell range", hint="write it like `A3:F200`")
    left, first, right, last = match.groups()
    return _Area(
        int(first) - 1, column_index(left), int(last or _LAST_ROW), column_index(right) + 1
    )


def _letters(index: int) -> str:
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _names(
    file: SourceFile, area: _Area, cells: Sequence[Sequence[Any]], *, header: bool
) -> dict[int, str]:
    """The name of each non-empty column, by its index. Raises LoadError if none has a name."""
    width = max(map(len, cells), default=0)
    used = [any(row[c] not in ("", None) for row in cells) for c in range(width)]
    if header:
        names = [str(name) for name in _texts(list(cells[0]))] if cells else []
        names = ["" if name == "None" else name for name in names]
    else:
        declared = file.declared
        names = [declared[n] if n < len(declared) else "" for n in range(width)]
    if not any(used) or (header and not any(names)):
        raise LoadError(
            f"`{file.name}` has no column names in row {area.top + 1}",
            hint="set `header_row` to the row with the column names",
        )
    used_columns = [c for c in range(width) if used[c]]
    return dict(zip(used_columns, unique_names(names[c] for c in used_columns), strict=True))
