"""Private DuckDB connections, and their errors as `Fault`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from transformer.errors import Fault, WarehouseError
from transformer.names import literal, quoted

# Settings that belong to each cursor.
PER_CURSOR = "set errors_as_json = true; set TimeZone = 'UTC'"
# The name of the in-memory database that a connection starts with.
_MEMORY = "memory"
# Messages show only file names, not the machine's folders.
_FOLDERS = re.compile(r'(?<=file )"/[^"\n]*/([^"/\n]+)"')


@contextmanager
def faults() -> Iterator[None]:
    """Turns DuckDB's exceptions into Fault."""
    try:
        yield
    except duckdb.Error as error:
        raise fault(error) from None


def fault(error: Exception) -> Fault:
    """A DuckDB error as a Fault. Connections are configured to report errors as JSON."""
    text = str(error)
    start = text.find("{")
    try:
        details = json.loads(text[start:]) if start >= 0 else {}
    except ValueError:
        details = {}
    if "exception_message" not in details:
        return Fault(text)
    position = details.get("position")
    return Fault(
        _FOLDERS.sub(r'"\1"', details["exception_message"].strip()),
        int(position) if position is not None else None,
        details.get("error_subtype", details.get("exception_type", "")),
        details.get("name", ""),
        [c for c in details.get("candidates", "").split(",") if c],
    )


def search(connection_: duckdb.DuckDBPyConnection, folder: Path | None) -> None:
    """Resolves relative file names in SQL against the folder. Where that is the working directory,
    DuckDB does so anyway, and `filename` then holds the names as they are written."""
    if folder is not None and folder != Path.cwd():
        connection_.execute(f"set global file_search_path = {literal(str(folder))}")


def connection(
    settings: Mapping[str, Any] | None = None, config: Mapping[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """A private in-memory connection: errors as JSON, UTC, no automatic download of extensions.
    Raises WarehouseError for an invalid setting."""
    con = duckdb.connect(":memory:", config=dict(config or {}))
    con.execute(f"{PER_CURSOR}; set autoinstall_known_extensions = false")
    for name, value in (settings or {}).items():
        if not re.fullmatch(r"\w+", str(name)):
            raise WarehouseError(f"`{name}` is not a DuckDB setting")
        try:
            con.execute(f"set {name} = {literal(str(value))}")
        except duckdb.Error as error:
            what, _, rest = fault(error).message.partition("\n")
            suggestion = re.search(r'Did you mean: "(\w+)"', rest)
            raise WarehouseError(
                f"there is no DuckDB setting `{name}`"
                if suggestion
                else f"the setting `{name}` cannot be `{value}`: {what}",
                hint=f"did you mean `{suggestion.group(1)}`?"
                if suggestion
                else "check `settings:` of the target in transform.yml",
            ) from None
    return con


def open_catalog(
    con: duckdb.DuckDBPyConnection, path: str, catalog: str, options: str = ""
) -> None:
    """Attaches a database under the name `catalog`, and makes it the default."""
    if (base := in_memory(catalog)) != _MEMORY:
        con.execute(f"attach ':memory:' as {base}; use {base}; detach {_MEMORY}")
    con.execute(f"attach {literal(path)} as {quoted(catalog)} {options}")
    con.execute(f"use {quoted(catalog)}")


def in_memory(catalog: str) -> str:
    """The name of the connection's in-memory database, which must differ from `catalog`."""
    return _MEMORY if catalog.lower() != _MEMORY else f"__{_MEMORY}"
