"""A private connection to DuckDB, and what it complains of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb

from transformer.errors import Fault, WarehouseError
from transformer.names import literal, quoted

# Settings that every cursor has for itself.
PER_CURSOR = "set errors_as_json = true; set TimeZone = 'UTC'"
# What DuckDB calls the database in memory that a connection begins with.
_MEMORY = "memory"
# The folders of the machine say nothing that the name of the file does not.
_FOLDERS = re.compile(r'(?<=file )"/[^"\n]*/([^"/\n]+)"')


@contextmanager
def faults() -> Iterator[None]:
    """Turns DuckDB's exceptions into Fault."""
    try:
        yield
    except duckdb.Error as error:
        raise fault(error) from None


def fault(error: Exception) -> Fault:
    """What DuckDB says, taken apart. Connections are set to say it in JSON."""
    text = str(error)
    start = text.find("{")
    try:
        said = json.loads(text[start:]) if start >= 0 else {}
    except ValueError:
        said = {}
    if "exception_message" not in said:
        return Fault(text)
    position = said.get("position")
    return Fault(
        _FOLDERS.sub(r'"\1"', said["exception_message"].strip()),
        int(position) if position is not None else None,
        said.get("error_subtype", said.get("exception_type", "")),
        said.get("name", ""),
        [c for c in said.get("candidates", "").split(",") if c],
    )


def connection(
    settings: Mapping[str, Any] | None = None, config: Mapping[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """A private in-memory connection: errors in JSON, UTC, no download of extensions."""
    made = duckdb.connect(":memory:", config=dict(config or {}))
    made.execute(f"{PER_CURSOR}; set autoinstall_known_extensions = false")
    for name, value in (settings or {}).items():
        if not re.fullmatch(r"\w+", str(name)):
            raise WarehouseError(f"`{name}` is no DuckDB setting")
        try:
            made.execute(f"set {name} = {literal(str(value))}")
        except duckdb.Error as error:
            what, _, rest = fault(error).message.partition("\n")
            meant = re.search(r'Did you mean: "(\w+)"', rest)
            raise WarehouseError(
                f"there is no DuckDB setting `{name}`"
                if meant
                else f"the setting `{name}` cannot be `{value}`: {what}",
                hint=f"did you mean `{meant.group(1)}`?"
                if meant
                else "look at `settings:` of the target in transform.yml",
            ) from None
    return made


def open_catalog(
    made: duckdb.DuckDBPyConnection, path: str, catalog: str, options: str = ""
) -> None:
    """Attaches a database under this name, and uses it."""
    if (base := in_memory(catalog)) != _MEMORY:
        made.execute(f"attach ':memory:' as {base}; use {base}; detach {_MEMORY}")
    made.execute(f"attach {literal(path)} as {quoted(catalog)} {options}")
    made.execute(f"use {quoted(catalog)}")


def in_memory(catalog: str) -> str:
    """The name of the database in memory beside this one: every connection has one."""
    return _MEMORY if catalog.lower() != _MEMORY else f"__{_MEMORY}"
