"""Shuts down a connection that makes no progress. No client here: only sockets.

A server may hang, or send a byte now and then forever; neither exceeds a timeout per read. A thread
shuts the connection down, and the client's wait ends with an error.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from threading import Event, Thread
from types import TracebackType


class Deadline:
    """The time in seconds that may pass between two calls of `beat`; `over` once it has passed."""

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
        Thread(target=self._run, args=(self._done,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()

    def beat(self) -> None:
        """Restarts the time: a step was finished."""
        self._ends = time.monotonic() + self.seconds

    def watch(self, descriptor: int) -> None:
        """Sets the connection to shut down, by file descriptor (duplicated, so it stays valid)."""
        self.release()
        self._line = socket.socket(fileno=os.dup(descriptor))

    def release(self) -> None:
        """Releases the connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _run(self, done: Event) -> None:
        while not done.wait(max(self._ends - time.monotonic(), 0.01)):
            line = self._line
            if line is None or time.monotonic() < self._ends:
                continue
            self.over = True
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            return
