"""Validation of HTTP requests: address, method and headers. Pure: no client here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from transformer.errors import ConfigError, did_you_mean
from transformer.redaction import UNCLEAR_LOGIN, unclear_login
from transformer.targets import TargetRequest

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110
# Headers that the client derives from the content.
OURS = {"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
# Methods that cannot carry rows.
READS = {"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT"}


def check_url(url: str, to: TargetRequest, driver: Any) -> None:
    """Raises ConfigError if the URL is not valid for a request."""
    if unclear_login(url):
        raise ConfigError(UNCLEAR_LOGIN[0], to.where, UNCLEAR_LOGIN[1])
    example = PLACEHOLDER.sub("x", url)
    try:
        parts = urlsplit(example)
        host, _ = parts.hostname, parts.port
        if re.search(r"[\s<>]", host or ""):
            raise ValueError(host)
    except ValueError:
        raise ConfigError(
            "the host or port of `url` is not valid", to.where, hint="ports are 1 to 65535"
        ) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError("`url` must start with http:// or https:// and have a host", to.where)
    try:
        driver.URL(example)
    except driver.InvalidURL as error:
        reason = to.secrets.and_of([url]).hidden(str(error))
        raise ConfigError(f"`url` is not valid: {reason}", to.where) from None


def check_request(
    options: Mapping[str, Any], headers: Mapping[str, str], to: TargetRequest
) -> None:
    """Raises ConfigError if the method or a header is not allowed."""
    for key, forbidden in (("method", READS), ("removed_method", READS - {"GET"})):
        method = str(options[key])
        if not TOKEN.fullmatch(method) or method.upper() in forbidden:
            raise ConfigError(
                f"`{key}` cannot be `{method}`",
                to.where,
                hint="use POST, PUT or PATCH, for example",
            )
    for name, value in headers.items():
        if not TOKEN.fullmatch(name):
            raise ConfigError(f"`{name}` under `headers` is not a valid header name", to.where)
        if name.lower() in OURS:
            raise ConfigError(
                f"`headers` must not set `{name}`", to.where, hint="it follows from the content"
            )
        if any(ord(character) < 32 and character != "\t" for character in value) or "\x7f" in value:
            raise ConfigError(
                f"the value of `{name}` under `headers` has a line break or another control"
                " character",
                to.where,
            )


def check_removals(options: Mapping[str, Any], to: TargetRequest) -> None:
    """Raises ConfigError if removed rows have no address."""
    if options["body"] != "single" or to.shape.mode != "mirror":
        return
    if not options["removed_url"]:
        raise ConfigError(
            "mode `mirror` with `body: single` needs `removed_url`",
            to.where,
            hint="for example https://api.example.com/contacts/{" + to.shape.key[0] + "}",
        )
    for name in PLACEHOLDER.findall(str(options["removed_url"])):
        if name not in to.shape.key:
            raise ConfigError(
                f"`removed_url` uses `{name}`, which is not a key field",
                to.where,
                hint=did_you_mean(name, to.shape.key),
            )


def parse_document(text: str) -> Mapping[str, Any]:
    """A JSON document, with its numbers as texts."""
    document: Mapping[str, Any] = json.loads(text, parse_float=str, parse_int=str)
    return document


def fill_placeholders(url: str, row: Mapping[str, Any]) -> str:
    """The URL with values for its placeholders; a value cannot leave its path segment."""

    def value(placeholder: re.Match[str]) -> str:
        field_value = row[placeholder[1]]
        text = quote(
            field_value if isinstance(field_value, str) else json.dumps(field_value), safe=""
        )
        # `.` and `..` would walk up the path, and are not quoted.
        return text.replace(".", "%2E") if text.strip(".") == "" else text

    return PLACEHOLDER.sub(value, url)


def origin(url: str) -> str:
    """Scheme, host and port of a URL. Raises ValueError if they are not valid."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"
