"""The connection to a Postgres: how it is opened, and what tells its table."""

from __future__ import annotations

from typing import Any

from transformer.names import RelationName


def connected(driver: Any, url: str, seconds: int) -> Any:
    """A new connection. Raises what the driver does."""
    return driver.connect(
        url,
        autocommit=True,
        connect_timeout=max(seconds, 1),
        application_name="transformer",
        # What is copied is UTF-8, whatever the database stores.
        client_encoding="UTF8",
    )


def place_of(driver: Any, url: str, table: RelationName, identity: int) -> str:
    """What tells the table of a server from all others, without a password."""
    parts = driver.conninfo.conninfo_to_dict(url)
    server = [str(parts.get(each, "")) for each in ("host", "port", "dbname")]
    return " ".join([*server, table.sql(), str(identity)])


def answer(cursor: Any) -> bool:
    """The answer to a question of yes or no."""
    found = cursor.fetchone()
    return bool(found and found[0])
