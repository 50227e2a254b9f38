"""Edits of a text, and the mapping of positions back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Edit(Struct, frozen=True):
    """`text` replaces `[start, end)` of the original."""

    start: int
    end: int
    text: str


def spliced(text: str, splices: Sequence[Edit]) -> str:
    """The text with all edits applied; they must not overlap."""
    pieces, position = [], 0
    for splice in sorted(splices, key=lambda s: s.start):
        pieces += [text[position : splice.start], splice.text]
        position = splice.end
    return "".join([*pieces, text[position:]])


def unspliced(offset: int, splices: Sequence[Edit]) -> int:
    """The position in the original text for `offset` in the edited text."""
    shift = 0
    for splice in sorted(splices, key=lambda s: s.start):
        begin = splice.start + shift
        if offset < begin:
            break
        if offset < begin + len(splice.text):
            return splice.start
        shift += len(splice.text) - (splice.end - splice.start)
    return offset - shift
