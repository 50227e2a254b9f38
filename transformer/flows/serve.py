"""`transform docs serve`: serves the artifacts' folder over HTTP to a local browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from transformer.errors import UsageError
from transformer.request import Environment, Request
from transformer.workspace.artifacts import target_folder
from transformer.workspace.open import open_project


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Logs nothing."""


@contextmanager
def server_on(
    request: Request, environment: Environment, address: tuple[str, int]
) -> Iterator[tuple[ThreadingHTTPServer, bool]]:
    """The server, and whether there are pages to show. Raises UsageError if it cannot listen."""
    folder = target_folder(open_project(request, environment))
    if not folder.is_dir():
        raise UsageError(f"there is no folder `{folder}`", hint="run `transform docs generate`")
    handler = partial(_Silent, directory=str(folder))
    try:
        server = ThreadingHTTPServer(address, handler)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {address[0]}:{address[1]}: {error.strerror}", hint="try `--port`"
        ) from None
    with server:
        yield server, (folder / "index.html").is_file()
