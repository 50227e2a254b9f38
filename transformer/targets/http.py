"""An HTTP endpoint that accepts JSON: one request per batch, or per row.

Every request carries `Idempotency-Key`, and a repeated one has the same key and content, so a
receiver that remembers keys processes nothing twice.

    body: records    {"activation": …, "batch": …, "mode": …, "key": […],
                      "records": [{…}, …], "removed": [{key fields}, …]}
    body: single     {…}    one row; a removed row is a separate request to `removed_url`

A receiver of `records` may answer 200 or 207 and list the rows it rejects:

    {"rejected": [{"index": 0, "reason": "…"}, {"removed": 2, "reason": "…"}]}
    {"results": [{"status": 201}, {"status": 422, "reason": "…"}, …]}     records, then removed

An answer means success if its status is 2xx, it is not HTML or broken JSON, and its JSON does not
report a failure (non-empty `error` or `errors`, `success: false`, `status: error`). `accept:` sets
other rules. HTML or broken JSON stops the sync; JSON that reports a failure rejects the request,
as a 422 does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from transformer.errors import ActivateError, ConfigError
from transformer.project.schema import Field, Fields
from transformer.redaction import Secrets
from transformer.targets import (
    ATTEMPTS,
    BatchRefused,
    BatchShape,
    Rejection,
    TargetBatch,
    TargetRequest,
    Transient,
    with_defaults,
)
from transformer.targets._accept import FIELDS as ACCEPT
from transformer.targets._accept import AcceptRules, HttpAnswer, accept_of, decompressed
from transformer.targets._answers import is_passing, named_rows, wait_of
from transformer.targets._deadline import Deadline
from transformer.targets._requests import (
    check_removals,
    check_request,
    check_url,
    fill_placeholders,
    origin,
    parse_document,
)

if TYPE_CHECKING:
    import httpx

FIELDS: Fields = (
    Field("url", "text", "The URL that rows are sent to", required=True, secret=True),
    Field("method", "text", "The HTTP method", "POST"),
    Field("headers", "map", "Headers of every request, such as `Authorization`", secret=True),
    Field(
        "body",
        "choice",
        "`records`: one request per batch; `single`: one request per row",
        "records",
        choices=("records", "single"),
    ),
    Field(
        "removed_url",
        "text",
        "The URL for a removed row, with `{field}` for values of its key (`single`, `mirror`)",
        secret=True,
    ),
    Field("removed_method", "text", "The HTTP method for a removed row", "DELETE"),
    Field("accept", "block", "Which answers mean success", fields=ACCEPT),
    Field(
        "timeout",
        "number",
        "Seconds to wait for a connection, for sending the request, and for the answer",
        30,
        least=0,
        most=3600,
    ),
    ATTEMPTS,
)

MOST_BYTES = 4 * 1024 * 1024  # of an answer: enough for the results of a large batch
MOST_HOPS = 3  # redirects within the same host

# Statuses that no other row would change, with hints.
HOPELESS = {
    401: "check the credentials under `headers:`",
    402: "the receiver requires payment",
    403: "check the credentials under `headers:` and their permissions",
    404: "check `url:`",
    405: "check `method:`",
    407: "check the proxy's credentials",
    415: "the receiver does not accept JSON",
    501: "check `method:`",
}


@dataclass(frozen=True)
class HttpRequest:
    """One request; its repr shows neither URL nor content."""

    method: str
    url: str = field(repr=False)
    key: str
    body: str = field(repr=False, default="")


@dataclass
class HttpConnection:
    """An endpoint, and the client that holds the connections to it."""

    label: str
    place: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    shape: BatchShape
    clock: Callable[[], datetime]
    attempts: int
    secrets: Secrets
    driver: Any = field(repr=False)
    client: httpx.Client = field(repr=False)
    accept: AcceptRules
    deadline: Deadline
    whole: bool = False

    @property
    def forms(self) -> Mapping[str, str]:
        """`none` for all fields: the documents contain everything."""
        return dict.fromkeys(self.shape.fields, "none")

    def intact(self) -> bool:
        """Always True: a receiver's data cannot be checked."""
        return True

    def send(self, batch: TargetBatch) -> Sequence[Rejection]:
        """Returns the rows that the receiver rejects. Raises BatchRefused, Transient and
        ActivateError."""
        if self.options["body"] == "single":
            return self._one_by_one(batch)
        answer = self._answer_to(self._whole_batch(batch))
        if not self.accept.takes(answer.status):
            raise BatchRefused(f"HTTP {answer.status}", answer.text)
        named = named_rows(answer, batch.rows.num_rows, batch.removed.num_rows)
        refusal = self.accept.refusal(answer)
        if refusal and not named:
            raise BatchRefused(self.secrets.hidden(refusal), answer.text)
        return named

    def close(self) -> None:
        """Closes the connections."""
        self.deadline.release()
        self.client.close()

    def _whole_batch(self, batch: TargetBatch) -> HttpRequest:
        head = {
            "activation": self.shape.activation,
            "batch": batch.id,
            "mode": self.shape.mode,
            "key": list(self.shape.key),
        }
        # The rows are JSON texts already, so they are joined without parsing.
        rows, removed = ", ".join(batch.texts()), ", ".join(batch.removed_texts())
        body = f'{json.dumps(head)[:-1]}, "records": [{rows}], "removed": [{removed}]}}'
        return HttpRequest(self.options["method"], self.options["url"], batch.id, body)

    def _one_by_one(self, batch: TargetBatch) -> Sequence[Rejection]:
        rejections: list[Rejection] = []
        requests = [*self._removals(batch), *self._puts(batch)]
        for row, request in enumerate(requests):
            try:
                answer = self._answer_to(request)
            except Transient as trouble:
                raise Transient(trouble.reason, trouble.wait, row, rejections) from None
            removal = row < batch.removed.num_rows
            refusal = self._refusal(answer, removal)
            if refusal and not (removal and answer.status in (404, 410)):
                rejections.append(Rejection(row, refusal, answer.text))
        return rejections

    def _refusal(self, answer: HttpAnswer, removal: bool) -> str:
        """Why the answer to a single-row request is a rejection; "" if the row was accepted."""
        rules = AcceptRules() if removal else self.accept
        if not rules.takes(answer.status):
            return f"HTTP {answer.status}"
        named = () if removal else named_rows(answer, 1, 0)
        return named[0].reason if named else self.secrets.hidden(rules.refusal(answer))

    def _removals(self, batch: TargetBatch) -> list[HttpRequest]:
        method, url = self.options["removed_method"], str(self.options["removed_url"])
        return [
            HttpRequest(
                method,
                fill_placeholders(url, parse_document(key)),
                f"{batch.id}-{batch.first + index}",
            )
            for index, key in enumerate(batch.removed_texts())
        ]

    def _puts(self, batch: TargetBatch) -> list[HttpRequest]:
        method, url = self.options["method"], self.options["url"]
        first = batch.first + batch.removed.num_rows
        return [
            HttpRequest(method, url, f"{batch.id}-{first + index}", document)
            for index, document in enumerate(batch.texts())
        ]

    def _answer_to(self, request: HttpRequest) -> HttpAnswer:
        """The answer, if it is about the rows. Raises Transient or ActivateError otherwise."""
        answer = self._follow_redirects(request)
        removal = request.method == self.options["removed_method"] and not request.body
        rules = AcceptRules() if removal else self.accept
        if not rules.takes(answer.status):
            self._raise_failure(answer, removal)
            return answer
        problem = rules.strange(answer)
        if problem:
            raise ActivateError(
                f"`{self.label}` answered {answer.status}, but {problem}: {answer.shown()}",
                hint="check `url:`; `accept:` defines which answers mean success",
            )
        return answer

    def _raise_failure(self, answer: HttpAnswer, removal: bool) -> None:
        """Raises Transient or ActivateError for a failed status that is not about the rows."""
        if is_passing(answer.status):
            raise Transient(answer.shown(), wait_of(answer, self.clock()))
        gone = removal and answer.status == 404
        if answer.status < 400 or (answer.status in HOPELESS and not gone):
            raise ActivateError(
                f"`{self.label}` answered {answer.shown()}",
                hint=HOPELESS.get(answer.status, "`accept:` defines which answers mean success"),
            )

    def _follow_redirects(self, request: HttpRequest) -> HttpAnswer:
        url = request.url
        for _ in range(MOST_HOPS + 1):
            answer = self._exchange(request, url)
            if not 300 <= answer.status < 400:
                return answer
            url = self._redirect_target(answer, url)
        raise ActivateError(f"`{self.label}` redirects more than {MOST_HOPS} times")

    def _redirect_target(self, answer: HttpAnswer, url: str) -> str:
        """The redirect's URL. Raises ActivateError if it drops the body or leaves the host."""
        try:
            target = urljoin(url, answer.headers.get("location", ""))
            host = origin(target)
        except ValueError:
            target, host = "", "an invalid URL"
        if answer.status not in (307, 308) or host != origin(url):
            raise ActivateError(
                f"`{self.label}` redirects ({answer.status}) to `{host}`",
                hint="rows and headers are not sent to another host; set `url:` to the final URL",
            )
        return target

    def _exchange(self, request: HttpRequest, url: str) -> HttpAnswer:
        headers = {"Idempotency-Key": request.key}
        content = request.body.encode() if request.body else None
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            with (
                self.deadline,
                self.client.stream(
                    request.method,
                    url,
                    content=content,
                    headers=headers,
                    extensions={"trace": self._traced},
                ) as response,
            ):
                raw = self._read(response)
                # Without a length, an answer cut off by our deadline looks complete.
                self._in_time()
        except self.driver.TransportError as error:
            self._in_time()
            reason = self.secrets.hidden(str(error)) or "no answer"
            if isinstance(error, self.driver.LocalProtocolError | self.driver.UnsupportedProtocol):
                raise ActivateError(f"cannot send to `{self.label}`: {reason}") from None
            raise Transient(f"{type(error).__name__}: {reason}") from None
        except (self.driver.HTTPError, self.driver.InvalidURL) as error:
            reason = self.secrets.hidden(str(error))
            raise ActivateError(f"cannot send to `{self.label}`: {reason}") from None
        return HttpAnswer(response.status_code, response.headers, self.secrets.hidden, raw)

    def _in_time(self) -> None:
        if self.deadline.over:
            raise Transient(f"no complete answer within {self.deadline.seconds:g} s")

    def _traced(self, event: str, facts: Mapping[str, Any]) -> None:
        """httpx's trace callback: learns the connection, and restarts the deadline at each step."""
        if event.endswith("connect_tcp.started"):
            self.deadline.release()
        elif event.endswith("connect_tcp.complete"):
            self.deadline.watch(facts["return_value"].get_extra_info("socket").fileno())
        if event.endswith((".complete", "send_request_headers.started")):
            self.deadline.beat()

    def _read(self, response: httpx.Response) -> bytes:
        raw = bytearray()
        try:
            for piece in response.iter_raw():
                raw += piece
                if len(raw) > MOST_BYTES:
                    raise ValueError(f"more than {MOST_BYTES:,} bytes")
            encoding = response.headers.get("content-encoding", "")
            return decompressed(bytes(raw), encoding, MOST_BYTES)
        except ValueError as error:
            raise ActivateError(
                f"`{self.label}` answers {error}",
                hint="it is unknown whether the rows landed; they are sent again with the same key",
            ) from None


def connect(to: TargetRequest) -> HttpConnection:
    """A session on `url:`; sends nothing. Raises ConfigError."""
    import httpx  # noqa: PLC0415 - heavy, and only a connection needs it

    options = with_defaults(FIELDS, to.options)
    headers = {str(name): str(value) for name, value in (options["headers"] or {}).items()}
    urls = [str(options[key]) for key in ("url", "removed_url") if options[key]]
    for url in urls:
        check_url(url, to, httpx)
    check_request(options, headers, to)
    check_removals(options, to)
    secrets = to.secrets.and_of(urls, headers)
    seconds = float(options["timeout"])
    return HttpConnection(
        f"http {urlsplit(urls[0]).hostname}",
        origin(urls[0]) + urlsplit(urls[0]).path,
        options,
        to.shape,
        to.clock,
        attempts=int(options["attempts"]),
        secrets=secrets,
        driver=httpx,
        client=_client(httpx, headers, seconds, to),
        accept=_accept(options, to),
        deadline=Deadline(max(seconds, 0.05)),
    )


def _client(driver: Any, headers: Mapping[str, str], seconds: float, to: TargetRequest) -> Any:
    # A compressed answer may expand a thousandfold.
    plain = {"Accept-Encoding": "identity"} | dict(headers)
    try:
        return driver.Client(headers=plain, timeout=seconds, follow_redirects=False)
    except UnicodeEncodeError:
        raise ConfigError("`headers` must be plain ASCII", to.where) from None
    except (ValueError, OSError, driver.InvalidURL) as error:
        # The proxy or certificate file that the environment configures.
        reason = to.secrets.hidden(str(error))
        raise ConfigError(
            f"the environment's HTTP settings are invalid: {reason}", to.where
        ) from None


def _accept(options: Mapping[str, Any], to: TargetRequest) -> AcceptRules:
    try:
        return accept_of(options["accept"])
    except ValueError as error:
        raise ConfigError(f"`accept`: {error}", to.where) from None
