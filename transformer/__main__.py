"""`python -m transformer`, and the command `transform`."""

from __future__ import annotations

import sys

from transformer import __version__


def main() -> None:
    """Runs the command line."""
    if sys.argv[1:] in (["--version"], ["-V"], ["-v"]):
        print(f"transform {__version__}")  # noqa: T201 - before there is a printer
        return
    from transformer.cli.app import line  # noqa: PLC0415 - the version needs nothing of it

    line(sys.argv[1:])()


if __name__ == "__main__":
    main()
