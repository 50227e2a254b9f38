"""Which HTTP answers mean success: the rules under `accept:`, and the defaults. Pure."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from transformer.project.schema import Field, Fields

FIELDS: Fields = (
    Field("status", "texts", "Statuses that mean success; by default 200 to 299"),
    Field(
        "content_type",
        "texts",
        "Accepted content types, such as `text/plain`; by default all but HTML and broken JSON",
    ),
    Field(
        "json_path",
        "text",
        "A value of the JSON, such as `$.done`, that must exist and not be empty, `false` or 0;"
        " by default the JSON must not report a failure",
        aliases=("path",),
    ),
    Field("equals", "any", "The expected value at `json_path`"),
)

SHOWN_LENGTH = 200
# How JSON APIs that answer 200 report that they failed.
_FAULTS = ("error", "errors", "exception", "fault")
_SUCCESS = ("success", "succeeded", "ok")
_STATUS = ("status", "statuscode", "status_code")
_FAILED = ("error", "fail", "failed", "failure")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_PAGE = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
_PAGE_TYPES = ("text/html", "application/xhtml+xml")
MISSING: Any = object()


@dataclass(frozen=True)
class HttpAnswer:
    """Status, headers and body; its text passes through `hidden`, which masks secrets."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    hidden: Callable[[str], str] = field(repr=False)
    raw: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The beginning of the body as text, with secrets masked."""
        return self.hidden(self.raw.decode(errors="replace"))

    def shown(self) -> str:
        """The answer as one short line."""
        excerpt = " ".join(self.text.split())[:SHOWN_LENGTH]
        return f"HTTP {self.status}: {excerpt}" if excerpt else f"HTTP {self.status}"

    @property
    def content_type(self) -> str:
        """The content type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def value(self) -> Any:
        """The parsed JSON; `MISSING` if it is not JSON."""
        try:
            return json.loads(self.raw)
        except (ValueError, RecursionError):
            return MISSING


class AcceptRules(Struct, frozen=True):
    """Rules for answers; empty ones have a default."""

    statuses: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    steps: tuple[str | int, ...] = ()
    equals: Any = MISSING

    def takes(self, status: int) -> bool:
        """Whether the status means success."""
        return status in self.statuses if self.statuses else 200 <= status < 300

    def strange(self, answer: HttpAnswer) -> str:
        """Why the answer cannot be the receiver's, or not as expected; "" if it can."""
        if self.types:
            content_type = answer.content_type
            accepted = any(_matches(content_type, pattern) for pattern in self.types)
            return "" if accepted else f"its content type is `{content_type}`"
        value = answer.value() if answer.raw.strip() else None
        if value is not MISSING:
            return ""
        if answer.content_type in _PAGE_TYPES or _PAGE.match(answer.raw.removeprefix(_MARK)):
            return "it is a page of HTML"
        looks_like_json = answer.raw.lstrip()[:1] in (b"{", b"[")
        if looks_like_json or re.fullmatch(r"application/(.+\+)?json", answer.content_type):
            return "it is broken JSON"
        return ""

    def refusal(self, answer: HttpAnswer) -> str:
        """Why the answer is a refusal; "" if it is not."""
        value = answer.value()
        if not self.steps:
            return says_no(value)
        found_value = _at(value, self.steps)
        matches = found_value == self.equals if self.equals is not MISSING else bool(found_value)
        if found_value is not MISSING and matches:
            return ""
        shown = "is missing" if found_value is MISSING else f"is {_short(found_value)}"
        return f"`{_path(self.steps)}` {shown}"


_MARK = b"\xef\xbb\xbf"


def accept_of(options: Mapping[str, Any] | None) -> AcceptRules:
    """The rules. Raises ValueError if they are not valid."""
    rules = options or {}
    path = str(rules.get("json_path") or "")
    equals = rules["equals"] if rules.get("equals") is not None else MISSING
    if equals is not MISSING and not path:
        raise ValueError("`equals` needs `json_path`")
    types = tuple(str(item).strip().lower() for item in rules.get("content_type") or ())
    return AcceptRules(
        tuple(_status(str(item)) for item in rules.get("status") or ()),
        types,
        _steps(path) if path else (),
        equals,
    )


def _status(text: str) -> int:
    if not re.fullmatch(r"[2-5][0-9][0-9]", text) or text[0] == "3":
        raise ValueError(f"`{text}` is not a status that an answer may have")
    return int(text)


def _steps(path: str) -> tuple[str | int, ...]:
    rest = path.removeprefix("$")
    matches = list(_STEP.finditer(rest))
    if not matches or "".join(match[0] for match in matches) != rest:
        raise ValueError(f"`{path}` is not a path such as `$.result[0].done`")
    return tuple(match[1] if match[1] is not None else int(match[2]) for match in matches)


def _path(steps: Sequence[str | int]) -> str:
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)


def _at(value: Any, steps: Sequence[str | int]) -> Any:
    for step in steps:
        if isinstance(step, str):
            value = value.get(step, MISSING) if isinstance(value, dict) else MISSING
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else MISSING
    return value


def _matches(content_type: str, pattern: str) -> bool:
    return content_type == pattern or (
        pattern.endswith("/*") and content_type.startswith(pattern.removesuffix("*"))
    )


def says_no(value: Any) -> str:
    """The failure that JSON reports; "" if it does not report one."""
    if value is False:
        return "false"
    if not isinstance(value, dict):
        return ""
    fields = {str(name).lower(): field_value for name, field_value in value.items()}
    for name in _FAULTS:
        if fields.get(name):
            return _short(fields[name])
    failed = [name for name in _SUCCESS if fields.get(name) is False]
    failed += [name for name in _STATUS if _is_failure(fields.get(name))]
    if not failed:
        return ""
    detail = next((fields[key] for key in ("reason", "message", "detail") if fields.get(key)), None)
    return _short(detail) if detail else f"`{failed[0]}` is {_short(fields[failed[0]])}"


def _is_failure(status: Any) -> bool:
    if isinstance(status, str):
        return status.strip().lower() in _FAILED or (number_of(status) or 0) >= 400
    return (number_of(status) or 0) >= 400


def number_of(status: Any) -> int | None:
    """A status given as a number or as text; None for other values."""
    if isinstance(status, str) and status.isascii() and status.isdigit() and len(status) == 3:
        return int(status)
    return status if isinstance(status, int) and not isinstance(status, bool) else None


def _short(value: Any) -> str:
    return value if isinstance(value, str) else plain(value)


def plain(value: Any) -> str:
    """A value as JSON, or a placeholder if it is too deeply nested."""
    try:
        return json.dumps(value)
    except RecursionError:
        return "deeply nested JSON"


def decompressed(raw: bytes, encoding: str, most: int) -> bytes:
    """The decoded bytes. Raises ValueError (the text continues "answers …") if they are broken,
    truncated, more than `most`, or in an encoding that was not requested."""
    names = [name.strip().lower() for name in encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names or not raw:
        return raw
    if len(names) > 1 or names[0] not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"in `{', '.join(names)[:40]}`, which was not requested")
    # "deflate" is sent with a zlib header, or without one.
    windows = (31,) if names[0] != "deflate" else (15, -15)
    for window in windows:
        unpacker = zlib.decompressobj(window)
        try:
            text = unpacker.decompress(raw, most + 1)
        except zlib.error:
            continue
        if len(text) > most:
            raise ValueError(f"more than {most:,} bytes")
        if unpacker.eof:
            return text
    raise ValueError(f"with broken {names[0]}")
