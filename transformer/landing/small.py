"""Small files are read together: with thousands of files, one reader per file would take longer
than everything else."""

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
from transformer.landing.whole import compression_of
from transformer.names import literal

# At most this many bytes are read together: their rows are numbered in memory.
_TOGETHER = 64 << 20
# The column with the path of a row's file, where one reader reads several.
FILE = "__file"


class SmallFile(Struct, frozen=True):
    """A small file that is not staged yet. Files of the same `shape` can be staged `together`;
    `alone` stages this one. `size` is in bytes; `count` is its number of rows, if known."""

    shape: object
    size: int
    file: TextLines
    count: ExpectedRows | None
    alone: Callable[[], Staged]
    together: Callable[[ReaderSession, Sequence[SmallFile]], Sequence[Staged]]


def size_of(file: SourceFile, most: int) -> int | None:
    """The size of a file that can be read with others: local, of at most `most` bytes, and not
    compressed, since the length of its lines is unknown then. None for other files."""
    if file.remote or compression_of(file.path, file.options):
        return None
    size = Path(file.path).stat().st_size
    return size if size <= most else None


def stage_all(session: ReaderSession, offered: Sequence[Staged | SmallFile]) -> list[Staged]:
    """Everything staged; consecutive small files of one shape become one `Staged`."""
    staged: list[Staged] = []
    for _, group in groupby(_numbered(offered), key=itemgetter(0)):
        staged += _staged(session, [member for _, member in group])
    return staged


def _staged(session: ReaderSession, members: Sequence[Staged | SmallFile]) -> Sequence[Staged]:
    small = [member for member in members if isinstance(member, SmallFile)]
    if len(small) > 1:
        with suppress(Fault):  # staged alone, the unreadable file is named in the error
            return small[0].together(session, small)
    return [member.alone() if isinstance(member, SmallFile) else member for member in members]


def _numbered(offered: Sequence[Staged | SmallFile]) -> Iterator[tuple[int, Staged | SmallFile]]:
    """Each member with the number of its group, which has at most `_TOGETHER` bytes."""
    group, size, shape = 0, 0, None
    for member in offered:
        small_file = member if isinstance(member, SmallFile) else None
        if small_file is None or small_file.shape != shape or size + small_file.size > _TOGETHER:
            group, size, shape = group + 1, 0, small_file.shape if small_file else None
        size += small_file.size if small_file else 0
        yield group, member


def path_list(files: Sequence[TextLines]) -> str:
    """Several files as a SQL list of paths."""
    return f"[{', '.join(path_literal(file.path) for file in files)}]"


def with_part_and_row(columns: str, rows: str, files: Sequence[TextLines]) -> str:
    """The query of these columns of several files, with each row's part and its number there.
    `rows` must come file by file and have the path in the column `FILE`."""
    listed = ", ".join(f"({literal(file.path)}, {literal(file.part)})" for file in files)
    number = f"{ROW} - min({ROW}) over (partition by {FILE}) + 1"
    return (
        f"select {columns}, f.part as {PART}, {number} as {ROW}"
        f" from (select *, row_number() over () as {ROW} from ({rows}))"
        f" join (values {listed}) f(path, part) on f.path = {FILE}"
    )
