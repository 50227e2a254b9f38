"""Counts the records of a text file from its bytes, without the engine's reader.

One pass over all bytes, before anything is read, also finds the longest line and whether all lines
end alike: the engine silently drops a line longer than its buffer.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from msgspec import Struct

from transformer.errors import LoadError, Where

# A line longer than this is refused; the engine's default of 2 MB is too small for nested JSON.
LONGEST_LINE = 16 * 1024 * 1024
_BLOCK = 1 << 22
# Lines up to this length need not be measured exactly.
_SHORT = 1 << 16
_BLANK = re.compile(rb"(?:(?<=\n)|\A) *(?=\n)")
# A cheap first test: how every blank line but a block's first begins.
_PERHAPS_BLANK = re.compile(rb"\n[\n ]")


class LineCount(Struct):
    """Line statistics of a file: bytes, records, possibly blank lines, the longest line (bytes)
    and its number (`where`), whether all lines end alike, and whether there are quotes, so that a
    record may span lines."""

    size: int = 0
    records: int = 0
    blank: int = 0
    longest: int = 0
    where: int = 0
    alike: bool = True
    quoted: bool = False


class ExpectedRows(Struct, frozen=True):
    """How many rows a reading must return. `again` counts them with another reader if there are
    quotes, since the bytes alone do not tell which line ends are inside values; it returns 0 if
    the number is unknown."""

    least: int
    most: int
    again: Callable[[], int] | None = None

    def misses(self, read: int) -> int:
        """How many rows are missing or surplus."""
        if self.least <= read <= self.most:
            return 0
        if self.again and read >= self.again():
            return 0
        return max(self.least - read, read - self.most)


def total_rows(counts: Sequence[ExpectedRows | None]) -> ExpectedRows | None:
    """The total of several files; None if one of them cannot be counted."""
    countable = [part for part in counts if part]
    if len(countable) < len(counts):
        return None

    def again() -> int:
        return sum(part.again() if part.again else part.least for part in countable)

    any_again = any(part.again for part in countable)
    least, most = (
        sum(numbers) for numbers in zip(*((c.least, c.most) for c in countable), strict=True)
    )
    return ExpectedRows(least, most, again if any_again else None)


def refuse_lost(name: str, expected: ExpectedRows, read: int, where: Where | None = None) -> None:
    """Raises LoadError if the number of rows read is not the number in the file."""
    if lost := expected.misses(read):
        raise LoadError(
            f"{read:,} rows of `{name}` were read, which is {lost:,} too few or too many",
            where,
            hint="nothing was loaded and the table is unchanged; look for a very long line"
            " or an unclosed quote",
        )


class _Counting(Struct):
    """The state between two blocks."""

    counts: LineCount
    returns: int = 0
    feeds: int = 0
    both: int = 0
    last: bytes = b"\n"
    length: int = 0
    inside: int = 0
    passed: int = 0
    tail: bool = False

    def take(self, block: bytes, quote: bytes) -> None:
        self.counts.size += len(block)
        if b"\r" in block:
            block, ends = self._with_feeds(block)
        else:
            ends = block.count(b"\n")
            self.feeds += ends
        self._measure(block, ends)
        self._blank(block)
        if quote and quote in block:
            self.counts.quoted = True
            self.counts.records += self._outside(block, quote)
        elif not self.inside:
            self.counts.records += ends
        self.last = block[-1:]

        tail = block[block.rfind(b"\n") + 1 :]
        self.tail = self.length == len(tail) > 0 and not tail.strip(b" ")

    def finished(self) -> LineCount:
        counts = self.counts
        counts.records += bool(counts.size and (self.last != b"\n" or self.inside))
        counts.blank += self.tail
        counts.alike = not self.returns or not self.feeds or self.returns == self.feeds == self.both
        return counts

    def _with_feeds(self, block: bytes) -> tuple[bytes, int]:
        both, returns, feeds = block.count(b"\r\n"), block.count(b"\r"), block.count(b"\n")
        self.both += both
        self.returns += returns
        self.feeds += feeds
        if feeds:
            return block.replace(b"\r\n", b"\n"), feeds
        return block.replace(b"\r", b"\n"), returns

    def _outside(self, block: bytes, quote: bytes) -> int:
        """The number of line ends outside quotes. Two quotes with only text between them cancel."""
        structure = block.translate(None, bytes(b for b in range(256) if b not in (quote[0], 10)))
        parts = structure.replace(quote * 2, b"").split(quote)
        outside = b"".join(parts[self.inside :: 2]).count(b"\n")
        self.inside = (self.inside + len(parts) - 1) % 2
        return outside

    def _measure(self, block: bytes, ends: int) -> None:
        place, end = block.find(b"\n"), block.rfind(b"\n")
        if place < 0:
            self._line(self.length + len(block), 0)
            self.length += len(block)
            return
        self._line(self.length + place, 0)
        while end - place > max(self.counts.longest, _SHORT):
            most = place + 1 + max(self.counts.longest, _SHORT)
            near = block.rfind(b"\n", place + 1, most)
            if near < 0:
                near = block.find(b"\n", place + 1)
                self._line(near - place - 1, block.count(b"\n", 0, near))
            place = near
        self.length = len(block) - end - 1
        self._line(self.length, ends)
        self.passed += ends

    def _line(self, length: int, before: int) -> None:
        if length > self.counts.longest:
            self.counts.longest = length
            self.counts.where = self.passed + before + 1

    def _blank(self, block: bytes) -> None:
        first = self.last == b"\n" and block[:1] in (b"\n", b" ")
        if first or _PERHAPS_BLANK.search(block):
            text = block if self.last == b"\n" else b"x" + block
            self.counts.blank += sum(1 for _ in _BLANK.finditer(text))


def count_lines(stream: IO[bytes], quote: str = "", skip: int = 0) -> LineCount:
    """Line statistics of a file after its first `skip` lines."""
    state = _Counting(LineCount())
    mark = quote.encode()
    for _ in range(skip):
        stream.readline()
    while block := stream.read(_BLOCK):
        block += stream.readline(_SHORT)  # so that most blocks end with a line
        state.take(block, mark if len(mark) == 1 else b"")
    return state.finished()


def expected_rows(counts: LineCount, above: int, columns: int) -> ExpectedRows:
    """The rows that a reading must return; `above` is the number of header records. Blank lines
    are rows only if there is one column."""
    most = max(counts.records - above, 0)
    return ExpectedRows(most if columns == 1 else max(most - counts.blank, 0), most)


def rows_again(path: Path, skip: int, above: int, marks: tuple[str, str, str]) -> int:
    """The number of rows according to Python's csv reader; 0 if it does not support these `marks`
    (delimiter, quote, escape). A value longer than any line may be means an unclosed quote: then no
    number of rows is right."""
    delimiter, quote, escape = marks
    if len(delimiter) != 1 or len(quote) != 1 or len(escape) > 1:
        return 0
    try:
        with _records(path, skip, marks) as rows:
            return max(sum(map(bool, rows)) - above, 0)
    except csv.Error:
        return sys.maxsize


def blank_rows(path: Path, skip: int, marks: tuple[str, str, str], comment: str) -> list[int]:
    """The numbers (from 1, after `skip` lines) of records that are blank or comments: the engine
    counts them when it reports a rejected line, but not when it numbers rows."""
    try:
        with _records(path, skip, marks) as rows:
            return [
                number
                for number, row in enumerate(rows, 1)
                if not row or (comment and row[0].startswith(comment))
            ]
    except csv.Error:
        return []


@contextmanager
def _records(path: Path, skip: int, marks: tuple[str, str, str]) -> Iterator[Iterator[list[str]]]:
    """The file's records after `skip` lines, read by Python's csv reader."""
    delimiter, quote, escape = marks
    doubled = escape == quote
    before = csv.field_size_limit(LONGEST_LINE)
    try:
        with path.open(encoding="latin-1", newline="") as stream:
            for _ in range(skip):
                stream.readline()
            yield csv.reader(
                stream,
                delimiter=delimiter[-1:],
                quotechar=quote or None,
                quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
                doublequote=doubled,
                escapechar=None if doubled else escape or None,
            )
    finally:
        csv.field_size_limit(before)
