"""The command as users call it, at the hour a test says it is."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

from transformer import request
from transformer.cli.app import app


def _at(moment: datetime) -> None:
    told = request.Environment.__init__

    def told_the_time(self: request.Environment, *words: object, **more: object) -> None:
        told(self, *words, **{"clock": lambda: moment, **more})  # type: ignore[arg-type]

    request.Environment.__init__ = told_the_time  # type: ignore[method-assign]


if __name__ == "__main__":
    if not any(Path("models").rglob("*.py")):
        # The tool's own environment has no pandas; where it is, DuckDB loads it at every start.
        sys.modules["pandas"] = None  # type: ignore[assignment]
    if os.environ.get("DBT_SUITE_CLOCK"):
        _at(datetime.fromisoformat(os.environ["DBT_SUITE_CLOCK"]))
    app(prog_name="transform")
