"""An HTTP address that takes JSON: a batch a request, or a row a request.

Every request carries `Idempotency-Key`, and one that is sent again carries the same key with the
same content: a receiver that remembers keys sees nothing twice.

    body: records    {"activation": …, "batch": …, "mode": …, "key": […],
                      "records": [{…}, …], "removed": [{key fields}, …]}
    body: single     {…}    one row; a removed row is a request of its own to `removed_url`

A receiver of `records` may answer 200 or 207 and name the rows it does not take:

    {"rejected": [{"index": 0, "reason": "…"}, {"removed": 2, "reason": "…"}]}
    {"results": [{"status": 201}, {"status": 422, "reason": "…"}, …]}     records, then removed
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

from transformer.errors import ActivateError, ConfigError, did_you_mean
from transformer.project.schema import Field, Fields
from transformer.redaction import UNCLEAR_LOGIN, Secrets, unclear_login
from transformer.targets import (
    ATTEMPTS,
    Batch,
    Refused,
    Rejection,
    Shape,
    To,
    Transient,
    with_defaults,
)
from transformer.targets._answers import Answer, is_passing, named_rows, wait_of

if TYPE_CHECKING:
    import httpx

FIELDS: Fields = (
    Field("url", "text", "The address that rows are sent to", required=True, secret=True),
    Field("method", "text", "The HTTP method", "POST"),
    Field("headers", "map", "Headers of every request, such as `Authorization`", secret=True),
    Field(
        "body",
        "choice",
        "`records`: a batch a request; `single`: a row a request",
        "records",
        choices=("records", "single"),
    ),
    Field(
        "removed_url",
        "text",
        "Where a removed row is sent, with `{field}` for values of its key (`single`, `mirror`)",
        secret=True,
    ),
    Field("removed_method", "text", "The HTTP method for a removed row", "DELETE"),
    Field("timeout", "number", "Seconds to wait for an answer", 30, least=0, most=3600),
    ATTEMPTS,
)

MOST_BYTES = 4 * 1024 * 1024  # of an answer: enough for the results of a large batch
MOST_HOPS = 3  # redirects within the same host
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")

# Faults of the request as such: no other row would fare better.
HOPELESS = {
    401: "check the credentials under `headers:`",
    402: "the account must be paid for",
    403: "check the credentials under `headers:` and what they allow",
    404: "check `url:`",
    405: "check `method:`",
    407: "check the proxy's credentials",
    415: "the receiver does not take JSON",
    501: "check `method:`",
}


@dataclass(frozen=True)
class Request:
    """One request to make; repr shows neither its address nor its content."""

    method: str
    url: str = field(repr=False)
    key: str
    body: str = field(repr=False, default="")


@dataclass
class HttpSession:
    """An address, and the client that keeps the connection to it."""

    label: str
    place: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    shape: Shape
    clock: Callable[[], datetime]
    attempts: int
    secrets: Secrets
    driver: Any = field(repr=False)
    client: httpx.Client = field(repr=False)
    whole: bool = False

    @property
    def forms(self) -> Mapping[str, str]:
        """None of the fields: the documents hold all."""
        return dict.fromkeys(self.shape.fields, "none")

    def intact(self) -> bool:
        """Nothing to be seen from here, so yes."""
        return True

    def send(self, batch: Batch) -> Sequence[Rejection]:
        """The rows that the receiver names, or that it refuses one by one."""
        if self.options["body"] == "single":
            return self._one_by_one(batch)
        answer = self._asked(self._whole_batch(batch))
        if answer.status >= 400:
            raise Refused(f"HTTP {answer.status}", answer.text)
        return named_rows(answer, batch.rows.num_rows, batch.removed.num_rows)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _whole_batch(self, batch: Batch) -> Request:
        head = {
            "activation": self.shape.activation,
            "batch": batch.id,
            "mode": self.shape.mode,
            "key": list(self.shape.key),
        }
        # The rows are JSON texts already: parsing them to write them again gains nothing.
        rows, gone = ", ".join(batch.texts()), ", ".join(batch.removed_texts())
        body = f'{json.dumps(head)[:-1]}, "records": [{rows}], "removed": [{gone}]}}'
        return Request(self.options["method"], self.options["url"], batch.id, body)

    def _one_by_one(self, batch: Batch) -> Sequence[Rejection]:
        rejections: list[Rejection] = []
        requests = [*self._removals(batch), *self._puts(batch)]
        for row, request in enumerate(requests):
            try:
                answer = self._asked(request)
            except Transient as trouble:
                raise Transient(trouble.reason, trouble.wait, row, rejections) from None
            gone = row < batch.removed.num_rows and answer.status in (404, 410)
            if answer.status >= 400 and not gone:
                rejections.append(Rejection(row, f"HTTP {answer.status}", answer.text))
        return rejections

    def _removals(self, batch: Batch) -> list[Request]:
        method, url = self.options["removed_method"], str(self.options["removed_url"])
        return [
            Request(method, _filled(url, _read(key)), f"{batch.id}-{batch.first + place}")
            for place, key in enumerate(batch.removed_texts())
        ]

    def _puts(self, batch: Batch) -> list[Request]:
        method, url = self.options["method"], self.options["url"]
        first = batch.first + batch.removed.num_rows
        return [
            Request(method, url, f"{batch.id}-{first + place}", document)
            for place, document in enumerate(batch.texts())
        ]

    def _asked(self, request: Request) -> Answer:
        """The answer, when it speaks of the rows; else Transient or ActivateError."""
        answer = self._followed(request)
        if is_passing(answer.status):
            raise Transient(answer.shown(), wait_of(answer, self.clock()))
        removal = request.method == self.options["removed_method"] and not request.body
        if answer.status in HOPELESS and not (removal and answer.status == 404):
            raise ActivateError(
                f"`{self.label}` answered {answer.shown()}", hint=HOPELESS[answer.status]
            )
        return answer

    def _followed(self, request: Request) -> Answer:
        url = request.url
        for _ in range(MOST_HOPS + 1):
            answer = self._exchanged(request, url)
            if not 300 <= answer.status < 400:
                return answer
            url = self._next(answer, url)
        raise ActivateError(f"`{self.label}` redirects more than {MOST_HOPS} times")

    def _next(self, answer: Answer, url: str) -> str:
        """Where a redirect leads, when it keeps the request whole and stays with the host."""
        there = urljoin(url, answer.headers.get("location", ""))
        if answer.status not in (307, 308) or _origin(there) != _origin(url):
            raise ActivateError(
                f"`{self.label}` redirects ({answer.status}) to `{_origin(there)}`",
                hint="rows and headers are not sent on; set `url:` to the final address",
            )
        return there

    def _exchanged(self, request: Request, url: str) -> Answer:
        headers = {"Idempotency-Key": request.key}
        content = request.body.encode() if request.body else None
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            with self.client.stream(
                request.method, url, content=content, headers=headers
            ) as response:
                text = self._read(response)
                return Answer(response.status_code, response.headers, self.secrets.hidden, text)
        except (self.driver.LocalProtocolError, self.driver.UnsupportedProtocol) as error:
            said = self.secrets.hidden(str(error))
            raise ActivateError(f"cannot send to `{self.label}`: {said}") from None
        except self.driver.TransportError as error:
            said = self.secrets.hidden(str(error)) or "no answer"
            raise Transient(f"{type(error).__name__}: {said}") from None

    def _read(self, response: httpx.Response) -> bytes:
        limit = time.monotonic() + float(self.options["timeout"])
        text = b""
        for piece in response.iter_bytes():
            text += piece
            if len(text) > MOST_BYTES:
                raise ActivateError(f"`{self.label}` answers more than {MOST_BYTES:,} bytes")
            if time.monotonic() > limit:
                raise Transient("the answer took too long")
        return text


def connect(to: To) -> HttpSession:
    """A session on `url:`; nothing is sent to find out whether anyone is there."""
    import httpx  # noqa: PLC0415 - heavy, and only a connection needs it

    options = with_defaults(FIELDS, to.options)
    headers = {str(name): str(value) for name, value in (options["headers"] or {}).items()}
    urls = [str(options[each]) for each in ("url", "removed_url") if options[each]]
    for url in urls:
        if unclear_login(url):
            raise ConfigError(UNCLEAR_LOGIN[0], to.where, UNCLEAR_LOGIN[1])
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ConfigError("`url` must begin with http:// or https:// and name a host", to.where)
    _check_removals(options, to)
    secrets = to.secrets.and_of(urls, headers)
    try:
        client = httpx.Client(
            headers=headers, timeout=float(options["timeout"]), follow_redirects=False
        )
    except UnicodeEncodeError:
        raise ConfigError("`headers` must be plain ASCII", to.where) from None
    return HttpSession(
        f"http {urlsplit(urls[0]).hostname}",
        _origin(urls[0]) + urlsplit(urls[0]).path,
        options,
        to.shape,
        to.clock,
        attempts=int(options["attempts"]),
        secrets=secrets,
        driver=httpx,
        client=client,
    )


def _check_removals(options: Mapping[str, Any], to: To) -> None:
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


def _read(text: str) -> Mapping[str, Any]:
    """A document; its numbers as they are written."""
    found: Mapping[str, Any] = json.loads(text, parse_float=str, parse_int=str)
    return found


def _filled(url: str, row: Mapping[str, Any]) -> str:
    """The url with values for its placeholders; a value cannot leave its segment of the path."""

    def value(found: re.Match[str]) -> str:
        given = row[found[1]]
        text = quote(given if isinstance(given, str) else json.dumps(given), safe="")
        # `.` and `..` would walk up the path, and quoting leaves them alone.
        return text.replace(".", "%2E") if text.strip(".") == "" else text

    return PLACEHOLDER.sub(value, url)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"
