"""Excel: a sheet's cells as text, from the header row down; rows that are wholly blank are none."""

from __future__ import annotations

import re
import zipfile
from html import unescape
from pathlib import Path

from msgspec import Struct

from transformer.errors import LoadError, did_you_mean
from transformer.landing.given import Given
from transformer.landing.staged import PART, ROW, UNKNOWN, Session, Staged, distinct, fixed
from transformer.names import literal, quoted

_LAST_ROW = 1_048_576
# Rows that tell how wide a sheet is, and columns that are looked at.
_LOOK, _WIDEST = 200, 702
_SERIAL = r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
# Days since 1899-12-30, as Excel counts; milliseconds, since its fractions are not exact.
_MOMENT = "(timestamp '1899-12-30' + to_milliseconds(round({0}::double * 86400000)::bigint))"
# What a cell's style says it is -> the text that stands for its number.
_STYLED = {
    "TIMESTAMP": f"{_MOMENT}::varchar",
    "DATE": f"case when {{0}}::double = floor({{0}}::double) then {_MOMENT}::date::varchar"
    f" else {_MOMENT}::varchar end",
    "TIME": f"{_MOMENT}::time::varchar",
    "BOOLEAN": "({0}::double <> 0)::varchar",
}


class _Sheet(Struct, frozen=True):
    """The part of a sheet that is read: how, from which row, which columns."""

    given: Given
    top: int
    left: str
    right: str
    bottom: int

    def cells(self, top: int, bottom: int, *, text: bool = True) -> str:
        sheet = self.given.options.get("sheet")
        named = f", sheet={literal(sheet)}" if sheet else ""
        area = literal(f"{self.left}{top}:{self.right}{bottom}")
        return (
            f"read_xlsx({self.given.place}{named}, header=false, all_varchar={text},"
            f" stop_at_empty=false, range={area})"
        )


def excel(session: Session, given: Given) -> Staged:
    """A sheet: cells as text, from the header row down; rows that are wholly blank are none."""
    _is_there(given)
    sheet = _sheet(session, given)
    raw = given.table("cells")
    header = bool(given.options.get("header", True))
    bottom = min(sheet.bottom, sheet.top + given.limit) if given.limit else sheet.bottom
    session.run(
        f"create or replace temp table {raw} as select *, row_number() over () - {int(header)}"
        f" as {ROW} from {sheet.cells(sheet.top, bottom)}"
    )
    names = _names(session, sheet, raw, header=header)
    styles = _styles(session, sheet, raw, list(names))
    nulls = [literal(v) for v in given.options.get("null_values", ())]
    values = ", ".join(
        f"{_value(cell, styles.get(cell), nulls)} as {quoted(name)}" for cell, name in names.items()
    )
    some = " or ".join(f"{quoted(cell)} is not null" for cell in names)
    stage = given.table("rows")
    session.run(
        f"create or replace temp table {stage} as select {values},"
        f" {given.part} as {PART}, {ROW} from {raw} where {ROW} > 0 and ({some})"
    )
    return Staged(fixed(f"select * from {stage}"), tuple((n, UNKNOWN) for n in names.values()), text=True)


def _names(session: Session, sheet: _Sheet, raw: str, *, header: bool) -> dict[str, str]:
    """The name of each column that holds anything, by its letters."""
    letters = [name for name, _ in session.columns(f"from {raw}") if name != ROW]
    counted = ", ".join(f"count({quoted(c)})" for c in letters)
    used = [bool(n) for n in session.rows(f"select {counted} from {raw}")[0]]
    if not header:
        declared = sheet.given.declared
        known = [declared[n] if n < len(declared) else "" for n in range(len(letters))]
    else:
        head = session.rows(f"select * exclude ({ROW}) from {raw} where {ROW} = 0")
        known = [str(name or "") for name in head[0]] if head else []
    if not any(used) or (header and not any(known)):
        raise LoadError(
            f"`{sheet.given.name}` has no names in row {sheet.top}",
            hint="set `header_row` to the row that has them",
        )
    kept = [(cell, name) for cell, name, some in zip(letters, known, used, strict=True) if some]
    made = distinct(name for _, name in kept)
    return {cell: name for (cell, _), name in zip(kept, made, strict=True)}


def _styles(session: Session, sheet: _Sheet, raw: str, cells: list[str]) -> dict[str, str]:
    """What a column's first cell says it is: its number alone does not tell a day from a price."""
    least = ", ".join(f"min({ROW}) filter ({quoted(c)} is not null)" for c in cells)
    firsts = session.rows(f"select {least} from {raw} where {ROW} > 0")[0]
    start = sheet.top + int(bool(sheet.given.options.get("header", True))) - 1
    made: dict[str, str] = {}
    for first in sorted({n for n in firsts if n is not None})[:5]:
        row = start + first
        kinds = dict(session.columns(f"select * from {sheet.cells(row, row, text=False)}"))
        mine = [c for c, n in zip(cells, firsts, strict=True) if n == first]
        made |= {c: kinds[c] for c in mine if kinds.get(c) in _STYLED}
    return made


def _value(cell: str, style: str | None, nulls: list[str]) -> str:
    name = quoted(cell)
    text = name
    if style:
        text = (
            f"case when regexp_full_match({name}, {literal(_SERIAL)})"
            f" then {_STYLED[style].format(name)} else {name} end"
        )
    return f"case when {name} not in ({', '.join(nulls)}) then {text} end" if nulls else text


def _sheet(session: Session, given: Given) -> _Sheet:
    """The cells to read. Without `range` the width is that of the first rows, or what the sheet
    says of itself: reading every possible column of a million rows costs minutes."""
    area = given.options.get("range")
    if area:
        found = re.fullmatch(r"\s*([A-Za-z]+)(\d+):([A-Za-z]+)(\d*)\s*", area)
        if not found:
            raise LoadError(f"`{area}` is no range of cells", hint="write it like `A3:F200`")
        left, top, right, bottom = found.groups()
        return _Sheet(given, int(top), left.upper(), right.upper(), int(bottom or _LAST_ROW))
    top = max(1, int(given.options.get("header_row") or 1))
    look = _Sheet(given, top, "A", "ZZ", _LAST_ROW).cells(top, top + _LOOK)
    names = [name for name, _ in session.columns(f"select * from {look}")]
    counts = session.rows(f"select {', '.join(f'count({quoted(n)})' for n in names)} from {look}")
    used = [number for number, count in enumerate(counts[0], 1) if count]
    wide = max(used[-1] if used else 1, min(_said_width(given), _WIDEST))
    return _Sheet(given, top, "A", names[wide - 1], _LAST_ROW)


def _is_there(given: Given) -> None:
    """Looks before DuckDB does, which does not come back from a file that is no workbook."""
    if "://" in given.path:
        return
    try:
        with zipfile.ZipFile(Path(given.path)) as book:
            listed = book.read("xl/workbook.xml").decode("utf-8", "replace")
    except (zipfile.BadZipFile, KeyError):
        hint = "open it in Excel and save it as .xlsx again"
        raise LoadError(f"`{given.name}` is no Excel workbook", hint=hint) from None
    sheets = [unescape(name) for name in re.findall(r'<sheet\b[^>]*?\bname="([^"]*)"', listed)]
    wanted = given.options.get("sheet")
    if wanted and sheets and wanted.lower() not in (sheet.lower() for sheet in sheets):
        hint = did_you_mean(wanted, sheets, otherwise="it has: {}")
        raise LoadError(f"`{given.name}` has no sheet `{wanted}`", hint=hint)


def _said_width(given: Given) -> int:
    """The widest that any sheet of a local file says it is; 0 when nobody says."""
    if "://" in given.path:
        return 0
    widest = 0
    try:
        with zipfile.ZipFile(Path(given.path)) as book:
            for name in book.namelist():
                if re.fullmatch(r"xl/worksheets/[^/]+\.xml", name):
                    with book.open(name) as sheet:
                        head = sheet.read(4096).decode("utf-8", "replace")
                    found = re.search(r'<dimension ref="(?:[A-Z]+\d+:)?([A-Z]+)\d+"', head)
                    widest = max(widest, _number(found.group(1)) if found else 0)
    except (OSError, zipfile.BadZipFile):
        return 0
    return widest


def _number(letters: str) -> int:
    made = 0
    for letter in letters:
        made = made * 26 + ord(letter) - ord("A") + 1
    return made
