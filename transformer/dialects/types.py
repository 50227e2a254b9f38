"""DuckDB's types, read from their names: what is in a list, a struct or a map."""

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
    """A type: its name, and what is in it. A map holds a key and a value, a list its element."""

    text: str
    kind: Kind = "scalar"
    parts: tuple[tuple[str, SqlType], ...] = ()

    @property
    def element(self) -> SqlType:
        """The type of a list's elements."""
        return self.parts[0][1]

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Width and scale of a decimal."""
        found = _DECIMAL.match(self.text)
        return (int(found[1]), int(found[2])) if found else None

    def leaves(self) -> Iterator[SqlType]:
        """The types of the values in it that hold no others, and every union."""
        if self.kind in ("scalar", "union"):
            yield self
        for _, part in self.parts:
            yield from part.leaves()


def read(text: str) -> SqlType:
    """The type of this name."""
    text = text.strip()
    if _LIST.search(text):
        return SqlType(text, "list", (("", read(text[: text.rindex("[")])),))
    head, _, rest = text.partition("(")
    if not rest or head not in ("STRUCT", "MAP", "UNION"):
        return SqlType(text)
    words = list(_split(rest[:-1]))
    if head == "MAP":
        key, value = words
        return SqlType(text, "map", (("key", read(key)), ("value", read(value))))
    named = [_NAMED.match(word) for word in words]
    if not all(named):
        return SqlType(text)  # a struct whose fields have no names: only its text is of use
    parts = tuple(
        (_bare(found[1]), read(word[found.end() :]))
        for word, found in zip(words, named, strict=True)
        if found
    )
    return SqlType(text, "struct" if head == "STRUCT" else "union", parts)


def composed(kind: SqlType, parts: Sequence[str]) -> str:
    """The name of a nested type with other types in it."""
    if kind.kind == "list":
        return f"{parts[0]}[]"
    if kind.kind == "map":
        return f"MAP({parts[0]}, {parts[1]})"
    fields = zip(kind.parts, parts, strict=True)
    return f"STRUCT({', '.join(f'{quoted(name)} {part}' for (name, _), part in fields)})"


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _split(text: str) -> Iterator[str]:
    """The parts between commas that stand in no bracket and no quotes."""
    depth, start, quote = 0, 0, ""
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "," and not depth:
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()
