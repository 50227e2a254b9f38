"""A receiver that speaks raw bytes: whatever it answers is named, ends in time, and counts only
when it says that the rows landed."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.projects import transform, write
from tests.servers import receiver
from tests.targets.cases import Warehouse, warehouse
from transformer.errors import ActivateError, ConfigError

ROWS = 4
SECRET = "s3cret-token-123"
Says = Callable[[socket.socket, Event], None]


def head(status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def whole(body: bytes | str, status: str = "200 OK", **headers: str) -> bytes:
    """An answer after which the server ends the connection, and says so: a client that used it
    again would sometimes be faster than the end."""
    raw = body.encode() if isinstance(body, str) else body
    return head(status, Content_Length=str(len(raw)), Connection="close", **headers) + raw


def says_json(body: Any, status: str = "200 OK") -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    return whole(text, status, Content_Type="application/json")


def text(answer: bytes) -> Says:
    return lambda line, _: line.sendall(answer)


def for_ever(start: bytes, more: bytes, pause: float = 0.0) -> Says:
    """Bytes that never end, quickly or one piece now and then."""

    def say(line: socket.socket, stop: Event) -> None:
        line.sendall(start)
        while not stop.wait(pause):
            line.sendall(more)

    return say


def silent(line: socket.socket, stop: Event) -> None:
    stop.wait(20)


@contextmanager
def hostile(say: Says) -> Iterator[str]:
    """The address of a server that reads every request and then says this."""
    stop = Event()
    server = socket.create_server(("127.0.0.1", 0))

    def talk(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.settimeout(20)
            while read_request(line):
                say(line, stop)
                return

    def serve() -> None:
        with suppress(OSError):
            while True:
                line, _ = server.accept()
                Thread(target=talk, args=(line,), daemon=True).start()

    thread = Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/rows"
    finally:
        stop.set()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def read_request(line: socket.socket) -> bool:
    read = b""
    while b"\r\n\r\n" not in read:
        more = line.recv(65536)
        if not more:
            return False
        read += more
    start, _, body = read.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", start)
    left = int(length[1]) - len(body) if length else 0
    while left > 0:
        left -= len(line.recv(65536))
    return True


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Warehouse]:
    headers = {"Authorization": f"Bearer {SECRET}"}
    with warehouse(tmp_path, "http", {"timeout": 0.5, "attempts": 1, "headers": headers}) as made:
        made.fill(*((n, f"name {n}", n) for n in range(ROWS)))
        yield made


def options(home: Warehouse, **more: Any) -> None:
    home.change(options={**home.activation.options, **more})


def landed(home: Warehouse) -> int:
    """How many rows the ledger takes for landed."""
    return sum(row[4] == "sent" for row in home.kept("rows"))


DEEP = '{"results": ' + "[" * 100_000 + "]" * 100_000 + "}"
HTML = "<!DOCTYPE html><html><body>Please sign in</body></html>"
BOMB = gzip.compress(bytes(64 * 1024 * 1024), mtime=0)
TWICE_PACKED = gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)
SEVEN = [{"status": 200}] * (ROWS - 1)

# What stops the sync: nothing counts, no rows in quarantine, and the message holds this.
STOPS: dict[str, tuple[Says, str]] = {
    "a page of HTML": (text(whole(HTML, Content_Type="text/html")), "page of HTML"),
    "a page that says it is JSON": (
        text(whole(HTML, Content_Type="application/json")),
        "page of HTML",
    ),
    "a page without a type": (text(whole("\n <!-- x -->\n<HTML lang=en>hi")), "page of HTML"),
    "words that say they are HTML": (
        text(whole("signed out", Content_Type="text/html; charset=utf-8")),
        "page of HTML",
    ),
    "broken JSON": (text(says_json('{"rejected": [{"index"')), "broken JSON"),
    "JSON in no charset": (
        text(whole(b'{"a": "\xff\xfe\x80"}', Content_Type="application/json; charset=klingon")),
        "broken JSON",
    ),
    "JSON of no end": (text(says_json(DEEP)), "broken JSON"),
    "207 of nested JSON": (text(says_json(DEEP, "207 Multi-Status")), "broken JSON"),
    "207 and nothing": (text(whole("", "207 Multi-Status")), "does not say which rows"),
    "207 with results elsewhere": (
        text(says_json({"data": {"results": SEVEN}}, "207 Multi-Status")),
        "does not say which rows",
    ),
    "207 with results in results": (
        text(says_json({"results": [[{"status": 422}]] * ROWS}, "207 Multi-Status")),
        "does not say which rows",
    ),
    "207 with a status that is an object": (
        text(says_json({"results": [{"status": {"code": 422}}] * ROWS}, "207 Multi-Status")),
        "does not say which rows",
    ),
    "207 with too few results": (
        text(says_json({"results": SEVEN}, "207 Multi-Status")),
        "3 results for 4 rows",
    ),
    "a row that was not sent": (
        text(says_json({"rejected": [{"index": True}]})),
        "rows that it was not sent",
    ),
    "invalid gzip": (text(whole(b"not gzip", Content_Encoding="gzip")), "broken gzip"),
    "gzip cut off": (
        text(whole(gzip.compress(b'{"ok": true}', mtime=0)[:-4], Content_Encoding="gzip")),
        "broken gzip",
    ),
    "invalid deflate": (text(whole(b"\xff\xff", Content_Encoding="deflate")), "broken deflate"),
    "gzip within gzip": (
        text(whole(TWICE_PACKED, Content_Encoding="gzip, gzip")),
        "not requested",
    ),
    "an unknown encoding": (text(whole("x", Content_Encoding="br")), "not requested"),
    "a bomb of gzip": (text(whole(BOMB, Content_Encoding="gzip")), "more than 4,194,304 bytes"),
    "a gigabyte": (
        for_ever(head(Content_Length=str(10**9)), b"x" * 65536),
        "more than 4,194,304 bytes",
    ),
    "chunks without end": (
        for_ever(head(Transfer_Encoding="chunked"), b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
        "more than 4,194,304 bytes",
    ),
    "a broken chunk": (
        text(head(Transfer_Encoding="chunked") + b"zz\r\nhello\r\n"),
        "gave up after 1 attempt: RemoteProtocolError",
    ),
    "chunks cut off": (
        text(head(Transfer_Encoding="chunked") + b"5\r\nhello\r\n"),
        "gave up after 1 attempt: RemoteProtocolError",
    ),
    "a body cut off": (
        text(head(Content_Length="100") + b'{"rejected": []'),
        "gave up after 1 attempt: RemoteProtocolError",
    ),
    "a length that is not a number": (
        text(head(Content_Length="²") + b"x"),
        "gave up after 1 attempt: RemoteProtocolError",
    ),
    "two lengths": (
        text(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
        "gave up after 1 attempt: RemoteProtocolError",
    ),
    "headers without end": (
        for_ever(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"y" * 5000 + b"\r\n"),
        "gave up after 1 attempt",
    ),
    "headers drop by drop": (
        for_ever(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.1),
        "no complete answer within 0.5 s",
    ),
    "100 without end": (
        for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
        "no complete answer within 0.5 s",
    ),
    "a body drop by drop": (
        for_ever(head(Content_Length="100000"), b"x", 0.1),
        "no complete answer within 0.5 s",
    ),
    "a body drop by drop that only its end ends": (
        for_ever(head(), b" ", 0.1),
        "no complete answer within 0.5 s",
    ),
    "nothing at all": (silent, "gave up after 1 attempt"),
    "an end at once": (text(b""), "gave up after 1 attempt"),
    "another protocol": (text(b"SSH-2.0-OpenSSH_9.6\r\n"), "RemoteProtocolError"),
    "status 600": (text(whole("", "600 What")), "HTTP 600"),
    "status 999": (text(whole("", "999 What")), "HTTP 999"),
    "status 0": (text(whole("", "000 What")), "gave up after 1 attempt"),
    "status 2000": (text(whole("", "2000 What")), "RemoteProtocolError"),
    "status 101": (
        text(head("101 Switching Protocols", Upgrade="x", Connection="upgrade")),
        "gave up after 1 attempt: RemoteProtocolError",
    ),
    "status 304": (text(head("304 Not Modified")), r"redirects \(304\)"),
    "Retry-After of a small two": (
        text(whole("", "429 Slow", Retry_After="²")),
        "gave up after 1 attempt: HTTP 429",
    ),
    "Retry-After without measure": (
        text(whole("", "503 Later", Retry_After="Mon, 99 Foo 999999999999 99:99:99 GMT")),
        "gave up after 1 attempt: HTTP 503",
    ),
    "a redirect to no port": (
        text(head("307 Go", Location="http://127.0.0.1:99999999/x")),
        "an invalid URL",
    ),
    "a redirect to a port of words": (
        text(head("308 Go", Location="http://127.0.0.1:web/x")),
        "Invalid URL in location header",
    ),
    "a redirect to half an address": (
        text(head("307 Go", Location="http://[::1/x")),
        "Invalid URL in location header",
    ),
    "a redirect to nowhere": (text(head("307 Go")), "redirects more than 3 times"),
    "a redirect to another scheme": (
        text(head("307 Go", Location="file:///etc/passwd")),
        r"redirects \(307\)",
    ),
}

# What refuses the rows: none counts, each is in quarantine once, with the reason.
REFUSES: dict[str, tuple[Any, str]] = {
    "an error": ({"error": "no such list"}, "no such list"),
    "an error that is an object": ({"error": {"code": 7}}, '"code": 7'),
    "errors": ({"data": None, "errors": [{"message": "no"}]}, "no"),
    "no success": ({"success": False, "message": "quota"}, "quota"),
    "not ok": ({"OK": False}, "`ok` is false"),
    "a status of words": ({"status": "error", "message": "no"}, "no"),
    "a status of numbers": ({"statusCode": 422}, "422"),
    "false": (False, "false"),
    "an error beside no rejections": ({"rejected": [], "error": "database down"}, "database down"),
}


@pytest.mark.parametrize("way", STOPS)
def test_an_answer_that_does_not_count_is_named_in_time(home: Warehouse, way: str) -> None:
    say, named = STOPS[way]
    with hostile(say) as url:
        options(home, url=url)
        began = time.monotonic()
        with pytest.raises(ActivateError, match=named) as caught:
            home.sync()
    assert time.monotonic() - began < 4
    assert (landed(home), home.quarantine()) == (0, [])
    assert caught.value.detail[-1] == "0 rows were sent, 4 are left"
    assert SECRET not in str(caught.value)
    with receiver() as there:
        options(home, url=there.url, timeout=5)
        assert home.sync().added == ROWS
        assert sorted(there.rows) == list(range(ROWS))


@pytest.mark.parametrize("body", ["records", "single"])
@pytest.mark.parametrize("way", REFUSES)
def test_json_that_says_no_refuses_the_rows(home: Warehouse, way: str, body: str) -> None:
    answer, reason = REFUSES[way]
    with hostile(text(says_json(answer))) as url:
        options(home, url=url, body=body)
        done = home.sync()
    assert (done.added, done.sent, done.rejected, landed(home)) == (0, 0, ROWS, 0)
    held = home.quarantine()
    assert len(held) == ROWS
    assert all(reason in row["reason"] and row["attempts"] == 1 for row in held)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        whole(""),
        whole("", Content_Type="text/html"),
        whole("ok", Content_Type="text/plain"),
        whole("taken"),
        whole("{}", "202 Accepted"),
        whole('{"id": 7}', Content_Type="text/html"),
        says_json({"error": None, "errors": [], "success": True, "status": "ok"}),
        says_json({"status": 200, "results": ["a", "b", "c", "d"]}),
        says_json([1, 2, 3]),
        says_json("\ufeff{}".encode("utf-16").decode("utf-16")[1:]),
        whole(gzip.compress(b"{}", mtime=0), Content_Encoding="gzip"),
        whole(zlib.compress(b"{}"), Content_Encoding="deflate"),
        whole(zlib.compress(b"{}")[2:-4], Content_Encoding="deflate"),
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" + whole("{}"),
    ],
)
def test_answers_that_say_yes_count(home: Warehouse, answer: bytes) -> None:
    with hostile(text(answer)) as url:
        options(home, url=url)
        assert (home.sync().added, landed(home)) == (ROWS, ROWS)


@pytest.mark.parametrize(
    "answer",
    [
        {"rejected": [{"index": 2, "reason": "a"}, {"index": 2, "reason": "b"}]},
        {
            "rejected": [{"index": 2, "reason": "a"}],
            "results": [*SEVEN[:2], {"status": 422}, {"status": 201}],
        },
        {"rejected": [], "results": [*SEVEN[:2], {"status": "422"}, {"status": 201}]},
        {"results": [{"id": 1}, {"id": 2}, {"error": "a"}, {"id": 4}]},
        [{"status": 201}, {"status": 201}, {"status": 302}, {"status": 201}],
    ],
)
def test_a_row_that_is_refused_counts_once(home: Warehouse, answer: Any) -> None:
    with hostile(text(says_json(answer))) as url:
        options(home, url=url)
        done = home.sync()
    assert (done.added, done.sent, done.rejected, done.quarantined) == (3, 3, 1, 1)
    (row,) = home.quarantine()
    assert (row["key"], row["attempts"]) == ("[2]", 1)
    assert landed(home) == 3


@pytest.mark.parametrize("reason", ["\\ud800", "a\\u0000b", "\\u001b[31m"])
def test_odd_text_in_an_answer_is_kept(home: Warehouse, reason: str) -> None:
    with hostile(text(says_json(f'{{"rejected": [{{"index": 1, "reason": "{reason}"}}]}}'))) as url:
        options(home, url=url)
        assert home.sync().rejected == 1


ACCEPT: list[tuple[dict[str, Any], bytes, str]] = [
    ({"status": ("200", "409")}, whole("", "409 Conflict"), ""),
    ({"status": ("201",)}, whole(""), "answered HTTP 200"),
    ({"content_type": ("text/html",)}, whole(HTML, Content_Type="text/html"), ""),
    ({"content_type": ("text/*",)}, whole("{", Content_Type="text/plain; charset=x"), ""),
    ({"content_type": ("application/json",)}, whole("ok", Content_Type="text/plain"), "text/plain"),
    ({"json_path": "$.done"}, says_json({"done": 4, "error": "none"}), ""),
    ({"json_path": "$.done"}, says_json({"done": 0}), "refused: `$.done` is 0"),
    ({"json_path": "$.done"}, whole("ok"), "refused: `$.done` is missing"),
    ({"json_path": "r[1].state", "equals": "in"}, says_json({"r": [0, {"state": "in"}]}), ""),
    (
        {"json_path": "r[1].state", "equals": "in"},
        says_json({"r": [0, {"state": "out"}]}),
        "refused: `$.r[1].state` is out",
    ),
]


@pytest.mark.parametrize(("accept", "answer", "named"), ACCEPT)
def test_accept_says_which_answers_count(
    home: Warehouse, accept: dict[str, Any], answer: bytes, named: str
) -> None:
    with hostile(text(answer)) as url:
        options(home, url=url, accept=accept)
        if named and not named.startswith("refused: "):
            with pytest.raises(ActivateError, match=named):
                home.sync()
            return
        done = home.sync()
    assert done.added == (0 if named else ROWS)
    reasons = {row["reason"] for row in home.quarantine()}
    assert reasons == ({named.removeprefix("refused: ")} if named else set())


WRONG: list[tuple[dict[str, Any], str]] = [
    *(({"url": url}, "the host or port of `url`") for url in (
        "http://127.0.0.1:99999999/x", "http://127.0.0.1:web/", "http://127.0.0.1:-1/",
        "http://127.0.0.1:²/", "http://[::1/x",
    )),
    ({"url": "http://exa mple.com/"}, "`url`"),
    ({"url": "http://example.com/\x00"}, "`url`"),
    ({"body": "single", "removed_url": "http://127.0.0.1:65536/{id}"}, "the host or port"),
    *(({"headers": {name: "9"}}, f"must not set `{name}`") for name in (
        "Content-Length", "content-length", "Transfer-Encoding", "Connection", "Expect",
    )),
    ({"headers": {"": "x"}}, "is not a valid header name"),
    ({"headers": {"X Y": "x"}}, "is not a valid header name"),
    ({"headers": {"X": "a\r\nb: c"}}, "line break"),
    ({"headers": {"X": "a\x00b"}}, "control character"),
    ({"method": "PO ST"}, "`method` cannot be"),
    ({"method": "GET"}, "`method` cannot be `GET`"),
    ({"method": "é"}, "`method` cannot be"),
    ({"removed_method": "CONNECT"}, "`removed_method` cannot be"),
    ({"accept": {"status": ("abc",)}}, "not a status"),
    ({"accept": {"status": ("302",)}}, "not a status"),
    ({"accept": {"json_path": "$.a[x]"}}, "not a path"),
    ({"accept": {"equals": 1}}, "needs `json_path`"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "named"), WRONG)
def test_a_request_that_cannot_be_made_is_named(
    home: Warehouse, given: dict[str, Any], named: str
) -> None:
    options(home, **{"url": "http://127.0.0.1:9/", **given})
    with pytest.raises(ConfigError, match=named) as caught:
        home.sync()
    assert caught.value.where is not None
    assert home.kept("rows") == []


def test_a_proxy_that_cannot_be_is_named(home: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    options(home, url="http://example.com/")
    monkeypatch.setenv("HTTP_PROXY", "nonsense://127.0.0.1:1")
    with pytest.raises(ConfigError, match="the environment's HTTP settings"):
        home.sync()


PROJECT = {
    "models/people.sql": "{{ config(materialized='table') }} select i as id from range(20) t(i)",
    "models/_people.yml": """
        activations:
          - name: crm
            model: people
            key: id
            to:
              kind: http
              url: "{{ env_var('CRM_URL') }}"
              attempts: 1
              timeout: 2
              accept: {status: [200, 201], content_type: application/json, json_path: $.done, equals: true}
    """,  # noqa: E501
}


def test_a_build_says_why_an_answer_does_not_count(tmp_path: Path) -> None:
    root = write(tmp_path, PROJECT)
    for say, code, said in (
        (text(whole(HTML, Content_Type="text/html")), 1, "its content type is `text/html`"),
        (text(says_json({"done": "true"})), 1, "`$.done` is true"),
        (text(whole(b"x", Content_Encoding="gzip")), 1, "broken gzip"),
    ):
        with hostile(say) as url:
            done = transform(root, "build", env={"CRM_URL": url}, check=False)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert "fault of" not in done.stderr
        assert "activated" not in done.stderr
    bad = transform(root, "build", env={"CRM_URL": "http://h:99999999/x"}, check=False)
    assert (bad.returncode, "the host or port of `url`" in bad.stderr) == (1, True)
    assert "_people.yml" in bad.stderr
    with hostile(text(says_json({"done": True}))) as url:
        done = transform(root, "build", "--full-refresh", env={"CRM_URL": url})
        retried = transform(root, "quarantine", "retry", env={"CRM_URL": url})
    assert "+20" in done.stderr + retried.stderr
