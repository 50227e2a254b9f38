"""How each file format is read: a function that stages one file, and the table of them."""

from __future__ import annotations

from collections.abc import Callable

from transformer.landing.delimited import csv, tsv
from transformer.landing.excel import excel
from transformer.landing.json_files import json_array, ndjson
from transformer.landing.parquet import parquet
from transformer.landing.small import SmallFile
from transformer.landing.source_file import SourceFile
from transformer.landing.staged import ReaderSession, Staged

FORMATS: dict[str, Callable[[ReaderSession, SourceFile], Staged | SmallFile]] = {
    "csv": csv,
    "tsv": tsv,
    "ndjson": ndjson,
    "json": json_array,
    "parquet": parquet,
    "excel": excel,
}
