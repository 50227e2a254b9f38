"""Maps places in compiled SQL back to the lines of the user's template."""

from __future__ import annotations

import difflib
import re

from transformer.errors import Where


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """1-based line and column of a character."""
    before = text[: max(0, min(offset, len(text)))]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def word_at(text: str, offset: int) -> str:
    """The dotted identifier at the offset, or a single character."""
    match = re.match(r'[\w$]+(?:\.[\w$]+)*|"[^"]+"', text[offset:])
    return match.group(0) if match else text[offset : offset + 1].strip()


def in_template(path: str, template: str, rendered: str, offset: int) -> Where:
    """The place in the template for `offset` in its rendering.

    Lines that rendering did not change are matched with difflib, and exact. Generated text is
    placed at the same word if it is nearby in the template, else at the expression.
    """
    line, column = line_and_column(rendered, offset)
    word = word_at(rendered, offset)
    template_lines, rendered_lines = template.splitlines() or [""], rendered.splitlines() or [""]
    matcher = difflib.SequenceMatcher(
        None,
        [s.strip() for s in rendered_lines],
        [s.strip() for s in template_lines],
        autojunk=False,
    )
    low, high = 0, len(template_lines)
    for block in matcher.get_matching_blocks():
        if block.a <= line - 1 < block.a + block.size:
            index = block.b + (line - 1 - block.a)
            moved = _indent(template_lines[index]) - _indent(rendered_lines[line - 1])
            return _where(path, template_lines, index, max(column + moved, 1), len(word))
        if block.a + block.size <= line - 1:
            low = block.b + block.size
        else:
            high = min(high, block.b)
    return _nearby(path, template_lines, (low, max(high, low + 1)), word)


def in_text(path: str, text: str, offset: int) -> Where:
    """The place of a character, as wide as the word at it."""
    line, column = line_and_column(text, offset)
    return Where.in_text(path, text, line, column, len(word_at(text, offset)))


def in_macro(path: str, text: str, compiled: Where) -> Where | None:
    """The place in a macro file of the word marked by `compiled`, or None."""
    word = compiled.text[compiled.column - 1 : compiled.column - 1 + compiled.width]
    for number, line in enumerate(text.splitlines(), 1):
        match = re.search(rf"(?<![\w'\"]){re.escape(word)}(?![\w'\"])", line) if word else None
        if match and "{% macro" not in line:
            return Where(path, number, match.start() + 1, len(word), line)
    return None


def _nearby(path: str, lines: list[str], span: tuple[int, int], word: str) -> Where:
    nearby = range(span[0], min(span[1], len(lines)))
    parts = [word, word.rsplit(".", maxsplit=1)[-1]] if word else []
    for part in filter(None, parts):
        for index in (*nearby, *range(len(lines))):
            match = re.search(rf"(?<!\w){re.escape(part)}(?!\w)", lines[index])
            if match:
                return _where(path, lines, index, match.start() + 1, len(part))
    for index in nearby:
        if "{{" in lines[index]:
            return _where(path, lines, index, lines[index].find("{{") + 1, 2)
    index = min(span[0], len(lines) - 1)
    return _where(path, lines, index, _indent(lines[index]) + 1, 1)


def _where(path: str, lines: list[str], index: int, column: int, width: int) -> Where:
    return Where(path, index + 1, column, max(width, 1), lines[index])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
