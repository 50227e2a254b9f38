"""Blocks that are found without rendering: `{% snapshot %}`, `{% docs %}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_MACRO = re.compile(r"{%[-+]?\s*(?:macro|test)\s+(?P<name>\w+)")


class JinjaBlock(Struct, frozen=True):
    """A named block: its body, and the line on which it begins."""

    name: str
    body: str
    line: int

    @property
    def placed(self) -> str:
        """The body below as many empty lines as stand above it in the file."""
        return "\n" * (self.line - 1) + self.body


def blocks(text: str, word: str) -> Iterator[JinjaBlock]:
    """The blocks `{% word name %}…{% endword %}` of a text; not those in comments."""
    if f"end{word}" not in text:
        return
    bare = _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    pattern = rf"\{{%-?\s*{word}\s+(\w+)\s*-?%\}}(.*?)\{{%-?\s*end{word}\s*-?%\}}"
    for found in re.finditer(pattern, bare, re.DOTALL):
        yield JinjaBlock(found[1], text[found.start(2) : found.end(2)],
                    text.count("\n", 0, found.start(2)) + 1)  # fmt: skip


def macros_that(texts: Mapping[str, str], does: Callable[[str], object]) -> frozenset[str]:
    """The names of macros that may do something, or call others that do. Told by files: where a
    file does it, each of its macros may."""
    names = {path: {m["name"] for m in _MACRO.finditer(text)} for path, text in texts.items()}
    files = {path for path, text in texts.items() if does(text)}
    while True:
        found = frozenset(name for path in files for name in names[path])
        more = {p for p, text in texts.items() if p not in files and calls(text, found)}
        if not more:
            return found
        files |= more


def calls(text: str, macros: frozenset[str]) -> bool:
    """Whether the text may call one of the macros."""
    return bool(macros) and not macros.isdisjoint(re.findall(r"\w+", text))


def sets_enabled(text: str) -> bool:
    """Whether a file may switch itself on or off in `config(…)`."""
    return re.search(r"\benabled\b['\"]?\s*[=:]", text) is not None
