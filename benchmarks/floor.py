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


def digest(warehouse: str) -> None:
    """Prints each table's number of rows and a number of their content; order does not count.

    Columns that a tool adds for itself begin with `_`.
    """
    import json

    import duckdb

    connection = duckdb.connect(warehouse, read_only=True)
    names = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'main'"
    ).fetchall()
    made = {
        name: connection.execute(
            "select count(*), sum(hash(cast(t as varchar)))::varchar"
            f" from (select columns(c -> c[1] <> '_') from main.{name}) as t"
        ).fetchone()
        for (name,) in names
    }
    print(json.dumps(made))


def start() -> None:
    """Nothing: what Python itself needs."""


if __name__ == "__main__":
    DOORS = {"build": build, "open": look, "read": read, "digest": digest, "start": start}
    DOORS[sys.argv[1]](*sys.argv[2:])
