"""`python -m transformer`, and the command `transform`."""

from __future__ import annotations

import gc
import sys

from transformer import __version__

# Almost all that a call makes is kept until it ends: to look through it again and again for what
# could be thrown away was a fifth of a build's instructions.
_SELDOM = (100_000, 20, 100)


def main() -> None:
    """Runs the command line."""
    if sys.argv[1:] in (["--version"], ["-V"], ["-v"]):
        print(f"transform {__version__}")  # noqa: T201 - before there is a printer
        return
    gc.set_threshold(*_SELDOM)
    from transformer.cli.app import line  # noqa: PLC0415 - the version needs nothing of it

    try:
        line(sys.argv[1:])()
    finally:
        # Nor at the end, as Python does else: a tenth of a short build. What users' own Python has
        # left open may be closed by it, so there it is done.
        if "transformer.python_model" not in sys.modules:
            gc.freeze()


if __name__ == "__main__":
    main()
