"""Small files are read together: to read thousands, each by a reader of its own, takes longer than
all else that is done with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from msgspec import Struct

from transformer.errors import Fault
from transformer.landing.counting import ExpectedRows
from transformer.landing.source_file import SourceFile
from transformer.landing.staged import PART, ROW, ReaderSession, Staged, TextLines, path_literal
from transformer.landing.whole import packing
from transformer.names import literal

# So many bytes of small files are read together: their rows are numbered in memory.
_TOGETHER = 64 << 20
# The column in which a reader of several files says which one a row is of.
FILE = "__file"


class SmallFile(Struct, frozen=True):
    """A small file that is not staged yet. Those of the same `shape` can be staged `together`;
    `alone` stages this one. `size` is in bytes; `count` is how many rows it has, where known."""

    shape: object
    size: int
    file: TextLines
    count: ExpectedRows | None
    alone: Callable[[], Staged]
    together: Callable[[ReaderSession, Sequence[SmallFile]], Sequence[Staged]]


def size_of(given: SourceFile, most: int) -> int | None:
    """The size of a local file that is read with others: of at most so many bytes, and not packed,
    since nobody knows how long its lines are then."""
    if given.remote or packing(given.path, given.options):
        return None
    size = Path(given.path).stat().st_size
    return size if size <= most else None


def gathered(session: ReaderSession, offered: Sequence[Staged | SmallFile]) -> list[Staged]:
    """Everything staged: small files that follow each other and are alike in one go."""
    made: list[Staged] = []
    for _, group in groupby(_numbered(offered), key=itemgetter(0)):
        made += _staged(session, [each for _, each in group])
    return made


def _staged(session: ReaderSession, members: Sequence[Staged | SmallFile]) -> Sequence[Staged]:
    small = [each for each in members if isinstance(each, SmallFile)]
    if len(small) > 1:
        with suppress(Fault):  # by itself, the file that cannot be read is named
            return small[0].together(session, small)
    return [each.alone() if isinstance(each, SmallFile) else each for each in members]


def _numbered(offered: Sequence[Staged | SmallFile]) -> Iterator[tuple[int, Staged | SmallFile]]:
    """The number of the group that each is in, of at most so many bytes."""
    group, size, shape = 0, 0, None
    for each in offered:
        mine = each if isinstance(each, SmallFile) else None
        if mine is None or mine.shape != shape or size + mine.size > _TOGETHER:
            group, size, shape = group + 1, 0, mine.shape if mine else None
        size += mine.size if mine else 0
        yield group, each


def paths(files: Sequence[TextLines]) -> str:
    """Several files as DuckDB takes them."""
    return f"[{', '.join(path_literal(file.path) for file in files)}]"


def placed(columns: str, rows: str, files: Sequence[TextLines]) -> str:
    """The query of these columns of the rows of several files, with the file that each is of and
    its number there. Rows come file by file and tell the path of theirs as `FILE`."""
    listed = ", ".join(f"({literal(file.path)}, {literal(file.part)})" for file in files)
    number = f"{ROW} - min({ROW}) over (partition by {FILE}) + 1"
    return (
        f"select {columns}, f.part as {PART}, {number} as {ROW}"
        f" from (select *, row_number() over () as {ROW} from ({rows}))"
        f" join (values {listed}) f(path, part) on f.path = {FILE}"
    )
