"""Rows of a batch that a table silently skips: the server reports no error. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from transformer.targets import Rejection, TargetBatch

NOT_DELETED = "Postgres reported no error, but the row was not deleted: is there a trigger or rule?"
NOT_WRITTEN = "Postgres reported no error, but the row was not written: is there a trigger or rule?"
SAME_KEY = "Postgres treats its key as equal to that of another row of the batch"


@dataclass
class SkippedRows:
    """Skipped rows by number (from 1); `twice` are rows whose key Postgres finds in another row."""

    rows: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)
    twice: set[int] = field(default_factory=set)

    def adds(self, numbers: Collection[int]) -> bool:
        """Adds rows; returns whether there were any."""
        self.rows.update(numbers)
        return bool(numbers)

    def adds_removed(self, numbers: Collection[int]) -> bool:
        """Adds removed rows; returns whether there were any."""
        self.removed.update(numbers)
        return bool(numbers)

    def rejections(self, batch: TargetBatch) -> Iterator[Rejection]:
        """Each row with the reason why it is not in the table, or still is."""
        edge = batch.removed.num_rows - 1
        for number in sorted(self.removed):
            yield Rejection(number - 1, NOT_DELETED)
        for number in sorted(self.rows):
            yield Rejection(edge + number, NOT_WRITTEN)
        for number in sorted(self.twice):
            yield Rejection(edge + number, SAME_KEY)
