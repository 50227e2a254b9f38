"""Rows of a batch that a table does not take though its server reports no error. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from transformer.targets import Rejection, TargetBatch

STILL_THERE = "Postgres deleted it without an error, and it is still there: a trigger or a rule?"
NOT_WRITTEN = "Postgres took it without an error, and did not write it: a trigger or a rule?"
SAME_KEY = "its key is the same there as the key of another row of the batch"


@dataclass
class SkippedRows:
    """Those rows, by their numbers from 1; and those whose key is that of another row there."""

    rows: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)
    twice: set[int] = field(default_factory=set)

    def adds(self, numbers: Collection[int]) -> bool:
        """Notes more rows; whether there were any to note."""
        self.rows.update(numbers)
        return bool(numbers)

    def adds_removed(self, numbers: Collection[int]) -> bool:
        """The same for removed rows."""
        self.removed.update(numbers)
        return bool(numbers)

    def rejections(self, batch: TargetBatch) -> Iterator[Rejection]:
        """Why each of them is not in the table, or still is."""
        edge = batch.removed.num_rows - 1
        for number in sorted(self.removed):
            yield Rejection(number - 1, STILL_THERE)
        for number in sorted(self.rows):
            yield Rejection(edge + number, NOT_WRITTEN)
        for number in sorted(self.twice):
            yield Rejection(edge + number, SAME_KEY)
