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
# DuckDB's blocks begin behind three headers; a file system leaves out pages.
_HEAD, _BLOCK, _PAGE = 3 * 4096, 256 << 10, 4096
_ZEROS = {size: bytes(size) for size in (_PAGE << n for n in range(7))}
# So many blocks tell of all.
_FEW = 64
# So much is copied at once where the kernel cannot.
_PIECE = 16 << 20


def clone(source: Path, target: Path) -> None:
    """Makes a file that reads as the other does, for its owner alone. Raises OSError, and leaves a
    part of it then."""
    target.unlink(missing_ok=True)
    made = create(target)
    with source.open("rb", buffering=0) as reading, os.fdopen(made, "wb", buffering=0) as writing:
        try:
            fcntl.ioctl(writing, _FICLONE, reading.fileno())
        except OSError:
            _copy(reading.fileno(), writing.fileno())


def occupied(path: Path) -> int:
    """The bytes that a file takes on its disk."""
    return path.stat().st_blocks * 512


def is_hollow(path: Path) -> bool:
    """Whether most of a file seems to be zeros that take room: some of its blocks are looked at."""
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
    """The stretches of a file that hold more than zeros, as long as they are."""
    begin = end = 0
    for start, stop in _blocks(file):
        if start != end:
            yield begin, end
            begin = start
        end = _used(file, start, stop)
    yield begin, end


def _blocks(file: int) -> Iterator[tuple[int, int]]:
    """The stretches that are written, cut where DuckDB's blocks end."""
    for start, end in _written(file):
        at = start
        while at < end:
            after = at + _BLOCK - (at - _HEAD) % _BLOCK
            yield at, min(after, end)
            at = after


def _written(file: int) -> Iterator[tuple[int, int]]:
    """The stretches that take room on the disk, as Linux tells; elsewhere, and where the file takes
    all its room, all of it: macOS means another thing by the same call."""
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
    """Where the zeros begin that a block ends with, by the page."""
    last = max(start, end - _PAGE)
    if os.pread(file, end - last, last) != _ZEROS[_PAGE][: end - last]:
        return end
    block = os.pread(file, end - start, start)
    if len(block) < end - start:
        return end  # whoever copies it will find out why
    left, step = len(block), _BLOCK
    while step >= _PAGE:
        if left >= step and block[left - step : left] == _ZEROS[step]:
            left -= step
        else:
            step //= 2
    return start + left


def _move(source: int, target: int, start: int, end: int) -> None:
    """Copies a stretch to the same place, inside the kernel where it can."""
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
    """What the names of logs add to that of their file. DuckDB has more than one log while it puts
    a file in order."""
    return (".wal", ".wal.checkpoint", ".wal.recovery", ".checkpoint.wal", ".recovery.wal")


def logs(path: Path) -> list[Path]:
    """What stands beside a file of what was written to it and is not in it yet."""
    beside = [path.with_name(path.name + name) for name in log_names()]
    return [log for log in beside if log.exists()]
