"""Texts without the secrets of a target's options: what may be shown, kept and logged."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

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
        forms = {form for piece in found if piece for form in _forms(piece)}
        self._pieces = sorted(forms, key=len, reverse=True)

    def hidden(self, text: str) -> str:
        """The text with every secret replaced, at most 2,000 characters of it."""
        for piece in self._pieces:
            text = text.replace(piece, HIDDEN)
        return text[:ANSWER_LENGTH]

    def __repr__(self) -> str:
        return f"Secrets({HIDDEN})"


def _forms(piece: str) -> Iterator[str]:
    """The piece as answers may quote it: plain, in JSON, in an address, in HTML."""
    in_json = json.dumps(piece)[1:-1]
    yield from (
        piece,
        in_json,
        in_json.replace("/", "\\/"),
        json.dumps(piece, ensure_ascii=False)[1:-1],
    )
    yield from (quote(piece, safe=""), quote_plus(piece), escape(piece), escape(piece, quote=False))


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
        if value.lower().startswith("basic "):
            yield from _of_login(value[6:].strip())


def _of_login(encoded: str) -> Iterator[str]:
    """The login and the password of `Authorization: Basic …`."""
    try:
        login = b64decode(encoded, validate=True).decode()
    except ValueError:
        return
    yield from (piece for piece in (login, login.partition(":")[2]) if len(piece) >= _WORD_LENGTH)
