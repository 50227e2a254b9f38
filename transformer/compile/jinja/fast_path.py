"""A fast path for templates with only text and calls with constants, as in most models.

It costs a fraction of compiling a template. Everything else, and every error, is left to Jinja.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

_STRING = r"'[^'\\]*'|\"[^\"\\]*\""
_CONSTANT = rf"(?:{_STRING}|\d+|true|false|none|True|False|None)"
_ARGUMENT = rf"(?:(?:(?P<key>[A-Za-z_]\w*)\s*=\s*)?(?P<value>{_CONSTANT}))"
_ARGUMENTS = re.compile(rf"\s*{_ARGUMENT}\s*(?:,|\Z)")
_LIST_ITEM = rf"(?:[A-Za-z_]\w*\s*=\s*)?{_CONSTANT}"
_CALL = re.compile(
    rf"{{{{\s*(?P<name>[A-Za-z_]\w*)\s*(?:(?P<call>\()\s*"
    rf"(?P<arguments>{_LIST_ITEM}(?:\s*,\s*{_LIST_ITEM})*)?\s*,?\s*\))?\s*}}}}"
)
# Not handled here: output would be repeated if Jinja renders the template again.
_EXCLUDED = frozenset(
    {"print", "log", "return", "caller", "self", "super", "varargs", "kwargs", "loop"}
)
_WORDS = {"true": True, "false": False, "none": None}


class ConstantCall(Struct, frozen=True):
    """`name(…)` with its constants, or just `name`."""

    name: str
    arguments: tuple[Any, ...] = ()
    named: Mapping[str, Any] | None = None
    called: bool = True


def parts(text: str) -> list[str | ConstantCall] | None:
    """The template's texts and calls in order; None if it contains anything else."""
    if "{%" in text or "{#" in text or "\r" in text or "{{-" in text:
        return None
    pieces: list[str | ConstantCall] = []
    position = 0
    body = text.removesuffix("\n")  # as Jinja does
    while (start := body.find("{{", position)) >= 0:
        match = _CALL.match(body, start)
        if match is None or match["name"] in _EXCLUDED:
            return None
        call = _call(match)
        if call is None:
            return None
        pieces += [body[position:start], call]
        position = match.end()
    return [*pieces, body[position:]]


def _call(match: re.Match[str]) -> ConstantCall | None:
    if not match["call"]:
        return ConstantCall(match["name"], called=False)
    arguments: list[Any] = []
    keywords: dict[str, Any] = {}
    for argument in _ARGUMENTS.finditer(match["arguments"] or ""):
        value = _constant(argument["value"])
        if argument["key"]:
            keywords[argument["key"]] = value
        elif keywords:
            return None  # a mistake, which Jinja reports
        else:
            arguments.append(value)
    return ConstantCall(match["name"], tuple(arguments), keywords)


def _constant(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    return int(text) if text.isdigit() else _WORDS[text.lower()]
