"""The records of a file of text, counted from its bytes, without the engine's reader.

One look at all bytes, before anything is read, also tells how long the longest line is and whether
all lines end alike: a line that is longer than the engine's buffer would be left out by it without
a word.
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
# Lines up to this length need not be told apart.
_SHORT = 1 << 16
_BLANK = re.compile(rb"(?:(?<=\n)|\A) *(?=\n)")
# Cheap to look for: what each blank line but the first of a block begins with.
_PERHAPS_BLANK = re.compile(rb"\n[\n ]")


class LineCount(Struct):
    """What the bytes of a file say of its lines: how many bytes and records there are, how many
    lines may be blank, the longest line and its number, whether all lines end alike, and whether a
    record may have several lines."""

    size: int = 0
    records: int = 0
    blank: int = 0
    longest: int = 0
    where: int = 0
    alike: bool = True
    quoted: bool = False


class ExpectedRows(Struct, frozen=True):
    """How many rows a reading has to come to. `again` counts them by another reader, where quotes
    are: line ends in values cannot be told from the bytes alone when quotes stand in the middle of
    values too. It is 0 where that is unknown."""

    least: int
    most: int
    again: Callable[[], int] | None = None

    def misses(self, read: int) -> int:
        """How many rows too few or too many there are."""
        if self.least <= read <= self.most:
            return 0
        if self.again and read >= self.again():
            return 0
        return max(self.least - read, read - self.most)


def both(counts: Sequence[ExpectedRows | None]) -> ExpectedRows | None:
    """The count of several files; None where one of them cannot be counted."""
    known = [each for each in counts if each]
    if len(known) < len(counts):
        return None

    def again() -> int:
        return sum(each.again() if each.again else each.least for each in known)

    asks = any(each.again for each in known)
    least, most = (
        sum(numbers) for numbers in zip(*((c.least, c.most) for c in known), strict=True)
    )
    return ExpectedRows(least, most, again if asks else None)


def refuse_lost(name: str, count: ExpectedRows, read: int, where: Where | None = None) -> None:
    """Raises LoadError where the rows that were read are not those that are there."""
    if lost := count.misses(read):
        raise LoadError(
            f"{read:,} rows of `{name}` were read, but it holds {lost:,} more or fewer",
            where,
            hint="nothing was landed and the table is as it was; look for a line that is very long,"
            " and for a quote that is never closed",
        )


class _Counting(Struct):
    """The state between two blocks."""

    found: LineCount
    returns: int = 0
    feeds: int = 0
    both: int = 0
    last: bytes = b"\n"
    length: int = 0
    inside: int = 0
    passed: int = 0
    tail: bool = False

    def take(self, block: bytes, quote: bytes) -> None:
        self.found.size += len(block)
        if b"\r" in block:
            block, ends = self._with_feeds(block)
        else:
            ends = block.count(b"\n")
            self.feeds += ends
        self._measure(block, ends)
        self._blank(block)
        if quote and quote in block:
            self.found.quoted = True
            self.found.records += self._outside(block, quote)
        elif not self.inside:
            self.found.records += ends
        self.last = block[-1:]

        tail = block[block.rfind(b"\n") + 1 :]
        self.tail = self.length == len(tail) > 0 and not tail.strip(b" ")

    def finished(self) -> LineCount:
        found = self.found
        found.records += bool(found.size and (self.last != b"\n" or self.inside))
        found.blank += self.tail
        found.alike = not self.returns or not self.feeds or self.returns == self.feeds == self.both
        return found

    def _with_feeds(self, block: bytes) -> tuple[bytes, int]:
        both, returns, feeds = block.count(b"\r\n"), block.count(b"\r"), block.count(b"\n")
        self.both += both
        self.returns += returns
        self.feeds += feeds
        if feeds:
            return block.replace(b"\r\n", b"\n"), feeds
        return block.replace(b"\r", b"\n"), returns

    def _outside(self, block: bytes, quote: bytes) -> int:
        """Line ends outside of quotes. Two quotes with nothing but text between them cancel."""
        kept = block.translate(None, bytes(b for b in range(256) if b not in (quote[0], 10)))
        parts = kept.replace(quote * 2, b"").split(quote)
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
        while end - place > max(self.found.longest, _SHORT):
            most = place + 1 + max(self.found.longest, _SHORT)
            near = block.rfind(b"\n", place + 1, most)
            if near < 0:
                near = block.find(b"\n", place + 1)
                self._line(near - place - 1, block.count(b"\n", 0, near))
            place = near
        self.length = len(block) - end - 1
        self._line(self.length, ends)
        self.passed += ends

    def _line(self, length: int, before: int) -> None:
        if length > self.found.longest:
            self.found.longest = length
            self.found.where = self.passed + before + 1

    def _blank(self, block: bytes) -> None:
        first = self.last == b"\n" and block[:1] in (b"\n", b" ")
        if first or _PERHAPS_BLANK.search(block):
            found = sum(1 for _ in _BLANK.finditer(block if self.last == b"\n" else b"x" + block))
            self.found.blank += found


def count(stream: IO[bytes], quote: str = "", skip: int = 0) -> LineCount:
    """What is said of the lines of a file, behind the first `skip`."""
    state = _Counting(LineCount())
    mark = quote.encode()
    for _ in range(skip):
        stream.readline()
    while block := stream.read(_BLOCK):
        block += stream.readline(_SHORT)  # so that most blocks end with a line
        state.take(block, mark if len(mark) == 1 else b"")
    return state.finished()


def expected(found: LineCount, above: int, columns: int) -> ExpectedRows:
    """The rows that a reading comes to; `above` are records of the header. Blank lines are rows
    where there is one column, else they are none."""
    most = max(found.records - above, 0)
    return ExpectedRows(most if columns == 1 else max(most - found.blank, 0), most)


def rows_again(path: Path, skip: int, above: int, marks: tuple[str, str, str]) -> int:
    """The rows that Python's own reader finds between delimiters, quotes and escapes; 0 where it
    has no such marks. A value that is longer than any line may be comes of a quote that is never
    closed: no number of rows is right then."""
    delimiter, quote, escape = marks
    if len(delimiter) != 1 or len(quote) != 1 or len(escape) > 1:
        return 0
    try:
        with _records(path, skip, marks) as rows:
            return max(sum(map(bool, rows)) - above, 0)
    except csv.Error:
        return sys.maxsize


def blank_rows(path: Path, skip: int, marks: tuple[str, str, str], comment: str) -> list[int]:
    """The numbers of the records, from 1 on behind `skip` lines, that are blank or comments: the
    engine counts them when it says which line is no row, and not when it numbers rows."""
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
    """What Python's own reader makes of the file behind so many lines."""
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
