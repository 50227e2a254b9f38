"""One file to stage, and how its text is read as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.landing.staged import REJECTS, SCANS, path_literal
from transformer.landing.types import Notation
from transformer.names import literal, quoted

# A line longer than this is refused; the default of 2 MB is too small for nested JSON.
LONGEST_LINE = 16 * 1024 * 1024
# DuckDB would take sixteen times the longest line, several times, for the smallest file too.
_BUFFER = 2 * LONGEST_LINE


class Given(Struct, frozen=True):
    """One file to stage: its number among the files, its name in messages, its path, options.

    `declared` are column names from YAML, for files without a header. `limit` bounds the rows
    when only the types are wanted. `converted` is a copy in UTF-8, read in the place of `path`.
    """

    number: int
    name: str
    path: str
    options: Mapping[str, Any]
    declared: tuple[str, ...] = ()
    limit: int | None = None
    converted: str | None = None

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

    def with_options(self, **options: Any) -> Given:
        """The same file, read otherwise."""
        return replace(self, options={**self.options, **options})

    def reading(self) -> str:
        """How DuckDB has to read the text: packing, longest line."""
        made = [f"max_line_size={LONGEST_LINE}", f"buffer_size={_BUFFER}"]
        if self.options.get("compression") and not self.converted:
            made.append(f"compression={literal(self.options['compression'])}")
        return ", ".join(made)

    def lines(self, more: str = "") -> str:
        """The file as lines of text: no delimiter, no quote."""
        return (
            f"select line from read_csv({self.place}, auto_detect=false, header=false,"
            f" delim={literal(chr(1))}, quote='', escape='', columns={{'line': 'VARCHAR'}},"
            f" {self.reading()}{more})"
        )


# How lines that are no rows are kept, and how they are passed over when they are kept already.
KEPT = f", store_rejects=true, rejects_table={literal(REJECTS)}, rejects_scan={literal(SCANS)}"
PASSED = ", ignore_errors=true"
FRESH_REJECTS = f"drop table if exists {REJECTS}; drop table if exists {SCANS}"
