"""`python -m transformer`, and the command `transform`."""

from __future__ import annotations


def main() -> None:
    """Runs the command line."""
    from transformer.cli.app import app  # noqa: PLC0415 - the version needs nothing of it

    app()


if __name__ == "__main__":
    main()
