"""A file copied without its emptiness.

A small table has a block of 256 KiB to itself, which DuckDB writes whole: of a warehouse of a
thousand such tables nineteen parts in twenty are zeros. A copy leaves them out. It reads as the
same, takes less room and less time to reach the disk, and the next copy finds the gaps without
reading them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from transformer.permissions import create

# Linux's FICLONE: the copy shares its blocks with the original where the file system can.
_FICLONE = 0x40049409
# DuckDB's blocks start after three headers; file systems omit whole pages.
_HEAD, _BLOCK, _PAGE = 3 * 4096, 256 << 10, 4096
_ZEROS = {size: bytes(size) for size in (_PAGE << n for n in range(7))}
# The number of blocks in a sample.
_FEW = 64
# The bytes copied at once if the kernel cannot copy.
_PIECE = 16 << 20


def clone(source: Path, target: Path) -> None:
    """Creates a file with the same content, readable by its owner only. Raises OSError, and may
    then leave an incomplete file."""
    target.unlink(missing_ok=True)
    handle = create(target)
    with source.open("rb", buffering=0) as reading, os.fdopen(handle, "wb", buffering=0) as writing:
        try:
            fcntl.ioctl(writing, _FICLONE, reading.fileno())
        except OSError:
            _copy(reading.fileno(), writing.fileno())


def occupied(path: Path) -> int:
    """The bytes that a file occupies on disk."""
    return path.stat().st_blocks * 512


def is_hollow(path: Path) -> bool:
    """Whether most of a file seems to be allocated zeros, by a sample of its blocks."""
    size = path.stat().st_size
    count = (size - _HEAD) // _BLOCK
    if count < _FEW or occupied(path) * 2 < size:
        return False
    with path.open("rb", buffering=0) as file:
        ends = [_HEAD + (at * count // _FEW + 1) * _BLOCK for at in range(_FEW)]
        empty = [os.pread(file.fileno(), _PAGE, end - _PAGE) == _ZEROS[_PAGE] for end in ends]
    return sum(empty) * 2 > _FEW


def _copy(source: int, target: int) -> None:
    os.ftruncate(target, os.fstat(source).st_size)
    for start, end in _full(source):
        _move(source, target, start, end)


def _full(file: int) -> Iterator[tuple[int, int]]:
    """The ranges of a file that contain more than zeros."""
    begin = end = 0
    for start, stop in _blocks(file):
        if start != end:
            yield begin, end
            begin = start
        end = _used(file, start, stop)
    yield begin, end


def _blocks(file: int) -> Iterator[tuple[int, int]]:
    """The allocated ranges, split at the ends of DuckDB's blocks."""
    for start, end in _written(file):
        at = start
        while at < end:
            after = at + _BLOCK - (at - _HEAD) % _BLOCK
            yield at, min(after, end)
            at = after


def _written(file: int) -> Iterator[tuple[int, int]]:
    """The allocated ranges, on Linux; elsewhere the whole file, since the same call has another
    meaning on macOS."""
    stat = os.fstat(file)
    if sys.platform != "linux" or stat.st_blocks * 512 >= stat.st_size:
        yield 0, stat.st_size
        return
    at = 0
    while at < stat.st_size:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # which says: nothing but a gap
                yield at, stat.st_size
            return
        try:
            end = os.lseek(file, start, os.SEEK_HOLE)
        except OSError:
            end = stat.st_size
        yield start, end
        at = end


def _used(file: int, start: int, end: int) -> int:
    """Where the trailing zeros of a block start, in whole pages."""
    last = max(start, end - _PAGE)
    if os.pread(file, end - last, last) != _ZEROS[_PAGE][: end - last]:
        return end
    block = os.pread(file, end - start, start)
    if len(block) < end - start:
        return end  # the copy itself will report why
    left, step = len(block), _BLOCK
    while step >= _PAGE:
        if left >= step and block[left - step : left] == _ZEROS[step]:
            left -= step
        else:
            step //= 2
    return start + left


def _move(source: int, target: int, start: int, end: int) -> None:
    """Copies a range to the same place, inside the kernel if possible."""
    at = start
    try:
        while at < end and (done := os.copy_file_range(source, target, end - at, at, at)):
            at += done
    except (AttributeError, OSError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
    while at < end:
        piece = os.pread(source, min(_PIECE, end - at), at)
        if not piece:
            raise OSError(errno.EIO, "it became shorter meanwhile")
        at += os.pwrite(target, piece, at)


def log_names() -> tuple[str, ...]:
    """The suffixes of write-ahead logs. DuckDB has more than one during a checkpoint."""
    return (".wal", ".wal.checkpoint", ".wal.recovery", ".checkpoint.wal", ".recovery.wal")


def logs(path: Path) -> list[Path]:
    """The write-ahead logs beside a file."""
    beside = [path.with_name(path.name + name) for name in log_names()]
    return [log for log in beside if log.exists()]
