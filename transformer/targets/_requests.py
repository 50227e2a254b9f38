"""What a request over HTTP may look like: its address, method and headers. Pure: no client here."""

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
# What frames a request is written by the client, from the content that it sends.
OURS = {"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
# Methods that carry no rows.
READS = {"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT"}


def check_url(url: str, to: TargetRequest, driver: Any) -> None:
    """Raises ConfigError where the URL cannot be called."""
    if unclear_login(url):
        raise ConfigError(UNCLEAR_LOGIN[0], to.where, UNCLEAR_LOGIN[1])
    filled = PLACEHOLDER.sub("x", url)
    try:
        parts = urlsplit(filled)
        host, _ = parts.hostname, parts.port
        if re.search(r"[\s<>]", host or ""):
            raise ValueError(host)
    except ValueError:
        raise ConfigError(
            "the host or the port of `url` is not valid", to.where, hint="a port is 1 to 65535"
        ) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError("`url` must begin with http:// or https:// and name a host", to.where)
    try:
        driver.URL(filled)
    except driver.InvalidURL as error:
        said = to.secrets.and_of([url]).hidden(str(error))
        raise ConfigError(f"`url` is not valid: {said}", to.where) from None


def check_request(
    options: Mapping[str, Any], headers: Mapping[str, str], to: TargetRequest
) -> None:
    """Raises ConfigError where the method or a header cannot be sent."""
    for key, without in (("method", READS), ("removed_method", READS - {"GET"})):
        method = str(options[key])
        if not TOKEN.fullmatch(method) or method.upper() in without:
            raise ConfigError(
                f"`{key}` cannot be `{method}`", to.where, hint="for example POST, PUT or PATCH"
            )
    for name, value in headers.items():
        if not TOKEN.fullmatch(name):
            raise ConfigError(f"`headers` has `{name}`, which is not a name", to.where)
        if name.lower() in OURS:
            raise ConfigError(
                f"`headers` must not set `{name}`", to.where, hint="it follows from what is sent"
            )
        if any(ord(each) < 32 and each != "\t" for each in value) or "\x7f" in value:
            raise ConfigError(
                f"the value of `{name}` under `headers` holds a line break or another control"
                " character",
                to.where,
            )


def check_removals(options: Mapping[str, Any], to: TargetRequest) -> None:
    """Raises ConfigError where removed rows have no address."""
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
                f"`removed_url` names `{name}`, which is not a key field",
                to.where,
                hint=did_you_mean(name, to.shape.key),
            )


def read_key(text: str) -> Mapping[str, Any]:
    """A document; its numbers as they are written."""
    found: Mapping[str, Any] = json.loads(text, parse_float=str, parse_int=str)
    return found


def filled(url: str, row: Mapping[str, Any]) -> str:
    """The url with values for its placeholders; a value cannot leave its segment of the path."""

    def value(found: re.Match[str]) -> str:
        given = row[found[1]]
        text = quote(given if isinstance(given, str) else json.dumps(given), safe="")
        # `.` and `..` would walk up the path, and quoting leaves them alone.
        return text.replace(".", "%2E") if text.strip(".") == "" else text

    return PLACEHOLDER.sub(value, url)


def origin(url: str) -> str:
    """Scheme, host and port. Raises ValueError where they are not valid."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"
