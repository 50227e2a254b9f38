"""DuckDB's types, parsed from their names: the parts of lists, structs and maps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from transformer.names import quoted

Kind = Literal["scalar", "list", "struct", "map", "union"]

_LIST = re.compile(r"\[\d*\]\Z")
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)\Z")
_NAMED = re.compile(r'("(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_]*) (?=\S)')


class SqlType(Struct, frozen=True):
    """A type: its name and its parts. A map has a key and a value, a list its element."""

    text: str
    kind: Kind = "scalar"
    parts: tuple[tuple[str, SqlType], ...] = ()

    @property
    def element(self) -> SqlType:
        """The type of a list's elements."""
        return self.parts[0][1]

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Width and scale of a decimal, None for other types."""
        match = _DECIMAL.match(self.text)
        return (int(match[1]), int(match[2])) if match else None

    def leaves(self) -> Iterator[SqlType]:
        """All innermost types, and every union."""
        if self.kind in ("scalar", "union"):
            yield self
        for _, part in self.parts:
            yield from part.leaves()


def read(text: str) -> SqlType:
    """The type with this name."""
    text = text.strip()
    if _LIST.search(text):
        return SqlType(text, "list", (("", read(text[: text.rindex("[")])),))
    head, _, rest = text.partition("(")
    if not rest or head not in ("STRUCT", "MAP", "UNION"):
        return SqlType(text)
    fields = list(_split(rest[:-1]))
    if head == "MAP":
        key, value = fields
        return SqlType(text, "map", (("key", read(key)), ("value", read(value))))
    matches = [_NAMED.match(field) for field in fields]
    if not all(matches):
        return SqlType(text)  # a struct without field names: only its text is usable
    parts = tuple(
        (_unquoted(match[1]), read(field[match.end() :]))
        for field, match in zip(fields, matches, strict=True)
        if match
    )
    return SqlType(text, "struct" if head == "STRUCT" else "union", parts)


def composed(kind: SqlType, parts: Sequence[str]) -> str:
    """The name of a nested type with its parts replaced by other types."""
    if kind.kind == "list":
        return f"{parts[0]}[]"
    if kind.kind == "map":
        return f"MAP({parts[0]}, {parts[1]})"
    fields = zip(kind.parts, parts, strict=True)
    return f"STRUCT({', '.join(f'{quoted(name)} {part}' for (name, _), part in fields)})"


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _split(text: str) -> Iterator[str]:
    """The parts between top-level commas, outside brackets and quotes."""
    depth, start, quote = 0, 0, ""
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "," and not depth:
            yield text[start:index].strip()
            start = index + 1
    yield text[start:].strip()
