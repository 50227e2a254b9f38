"""The floor: what DuckDB alone needs for the same work, in a process of its own.

    python benchmarks/floor.py build floor.sql warehouse.duckdb
    python benchmarks/floor.py open warehouse.duckdb

`build` executes the statements of a file one after the other over one connection, with DuckDB's
default settings; a check that counts failures ends it. `open` opens the warehouse and reads one
number. `read` reads every file of a project, `start` does nothing: they are the floors of `ls`
and of `--version`.
"""

from __future__ import annotations

import sys


def build(script: str, warehouse: str) -> None:
    """Executes the statements on the warehouse, which may be there already."""
    import duckdb

    with open(script, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would be measured
        statements = file.read().split(";\n")
    connection = duckdb.connect()
    connection.execute(f"attach '{warehouse}' as warehouse (storage_version 'v1.4.0')")
    connection.execute("use warehouse")
    for statement in statements:
        if statement.strip():
            found = connection.execute(statement).fetchall()
            if statement.lstrip().startswith("select") and found != [(0,)]:
                raise SystemExit(f"{found[0][0]} failures: {statement.strip()}")
    connection.close()


def look(warehouse: str) -> None:
    """Opens the warehouse and reads one number."""
    import duckdb

    connection = duckdb.connect(warehouse, read_only=True)
    connection.execute("select count(*) from rep_0001").fetchall()
    connection.close()


def read(folder: str) -> None:
    """Reads every file of a project."""
    import os

    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".sql", ".yml")):
                with open(os.path.join(parent, name), "rb") as file:  # noqa: PTH118, PTH123
                    file.read()


def start() -> None:
    """Nothing: what Python itself needs."""


if __name__ == "__main__":
    {"build": build, "open": look, "read": read, "start": start}[sys.argv[1]](*sys.argv[2:])
