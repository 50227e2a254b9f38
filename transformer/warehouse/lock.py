"""One builder at a time: the lock in the folder beside the warehouse."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from transformer.errors import WarehouseError, reason_of
from transformer.permissions import beside, create, folder
from transformer.warehouse.file import WarehouseFiles


@contextlib.contextmanager
def building(
    warehouse: WarehouseFiles, command: str, now: datetime, wait: float = 0.0
) -> Iterator[None]:
    """Locks the warehouse for one builder. The lock is released when its process ends.

    Raises WarehouseError, which says who builds and since when, after `wait` seconds.
    """
    try:
        folder(warehouse.room, warehouse.live)
        lock = _lock(warehouse)
    except OSError as error:
        raise WarehouseError(
            f"`{warehouse.live.name}` cannot be built: {reason_of(error)}",
            hint="a build works in the folder `.transform` beside the file: it must be writable",
        ) from None
    with lock as file:
        _take(file, warehouse, time.monotonic() + wait)
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "command": command, "since": now.isoformat()}, file)
        file.flush()
        yield


def _lock(warehouse: WarehouseFiles) -> Any:
    path = warehouse.room / "lock"
    with contextlib.suppress(FileExistsError):
        os.close(create(path))
        beside(path, warehouse.live)
    return path.open("a+")


def _take(file: Any, warehouse: WarehouseFiles, until: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise _busy(file, warehouse) from None
            time.sleep(0.05)
        else:
            return


def _busy(file: Any, warehouse: WarehouseFiles) -> WarehouseError:
    file.seek(0)
    try:
        holder = json.loads(file.read() or "{}")
    except ValueError:
        holder = {}
    since = str(holder.get("since", ""))[:19].replace("T", " ")
    who = f"`{holder.get('command', 'transform')}` (process {holder.get('pid', '?')}"
    return WarehouseError(
        f"`{warehouse.live.name}` is being built by {who}, since {since} UTC)",
        hint="wait for it to end, or give `--wait SECONDS`; nothing was changed",
    )


def refuse_removed(warehouse: WarehouseFiles) -> None:
    """Raises WarehouseError if the build's folder was removed: another builder may hold a new
    lock."""
    try:
        holder = json.loads((warehouse.room / "lock").read_text() or "{}")
    except (OSError, ValueError):
        holder = {}
    if not warehouse.private.exists() or holder.get("pid", os.getpid()) != os.getpid():
        raise WarehouseError(
            "not published: the folder `.transform` was removed during the build",
            hint="run the build again; the published file is as it was",
        )
