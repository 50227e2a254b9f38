"""Names as values, so that no bare "schema.table" strings are passed around."""

from __future__ import annotations

import re

from msgspec import Struct


def quoted(identifier: str) -> str:
    """The identifier as SQL, always quoted: names from outside are untrusted."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


class RelationName(Struct, frozen=True, order=True):
    """A relation in the warehouse: schema and table, both as the user wrote them."""

    schema: str
    table: str

    def sql(self) -> str:
        """`"schema"."table"`. Without a catalog: a view that names one breaks when the
        file is opened under another name (DuckDB 1.5)."""
        return f"{quoted(self.schema)}.{quoted(self.table)}"

    def key(self) -> tuple[str, str]:
        """The relation's identity, case-folded as in DuckDB."""
        return self.schema.lower(), self.table.lower()

    def with_table(self, table: str) -> RelationName:
        """The same schema, another table."""
        return RelationName(self.schema, table)

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


_FOLDED = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def fold(identifier: str) -> str:
    """Equal for names that DuckDB treats as one: it folds ASCII letters only, `é` is not `É`."""
    return identifier.translate(_FOLDED)


def slug(text: str) -> str:
    """A lower-case identifier from `text`: letters, digits and underscores."""
    cleaned = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return cleaned or "_"


def expression(text: str) -> str:
    """A column or an expression, as SQL: a single word is a column, even if it is a keyword."""
    return quoted(text) if re.fullmatch(r"\w+", text) else text
