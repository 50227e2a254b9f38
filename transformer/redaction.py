"""Texts without secrets. Everything that is printed, written or stored passes one of these.

A secret is hidden in every form in which a text may quote it: plain, JSON, SQL, URL-encoded,
HTML, Python repr, base64. Undeclared values that look like secrets (a password in a URL) are
hidden by their position.
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
# Shorter values (`v=1`) reveal nothing, and hiding them would make texts unreadable.
SHORTEST = 4
# Shorter pieces of a path are words such as `contacts`; webhooks carry tokens in longer ones.
_TOKEN_LENGTH = 16
ANSWER_LENGTH = 2_000
# Headers whose values carry no credentials.
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
    """The value with every text in it redacted, keys too. `otherwise` converts anything but texts,
    numbers, lists and mappings to plain values."""
    hidden = frozenset(secrets)

    def walk(item: Any) -> Any:
        if isinstance(item, str):
            return redacted(item, hidden)
        if item is None or isinstance(item, bool | int | float):
            return item
        if isinstance(item, Mapping):
            return {walk(k) if isinstance(k, str) else k: walk(v) for k, v in item.items()}
        if isinstance(item, list | tuple):
            return [walk(element) for element in item]
        return walk(otherwise(item))

    return walk(value)


def without_passwords(text: str) -> str:
    """The text without the passwords, keys and signatures in connection strings. Stored file names
    went through this function: its result must stay stable."""
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
    """A line of a project file as errors show it, without possible secrets."""
    for pattern in _IN_LINE:
        text = pattern.sub(_without_group, text)
    return text


def _without_group(match: re.Match[str]) -> str:
    start, end = (at - match.start() for at in match.span(1))
    return f"{match[0][:start]}{HIDDEN}{match[0][end:]}"


@lru_cache(maxsize=64)
def _hiding(secrets: frozenset[str]) -> Callable[[str], str]:
    pieces = {form for secret in secrets if secret for form in forms(secret)}
    if not pieces:
        return lambda text: text
    ordered = sorted(pieces, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(piece) for piece in ordered))
    return lambda text: pattern.sub(HIDDEN, text)


def forms(piece: str) -> Iterator[str]:
    """The piece as texts may quote it: plain, JSON, SQL, URL, HTML, Python, base64."""
    escaped = json.dumps(piece)[1:-1]
    yield from (piece, escaped, escaped.replace("/", "\\/"))
    yield json.dumps(piece, ensure_ascii=False)[1:-1]
    yield from (piece.replace("'", "''"), piece.replace('"', '""'), repr(piece)[1:-1])
    yield from (ascii(piece)[1:-1], escape(piece), escape(piece, quote=False))
    encoded = piece.encode("utf-8", "surrogatepass")
    for address in (quote(encoded, safe=""), quote(encoded), quote_plus(encoded)):
        yield from (address, re.sub("%..", lambda match: match[0].lower(), address))
    yield from _in_base64(encoded)


def _in_base64(data: bytes) -> Iterator[str]:
    """The part of the bytes' base64 that does not depend on their context, for each offset."""
    for offset in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            text = encode(bytes(offset) + data).decode().rstrip("=")
            start = (0, 2, 3)[offset]
            end = len(text) if (offset + len(data)) % 3 == 0 else len(text) - 1
            if end - start >= 2 * SHORTEST:
                yield text[start:end]


def of_options(options: Mapping[str, Any]) -> Iterator[str]:
    """Secrets written in plain in a source's or a target's options: passwords and keys in URLs,
    authentication headers, and pieces of a URL that look random."""
    for value in options.values():
        if isinstance(value, str):
            yield from passwords_of(value)
            yield from filter(_looks_random, re.split(r"[/?#]", value))
        elif isinstance(value, list | tuple):
            yield from of_options({str(n): element for n, element in enumerate(value)})
        elif isinstance(value, Mapping):
            headers = {k: str(v) for k, v in value.items() if re.search(_LETS_IN, str(k))}
            yield from of_headers(headers)
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
        pieces = {piece for url in urls for piece in (url, *of_url(url))}
        self._pieces = frozenset({*pieces, *of_headers(headers or {}), *known})

    def and_of(self, urls: Iterable[str], headers: Mapping[str, str] | None = None) -> Secrets:
        """These secrets plus those in a target's URLs and headers."""
        return Secrets(urls, headers, self._pieces)

    def hidden(self, text: str) -> str:
        """The text with every secret replaced, cut to 2,000 characters."""
        return _hiding(self._pieces)(text)[:ANSWER_LENGTH]

    def __repr__(self) -> str:
        return f"Secrets({HIDDEN})"


def of_url(url: str) -> Iterator[str]:
    """The secrets in a URL: its password, its query values, and long pieces of its path."""
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
    """The passwords in a connection string, URL or `key=value` pairs, malformed ones included:
    a password may contain an unescaped `@` or `/`."""
    for pattern in (r"://[^:/@\s]*:([^@\s/]+)@", r"://[^:/@\s]*:(.+)@"):
        for password in re.findall(pattern, text):
            yield from (password, unquote(password))
    for password in re.findall(r"(?i)(?:password|passwd|pwd)\s*=\s*('[^']*'|[^\s&;]+)", text):
        yield from (password.strip("'"), unquote(password))
    for password in re.findall(rf"(?i)[?&][^=&\s]*{_WORD}[^=&\s]*=([^&\s]+)", text):
        yield from (password, unquote(password))


def unclear_login(url: str) -> bool:
    """Whether a password in the URL contains an unescaped `@` or `/`: drivers would take a part of
    it for the host, and print it."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return authority.count("@") > 1
    port = r":\D" if scheme in ("http", "https") else ":"
    return "@" in rest.partition("?")[0] and re.search(port, authority) is not None


# The message and the hint for such a URL.
UNCLEAR_LOGIN = (
    "the end of the password in this URL is ambiguous",
    "write `@` in a password as `%40`, `/` as `%2F`, `#` as `%23`, `?` as `%3F`",
)


def of_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """The secrets in request headers: all values except those of a few well-known headers."""
    for name, value in headers.items():
        if name.lower() in _OPEN_HEADERS:
            continue
        if len(value) >= SHORTEST:
            yield value
        # `Bearer abc`: a response that quotes only `abc` must not show it either.
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
