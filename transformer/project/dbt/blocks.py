"""Jinja blocks that are located without rendering: `{% snapshot %}`, `{% docs %}`."""

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
        """The body after as many empty lines as precede it, so that line numbers match the file."""
        return "\n" * (self.line - 1) + self.body


def blocks(text: str, word: str) -> Iterator[JinjaBlock]:
    """The blocks `{% word name %}…{% endword %}` of a text, except in comments."""
    if f"end{word}" not in text:
        return
    uncommented = _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    pattern = rf"\{{%-?\s*{word}\s+(\w+)\s*-?%\}}(.*?)\{{%-?\s*end{word}\s*-?%\}}"
    for match in re.finditer(pattern, uncommented, re.DOTALL):
        yield JinjaBlock(match[1], text[match.start(2) : match.end(2)],
                    text.count("\n", 0, match.start(2)) + 1)  # fmt: skip


def macros_that(texts: Mapping[str, str], matches: Callable[[str], object]) -> frozenset[str]:
    """The names of macros that may match, directly or by calling others. Judged per file: if a
    file matches, all of its macros do."""
    macros_by_file = {
        path: {m["name"] for m in _MACRO.finditer(text)} for path, text in texts.items()
    }
    files = {path for path, text in texts.items() if matches(text)}
    while True:
        macros = frozenset(name for path in files for name in macros_by_file[path])
        callers = {p for p, text in texts.items() if p not in files and may_call(text, macros)}
        if not callers:
            return macros
        files |= callers


def may_call(text: str, macros: frozenset[str]) -> bool:
    """Whether the text may call one of the macros."""
    return bool(macros) and not macros.isdisjoint(re.findall(r"\w+", text))


def sets_enabled(text: str) -> bool:
    """Whether a file may enable or disable itself in `config(…)`."""
    return re.search(r"\benabled\b['\"]?\s*[=:]", text) is not None
