"""Which HTTP answers count: the rules under `accept:`, and what holds without any. Pure."""

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
    Field("status", "texts", "Statuses that mean success; without any, 200 to 299"),
    Field(
        "content_type",
        "texts",
        "Types of content, such as `text/plain`; without any, all but HTML and broken JSON",
    ),
    Field(
        "json_path",
        "text",
        "A value in the JSON that must be there and not be empty, `false` or 0, such as `$.done`;"
        " without one, the JSON must not say that it failed",
        aliases=("path",),
    ),
    Field("equals", "any", "What the value must be"),
)

SHOWN_LENGTH = 200
# Words of JSON APIs that answer 200 and mean that they took nothing.
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
    """Status, headers and text; the text only through `hidden`, which takes secrets out."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    hidden: Callable[[str], str] = field(repr=False)
    raw: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The beginning of the text, fit to be kept."""
        return self.hidden(self.raw.decode(errors="replace"))

    def shown(self) -> str:
        """The answer in one short line."""
        said = " ".join(self.text.split())[:SHOWN_LENGTH]
        return f"HTTP {self.status}: {said}" if said else f"HTTP {self.status}"

    @property
    def content_type(self) -> str:
        """The type of the content, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def value(self) -> Any:
        """What its JSON holds, `MISSING` where it is not JSON."""
        try:
            return json.loads(self.raw)
        except (ValueError, RecursionError):
            return MISSING


class AcceptRules(Struct, frozen=True):
    """Rules for answers; an empty one is the default."""

    statuses: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    steps: tuple[str | int, ...] = ()
    equals: Any = MISSING

    def takes(self, status: int) -> bool:
        """Whether the status means success."""
        return status in self.statuses if self.statuses else 200 <= status < 300

    def strange(self, answer: HttpAnswer) -> str:
        """Why it is not the receiver that answers, or not in the way it should; else nothing."""
        if self.types:
            given = answer.content_type
            known = any(_matches(given, each) for each in self.types)
            return "" if known else f"its content type is `{given}`"
        value = answer.value() if answer.raw.strip() else None
        if value is not MISSING:
            return ""
        if answer.content_type in _PAGE_TYPES or _PAGE.match(answer.raw.removeprefix(_MARK)):
            return "it is a page of HTML"
        looks = answer.raw.lstrip()[:1] in (b"{", b"[")
        if looks or re.fullmatch(r"application/(.+\+)?json", answer.content_type):
            return "it is broken JSON"
        return ""

    def refusal(self, answer: HttpAnswer) -> str:
        """What the answer says against the request, or lacks; else nothing."""
        value = answer.value()
        if not self.steps:
            return says_no(value)
        held = _at(value, self.steps)
        right = held == self.equals if self.equals is not MISSING else bool(held)
        if held is not MISSING and right:
            return ""
        shown = "is missing" if held is MISSING else f"is {_short(held)}"
        return f"`{_path(self.steps)}` {shown}"


_MARK = b"\xef\xbb\xbf"


def accept_of(options: Mapping[str, Any] | None) -> AcceptRules:
    """The rules. Raises ValueError with what is wrong with them."""
    given = options or {}
    path = str(given.get("json_path") or "")
    equals = given["equals"] if given.get("equals") is not None else MISSING
    if equals is not MISSING and not path:
        raise ValueError("`equals` needs `json_path`")
    types = tuple(str(each).strip().lower() for each in given.get("content_type") or ())
    return AcceptRules(
        tuple(_status(str(each)) for each in given.get("status") or ()),
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
    found = list(_STEP.finditer(rest))
    if not found or "".join(each[0] for each in found) != rest:
        raise ValueError(f"`{path}` is not a path such as `$.result[0].done`")
    return tuple(each[1] if each[1] is not None else int(each[2]) for each in found)


def _path(steps: Sequence[str | int]) -> str:
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)


def _at(value: Any, steps: Sequence[str | int]) -> Any:
    for step in steps:
        if isinstance(step, str):
            value = value.get(step, MISSING) if isinstance(value, dict) else MISSING
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else MISSING
    return value


def _matches(given: str, pattern: str) -> bool:
    return given == pattern or (
        pattern.endswith("/*") and given.startswith(pattern.removesuffix("*"))
    )


def says_no(value: Any) -> str:
    """What JSON says of a failure; nothing where it does not speak of one."""
    if value is False:
        return "false"
    if not isinstance(value, dict):
        return ""
    words = {str(name).lower(): held for name, held in value.items()}
    for name in _FAULTS:
        if words.get(name):
            return _short(words[name])
    failed = [name for name in _SUCCESS if words.get(name) is False]
    failed += [name for name in _STATUS if _is_failure(words.get(name))]
    if not failed:
        return ""
    said = next((words[each] for each in ("reason", "message", "detail") if words.get(each)), None)
    return _short(said) if said else f"`{failed[0]}` is {_short(words[failed[0]])}"


def _is_failure(held: Any) -> bool:
    if isinstance(held, str):
        return held.strip().lower() in _FAILED or (number_of(held) or 0) >= 400
    return (number_of(held) or 0) >= 400


def number_of(held: Any) -> int | None:
    """A status written as a number, or as the text of one."""
    if isinstance(held, str) and held.isascii() and held.isdigit() and len(held) == 3:
        return int(held)
    return held if isinstance(held, int) and not isinstance(held, bool) else None


def _short(held: Any) -> str:
    return held if isinstance(held, str) else plain(held)


def plain(held: Any) -> str:
    """JSON of a value, a short word for one that is too deep to be written."""
    try:
        return json.dumps(held)
    except RecursionError:
        return "deeply nested JSON"


def unpacked(raw: bytes, encoding: str, most: int) -> bytes:
    """The bytes without their encoding. Raises ValueError with what is wrong with them: that they
    are broken, cut off, more than `most`, or packed in a way that was not asked for."""
    names = [each.strip().lower() for each in encoding.split(",")]
    names = [each for each in names if each not in ("", "identity")]
    if not names or not raw:
        return raw
    if len(names) > 1 or names[0] not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"in `{', '.join(names)[:40]}`, which was not asked for")
    # What is called deflate comes with a header of zlib, or without one.
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
