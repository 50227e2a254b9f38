"""How each file format is read: a function that stages one file, and the table of them."""

from __future__ import annotations

from collections.abc import Callable

from transformer.landing.delimited import csv, tsv
from transformer.landing.given import Given
from transformer.landing.objects import json_array, ndjson
from transformer.landing.sheets import excel
from transformer.landing.staged import PART, ROW, Session, Staged, fixed, picked


def parquet(session: Session, given: Given) -> Staged:
    """Parquet: its types are its own, nothing is staged."""
    listed, columns = picked(session.columns(f"select * from read_parquet({given.place})"))
    rows = (
        f"select {listed}, {given.part} as {PART}, file_row_number + 1 as {ROW}"
        f" from read_parquet({given.place})"
    )
    return Staged(fixed(given.bounded(rows)), columns)


FORMATS: dict[str, Callable[[Session, Given], Staged]] = {
    "csv": csv,
    "tsv": tsv,
    "ndjson": ndjson,
    "json": json_array,
    "parquet": parquet,
    "excel": excel,
}
