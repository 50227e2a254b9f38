"""Ends a connection on which nothing comes to an end. No client here: it knows sockets only.

A server may be frozen, or send a byte now and then for ever: neither trips a time limit for one
read. The connection is shut down from beside, and the client's own wait ends with an error.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from threading import Event, Thread
from types import TracebackType


class Deadline:
    """A span of time that may pass between two calls of `beat`; `over` once it has passed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self._done = Event()
        self._line: socket.socket | None = None
        self._ends = 0.0

    def __enter__(self) -> Deadline:
        self.over = False
        self._done = Event()
        self.beat()
        Thread(target=self._watch, args=(self._done,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()

    def beat(self) -> None:
        """Something came to an end: the time begins again."""
        self._ends = time.monotonic() + self.seconds

    def holds(self, number: int) -> None:
        """The file number of the connection to end; a copy of it is kept, so that it stays ours."""
        self.let_go()
        self._line = socket.socket(fileno=os.dup(number))

    def let_go(self) -> None:
        """Forget the connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _watch(self, done: Event) -> None:
        while not done.wait(max(self._ends - time.monotonic(), 0.01)):
            line = self._line
            if line is None or time.monotonic() < self._ends:
                continue
            self.over = True
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            return
