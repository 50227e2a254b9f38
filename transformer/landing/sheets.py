"""Excel and OpenDocument sheets: every cell as a spreadsheet shows it, as text.

Each cell has its own kind and style, whatever stands above it. The reader of cells gives numbers as
DOUBLEs and errors as nothing, so these few are looked up in the sheet itself.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import unescape
from typing import Any

import python_calamine
from msgspec import Struct

from transformer.errors import LoadError, did_you_mean
from transformer.landing.given import LONGEST_LINE, Given
from transformer.landing.staged import PART, ROW, UNKNOWN, Session, Staged, distinct, fixed
from transformer.landing.text import private_copy
from transformer.names import literal

_LAST_ROW = 1_048_576
# Rows that reach the engine in one statement.
_CHUNK = 10_000
# Whole numbers below it are a DOUBLE's, digit for digit.
_EXACT = 1e15
# A cell whose text is not what the reader gives: an error, a long number, a lost formula.
_ODD = re.compile(
    rb'<c\b(?=[^>]*\br="([A-Z]+)([0-9]+)")(?:'
    rb'[^>]*\bt="e"[^>]*>(?:<f\b[^>]*?(?:/>|>[^<]*</f>))?\s*<v>(#[^<]*)</v>'
    rb"|[^>]*>(?:<f\b[^>]*?(?:/>|>[^<]*</f>))?\s*<v>(-?[0-9]{16,})</v>"
    rb"|[^>]*>(<f\b[^>]*?(?:/>|>[^<]*</f>))\s*(?:<v\s*/>|<v></v>)?\s*</c>)"
)


class _Area(Struct, frozen=True):
    """The cells to read, counted from 0; `bottom` and `right` are the first that are not."""

    top: int
    left: int
    bottom: int
    right: int | None


class _Odd(Struct, frozen=True):
    """Cells by row and column, counted from 0: texts that stand there, and lost formulas."""

    texts: Mapping[tuple[int, int], str]
    lost: frozenset[tuple[int, int]]


def excel(session: Session, given: Given) -> Staged:
    """A sheet: cells as text, from the header row down; rows that are wholly blank are none. A
    row's number is the sheet's. Raises LoadError."""
    content = _content(session, given)
    area = _area(given)
    name, rows = _cells(given, content, area)
    odd = _odd_cells(content, name)
    header = bool(given.options.get("header", True))
    cells = [row[area.left : area.right] for row in rows[area.top : area.bottom]]
    names = _names(given, area, cells, header=header)
    first = area.top + int(header)
    nulls = frozenset(given.options.get("null_values", ()))
    stage, lost = given.table("rows"), given.table("lost")
    sheet = _Sheet(first, area.left, tuple(names), odd, nulls)
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


def _stage(
    session: Session,
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
    column's, which columns are taken, the odd cells, and what means that nothing is there."""

    first: int
    left: int
    columns: tuple[int, ...]
    odd: _Odd
    nulls: frozenset[str]

    def chunks(
        self, cells: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[list[list[Any]], list[tuple[Any, ...]]]]:
        """Columns of text and row numbers, some rows at a time; beside them the rows that hold a
        formula without a value."""
        lost = {row for row, _ in self.odd.lost}
        changed: dict[int, list[int]] = {}
        for row, column in self.odd.texts:
            changed.setdefault(row, []).append(column)
        for start in range(0, len(cells), _CHUNK):
            rows = cells[start : start + _CHUNK]
            numbers = range(self.first + start, self.first + start + len(rows))
            texts = [_texts([row[c] for row in rows]) for c in self.columns]
            for number in changed.keys() & set(numbers):
                for column in changed[number]:
                    self._put(texts, number - numbers[0], (number, column))
            if self.nulls:
                texts = [[None if t in self.nulls else t for t in column] for column in texts]
            some = [any(t is not None for t in row) for row in zip(*texts, strict=True)]
            kept = [n not in lost and there for n, there in zip(numbers, some, strict=True)]
            yield self._kept(texts, numbers, kept), self._gone(texts, numbers)

    def _put(self, texts: list[list[Any]], place: int, cell: tuple[int, int]) -> None:
        if cell[1] - self.left in self.columns:
            texts[self.columns.index(cell[1] - self.left)][place] = self.odd.texts[cell]

    def _kept(self, texts: list[list[Any]], numbers: range, kept: list[bool]) -> list[list[Any]]:
        whole = [*texts, [number + 1 for number in numbers]]
        return [[v for v, k in zip(column, kept, strict=True) if k] for column in whole]

    def _gone(self, texts: list[list[Any]], numbers: range) -> list[tuple[Any, ...]]:
        cells = [
            (row, column)
            for row, column in sorted(self.odd.lost)
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
    seconds = value // datetime.timedelta(seconds=1)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


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


def _content(session: Session, given: Given) -> bytes:
    if given.remote:
        return bytes(session.rows(f"select content from read_blob({literal(given.path)})")[0][0])
    with open(given.path, "rb") as stream:  # noqa: PTH123 - a path as text
        return stream.read()


def _cells(given: Given, content: bytes, area: _Area) -> tuple[str, list[list[Any]]]:
    """The sheet's name and its rows from the first one on."""
    try:
        book = python_calamine.load_workbook(io.BytesIO(content))
        names = book.sheet_names
        wanted = given.options.get("sheet")
        found = next((n for n in names if not wanted or n.lower() == str(wanted).lower()), None)
        if found is None:
            hint = did_you_mean(str(wanted), names, otherwise="it has: {}")
            raise LoadError(f"`{given.name}` has no sheet `{wanted}`", hint=hint)
        most = area.top + given.limit + 1 if given.limit else None
        rows = book.get_sheet_by_name(found).to_python(skip_empty_area=False, nrows=most)
    except (python_calamine.CalamineError, zipfile.BadZipFile) as error:
        hint = "open it in a spreadsheet program and save it again"
        raise LoadError(f"`{given.name}` is no Excel workbook: {error}", hint=hint) from None
    return found, rows


def _area(given: Given) -> _Area:
    area = given.options.get("range")
    if not area:
        top = max(1, int(given.options.get("header_row") or 1)) - 1
        return _Area(top, 0, _LAST_ROW, None)
    found = re.fullmatch(r"\s*([A-Za-z]+)(\d+):([A-Za-z]+)(\d*)\s*", str(area))
    if not found:
        raise LoadError(f"`{area}` is no range of cells", hint="write it like `A3:F200`")
    left, first, right, last = found.groups()
    return _Area(int(first) - 1, _place(left), int(last or _LAST_ROW), _place(right) + 1)


def _place(letters: str) -> int:
    made = 0
    for letter in letters.upper():
        made = made * 26 + ord(letter) - ord("A") + 1
    return made - 1


def _letters(place: int) -> str:
    made = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        made = chr(ord("A") + rest) + made
    return made


def _names(
    given: Given, area: _Area, cells: Sequence[Sequence[Any]], *, header: bool
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


def _odd_cells(content: bytes, sheet: str) -> _Odd:
    """What the reader of cells loses, from the sheet of an .xlsx file."""
    texts: dict[tuple[int, int], str] = {}
    lost: set[tuple[int, int]] = set()
    for found in _ODD.finditer(_xml(content, sheet)):
        letters, row, error, number, formula = found.groups()
        cell = (int(row) - 1, _place(letters.decode()))
        if formula:
            lost.add(cell)
        else:
            texts[cell] = unescape((error or number).decode())
    return _Odd(texts, frozenset(lost))


def _xml(content: bytes, sheet: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            listed = book.read("xl/workbook.xml").decode("utf-8", "replace")
            links = book.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
            for tag in re.findall(r"<(?:\w+:)?sheet\b[^>]*>", listed):
                if unescape(_attribute(tag, "name")) == sheet:
                    target = _target(links, _attribute(tag, r"\w+:id"))
                    return book.read(target.lstrip("/") if target[:1] == "/" else f"xl/{target}")
    except (KeyError, zipfile.BadZipFile):
        return b""
    return b""


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\s{name}="([^"]*)"', tag)
    return found.group(1) if found else ""


def _target(links: str, wanted: str) -> str:
    for tag in re.findall(r"<Relationship\b[^>]*>", links):
        if _attribute(tag, "Id") == wanted:
            return unescape(_attribute(tag, "Target"))
    raise KeyError(wanted)
