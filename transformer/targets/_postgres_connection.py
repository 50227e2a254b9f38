"""Opening a Postgres connection, and identifying the table it writes to."""

from __future__ import annotations

from typing import Any

from transformer.names import RelationName


def open_connection(driver: Any, url: str, seconds: int) -> Any:
    """A new connection. Raises the driver's errors."""
    return driver.connect(
        url,
        autocommit=True,
        connect_timeout=max(seconds, 1),
        application_name="transformer",
        # COPY sends UTF-8, whatever the database's encoding.
        client_encoding="UTF8",
    )


def table_identity(driver: Any, url: str, table: RelationName, identity: int) -> str:
    """A string that identifies the server and table, without a password."""
    parts = driver.conninfo.conninfo_to_dict(url)
    server = [str(parts.get(key, "")) for key in ("host", "port", "dbname")]
    return " ".join([*server, table.sql(), str(identity)])


def answer(cursor: Any) -> bool:
    """The boolean result of a query."""
    row = cursor.fetchone()
    return bool(row and row[0])
