"""Cells whose value the sheet reader loses, read from the workbook's own XML.

The reader returns numbers as DOUBLEs, errors and blank-only texts as nothing, and a formula
whose value was never stored as an empty cell.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from html import unescape
from math import isfinite
from xml.etree.ElementTree import Element, iterparse

from msgspec import Struct

Cell = tuple[int, int]

# A prefix that a writer may give to every tag.
_P = rb"(?:\w+:)?"
_F = rb"<%sf\b[^>]*?(?:/>|>[^<]*</%sf>)" % (_P, _P)
_V = rb"<%sv\b[^>]*>" % _P
_BLANK = rb"(?:[ \t\r\n]|&#(?:9|10|13|32|x9|xA|xD|x20);)+"
_ODD = re.compile(
    rb"<%sc\b([^>]*)>\s*(?:" % _P
    + rb"(?:%s\s*)?%s(#[^<]*|-?[0-9.]{16,}(?:[eE][-+]?[0-9]+)?|-?[0-9.]+[eE][-+]?[0-9]{3,})</"
    % (_F, _V)
    + rb"|(%s)\s*(%s</%sv>|<%sv\s*/>)?\s*</%sc>" % (_F, _V, _P, _P, _P)
    + rb"|<%sis>\s*<%st\b[^>]*>(%s)</%st>\s*</%sis>)" % (_P, _P, _BLANK, _P, _P)
)
_NO_DAY = re.compile(rb"<%sc\b([^>]*)>\s*(?:%s\s*)?%s(-[^<]*|60(?:\.[^<]*)?)</" % (_P, _F, _V))
_WHERE = re.compile(rb'\sr="([A-Z]+)([0-9]+)"')
_TYPE = re.compile(rb'\st="(\w+)"')
_TAG = re.compile(rb"<%s(row|c)\b([^>]*)>" % _P)
_ROW = re.compile(rb'\sr="([0-9]+)"')
_SHARED = re.compile(rb"<%ssi\b[^>]*?(?:/>|>(.*?)</%ssi>)" % (_P, _P), re.DOTALL)
_ALONE = re.compile(rb"\s*<%st\b[^>]*>(%s)</%st>\s*" % (_P, _BLANK, _P))
# A DOUBLE prints up to this many digits; whole numbers with up to `_WHOLE_DIGITS` are exact in it.
_DIGITS = 17
_WHOLE_DIGITS = 15


class CellExceptions(Struct, frozen=True):
    """Cells by row and column (from 0): texts, numbers with more digits than a DOUBLE holds, and
    formulas without a stored value (`lost`)."""

    texts: Mapping[Cell, str] = {}
    numbers: Mapping[Cell, str] = {}
    lost: frozenset[Cell] = frozenset()


def odd_cells(content: bytes, sheet: str, doubtful: frozenset[Cell]) -> CellExceptions:
    """What the reader loses in this sheet; empty for workbooks that are not XML. `doubtful` are
    timestamps that the reader may have made of a serial number that is not a date."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            if "content.xml" in book.namelist():
                return _of_document(book.read("content.xml"), sheet)
            return _of_workbook(book, sheet, doubtful)
    except (KeyError, zipfile.BadZipFile):
        return CellExceptions()


def column_index(letters: str) -> int:
    """A column's index (from 0) by its letters."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


# ------------------------------------------------------------------ Excel
def _of_workbook(book: zipfile.ZipFile, sheet: str, doubtful: frozenset[Cell]) -> CellExceptions:
    links = book.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    xml = book.read(_part(_sheet_target(book, links, sheet)))
    texts: dict[Cell, str] = {}
    numbers: dict[Cell, str] = {}
    lost: set[Cell] = set()
    places = _Places(xml)
    for match in _ODD.finditer(xml):
        attributes, value, formula, stored, blank = match.groups()
        kind = (_TYPE.findall(attributes) or [b"n"])[0]
        if blank:
            texts[places.of(match)] = _text(blank)
        elif formula and not (kind == b"str" and stored):  # a text may be empty
            lost.add(places.of(match))
        elif value and kind == b"e":
            texts[places.of(match)] = _text(value)
        elif value and kind == b"n" and not _fits(value.decode()):
            numbers[places.of(match)] = value.decode()
    if doubtful:
        serials = ((places.of(cell), cell[2].decode()) for cell in _NO_DAY.finditer(xml))
        texts |= {cell: _no_day(serial) for cell, serial in serials if cell in doubtful}
    blanks = _shared_blanks(book, links)
    if blanks:
        texts |= _with_shared(xml, blanks, places)
    return CellExceptions(texts, numbers, frozenset(lost))


def _fits(number: str) -> bool:
    """Whether a DOUBLE holds all the digits a spreadsheet wrote."""
    mantissa = re.split("[eE]", number)[0].lstrip("-")
    digits = mantissa.replace(".", "").strip("0" if "." in mantissa else "")
    try:
        read = float(number)
    except ValueError:
        return True
    most = _DIGITS if "." in mantissa else _WHOLE_DIGITS
    return len(digits.lstrip("0")) <= most and isfinite(read) and (read != 0 or not digits)


def _no_day(serial: str) -> str:
    """The text of a serial number that is not a date: 60 is 29 February 1900, which exists only
    in spreadsheets; negative ones stay numbers."""
    if serial.startswith("-"):
        return serial
    clock = str(timedelta(milliseconds=round(float(serial) % 1 * 86_400_000)))
    return "1900-02-29" + (f" {clock.rjust(8, '0')}" if float(serial) % 1 else "")


def _with_shared(xml: bytes, blanks: Mapping[int, str], places: _Places) -> dict[Cell, str]:
    numbers = b"|".join(b"%d" % number for number in blanks)
    cells = re.compile(rb'<%sc\b([^>]*\st="s"[^>]*)>\s*%s(%s)</' % (_P, _V, numbers))
    return {places.of(match): blanks[int(match[2])] for match in cells.finditer(xml)}


def _shared_blanks(book: zipfile.ZipFile, links: str) -> dict[int, str]:
    """Shared strings that are blank, by number."""
    target = next(
        (
            unescape(_attribute(tag, "Target"))
            for tag in re.findall(r"<Relationship\b[^>]*>", links)
            if _attribute(tag, "Type").endswith("/sharedStrings")
        ),
        None,
    )
    if target is None or _part(target) not in book.namelist():
        return {}
    xml = book.read(_part(target))
    if not re.search(rb">%s</%st>" % (_BLANK, _P), xml):
        return {}
    items = enumerate(_ALONE.fullmatch(match[1] or b"") for match in _SHARED.finditer(xml))
    return {number: _text(match[1]) for number, match in items if match}


class _Places:
    """The position of each cell; a cell without a reference is positioned by its order."""

    def __init__(self, xml: bytes) -> None:
        self.xml = xml
        self.counted: dict[int, Cell] | None = None

    def of(self, cell: re.Match[bytes]) -> Cell:
        reference = _WHERE.search(cell[1])
        if reference:
            return int(reference[2]) - 1, column_index(reference[1].decode())
        if self.counted is None:
            self.counted = dict(_counted(self.xml))
        return self.counted[cell.start()]


def _counted(xml: bytes) -> Iterator[tuple[int, Cell]]:
    row = column = -1
    for tag in _TAG.finditer(xml):
        if tag[1] == b"row":
            reference = _ROW.search(tag[2])
            row, column = int(reference[1]) - 1 if reference else row + 1, -1
            continue
        cell_reference = _WHERE.search(tag[2])
        column = column_index(cell_reference[1].decode()) if cell_reference else column + 1
        yield tag.start(), (row, column)


def _text(xml: bytes) -> str:
    return unescape(xml.decode("utf-8", "replace").replace("\r\n", "\n"))


def _sheet_target(book: zipfile.ZipFile, links: str, sheet: str) -> str:
    listed = book.read("xl/workbook.xml").decode("utf-8", "replace")
    for tag in re.findall(r"<(?:\w+:)?sheet\b[^>]*>", listed):
        if unescape(_attribute(tag, "name")) == sheet:
            wanted = _attribute(tag, r"\w+:id")
            for link in re.findall(r"<Relationship\b[^>]*>", links):
                if _attribute(link, "Id") == wanted:
                    return unescape(_attribute(link, "Target"))
    raise KeyError(sheet)


def _part(target: str) -> str:
    return target.lstrip("/") if target[:1] == "/" else f"xl/{target}"


def _attribute(tag: str, name: str) -> str:
    match = re.search(rf"\s{name}=(?:\"([^\"]*)\"|'([^']*)')", tag)
    return (match[1] or match[2] or "") if match else ""


# ------------------------------------------------------------------ OpenDocument
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_WORDS = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_DURATION = re.compile(r"(-?)PT([0-9]+)H([0-9]+)M([0-9]+)(?:[.,]([0-9]+))?S")
# Only such cells match; without a match the document need not be parsed.
_MAY_BE_ODD = re.compile(
    rb'value-type="(?:error|time)"|office:value="-?(?:[0-9.]{16,}|[0-9.]+[eE][-+]?[0-9]{3,})'
)


def _of_document(xml: bytes, sheet: str) -> CellExceptions:
    texts: dict[Cell, str] = {}
    numbers: dict[Cell, str] = {}
    for cells, cell in _document_cells(xml, sheet) if _MAY_BE_ODD.search(xml) else ():
        kind, value = cell.get(f"{_OFFICE}value-type"), cell.get(f"{_OFFICE}value", "")
        if cell.get(f"{_CALC}value-type") == "error":
            texts |= dict.fromkeys(cells, cell.findtext(f"{_WORDS}p", "").strip())
        elif kind == "time":
            texts |= dict.fromkeys(cells, _clock(cell.get(f"{_OFFICE}time-value", "")))
        elif value and not _fits(value):
            numbers |= dict.fromkeys(cells, value)
    return CellExceptions(texts, numbers)


def _clock(duration: str) -> str:
    match = _DURATION.fullmatch(duration)
    if not match:
        return duration
    sign, hours, minutes, seconds, parts = match.groups()
    rest = (parts or "").rstrip("0")
    return f"{sign}{hours}:{minutes}:{seconds}{'.' if rest else ''}{rest}"


def _document_cells(xml: bytes, sheet: str) -> Iterator[tuple[list[Cell], Element]]:
    """The cells of one sheet, each with all positions it is repeated at."""
    row, inside = 0, False
    element: Element
    for event, element in iterparse(io.BytesIO(xml), ("start", "end")):  # noqa: S314 - expat bounds entities
        if element.tag == f"{_TABLE}table":
            inside = event == "start" and element.get(f"{_TABLE}name") == sheet
        elif inside and event == "end" and element.tag == f"{_TABLE}table-row":
            times = int(element.get(f"{_TABLE}number-rows-repeated", 1))
            column = 0
            for cell in element:
                if cell.tag not in _CELLS:
                    continue
                wide = int(cell.get(f"{_TABLE}number-columns-repeated", 1))
                if cell.get(f"{_OFFICE}value-type"):
                    across = range(column, column + wide)
                    yield [(r, c) for r in range(row, row + times) for c in across], cell
                column += wide
            row += times
            element.clear()
