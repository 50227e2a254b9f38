"""How each file format is read: a function that stages one file, and the table of them."""

from __future__ import annotations

from collections.abc import Callable

from transformer.landing.delimited import csv, tsv
from transformer.landing.excel import excel
from transformer.landing.json_files import json_array, ndjson
from transformer.landing.parquet import parquet
from transformer.landing.small import Small
from transformer.landing.source_file import Given
from transformer.landing.staged import Session, Staged

FORMATS: dict[str, Callable[[Session, Given], Staged | Small]] = {
    "csv": csv,
    "tsv": tsv,
    "ndjson": ndjson,
    "json": json_array,
    "parquet": parquet,
    "excel": excel,
}
