"""Tells `tracing` which test runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    tracing: Any = sys.modules["sitecustomize"]
    now = tracing.NOW / str(os.getpid())
    now.write_text(item.nodeid)
    began = time.monotonic()
    try:
        return (yield)
    finally:
        tracing.TRACE.note(item.nodeid)
        with (tracing.RAN / "seconds").open("a") as out:
            out.write(f"{time.monotonic() - began:.2f} {item.nodeid}\n")
        now.unlink()
