"""What an HTTP answer says about the rows of a batch. Pure: no client here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from transformer.errors import ActivateError
from transformer.targets import Rejection
from transformer.targets._accept import HttpAnswer, number_of, plain, says_no

UNCLEAR = "the target answered {status} and does not say which rows it took"


def is_passing(status: int) -> bool:
    """Whether the same request may fare better later."""
    return status in (408, 425, 429) or (status >= 500 and status not in (501, 505))


def wait_of(answer: HttpAnswer, now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as a date; None when it does not."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
        return max((_aware(until) - _aware(now)).total_seconds(), 0.0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def named_rows(answer: HttpAnswer, rows: int, removed: int) -> Sequence[Rejection]:
    """The rows that a 2xx answer does not take, each once; see the notes in `http`."""
    found: dict[int, Rejection] = {}
    for each in _named(answer, (rows, removed)):
        found.setdefault(each.row, each)
    return list(found.values())


def _named(answer: HttpAnswer, sizes: tuple[int, int]) -> Iterator[Rejection]:
    value, partly = answer.value(), answer.status == 207
    said = {"results": value} if isinstance(value, list) else value
    if not isinstance(said, dict):
        said = {}
    rejected, results = said.get("rejected"), said.get("results")
    if isinstance(rejected, list):
        yield from _rejected(rejected, answer, sizes)
    if isinstance(results, list) and (partly or len(results) == sum(sizes)):
        yield from _results(results, answer, sizes)
    elif partly and not isinstance(rejected, list):
        raise ActivateError(UNCLEAR.format(status=207))


def _rejected(
    entries: list[Any], answer: HttpAnswer, sizes: tuple[int, int]
) -> Iterator[Rejection]:
    for each in entries:
        row = _row_of(each, sizes) if isinstance(each, dict) else None
        if row is None:
            raise ActivateError("the target rejects rows that it was not sent")
        again = is_passing(number_of(each.get("status")) or 0)
        yield Rejection(row, _reason(each, answer), answer.hidden(plain(each)), again)


def _row_of(entry: Mapping[str, Any], sizes: tuple[int, int]) -> int | None:
    rows, removed = sizes
    index, gone = _place(entry.get("index"), rows), _place(entry.get("removed"), removed)
    return gone if index is None else removed + index


def _place(held: Any, most: int) -> int | None:
    right = isinstance(held, int) and not isinstance(held, bool) and 0 <= held < most
    return held if right else None


def _results(entries: list[Any], answer: HttpAnswer, sizes: tuple[int, int]) -> Iterator[Rejection]:
    rows, removed = sizes
    if len(entries) not in (rows, rows + removed):
        raise ActivateError(f"the target answered {len(entries)} results for {rows + removed} rows")
    for place, each in enumerate(entries):
        row = removed + place if place < rows else place - rows
        status = number_of(each.get("status")) if isinstance(each, dict) else None
        if status is None:
            _is_clear(each, answer)
        if row < removed and status in (404, 410):
            continue
        refused = says_no(each) or (status is not None and not 200 <= status < 300)
        if refused:
            said = answer.hidden(plain(each))
            yield Rejection(row, _reason(each, answer), said, is_passing(status or 0))


def _is_clear(entry: Any, answer: HttpAnswer) -> None:
    """Raises ActivateError where a result of a 207 says neither that the row landed nor that it
    did not."""
    words = entry if isinstance(entry, dict) else {}
    good = any(words.get(each) is True for each in ("success", "succeeded", "ok"))
    if answer.status == 207 and not good and not says_no(words):
        raise ActivateError(UNCLEAR.format(status=207))


def _reason(entry: Any, answer: HttpAnswer) -> str:
    words = entry if isinstance(entry, dict) else {}
    for name in ("reason", "error", "message"):
        if words.get(name):
            said = words[name]
            return answer.hidden(said if isinstance(said, str) else plain(said))
    return f"HTTP {words['status']}" if number_of(words.get("status")) else "rejected"


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
