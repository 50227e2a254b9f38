"""Texts without secrets. Everything that is printed, written or kept passes one of these.

A secret is hidden in every form in which a text may quote it: as it is, in JSON, in SQL, in an
address, in HTML, as Python shows it, in base64. What nobody declared to be a secret, but looks
like one (a password in a URL), is hidden by its place.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

HIDDEN = "***"
# Shorter values (`v=1`) tell nothing, and to hide them would make texts unreadable.
SHORTEST = 4
# Shorter pieces of a path are words such as `contacts`; webhooks carry tokens in longer ones.
_TOKEN_LENGTH = 16
ANSWER_LENGTH = 2_000
# Header names whose values say nothing about who we are.
_OPEN_HEADERS = {"accept", "accept-language", "content-type", "user-agent", "prefer"}

_URL_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s/]+@")
_WORD = r"(?:sig|token|key|secret|pass|cred|auth)"
_CARRIED = (
    re.compile(r"(://[^:/@\s]*:)[^@\s]+(?=@)"),
    re.compile(r"(?i)((?:password|passwd|pwd)\s*=\s*)(?:'[^']*'|[^\s&;]+)"),
    re.compile(rf"(?i)([?&][^=&\s]*{_WORD}[^=&\s]*=)[^&\s]+"),
)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets, and without the passwords of URLs in it."""
    hide = _hiding(frozenset(secrets))
    return _URL_PASSWORD.sub(rf"\1{HIDDEN}@", hide(text))


def redacted_value(value: Any, secrets: Iterable[str], otherwise: Callable[[Any], Any]) -> Any:
    """The value with every text in it redacted, keys too. `otherwise` makes plain values of what
    is no text, number, list or mapping."""
    known = frozenset(secrets)

    def walk(held: Any) -> Any:
        if isinstance(held, str):
            return redacted(held, known)
        if held is None or isinstance(held, bool | int | float):
            return held
        if isinstance(held, Mapping):
            return {walk(k) if isinstance(k, str) else k: walk(v) for k, v in held.items()}
        if isinstance(held, list | tuple):
            return [walk(each) for each in held]
        return walk(otherwise(held))

    return walk(value)


def without_passwords(text: str) -> str:
    """The text without the passwords, keys and signatures that connection strings carry. Files
    are known by their names as this gives them: what it gives must stay as it is."""
    for pattern in _CARRIED:
        text = pattern.sub(r"\1…", text)
    return text


_IN_LINE = (
    re.compile(r"://[^:/@\s]*:([^\s'\"]+)@"),
    re.compile(rf"(?i)[?&][^=&\s]*{_WORD}[^=&\s]*=([^&\s'\"]+)"),
    re.compile(r"(?i)\b(?:password|passwd|pwd)\s*=\s*(''?[^']*'?'|[^\s&;'\"]+)"),
    re.compile(
        r"(?i)(?:password|passwd|token|secret|authorization|api[-_]?key)['\"]?\s*:\s+"
        r"(?!['\"]?\{\{)(.+)$"
    ),
    re.compile(rf"https?://\S*?/([^\s/'\"?#]{{{_TOKEN_LENGTH},}})"),
)


def redacted_line(text: str) -> str:
    """A line of a project's file as an error shows it, without what may be a secret."""
    for pattern in _IN_LINE:
        text = pattern.sub(_without_group, text)
    return text


def _without_group(found: re.Match[str]) -> str:
    start, end = (at - found.start() for at in found.span(1))
    return f"{found[0][:start]}{HIDDEN}{found[0][end:]}"


@lru_cache(maxsize=64)
def _hiding(secrets: frozenset[str]) -> Callable[[str], str]:
    pieces = {form for secret in secrets if secret for form in forms(secret)}
    if not pieces:
        return lambda text: text
    ordered = sorted(pieces, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(piece) for piece in ordered))
    return lambda text: pattern.sub(HIDDEN, text)


def forms(piece: str) -> Iterator[str]:
    """The piece as texts may quote it: plain, in JSON, SQL, an address, HTML, Python, base64."""
    escaped = json.dumps(piece)[1:-1]
    yield from (piece, escaped, escaped.replace("/", "\\/"))
    yield json.dumps(piece, ensure_ascii=False)[1:-1]
    yield from (piece.replace("'", "''"), piece.replace('"', '""'), repr(piece)[1:-1])
    yield from (ascii(piece)[1:-1], escape(piece), escape(piece, quote=False))
    held = piece.encode("utf-8", "surrogatepass")
    for address in (quote(held, safe=""), quote(held), quote_plus(held)):
        yield from (address, re.sub("%..", lambda found: found[0].lower(), address))
    yield from _in_base64(held)


def _in_base64(held: bytes) -> Iterator[str]:
    """What of the bytes is the same in any base64 text that has them in it, by their offset."""
    for offset in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            text = encode(bytes(offset) + held).decode().rstrip("=")
            start = (0, 2, 3)[offset]
            end = len(text) if (offset + len(held)) % 3 == 0 else len(text) - 1
            if end - start >= 2 * SHORTEST:
                yield text[start:end]


def of_options(options: Mapping[str, Any]) -> Iterator[str]:
    """What of a source's or a target's options is secret though it is written in plain: passwords
    and keys in addresses, headers that let in, and pieces of an address that look random."""
    for value in options.values():
        if isinstance(value, str):
            yield from passwords_of(value)
            yield from filter(_looks_random, re.split(r"[/?#]", value))
        elif isinstance(value, list | tuple):
            yield from of_options({str(n): each for n, each in enumerate(value)})
        elif isinstance(value, Mapping):
            kept = {k: str(v) for k, v in value.items() if re.search(_LETS_IN, str(k))}
            yield from of_headers(kept)
            yield from of_options(value)


_LETS_IN = re.compile(rf"(?i){_WORD}|cookie")
_RANDOM = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w-]{16,}|[0-9a-f]{20,}|[0-9A-F]{20,}")


def _looks_random(piece: str) -> bool:
    return bool(_RANDOM.fullmatch(piece))


class Secrets:
    """Knows what to hide. Its repr shows nothing."""

    def __init__(
        self,
        urls: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        known: Iterable[str] = (),
    ) -> None:
        found = {piece for url in urls for piece in (url, *of_url(url))}
        self._pieces = frozenset({*found, *of_headers(headers or {}), *known})

    def and_of(self, urls: Iterable[str], headers: Mapping[str, str] | None = None) -> Secrets:
        """These, and what is secret of a target's addresses and headers."""
        return Secrets(urls, headers, self._pieces)

    def hidden(self, text: str) -> str:
        """The text with every secret replaced, at most 2,000 characters of it."""
        return _hiding(self._pieces)(text)[:ANSWER_LENGTH]

    def __repr__(self) -> str:
        return f"Secrets({HIDDEN})"


def of_url(url: str) -> Iterator[str]:
    """What of a URL is secret: its password, its query's values, and long pieces of its path."""
    yield from passwords_of(url)
    try:
        parts = urlsplit(url)
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    except ValueError:
        return
    web = parts.scheme in ("http", "https")
    if parts.username and web:
        yield from (parts.username, unquote(parts.username), b64encode(login.encode()).decode())
    if not web:
        return
    yield parts.query
    yield from (value for _, value in parse_qsl(parts.query) if len(value) >= SHORTEST)
    yield from (piece for piece in parts.path.split("/") if len(piece) >= _TOKEN_LENGTH)


def passwords_of(text: str) -> Iterator[str]:
    """The passwords of a connection string, be it a URL or `key=value` pairs, also where it is
    malformed: a password may hold an `@` or a `/` that ought to be escaped."""
    for pattern in (r"://[^:/@\s]*:([^@\s/]+)@", r"://[^:/@\s]*:(.+)@"):
        for found in re.findall(pattern, text):
            yield from (found, unquote(found))
    for found in re.findall(r"(?i)(?:password|passwd|pwd)\s*=\s*('[^']*'|[^\s&;]+)", text):
        yield from (found.strip("'"), unquote(found))
    for found in re.findall(rf"(?i)[?&][^=&\s]*{_WORD}[^=&\s]*=([^&\s]+)", text):
        yield from (found, unquote(found))


def unclear_login(url: str) -> bool:
    """Whether a password in the URL holds an `@` or a `/` that is not escaped: drivers would take
    a part of it for the host, and say so."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return authority.count("@") > 1
    port = r":\D" if scheme in ("http", "https") else ":"
    return "@" in rest.partition("?")[0] and re.search(port, authority) is not None


# What to say of such a URL.
UNCLEAR_LOGIN = (
    "it cannot be seen where the password in this URL ends",
    "write `@` in a password as `%40`, `/` as `%2F`, `#` as `%23`, `?` as `%3F`",
)


def of_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """What of a request's headers is secret: all values but those of a few well-known names."""
    for name, value in headers.items():
        if name.lower() in _OPEN_HEADERS:
            continue
        if len(value) >= SHORTEST:
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
    yield from (piece for piece in (login, login.partition(":")[2]) if len(piece) >= SHORTEST)
