"""Texts without the secrets of a target's options: what may be shown, kept and logged."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

HIDDEN = "***"

# Header names whose values say nothing about who we are.
_OPEN_HEADERS = {"accept", "accept-language", "content-type", "user-agent", "prefer"}
# Shorter pieces of a path are words such as `contacts`; webhooks carry tokens in longer ones.
_TOKEN_LENGTH = 16
# Shorter values (`v=1`) are no secrets, and hiding them would make texts unreadable.
_WORD_LENGTH = 4
ANSWER_LENGTH = 2_000


class Secrets:
    """Knows what to hide. Its repr shows nothing."""

    def __init__(self, urls: Iterable[str] = (), headers: Mapping[str, str] | None = None) -> None:
        found = {piece for url in urls for piece in _of_url(url)}
        found |= set(_of_headers(headers or {}))
        self._pieces = sorted((piece for piece in found if piece), key=len, reverse=True)

    def hidden(self, text: str) -> str:
        """The text with every secret replaced, at most 2,000 characters of it."""
        for piece in self._pieces:
            text = text.replace(piece, HIDDEN)
        return text[:ANSWER_LENGTH]

    def __repr__(self) -> str:
        return f"Secrets({HIDDEN})"


def _of_url(url: str) -> Iterator[str]:
    """The url, its password, its query values, and long pieces of its path."""
    yield url
    try:
        parts = urlsplit(url)
        password = parts.password or ""
    except ValueError:
        return
    yield from (password, unquote(password))
    if parts.username and parts.scheme in ("http", "https"):
        yield from (parts.username, unquote(parts.username))
        yield b64encode(f"{unquote(parts.username)}:{unquote(password)}".encode()).decode()
    if parts.query:
        yield parts.query
    for name, value in parse_qsl(parts.query):
        if len(value) >= _WORD_LENGTH and _may_be_secret(name, parts.scheme):
            yield value
    yield from (piece for piece in parts.path.split("/") if len(piece) >= _TOKEN_LENGTH)


def _may_be_secret(name: str, scheme: str) -> bool:
    """A Postgres url's query holds settings (`host`, `sslmode`); any other may hold tokens."""
    return scheme in ("http", "https") or "password" in name.lower()


def _of_headers(headers: Mapping[str, str]) -> Iterator[str]:
    for name, value in headers.items():
        if name.lower() in _OPEN_HEADERS:
            continue
        if len(value) >= _WORD_LENGTH:
            yield value
        # `Bearer abc`: an answer that quotes only `abc` must not show it either.
        yield from (word for word in value.split() if len(word) >= 8)
