"""Microbatches: the time ranges in which an incremental model is built, one after the other.

The rules are dbt's: batches start at full hours, days, months or years (UTC). The first build
starts at `begin`, later ones `lookback` batches before the current one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from transformer.compile.time_ranges import TimeRange, moment
from transformer.errors import ConfigError, Where, did_you_mean
from transformer.names import RelationName
from transformer.plan.materialize import DELTA, Statement

SIZES = ("hour", "day", "month", "year")


class TimeBatch(TimeRange, frozen=True):
    """The time range of one batch."""

    def words(self) -> dict[str, Any]:
        """The value of `model.batch`."""
        shown = f"{self.start:%Y%m%dT%H}" if self.start.hour else f"{self.start:%Y%m%d}"
        return {"id": shown, "event_time_start": self.start, "event_time_end": self.end}


class BatchRequest(Struct, frozen=True):
    """The request for a microbatch model: the current time, whether its table exists, and the time
    range from the command line."""

    now: datetime
    incremental: bool
    start: datetime | str | None = None
    end: datetime | str | None = None


def batches(
    options: Mapping[str, Any], request: BatchRequest, where: Where | None
) -> list[TimeBatch]:
    """The batches to build, oldest first. Raises ConfigError for missing or wrong options."""
    size = str(options.get("batch_size") or "").lower()
    missing = next((k for k in ("event_time", "batch_size") if not options.get(k)), None)
    missing = missing or (None if options.get("begin") or request.start else "begin")
    if missing:
        raise ConfigError(
            f"a microbatch model needs `{missing}`", where, hint="set it in `config(…)`"
        )
    if size not in SIZES:
        raise ConfigError(f"`batch_size` cannot be `{size}`", where, did_you_mean(size, SIZES))
    end = moment(request.end) if request.end else _next(_floor(request.now, size), size)
    last = _floor(end - timedelta(microseconds=1), size)
    if request.start:
        start = _floor(moment(request.start), size)
    elif request.incremental:
        start = _back(last, size, int(options.get("lookback", 1)))
    else:
        start = _floor(moment(options["begin"]), size)
    batch_list = []
    while start < end:
        following = _next(start, size)
        batch_list.append(TimeBatch(start, min(following, end)))
        start = following
    return batch_list


def _floor(at: datetime, size: str) -> datetime:
    at = at.astimezone(UTC)
    size_index = SIZES.index(size)
    return datetime(
        at.year,
        at.month if size_index < 3 else 1,
        at.day if size_index < 2 else 1,
        at.hour if size_index < 1 else 0,
        tzinfo=UTC,
    )


def _next(start: datetime, size: str) -> datetime:
    if size == "year":
        return start.replace(year=start.year + 1)
    if size == "month":
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start + (timedelta(hours=1) if size == "hour" else timedelta(days=1))


def _back(start: datetime, size: str, count: int) -> datetime:
    for _ in range(count):
        start = _floor(start - timedelta(microseconds=1), size)
    return start


def first(relation: RelationName, query: str) -> list[Statement]:
    """Creates the table from its first batch."""
    head = f"create or replace table {relation.sql()} as\n"
    return [Statement(head + query, len(head))]


def following(relation: RelationName, query: str, batch: TimeBatch, column: str) -> list[Statement]:
    """Replaces the table's rows in the batch's time range."""
    head = f"create or replace temp table {DELTA} as\n"
    target = relation.sql()
    return [
        Statement(head + query, len(head)),
        Statement(f"delete from {target} where {batch.condition(column)}"),
        Statement(f"insert into {target} by name select * from {DELTA}"),
    ]
