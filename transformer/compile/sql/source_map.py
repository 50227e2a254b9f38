"""From a place in compiled SQL back to the line of the template that the user wrote."""

from __future__ import annotations

import difflib
import re

from transformer.errors import Where


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """1-based line and column of a character."""
    before = text[: max(0, min(offset, len(text)))]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def word_at(text: str, offset: int) -> str:
    """The identifier that begins at the place, with its dots; or one character."""
    found = re.match(r'[\w$]+(?:\.[\w$]+)*|"[^"]+"', text[offset:])
    return found.group(0) if found else text[offset : offset + 1].strip()


def in_template(path: str, template: str, rendered: str, offset: int) -> Where:
    """Where the template says what stands at `offset` of its rendering.

    Lines that rendering left alone are matched with difflib, so the answer is exact for
    them. What an expression or a macro wrote is placed at the word itself where the
    template has it nearby, else at the expression.
    """
    line, column = line_and_column(rendered, offset)
    word = word_at(rendered, offset)
    ours, theirs = template.splitlines() or [""], rendered.splitlines() or [""]
    matcher = difflib.SequenceMatcher(
        None, [s.strip() for s in theirs], [s.strip() for s in ours], autojunk=False
    )
    low, high = 0, len(ours)
    for block in matcher.get_matching_blocks():
        if block.a <= line - 1 < block.a + block.size:
            at = block.b + (line - 1 - block.a)
            moved = _indent(ours[at]) - _indent(theirs[line - 1])
            return _where(path, ours, at, max(column + moved, 1), len(word))
        if block.a + block.size <= line - 1:
            low = block.b + block.size
        else:
            high = min(high, block.b)
    return _nearby(path, ours, (low, max(high, low + 1)), word)


def in_text(path: str, text: str, offset: int) -> Where:
    """The place of a character, as wide as the word that begins there."""
    line, column = line_and_column(text, offset)
    return Where.in_text(path, text, line, column, len(word_at(text, offset)))


def in_macro(path: str, text: str, made: Where) -> Where | None:
    """Where a file of macros says the word that `made` marks, when it does."""
    word = made.text[made.column - 1 : made.column - 1 + made.width]
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(rf"(?<![\w'\"]){re.escape(word)}(?![\w'\"])", line) if word else None
        if found and "{% macro" not in line:
            return Where(path, number, found.start() + 1, len(word), line)
    return None


def _nearby(path: str, lines: list[str], span: tuple[int, int], word: str) -> Where:
    inside = range(span[0], min(span[1], len(lines)))
    parts = [word, word.rsplit(".", maxsplit=1)[-1]] if word else []
    for part in filter(None, parts):
        for at in (*inside, *range(len(lines))):
            found = re.search(rf"(?<!\w){re.escape(part)}(?!\w)", lines[at])
            if found:
                return _where(path, lines, at, found.start() + 1, len(part))
    for at in inside:
        if "{{" in lines[at]:
            return _where(path, lines, at, lines[at].find("{{") + 1, 2)
    at = min(span[0], len(lines) - 1)
    return _where(path, lines, at, _indent(lines[at]) + 1, 1)


def _where(path: str, lines: list[str], at: int, column: int, width: int) -> Where:
    return Where(path, at + 1, column, max(width, 1), lines[at])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
