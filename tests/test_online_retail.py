"""A small project over real, dirty data: a gift shop's invoices from an Excel file."""

from __future__ import annotations

import csv
import datetime
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.projects import query, transform

PROJECT = Path(__file__).parent / "retail"
DATA = Path(__file__).parents[2] / "shared" / "data"
BOOK = DATA / "online_retail.xlsx"

pytestmark = pytest.mark.skipif(not BOOK.is_file(), reason=f"THE REAL DATA IS NOT HERE: {BOOK}")


@pytest.fixture(scope="module")
def rows() -> Sequence[tuple[Any, ...]]:
    """The sheet, as another library reads it."""
    book = openpyxl.load_workbook(BOOK, read_only=True)
    found = list(book["Online Retail"].iter_rows(min_row=2, values_only=True))
    book.close()
    return [row for row in found if any(value is not None for value in row)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, built by the real command."""
    root = tmp_path_factory.mktemp("retail")
    shutil.copytree(PROJECT, root, dirs_exist_ok=True)
    for file in root.rglob("*.yml"):
        file.write_text(file.read_text().replace("../shared/data", str(DATA)))
    transform(root, "build")
    return root


def ask(built: Path, sql: str) -> list[tuple[Any, ...]]:
    return query(built / "warehouse.duckdb", sql)


def test_every_row_lands(built: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    landed = ask(built, "select count(*) from raw.invoice_lines")[0][0]
    waiting = ask(built, "select count(*) from _transform.quarantine")[0][0]
    assert landed + waiting == len(rows) == 50_999
    assert waiting == 0


def test_every_value_is_what_the_sheet_says(built: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    found = ask(
        built,
        "select InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID"
        " from raw.invoice_lines",
    )
    expected = [(str(r[0]), str(r[1]), r[2], r[3], _second(r[4]), float(r[5]), r[6]) for r in rows]
    assert Counter(found) == Counter(expected)


def _second(moment: datetime.datetime) -> datetime.datetime:
    return moment.replace(microsecond=0)


def test_what_was_done_with_odd_rows(built: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    kinds = dict(ask(built, "select kind, count(*) from staging.stg_invoice_lines group by 1"))
    assert sum(kinds.values()) == len(rows)
    cancelled = [r for r in rows if str(r[0]).startswith("C")]
    assert kinds["cancellation"] == len(cancelled) == 926
    odd = [r for r in rows if r not in cancelled and (r[3] <= 0 or round(r[5], 2) <= 0)]
    assert kinds["correction"] == len(odd)
    articles = [r for r in rows if str(r[1])[:5].isdigit()]
    sales = [r for r in articles if not str(r[0]).startswith("C") and r[3] > 0 and r[5] >= 0.005]
    assert kinds["sale"] == len(sales)


def test_marts_add_up(built: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    sales = [
        r
        for r in rows
        if str(r[1])[:5].isdigit() and not str(r[0]).startswith("C") and r[3] > 0 and r[5] >= 0.005
    ]
    found = ask(built, "select count(*), sum(items), count(customer_id) from main.orders")[0]
    known = {r[0] for r in sales if r[6] is not None}
    assert found == (len({r[0] for r in sales}), sum(r[3] for r in sales), len(known))
    people = {r[6] for r in sales if r[6] is not None}
    assert ask(built, "select count(*) from main.customers") == [(len(people),)]
    nobody = sum(r[6] is None for r in rows)
    assert ask(built, "select count(*) from raw.invoice_lines where CustomerID is null") == [
        (nobody,)
    ]
    taken_back = -sum(r[3] for r in rows if str(r[0]).startswith("C"))
    assert ask(built, "select sum(items) from main.cancellations") == [(taken_back,)]
    assert ask(built, "select sum(Quantity) from raw.invoice_lines") == [(sum(r[3] for r in rows),)]


def test_the_audience_is_sent(built: Path) -> None:
    audience = ask(built, "select customer_id from main.champions order by 1")
    with (built / "exports" / "champions.csv").open() as stream:
        sent = sorted(int(row["customer_id"]) for row in csv.DictReader(stream))
    assert sent == [row[0] for row in audience]
    assert 20 < len(sent) < 300


def test_a_second_build_has_nothing_to_do(built: Path) -> None:
    before = (built / "warehouse.duckdb").stat().st_mtime_ns
    said = transform(built, "build")
    assert (built / "warehouse.duckdb").stat().st_mtime_ns == before, said.stderr
    assert "loaded" not in said.stdout + said.stderr
