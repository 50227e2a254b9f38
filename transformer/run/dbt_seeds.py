"""Column names of seeds as dbt reads them.

dbt finds names and types with one reader, and lets the engine load the rows by position. A column
without a name gets a letter, a duplicate name a number.
"""

from __future__ import annotations

import csv
import string
from collections.abc import Sequence
from pathlib import Path

# Otherwise the engine would try to detect a comment character.
NO_COMMENT = ", comment=''"


def dbt_column_names(path: Path, delimiter: str) -> list[str]:
    """The column names of a file; empty if it has no row, or is not text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _unique_names(next(csv.reader(file, delimiter=delimiter), []))
    except (UnicodeDecodeError, csv.Error, TypeError):
        return []  # the engine reports the error


def _unique_names(header: Sequence[str]) -> list[str]:
    names: list[str] = []
    for index, header_name in enumerate(header):
        letter = string.ascii_lowercase[index % 26] * (index // 26 + 1)
        name, number = header_name or letter, 2
        while name in names:
            name, number = f"{header_name or letter}_{number}", number + 1
        names.append(name)
    return names
