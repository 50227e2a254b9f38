"""Pieces of a text replaced at their places, and the way back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Edit(Struct, frozen=True):
    """`text` stands in place of `[start, end)` of the text before."""

    start: int
    end: int
    text: str


def spliced(text: str, splices: Sequence[Edit]) -> str:
    """The text with every splice made; they do not overlap."""
    pieces, position = [], 0
    for splice in sorted(splices, key=lambda s: s.start):
        pieces += [text[position : splice.start], splice.text]
        position = splice.end
    return "".join([*pieces, text[position:]])


def unspliced(offset: int, splices: Sequence[Edit]) -> int:
    """The place in the text before the splices that the place `offset` after them came from."""
    shift = 0
    for splice in sorted(splices, key=lambda s: s.start):
        begin = splice.start + shift
        if offset < begin:
            break
        if offset < begin + len(splice.text):
            return splice.start
        shift += len(splice.text) - (splice.end - splice.start)
    return offset - shift
