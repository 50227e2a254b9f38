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

# Where the longest line is not known. A line that does not lie in two buffers, DuckDB leaves out
# without a word.
_BUFFER = 2 * LONGEST_LINE
# A file is not read whole because of one line: this is the longest that is told from the others.
LONGEST_TOLD = 1 << 30
_USUAL, _LEAST = 1 << 22, 1 << 16


def buffer_for(found: LineCount) -> int:
    """How much of a file the engine reads at a time: no more than it has, and twice its longest
    line. What quotes hold together may be longer than its lines."""
    if found.longest > LONGEST_LINE:
        return found.longest + _LEAST
    most = _BUFFER if found.quoted else max(_USUAL, 2 * found.longest)
    return max(_LEAST, min(most, found.size + _LEAST))


class SourceFile(Struct, frozen=True):
    """One file to stage: its number among the files, its name in messages, its path, options.

    `declared` are column names from YAML, for files without a header. `limit` bounds the rows
    when only the types are wanted. `converted` is a copy in UTF-8, read in the place of `path`.
    `buffer` is how much of it is read at a time.
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
        """Whether it is read over a network, which should happen once."""
        return "://" in self.path

    @property
    def place(self) -> str:
        """The path as SQL. A URL has no patterns that would have to be kept from DuckDB."""
        if self.converted:
            return path_literal(self.converted)
        return literal(self.path) if self.remote else path_literal(self.path)

    @property
    def part(self) -> str:
        """The name as SQL."""
        return literal(self.name)

    @property
    def notation(self) -> Notation:
        """How numbers and days are written in it."""
        given = self.options.get
        return Notation(
            decimal=given("decimal") or ".",
            thousands=given("thousands") or "",
            date=given("date_format") or "",
            timestamp=given("timestamp_format") or "",
        )

    def table(self, what: str) -> str:
        """The name of a temporary table of this file's own."""
        return quoted(f"__stage_{self.number}_{what}")

    def bounded(self, query: str) -> str:
        """The query, bounded when only a look is wanted."""
        return f"{query} limit {self.limit}" if self.limit else query

    def with_options(self, **options: Any) -> SourceFile:
        """The same file, read otherwise."""
        return replace(self, options={**self.options, **options})

    def reading(self) -> str:
        """How DuckDB has to read the text: packing, longest line."""
        longest = min(LONGEST_LINE, self.buffer)
        made = [f"max_line_size={longest}", f"buffer_size={self.buffer}"]
        if self.options.get("compression") and not self.converted:
            made.append(f"compression={literal(self.options['compression'])}")
        return ", ".join(made)

    def lines(self, more: str = "", place: str = "") -> str:
        """The file as lines of text, or the files of a place: no delimiter, no quote."""
        return (
            f"select * from read_csv({place or self.place}, auto_detect=false, header=false,"
            f" delim={literal(chr(1))}, quote='', escape='',"
            f" columns={{{literal(LINE)}: 'VARCHAR'}}, {self.reading()}{more})"
        )


# How lines that are no rows are kept, and how they are passed over when they are kept already.
KEPT = f", store_rejects=true, rejects_table={literal(REJECTS)}, rejects_scan={literal(SCANS)}"
PASSED = ", ignore_errors=true"
FRESH_REJECTS = f"drop table if exists {REJECTS}; drop table if exists {SCANS}"
