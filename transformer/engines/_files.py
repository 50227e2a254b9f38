"""Files of DuckDB that are made, from the first instant on, for those alone who may read another.

DuckDB makes its files for everybody whom the umask does not exclude.
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


def fresh(path: Path, model: Path) -> None:
    """Makes an empty database for those who may read the model."""
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as room:
        made = Path(room) / path.name
        with duckdb.connect(":memory:") as con:
            con.execute(f"attach {literal(str(made))} as made (storage_version '{STORAGE}')")
            con.execute("detach made")
        beside(made, model)
        made.rename(path)


def recreate(path: Path, model: Path) -> None:
    """The same in the place of a file that a killed build may have left. Its log would be read into
    the new one."""
    for old in (path, *logs(path)):
        old.unlink(missing_ok=True)
    fresh(path, model)


def with_log(path: Path) -> None:
    """Makes the write-ahead log of a file that was just opened, where there is none."""
    log = path.with_name(f"{path.name}.wal")
    with contextlib.suppress(FileExistsError):
        os.close(create(log))
        beside(log, path)


def without_log(path: Path) -> None:
    """Removes the log of a file that was just closed, where nothing was written to it."""
    log = path.with_name(f"{path.name}.wal")
    if log.exists() and not log.stat().st_size:
        log.unlink()


def stands(path: Path, hint: str) -> bool:
    """Whether there is a database file. Raises WarehouseError where only its log is there: DuckDB
    would read it into a new file."""
    if path.exists():
        return True
    for log in logs(path):
        raise WarehouseError(
            f"`{log.name}` holds what was written to `{path.name}`, which is not there", hint=hint
        )
    return False
