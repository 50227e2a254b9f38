"""One file to stage, and how its text is read as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.landing.staged import path_literal
from transformer.names import literal, quoted

# A line longer than this is refused; the default of 2 MB is too small for nested JSON.
LONGEST_LINE = 16 * 1024 * 1024


class Given(Struct, frozen=True):
    """One file to stage: its number among the files, its name in messages, its path, options.

    `declared` are column names from YAML, for files without a header. `limit` bounds the rows
    when only the types are wanted.
    """

    number: int
    name: str
    path: str
    options: Mapping[str, Any]
    declared: tuple[str, ...] = ()
    limit: int | None = None

    @property
    def place(self) -> str:
        """The path as SQL. A URL has no patterns that would have to be kept from DuckDB."""
        return literal(self.path) if "://" in self.path else path_literal(self.path)

    @property
    def part(self) -> str:
        """The name as SQL."""
        return literal(self.name)

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
        """How DuckDB has to read the text: encoding, packing, longest line."""
        made = [
            f"encoding={literal(self.options.get('encoding', 'utf-8'))}",
            f"max_line_size={LONGEST_LINE}",
        ]
        if self.options.get("compression"):
            made.append(f"compression={literal(self.options['compression'])}")
        return ", ".join(made)

    def lines(self, more: str = "") -> str:
        """The file as lines of text: no delimiter, no quote."""
        return (
            f"select line from read_csv({self.place}, auto_detect=false, header=false,"
            f" delim={literal(chr(1))}, quote='', escape='', columns={{'line': 'VARCHAR'}},"
            f" {self.reading()}{more})"
        )

    def rejects(self) -> tuple[str, str]:
        """The tables for lines that are no rows, and the options that fill them."""
        errors, scans = f"__rejects_{self.number}", f"__scans_{self.number}"
        return errors, (
            f", store_rejects=true, rejects_table={literal(errors)}, rejects_scan={literal(scans)}"
        )

    def fresh_rejects(self) -> str:
        """Statements that drop these tables, if they are there."""
        return (
            f"drop table if exists __rejects_{self.number};"
            f" drop table if exists __scans_{self.number}"
        )
