"""Reads seeds: the query of a CSV file, and what is wrong with a file that cannot be read."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from transformer.compile.nodes import Node, SeedBody
from transformer.errors import Fault, LoadError, Where
from transformer.names import literal


def seed_query(node: Node, body: SeedBody, path: Path) -> str:
    """The query that reads a seed's file; types are inferred from all rows, where not declared."""
    types = {c.name: c.data_type for c in node.described.columns if c.data_type}
    types |= body.seed.config.get("column_types") or {}
    listed = ", ".join(f"{literal(n)}: {literal(str(kind))}" for n, kind in types.items())
    given = f", types={{{listed}}}" if listed else ""
    delimiter = literal(body.seed.config.get("delimiter", ","))
    return (
        f"select * from read_csv({literal(str(path))}, header=true, delim={delimiter},"
        f" sample_size=-1, null_padding=false{given})"
    )


def seed_error(body: SeedBody, path: Path, fault: Fault) -> LoadError:
    """The error at the line of the file: a row of another length, or a value of another type."""
    shown = body.seed.path
    text = path.read_text(encoding="utf-8", errors="replace")
    cast = re.search(r'column "(?P<column>.+?)".*?string "(?P<value>.*?)" to (?P<kind>\S+)',
                     fault.message.replace("\\n", " "), re.DOTALL)  # fmt: skip
    at = re.search(r"on Line: (\d+)", fault.message)
    if cast and at:
        value, kind = cast["value"], cast["kind"].strip("'.\"")
        what = f"`{value}` is no {kind}, the type of `{cast['column']}`"
        return LoadError(what, _marked(shown, text, int(at.group(1)), value), hint=_TYPES)
    delimiter = body.seed.config.get("delimiter", ",")
    ragged = _ragged(text, delimiter)
    if ragged:
        line, count, wanted = ragged
        what = f"this row has {count} values, but the first line names {wanted} columns"
        hint = f"quote a value that holds `{delimiter}`, and keep the place of one that is missing"
        return LoadError(what, Where.in_text(shown, text, line), hint=hint)
    what = fault.message.splitlines()[0].replace(str(path), shown).rstrip(".")
    return LoadError(f"the seed cannot be read: {what}", Where(shown, 1), hint=_TYPES)


_TYPES = "mend the file, or change its `column_types` or `delimiter` in YAML"


def _marked(shown: str, text: str, line: int, value: str) -> Where:
    where = Where.in_text(shown, text, line)
    column = where.text.find(value) + 1 if value else 0
    return Where.in_text(shown, text, line, column, len(value))


def _ragged(text: str, delimiter: str) -> tuple[int, int, int] | None:
    """The first row that has not as many values as the header: line, values, columns."""
    rows = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    header = next(rows, [])
    for row in rows:
        if row and len(row) != len(header):
            return rows.line_num, len(row), len(header)
    return None
