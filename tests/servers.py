"""A real HTTP receiver on loopback that does what a script says: for tests of what we send.

    with receiver() as there:
        there.script.append(Answer(429, headers={"Retry-After": "3"}))
        ...                       # sends to there.url
        assert there.rows == {...}

Rows are kept by their key. A request whose `Idempotency-Key` was answered before gets the same
answer and changes nothing, unless the receiver is told to forget keys.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """An answer given instead of taking the rows."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drop:
    """The connection ends without an answer; `taken` says whether the rows were kept."""

    taken: bool = False


@dataclass(frozen=True)
class Slow:
    """The rows are taken, and the answer comes late."""

    seconds: float


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    key: str
    text: str = ""


@dataclass
class Receiver:
    """What the server has and what it does next. An empty script takes everything."""

    url: str = ""
    key: str = "id"
    script: deque[Answer | Drop | Slow] = field(default_factory=deque)
    refuses: Callable[[Row], str | None] = lambda _row: None
    style: str = "rejected"  # how bad rows are told: rejected | results | batch (a plain 422)
    remembers: bool = True
    delay: float = 0.0
    rows: dict[Any, Row] = field(default_factory=dict)
    taken: list[Row] = field(default_factory=list)  # every row that was kept, in order
    removed: list[Any] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    on_request: Callable[[Request], None] = lambda _request: None
    lock: Lock = field(default_factory=Lock)
    _known: dict[str, Answer] = field(default_factory=dict)

    def taking(self, request: Request) -> Answer:
        """The answer after the rows were taken, or the one given before to the same key."""
        with self.lock:
            if self.remembers and request.key in self._known:
                return self._known[request.key]
            answer = self._take(request)
            self._known[request.key] = answer
            return answer

    def _take(self, request: Request) -> Answer:
        if request.method == "DELETE":
            return self._remove(unquote(request.path.rsplit("/", 1)[-1]))
        if "records" not in request.body:
            return self._take_one(request.body)
        return self._take_batch(request.body)

    def _remove(self, key: Any) -> Answer:
        # A key in an address is text, whatever it was.
        found = [key] if key in self.rows else [e for e in self.rows if str(e) == str(key)]
        self.removed.extend(found)
        for each in found:
            del self.rows[each]
        return Answer(204 if found else 404)

    def _take_one(self, row: Row) -> Answer:
        reason = self.refuses(row)
        if reason:
            return Answer(422, json.dumps({"error": reason}))
        self._keep(row)
        return Answer(201)

    def _take_batch(self, body: dict[str, Any]) -> Answer:
        reasons = [self.refuses(row) for row in body["records"]]
        if any(reasons) and self.style == "batch":
            return Answer(422, json.dumps({"error": next(r for r in reasons if r)}))
        for row, reason in zip(body["records"], reasons, strict=True):
            if not reason:
                self._keep(row)
        for row in body["removed"]:
            self._remove(row[self.key])
        return Answer(207 if any(reasons) else 200, self._told(reasons))

    def _told(self, reasons: list[str | None]) -> str:
        if self.style == "results":
            return json.dumps(
                {
                    "results": [
                        {"status": 422, "reason": r} if r else {"status": 200} for r in reasons
                    ]
                }
            )
        bad = [{"index": n, "reason": reason} for n, reason in enumerate(reasons) if reason]
        return json.dumps({"rejected": bad})

    def _keep(self, row: Row) -> None:
        self.rows[row[self.key]] = row
        self.taken.append(row)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Header and body leave in one packet, and at once: two packets and Nagle cost 40 ms a request.
    wbufsize = 65536
    disable_nagle_algorithm = True
    receiver: Receiver

    def handle_any(self) -> None:
        request = self._read()
        if request is None:
            self.close_connection = True
            return
        with self.receiver.lock:
            self.receiver.requests.append(request)
            step = self.receiver.script.popleft() if self.receiver.script else None
        self.receiver.on_request(request)
        time.sleep(self.receiver.delay)
        if isinstance(step, Drop):
            if step.taken:
                self.receiver.taking(request)
            self.close_connection = True
            return
        if isinstance(step, Slow):
            self.answer(self.receiver.taking(request), step.seconds)
        else:
            self.answer(step or self.receiver.taking(request))

    do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names http.server calls

    def _read(self) -> Request | None:
        """What came in; None when the client died before all of it was here."""
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        if len(text) < length:
            return None
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(text) if text else None
        path = urlsplit(self.path).path
        return Request(
            self.command, path, headers, body, headers.get("idempotency-key", ""), text.decode()
        )

    def answer(self, answer: Answer, wait: float = 0.0) -> None:
        time.sleep(wait)
        body = answer.body.encode()
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            # The client was killed or has lost patience: that is what some tests are about.
            self.close_connection = True

    def handle(self) -> None:
        # A client that is killed between two requests resets the connection.
        with suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        """Say nothing."""


@contextmanager
def receiver(**settings: Any) -> Iterator[Receiver]:
    """A running receiver."""
    state = Receiver(**settings)
    handler = type("Handler", (_Handler,), {"receiver": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/rows"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
