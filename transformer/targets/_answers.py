"""Rejected rows, read from HTTP answers. Pure: no client here."""

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
    """Whether the failure may be temporary, so that a retry makes sense."""
    return status in (408, 425, 429) or (status >= 500 and status not in (501, 505))


def wait_of(answer: HttpAnswer, now: datetime) -> float | None:
    """Seconds to wait by `Retry-After` (a number or a date); None without a valid one."""
    retry_after = answer.headers.get("retry-after", "").strip()
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
        return max((_aware(until) - _aware(now)).total_seconds(), 0.0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def named_rows(answer: HttpAnswer, rows: int, removed: int) -> Sequence[Rejection]:
    """The rows that a 2xx answer rejects, each once; the formats are described in `http`."""
    by_row: dict[int, Rejection] = {}
    for rejection in _named(answer, (rows, removed)):
        by_row.setdefault(rejection.row, rejection)
    return list(by_row.values())


def _named(answer: HttpAnswer, sizes: tuple[int, int]) -> Iterator[Rejection]:
    value, partly = answer.value(), answer.status == 207
    document = {"results": value} if isinstance(value, list) else value
    if not isinstance(document, dict):
        document = {}
    rejected, results = document.get("rejected"), document.get("results")
    if isinstance(rejected, list):
        yield from _rejected(rejected, answer, sizes)
    if isinstance(results, list) and (partly or len(results) == sum(sizes)):
        yield from _results(results, answer, sizes)
    elif partly and not isinstance(rejected, list):
        raise ActivateError(UNCLEAR.format(status=207))


def _rejected(
    entries: list[Any], answer: HttpAnswer, sizes: tuple[int, int]
) -> Iterator[Rejection]:
    for entry in entries:
        row = _row_of(entry, sizes) if isinstance(entry, dict) else None
        if row is None:
            raise ActivateError("the target rejects rows that it was not sent")
        again = is_passing(number_of(entry.get("status")) or 0)
        yield Rejection(row, _reason(entry, answer), answer.hidden(plain(entry)), again)


def _row_of(entry: Mapping[str, Any], sizes: tuple[int, int]) -> int | None:
    rows, removed = sizes
    index, gone = _place(entry.get("index"), rows), _place(entry.get("removed"), removed)
    return gone if index is None else removed + index


def _place(index: Any, most: int) -> int | None:
    in_range = isinstance(index, int) and not isinstance(index, bool) and 0 <= index < most
    return index if in_range else None


def _results(entries: list[Any], answer: HttpAnswer, sizes: tuple[int, int]) -> Iterator[Rejection]:
    rows, removed = sizes
    if len(entries) not in (rows, rows + removed):
        raise ActivateError(f"the target answered {len(entries)} results for {rows + removed} rows")
    for index, entry in enumerate(entries):
        row = removed + index if index < rows else index - rows
        status = number_of(entry.get("status")) if isinstance(entry, dict) else None
        if status is None:
            _is_clear(entry, answer)
        if row < removed and status in (404, 410):
            continue
        refused = says_no(entry) or (status is not None and not 200 <= status < 300)
        if refused:
            answer_text = answer.hidden(plain(entry))
            yield Rejection(row, _reason(entry, answer), answer_text, is_passing(status or 0))


def _is_clear(entry: Any, answer: HttpAnswer) -> None:
    """Raises ActivateError if a result of a 207 tells neither success nor failure of its row."""
    fields = entry if isinstance(entry, dict) else {}
    succeeded = any(fields.get(name) is True for name in ("success", "succeeded", "ok"))
    if answer.status == 207 and not succeeded and not says_no(fields):
        raise ActivateError(UNCLEAR.format(status=207))


def _reason(entry: Any, answer: HttpAnswer) -> str:
    fields = entry if isinstance(entry, dict) else {}
    for name in ("reason", "error", "message"):
        if fields.get(name):
            detail = fields[name]
            return answer.hidden(detail if isinstance(detail, str) else plain(detail))
    return f"HTTP {fields['status']}" if number_of(fields.get("status")) else "rejected"


def _aware(timestamp: datetime) -> datetime:
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
