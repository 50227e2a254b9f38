"""A line of words with their styles, as values: what draws it is loaded only where it is drawn."""

from __future__ import annotations


class Line:
    """Text in pieces, each with its style."""

    def __init__(self, text: str = "", style: str = "") -> None:
        self.pieces: list[tuple[str, str]] = [(text, style)] if text else []

    @classmethod
    def of(cls, *parts: str | tuple[str, str]) -> Line:
        """A line of several pieces: plain, or with a style."""
        made = cls()
        for part in parts:
            made.append(*((part,) if isinstance(part, str) else part))
        return made

    def append(self, text: str, style: str = "") -> None:
        """One more piece."""
        self.pieces.append((text, style))

    @property
    def plain(self) -> str:
        """The text without styles."""
        return "".join(text for text, _ in self.pieces)
