"""The warehouse file: a private copy, and its atomic replacement.

The folder `.transform/warehouse.duckdb/` beside `warehouse.duckdb` holds the builder's lock, the
private copy, and the identity of the file it was copied from. It may be deleted while no build
runs."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import asdict

from transformer.errors import Fault, TransformError, WarehouseError
from transformer.permissions import like, narrow, write
from transformer.warehouse.sparse_copy import clone, is_hollow, logs


class Opener(Protocol):
    """The function of an engine's module that opens files."""

    def connect(
        self, path: Path, settings: Mapping[str, Any] | None = None, *, read_only: bool = False
    ) -> Any:
        """The warehouse file, open."""


class FileIdentity(Struct, frozen=True):
    """Identifies a state of a file without reading it."""

    inode: int
    size: int
    modified: int

    @staticmethod
    def of(path: Path) -> FileIdentity | None:
        """The file's identity, None if it does not exist."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        return FileIdentity(stat.st_ino, stat.st_size, stat.st_mtime_ns)


class WarehouseFiles(Struct, frozen=True):
    """The paths of one warehouse."""

    live: Path

    @property
    def room(self) -> Path:
        """The builder's folder."""
        return self.live.parent / ".transform" / self.live.name

    @property
    def private(self) -> Path:
        """The private copy. It has the live file's base name, which BI tools show as the
        catalog."""
        return self.room / self.live.name

    @property
    def base(self) -> Path:
        """Records the state of the live file that the private copy was made from."""
        return self.room / "base.json"

    @property
    def synced(self) -> Path:
        """The sync ledger: what targets have received."""
        return self.live.with_name(f"{self.live.stem}.sync.duckdb")


def wal(path: Path) -> Path:
    """The write-ahead log beside a file."""
    return path.with_name(path.name + ".wal")


def copying(path: Path) -> Path:
    """The path of an unfinished copy of a file."""
    return path.with_name(path.name + ".copying")


def recover(live: Path, opener: Opener) -> None:
    """Replays the write-ahead log that a killed writer left. Raises WarehouseError for a log that
    does not belong to the file."""
    if logs(live) and live.exists():
        opener.connect(live).close()
    for log in logs(live):
        raise WarehouseError(
            f"`{log.name}` holds what someone wrote to `{live.name}`, and is not part of that file",
            hint="bring back the file that it belongs to, or move it away; nothing was changed",
        )


def base_is_current(warehouse: WarehouseFiles) -> bool:
    """Whether the private copy of an unfinished build was made from the live file as it is now, and
    nobody has written to that since."""
    if not warehouse.private.exists() or not warehouse.base.exists() or logs(warehouse.live):
        return False
    try:
        base = json.loads(warehouse.base.read_text())
    except ValueError:
        return False
    live = FileIdentity.of(warehouse.live)
    return bool(base == {"live": asdict(live) if live else None})


def copy(warehouse: WarehouseFiles, opener: Opener) -> bool:
    """Makes the private copy, or keeps that of an unfinished build; True if it resumes one.

    The live file is locked for reading meanwhile, so that nobody writes to it.
    """
    if base_is_current(warehouse):
        return True
    discard(warehouse)
    live = FileIdentity.of(warehouse.live)
    if live is not None:
        with _held(warehouse.live, opener):
            if logs(warehouse.live):
                raise changed_meanwhile(warehouse.live)
            try:
                _put_copy(warehouse.live, warehouse.private)
            except OSError as error:
                raise WarehouseError(
                    f"`{warehouse.live.name}` cannot be copied: {error.strerror}",
                    hint="a build works on a copy beside the file: it needs that much room",
                ) from None
    base = json.dumps({"live": asdict(live) if live else None})
    write(warehouse.base, base.encode(), warehouse.live)
    return False


def _put_copy(source: Path, target: Path) -> None:
    """Replaces a file by a copy, atomically. Raises OSError."""
    partial = copying(target)
    try:
        clone(source, partial)
        like(partial, source, 0o600)  # it is written to, also where the other is not
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def copy_file(source: Path, target: Path) -> None:
    """Copies a file atomically and durably."""
    partial = copying(target)
    clone(source, partial)
    like(partial, source, 0o600)
    replace_file(partial, target)


def discard(warehouse: WarehouseFiles) -> None:
    """Removes the private copy; the live file is not touched."""
    private = warehouse.private
    for path in (warehouse.base, private, *logs(private), copying(private)):
        path.unlink(missing_ok=True)
    shutil.rmtree(warehouse.room / "tmp", ignore_errors=True)


def clear(warehouse: WarehouseFiles) -> None:
    """Removes everything that builds left, except the lock and the record of our extracts."""
    discard(warehouse)
    for path in warehouse.room.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in ("lock", _OURS):
            path.unlink()


class Extract(Struct, frozen=True):
    """A file of some models, published instead of the whole warehouse: where it is built, where it
    is published, and the folder that records which published file is ours."""

    built: Path
    shown: Path
    room: Path

    def is_ours(self) -> bool:
        """Whether the published file was written by builds only."""
        if not self.shown.exists():
            return True
        return not logs(self.shown) and _head(self.shown) in self.known()

    def known(self) -> list[str]:
        """The digests of our files."""
        try:
            heads = json.loads((self.room / _OURS).read_text())
        except (OSError, ValueError):
            return []
        return [str(each) for each in heads]

    @property
    def is_noted(self) -> bool:
        """Whether our files are recorded."""
        return (self.room / _OURS).exists()

    def note(self, *paths: Path) -> None:
        """Records that these files are ours."""
        heads = json.dumps([_head(path) for path in paths if path.exists()])
        write(self.room / _OURS, heads.encode(), self.shown)
        _fsync(self.room)


# Beside the lock: the digests of our extracts.
_OURS = "shown.json"


def _head(path: Path) -> str:
    """A digest of the three headers, which every writer of a DuckDB file changes."""
    with path.open("rb") as file:
        return hashlib.blake2b(file.read(3 * 4096), digest_size=16).hexdigest()


def publish(
    warehouse: WarehouseFiles, opener: Opener, extract: Extract | None = None
) -> FileIdentity | None:
    """Replaces the live file by the closed private copy, atomically, together with its `extract`.
    Returns the identity of the published file.

    Raises WarehouseError if someone else has written to the live file, whose rows would be lost; it
    is then left unchanged.
    """
    private = warehouse.private
    if logs(private):
        raise WarehouseError("the private copy was not closed cleanly; run the build again")
    _thin(private)
    _read_through(private, opener)
    if extract:
        _read_through(extract.built, opener)
    _fsync(private)
    with _published(warehouse.live, opener), _showing(extract, opener):
        if not base_is_current(warehouse):
            discard(warehouse)
            raise changed_meanwhile(warehouse.live)
        like(private, warehouse.live)
        if extract:  # the whole is nothing for whom the extract is not for
            narrow(private, extract.shown)
        ours = FileIdentity.of(private)
        private.replace(warehouse.live)
        if extract:
            extract.built.replace(extract.shown)
    _fsync(warehouse.live.parent)
    discard(warehouse)
    return ours


def _read_through(path: Path, opener: Opener) -> None:
    """Opens what is about to be published as its readers will, and counts every table. The engine
    that wrote it would answer from memory. Raises WarehouseError, and removes the unreadable
    file."""
    try:
        with contextlib.closing(opener.connect(path, read_only=True)) as engine:
            engine.read_through()
    except (TransformError, Fault) as error:
        path.unlink(missing_ok=True)
        message = error.what if isinstance(error, TransformError) else error.message
        raise WarehouseError(
            f"not published: what was built cannot be read: {message.splitlines()[0]}",
            hint="the published file is as it was; run the build again",
        ) from None


def show(extract: Extract, opener: Opener) -> None:
    """Publishes an extract. Raises WarehouseError as `publish` does."""
    _read_through(extract.built, opener)
    with _showing(extract, opener):
        extract.built.replace(extract.shown)
    _fsync(extract.shown.parent)


@contextlib.contextmanager
def _showing(extract: Extract | None, opener: Opener) -> Iterator[None]:
    """Locks the published file, if there is one, until the extract has replaced it."""
    if extract is None:
        yield
        return
    _fsync(extract.built)
    with _published(extract.shown, opener):
        if not extract.is_ours():
            raise changed_meanwhile(extract.shown)
        like(extract.built, extract.shown)
        extract.note(extract.built, extract.shown)
        yield


def changed_meanwhile(live: Path) -> WarehouseError:
    """The error for a file that someone else wrote to during the build."""
    return WarehouseError(
        f"`{live.name}` was changed by someone else during the build",
        hint="run the build again: it starts from the file as it is now",
    )


def _thin(path: Path) -> None:
    """Releases the space of empty blocks before the file is flushed to disk."""
    if is_hollow(path):
        with contextlib.suppress(OSError):  # it is as good as it was
            _put_copy(path, path)


@contextlib.contextmanager
def _published(live: Path, opener: Opener) -> Iterator[None]:
    """Locks the live file, if there is one, until it is replaced."""
    with contextlib.ExitStack() as stack:
        if live.exists():
            try:
                stack.enter_context(_held(live, opener))
            except TransformError as error:
                what = f"not published: {error.what}"
                raise WarehouseError(what, error.where, error.hint) from None
        yield


@contextlib.contextmanager
def _held(live: Path, opener: Opener) -> Iterator[None]:
    """Locks the live file for reading, which keeps other processes from writing to it. This is
    DuckDB's own lock, taken without opening the database; DuckDB names the process that holds a
    conflicting one."""
    with live.open("rb") as file:
        try:
            _lock_to_read(file.fileno())
        except OSError:
            opener.connect(live, read_only=True).close()
        yield


def _lock_to_read(handle: int) -> None:
    """Raises OSError if someone has it open for writing. A lock of the process would be released
    when the process closes the file anywhere: this one belongs to the open file, where
    supported."""
    own = getattr(fcntl, "F_OFD_SETLK", None)
    if own is None:
        fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return
    fcntl.fcntl(handle, own, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(finished: Path, live: Path) -> None:
    """Replaces a file atomically and durably."""
    _fsync(finished)
    finished.replace(live)
    _fsync(live.parent)
