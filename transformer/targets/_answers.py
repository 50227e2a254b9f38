"""What an HTTP answer says about the rows of a batch. Pure: no client here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from transformer.errors import ActivateError
from transformer.targets import Rejection

SHOWN_LENGTH = 200


@dataclass(frozen=True)
class Answer:
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


def is_passing(status: int) -> bool:
    """Whether the same request may fare better later."""
    return status in (408, 425, 429) or (status >= 500 and status not in (501, 505))


def wait_of(answer: Answer, now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as a date; None when it does not."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isdigit():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
    except ValueError:
        return None
    return max((_aware(until) - _aware(now)).total_seconds(), 0.0)


def named_rows(answer: Answer, rows: int, removed: int) -> Sequence[Rejection]:
    """The rows that a 2xx answer does not take; see the notes in `http`."""
    said = _parsed(answer)
    if isinstance(said.get("rejected"), list):
        return list(_rejected(said["rejected"], answer, (rows, removed)))
    if isinstance(said.get("results"), list) and answer.status == 207:
        return list(_results(said["results"], answer, (rows, removed)))
    if isinstance(said.get("results"), list) and len(said["results"]) == rows + removed:
        return list(_results(said["results"], answer, (rows, removed)))
    if answer.status == 207:
        raise ActivateError("the target answered 207 and does not say which rows it took")
    return []


def _parsed(answer: Answer) -> Mapping[str, Any]:
    try:
        said = json.loads(answer.raw)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _rejected(entries: list[Any], answer: Answer, sizes: tuple[int, int]) -> Iterator[Rejection]:
    for each in entries:
        row = _row_of(each, sizes) if isinstance(each, dict) else None
        if row is None:
            raise ActivateError("the target rejects rows that it was not sent")
        status = each.get("status")
        again = isinstance(status, int) and is_passing(status)
        yield Rejection(row, _reason(each, answer), answer.hidden(json.dumps(each)), again)


def _row_of(entry: Mapping[str, Any], sizes: tuple[int, int]) -> int | None:
    rows, removed = sizes
    index, gone = entry.get("index"), entry.get("removed")
    if isinstance(index, int) and 0 <= index < rows:
        return removed + index
    return gone if isinstance(gone, int) and 0 <= gone < removed else None


def _results(entries: list[Any], answer: Answer, sizes: tuple[int, int]) -> Iterator[Rejection]:
    rows, removed = sizes
    if len(entries) not in (rows, rows + removed):
        raise ActivateError(f"the target answered {len(entries)} results for {rows + removed} rows")
    for place, each in enumerate(entries):
        status = each.get("status") if isinstance(each, dict) else None
        if not isinstance(status, int) or status < 400:
            continue
        row = removed + place if place < rows else place - rows
        if row < removed and status in (404, 410):
            continue
        said = answer.hidden(json.dumps(each))
        yield Rejection(row, _reason(each, answer), said, is_passing(status))


def _reason(entry: Mapping[str, Any], answer: Answer) -> str:
    for name in ("reason", "error", "message"):
        if entry.get(name):
            said = entry[name]
            return answer.hidden(said if isinstance(said, str) else json.dumps(said))
    return f"HTTP {entry['status']}" if "status" in entry else "rejected"


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
