"""Seeds as dbt reads them: the names of the columns.

dbt finds names and types with one reader, and has the engine load the rows by position with
another. A column without a name gets a letter, one that stands twice a number.
"""

from __future__ import annotations

import csv
import string
from collections.abc import Sequence
from pathlib import Path

# The engine would else look for what might begin a comment.
NO_COMMENT = ", comment=''"


def column_names(path: Path, delimiter: str) -> list[str]:
    """The names of the columns of a file; none where it has no row, or is not a text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _told_apart(next(csv.reader(file, delimiter=delimiter), []))
    except (UnicodeDecodeError, csv.Error, TypeError):
        return []  # the engine says what is wrong with it


def _told_apart(header: Sequence[str]) -> list[str]:
    names: list[str] = []
    for at, written in enumerate(header):
        letter = string.ascii_lowercase[at % 26] * (at // 26 + 1)
        name, number = written or letter, 2
        while name in names:
            name, number = f"{written or letter}_{number}", number + 1
        names.append(name)
    return names
