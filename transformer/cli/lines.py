"""Styled lines as values, so that rich is loaded only where they are drawn."""

from __future__ import annotations


class Line:
    """A line of text in pieces, each with a style."""

    def __init__(self, text: str = "", style: str = "") -> None:
        self.pieces: list[tuple[str, str]] = [(text, style)] if text else []

    @classmethod
    def of(cls, *parts: str | tuple[str, str]) -> Line:
        """A line of several pieces: plain, or with a style."""
        line = cls()
        for part in parts:
            line.append(*((part,) if isinstance(part, str) else part))
        return line

    def append(self, text: str, style: str = "") -> None:
        """Adds a piece."""
        self.pieces.append((text, style))

    @property
    def plain(self) -> str:
        """The text without styles."""
        return "".join(text for text, _ in self.pieces)
