"""Cells of sheets, one kind at a time, in workbooks of other programs."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

from tests.sources.lab import Lab, lab
from transformer.errors import LoadError

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>v</t></is></c></row>'


def workbook(rows: str, shared: str = "", book: str = "", main: str = MAIN) -> bytes:
    """An .xlsx file of one sheet, by hand."""
    parts = {
        "_rels/.rels": f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',  # noqa: E501
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',  # noqa: E501
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{OFFICE}">{book}<sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',  # noqa: E501
        "xl/sharedStrings.xml": f"<sst {MAIN}>{shared}</sst>",
        "xl/worksheets/sheet1.xml": f"<{'x:' if 'xmlns:x' in main else ''}worksheet {main}>{rows}</{'x:' if 'xmlns:x' in main else ''}worksheet>",  # noqa: E501
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return out.getvalue()


def landed(here: Lab) -> list[Any]:
    here.load()
    return [row[0] for row in here.ask("select v::varchar from raw.things order by _source")]


def cells(tmp_path: Path, *written: str, shared: str = "") -> list[Any]:
    """What cells, written below the name `v` in rows 2, 3, …, land as."""
    rows = "".join(f'<row r="{n}">{c}</row>' for n, c in enumerate(written, 2))
    with lab(tmp_path, path="a.xlsx") as here:
        here.write("a.xlsx", workbook(f"<sheetData>{HEAD}{rows}</sheetData>", shared))
        found = landed(here)
        return [*found, *(f"waits: {q[4]}" for q in here.quarantine())]


INLINE = '<c r="A2" t="inlineStr"><is>{}</is></c>'


@pytest.mark.parametrize(
    ("cell", "shared", "text"),
    [
        (INLINE.format("<t>   </t>"), "", "   "),
        (INLINE.format('<t xml:space="preserve"> \t</t>'), "", " \t"),
        (INLINE.format("<t>&#10;</t>"), "", "\n"),
        (INLINE.format('<t xml:space="preserve"> b </t>'), "", " b "),
        ('<c t="s" r="A2"><v>2</v></c>', "<si/><si><t>a</t></si><si><t> </t></si>", " "),
        ('<c r="A2" s="0" t="s"><v>1</v></c>', "<si></si><si><t> </t><phoneticPr/></si>", None),
        ('<c r="A2" t="s"><v>1</v></c>', "<si></si><si><r><t>a</t></r><r><t>b</t></r></si>", "ab"),
        ('<c r="A2" t="str"><f>A9</f><v>  </v></c>', "", "  "),
    ],
)
def test_a_text_of_blanks_is_the_text_that_it_is(
    tmp_path: Path, cell: str, shared: str, text: str | None
) -> None:
    last = '<c r="A3" t="inlineStr"><is><t>last</t></is></c>'
    expected = ["last"] if text is None else [text, "last"]
    assert cells(tmp_path, cell, last, shared=shared) == expected


def test_an_empty_text_is_nothing_and_its_workbook_is_read(tmp_path: Path) -> None:
    shared = "<si></si><si/><si><t/></si><si><t></t></si><si><t>x</t></si>"
    written = [f'<c r="A{n + 2}" t="s"><v>{n}</v></c>' for n in range(5)]
    assert cells(tmp_path, *written, shared=shared) == ["x"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("12345678901234567", "12345678901234567"),
        ("-9007199254740993", "-9007199254740993"),
        ("0.12345678901234567890123", "0.12345678901234567890123"),
        ("5.000000000000000000", "5.0"),
        ("1.1000000000000001", "1.1"),  # as Excel writes 1.1
        ("1E400", "1E400"),
        ("1e-400", "1e-400"),
        ("1.5E+300", "1.5e+300"),
        ("1E-7", "1e-07"),
        ("0000000000000000012", "12.0"),
    ],
)
def test_a_number_of_more_digits_than_a_double_is_kept_as_written(
    tmp_path: Path, number: str, text: str
) -> None:
    half = '<c r="A3"><v>0.5</v></c>'
    assert cells(tmp_path, f'<c r="A2"><v>{number}</v></c>', half) == [text, "0.5"]


def test_a_formula_with_an_empty_text_has_a_value(tmp_path: Path) -> None:
    written = (
        '<c r="A2" t="str"><f>IF(1,"","x")</f><v></v></c><c r="B2"><v>1</v></c>',
        '<c r="A3"><f>1+1</f><v></v></c><c r="B3"><v>2</v></c>',
        '<c r="A4"><f>1+1</f></c>',
    )
    found = cells(tmp_path, *written)
    assert found[0] is None
    assert [each[:19] for each in found[1:]] == ["waits: the formula ", "waits: the formula "]


def test_cells_that_do_not_say_where_they_stand(tmp_path: Path) -> None:
    """Rows and cells follow each other, as some programs write them; tags may have a prefix."""
    rows = (
        "<x:sheetData><x:row><x:c t='inlineStr'><x:is><x:t>v</x:t></x:is></x:c>"
        '<x:c t="inlineStr"><x:is><x:t>w</x:t></x:is></x:c></x:row>'
        '<x:row><x:c/><x:c t="e"><x:v>#REF!</x:v></x:c></x:row>'
        '<x:row r="5"><x:c t="inlineStr"><x:is><x:t> </x:t></x:is></x:c>'
        "<x:c><x:v>1234567890123456789</x:v></x:c></x:row></x:sheetData>"
    )
    with lab(tmp_path, path="a.xlsx") as here:
        main = MAIN.replace("xmlns=", "xmlns:x=")
        here.write("a.xlsx", workbook(rows.replace("'", '"'), main=main))
        here.load()
        assert here.ask("select v, w, _source from raw.things order by 3") == [
            (None, "#REF!", "a.xlsx#2"), (" ", "1234567890123456789", "a.xlsx#5"),
        ]  # fmt: skip


def test_what_stands_only_in_odd_cells_is_not_left_out(tmp_path: Path) -> None:
    """The last column has an error alone, the last row a formula without a value."""
    book = openpyxl.Workbook()
    page: Any = book.active
    page.append(["v"])
    page.append([1, None, "#N/A"])
    page["A5"] = "=1+1"
    book.save(tmp_path / "a.xlsx")
    with lab(tmp_path, path="a.xlsx") as here:
        here.load()
        assert here.rows() == [(1, "#N/A")]
        assert [(q[1], q[4][:17]) for q in here.quarantine()] == [(5, "the formula in A5")]


# ------------------------------------------------------------------ calendars
@pytest.mark.parametrize("epoch", ["1900", "1904"])
def test_days_count_from_the_year_of_the_workbook(tmp_path: Path, epoch: str) -> None:
    moments = [
        datetime.datetime(1905, 2, 3),  # noqa: DTZ001 - a sheet has no time zones
        datetime.datetime(2024, 2, 29, 12, 30, 15),  # noqa: DTZ001
        datetime.datetime(9999, 12, 31, 23, 59, 59),  # noqa: DTZ001
    ]
    book = openpyxl.Workbook()
    if epoch == "1904":
        book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    page: Any = book.active
    for row in [["v"], *([m] for m in moments)]:
        page.append(row)
    book.save(tmp_path / "a.xlsx")
    with lab(tmp_path, path="a.xlsx") as here:
        here.load()
        assert [row[0] for row in here.rows()] == moments


STYLES = (
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="[h]:mm:ss"/></numFmts>'
    "<fonts><font/></fonts><fills><fill/></fills><borders><border/></borders><cellXfs>"
    '<xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="21"/>'
    '<xf numFmtId="164"/></cellXfs>'
)


@pytest.mark.parametrize(
    ("serial", "style", "shown"),
    [
        ("1", 1, "1900-01-01"),
        ("59", 1, "1900-02-28"),
        ("60", 1, "1900-02-29"),  # there was none, but it is what a spreadsheet shows
        ("60.25", 2, "1900-02-29 06:00:00"),
        ("61", 1, "1900-03-01"),
        ("-1", 1, "-1"),
        ("-1.5", 2, "-1.5"),
        ("45351.5", 2, "2024-02-29 12:00:00"),
        ("0.75", 3, "18:00:00"),
        ("1.5", 4, "36:00:00"),
        ("-0.0520833333333333", 4, "-1:15:00"),
        ("0.00001736111111111111", 4, "0:00:01.5"),
    ],
)
def test_a_serial_is_the_day_that_a_spreadsheet_shows(
    tmp_path: Path, serial: str, style: int, shown: str
) -> None:
    rows = (
        f'<sheetData>{HEAD}<row r="2"><c r="A2" s="{style}"><v>{serial}</v></c></row></sheetData>'
    )
    content = io.BytesIO(workbook(rows))
    with zipfile.ZipFile(content, "a") as file:
        file.writestr("xl/styles.xml", f"<styleSheet {MAIN}>{STYLES}</styleSheet>")
    with lab(tmp_path, path="a.xlsx") as here:
        here.write("a.xlsx", content.getvalue())
        assert landed(here) == [shown]


# ------------------------------------------------------------------ the look of a sheet
def test_merged_hidden_and_rich_cells(tmp_path: Path) -> None:
    """A merged cell has its value once, what is hidden is there, the look of a text is not."""
    book = openpyxl.Workbook()
    page: Any = book.active
    rich = CellRichText("plain ", TextBlock(InlineFont(b=True), "bold"), " end")
    for row in [["a", "b", "c"], [1, "x", None], [2, "y", rich], [3, "z", "last"]]:
        page.append(row)
    page.merge_cells("B2:C2")
    page.merge_cells("A2:A3")
    page.row_dimensions[4].hidden = True
    page.column_dimensions["C"].hidden = True
    book.save(tmp_path / "a.xlsx")
    with lab(tmp_path, path="a.xlsx") as here:
        here.load()
        assert here.rows() == [
            (1, "x", None), (3, "z", "last"), (None, "y", "plain bold end"),
        ]  # fmt: skip


def test_the_first_sheet_with_cells_that_is_shown_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page: Any = book.active
    page.title = "cache"
    page.append(["no"])
    page.sheet_state = "hidden"
    book.create_chartsheet("chart", 0)
    for name in ("Orders", "Returns"):
        other = book.create_sheet(name)
        other.append(["v"])
        other.append([name])
    book.save(tmp_path / "a.xlsx")
    with lab(tmp_path, path="a.xlsx") as here:
        assert landed(here) == ["Orders"]
        here.change(sheet="returns")
        here.write("b.xlsx", (tmp_path / "a.xlsx").read_bytes())
        here.change(path="b.xlsx").load(full_refresh=True)
        assert here.rows() == [("Returns",)]
        here.change(sheet="Refunds")
        with pytest.raises(LoadError, match="no sheet `Refunds`") as error:
            here.load(full_refresh=True)
        assert "Returns" in str(error.value.hint)


# ------------------------------------------------------------------ OpenDocument
def document(rows: str) -> bytes:
    """An .ods file by hand, as LibreOffice writes it."""
    space = "".join(
        f' xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"'
        for short in ("office", "table", "text")
    )
    space += ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr(
            "META-INF/manifest.xml",
            '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
        file.writestr(
            "content.xml",
            f"<office:document-content{space}><office:body><office:spreadsheet><table:table"
            ' table:name="Other"><table:table-row><table:table-cell office:value-type="string"'
            ' calcext:value-type="error"><text:p>#N/A</text:p></table:table-cell></table:table-row>'
            f'</table:table><table:table table:name="S">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return out.getvalue()


def ods(value: str, shown: str = "", more: str = "") -> str:
    return f"<table:table-cell {value}{more}><text:p>{shown}</text:p></table:table-cell>"


TEXT = 'office:value-type="string"'
ERROR = f'{TEXT} office:string-value="" calcext:value-type="error" table:formula="of:=1/0"'


def test_an_opendocument_sheet_as_it_is_shown(tmp_path: Path) -> None:
    twice = ' table:number-columns-repeated="2"'
    rows = [
        [ods(TEXT, "a"), ods(TEXT, "b"), ods(TEXT, "c"), ods(TEXT, "d")],
        [ods(ERROR, "#DIV/0!", twice), "<table:covered-table-cell/>", ods(TEXT, "x")],
        [
            ods('office:value-type="float" office:value="12345678901234567890"', "1E19"),
            ods('office:value-type="time" office:time-value="PT26H03M04.500S"', "26:03:04"),
            ods('office:value-type="float" office:value="1.5"', "2"),
            ods(TEXT, '<text:s text:c="2"/>'),
        ],
    ]
    made = "".join(f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
    again = (
        f'<table:table-row table:number-rows-repeated="2">{ods(ERROR, "Err:502")}</table:table-row>'
    )
    with lab(tmp_path, path="a.ods", sheet="S") as here:
        here.write("a.ods", document(made + again))
        here.load()
        assert here.ask("select a, b, c, d, _source from raw.things order by 5") == [
            ("#DIV/0!", "#DIV/0!", None, "x", "a.ods#2"),
            ("12345678901234567890", "26:03:04.5", 1.5, "  ", "a.ods#3"),
            ("Err:502", None, None, None, "a.ods#4"),
            ("Err:502", None, None, None, "a.ods#5"),
        ]
