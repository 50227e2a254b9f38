"""Time ranges by which rows are filtered: of a microbatch, and of `--sample`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec import Struct

from transformer.errors import UsageError
from transformer.names import expression

_AGO = re.compile(r"\s*(?P<count>\d+)\s*(?P<unit>hour|day|month|year)s?\s*\Z", re.IGNORECASE)
_HINT = "write `--sample '3 days'`, or `--sample \"{start: 2024-07-01, end: 2024-07-08}\"`"


class TimeRange(Struct, frozen=True):
    """A time range from `start` (inclusive) to `end` (exclusive), both in UTC."""

    start: datetime
    end: datetime

    def condition(self, column: str) -> str:
        """The SQL condition for rows in the range."""
        name = expression(column)
        return f"{name} >= '{_stamp(self.start)}' and {name} < '{_stamp(self.end)}'"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00:00")


def moment(value: Any) -> datetime:
    """A point in time; UTC if it has no time zone. Raises ValueError."""
    if isinstance(value, datetime):
        parsed = value
    elif isinstance(value, date):
        parsed = datetime(value.year, value.month, value.day, tzinfo=UTC)
    else:
        parsed = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def sample_range(sample: Any, now: datetime) -> TimeRange | None:
    """The time range of `--sample`: the last hours, days, months or years, as `3 days`, or a
    mapping of `start` and `end`; None without a value. Raises UsageError."""
    if not sample:
        return None
    if isinstance(sample, Mapping):
        return _between(sample)
    match = _AGO.match(str(sample))
    if not match:
        raise UsageError(f"`--sample {sample}` is not a time span", hint=_HINT)
    now = now.astimezone(UTC)
    return TimeRange(_before(now, int(match["count"]), match["unit"].lower()), now)


def _between(bounds: Mapping[str, Any]) -> TimeRange:
    try:
        span = TimeRange(moment(bounds["start"]), moment(bounds["end"]))
    except (KeyError, ValueError):
        raise UsageError("`--sample` needs a `start` and an `end`", hint=_HINT) from None
    if span.start >= span.end:
        raise UsageError("the `start` of `--sample` is not before its `end`", hint=_HINT)
    return span


def _before(now: datetime, count: int, unit: str) -> datetime:
    if unit in ("hour", "day"):
        return now - timedelta(**{f"{unit}s": count})
    months = now.year * 12 + now.month - 1 - count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    for day in range(now.day, 0, -1):  # a month before 31 May is 30 April
        try:
            return now.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise UsageError("`--sample` goes back before the year 1", hint=_HINT)
