"""`python -m transformer`, and the command `transform`."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from transformer import __version__

# Almost all that a call makes is kept until it ends: to look through it again and again for what
# could be thrown away was a fifth of a build's instructions.
_SELDOM = (100_000, 20, 100)


def _open_streams() -> None:
    """A stream that the caller closed takes what is written, and shows it to nobody."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - it is open until the end
            setattr(sys, name, nowhere)


def _flushed() -> None:
    """Ends quietly where nobody reads any more what is printed, as `transform ls | head` does."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main() -> None:
    """Runs the command line."""
    if sys.argv[1:] in (["--version"], ["-V"], ["-v"]):
        print(f"transform {__version__}")  # noqa: T201 - before there is a printer
        return
    _open_streams()
    gc.set_threshold(*_SELDOM)
    from transformer.cli.app import line  # noqa: PLC0415 - the version needs nothing of it

    try:
        line(sys.argv[1:])()
    finally:
        _flushed()
        # Nor at the end, as Python does else: a tenth of a short build. What users' own Python has
        # left open may be closed by it, so there it is done.
        if "transformer.run.python_model" not in sys.modules:
            gc.freeze()


if __name__ == "__main__":
    main()
