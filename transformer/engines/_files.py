"""DuckDB files that have the permissions of another file from the moment they are created.

DuckDB itself creates its files with the permissions of the umask.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from transformer.errors import WarehouseError
from transformer.names import literal
from transformer.permissions import beside, create
from transformer.warehouse.sparse_copy import logs

STORAGE = "v1.4.0"


def create_database(path: Path, model: Path) -> None:
    """Creates an empty database with the permissions of `model`."""
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as temporary:
        new_file = Path(temporary) / path.name
        with duckdb.connect(":memory:") as con:
            con.execute(f"attach {literal(str(new_file))} as made (storage_version '{STORAGE}')")
            con.execute("detach made")
        beside(new_file, model)
        new_file.rename(path)


def recreate(path: Path, model: Path) -> None:
    """Like `fresh`, after removing a file that a killed build may have left, and its log, which
    would be replayed into the new one."""
    for old in (path, *logs(path)):
        old.unlink(missing_ok=True)
    create_database(path, model)


def create_log(path: Path) -> None:
    """Creates the write-ahead log of a file that was just opened, if there is none."""
    log = path.with_name(f"{path.name}.wal")
    with contextlib.suppress(FileExistsError):
        os.close(create(log))
        beside(log, path)


def remove_empty_log(path: Path) -> None:
    """Removes the empty log of a file that was just closed."""
    log = path.with_name(f"{path.name}.wal")
    if log.exists() and not log.stat().st_size:
        log.unlink()


def database_exists(path: Path, hint: str) -> bool:
    """Whether the database file exists. Raises WarehouseError if only its log does, which DuckDB
    would replay into a new file."""
    if path.exists():
        return True
    for log in logs(path):
        raise WarehouseError(
            f"`{log.name}` is the log of `{path.name}`, which does not exist", hint=hint
        )
    return False
