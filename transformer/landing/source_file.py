"""One file to stage, and how its text is read as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.landing.counting import LONGEST_LINE, LineCount
from transformer.landing.staged import LINE, REJECTS, SCANS, path_literal
from transformer.landing.types import Notation
from transformer.names import literal, quoted

# For when the longest line is unknown. DuckDB silently drops a line that spans more than two
# buffers.
_BUFFER = 2 * LONGEST_LINE
# Lines up to this length can go to quarantine; a longer one fails the load, since the reader would
# need a buffer of its size.
LONGEST_QUARANTINED = 1 << 30
_USUAL, _LEAST = 1 << 22, 1 << 16


def buffer_for(counts: LineCount) -> int:
    """The engine's read buffer in bytes: twice the longest line, and never more than the file.
    A quoted record may be longer than any of its lines."""
    if counts.longest > LONGEST_LINE:
        return counts.longest + _LEAST
    most = _BUFFER if counts.quoted else max(_USUAL, 2 * counts.longest)
    return max(_LEAST, min(most, counts.size + _LEAST))


class SourceFile(Struct, frozen=True):
    """One file to stage: its number among the files, its name in messages, its path, options.

    `declared` are column names from YAML, for files without a header. `limit` caps the rows of a
    preview, when only the types are needed. `converted` is a UTF-8 copy, read instead of `path`.
    `buffer` is the engine's read buffer in bytes.
    """

    number: int
    name: str
    path: str
    options: Mapping[str, Any]
    declared: tuple[str, ...] = ()
    limit: int | None = None
    converted: str | None = None
    buffer: int = _BUFFER

    @property
    def remote(self) -> bool:
        """Whether it is read over a network, which should happen only once."""
        return "://" in self.path

    @property
    def place(self) -> str:
        """The path as a SQL literal. Only local paths need their glob characters escaped."""
        if self.converted:
            return path_literal(self.converted)
        return literal(self.path) if self.remote else path_literal(self.path)

    @property
    def part(self) -> str:
        """The name as a SQL literal."""
        return literal(self.name)

    @property
    def notation(self) -> Notation:
        """How numbers and dates are written in it."""
        option = self.options.get
        return Notation(
            decimal=option("decimal") or ".",
            thousands=option("thousands") or "",
            date=option("date_format") or "",
            timestamp=option("timestamp_format") or "",
        )

    def table(self, what: str) -> str:
        """The name of a temporary table for this file alone."""
        return quoted(f"__stage_{self.number}_{what}")

    def bounded(self, query: str) -> str:
        """The query, with a LIMIT for a preview."""
        return f"{query} limit {self.limit}" if self.limit else query

    def with_options(self, **options: Any) -> SourceFile:
        """The same file with other options."""
        return replace(self, options={**self.options, **options})

    def reading(self) -> str:
        """Options of DuckDB's text reader: compression, longest line, buffer."""
        longest = min(LONGEST_LINE, self.buffer)
        options = [f"max_line_size={longest}", f"buffer_size={self.buffer}"]
        if self.options.get("compression") and not self.converted:
            options.append(f"compression={literal(self.options['compression'])}")
        return ", ".join(options)

    def lines(self, more: str = "", place: str = "") -> str:
        """The query of the lines of this file, or of those at `place`: no delimiter, no quote."""
        return (
            f"select * from read_csv({place or self.place}, auto_detect=false, header=false,"
            f" delim={literal(chr(1))}, quote='', escape='',"
            f" columns={{{literal(LINE)}: 'VARCHAR'}}, {self.reading()}{more})"
        )


# Rejected lines are stored by the first reading and skipped by later ones.
STORE_REJECTS = (
    f", store_rejects=true, rejects_table={literal(REJECTS)}, rejects_scan={literal(SCANS)}"
)
IGNORE_REJECTS = ", ignore_errors=true"
FRESH_REJECTS = f"drop table if exists {REJECTS}; drop table if exists {SCANS}"
