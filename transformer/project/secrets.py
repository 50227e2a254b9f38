"""Secrets written in plain in a project's files."""

from __future__ import annotations

from transformer.project.values import Project
from transformer.redaction import SHORTEST, of_options


def plain_secrets(project: Project) -> frozenset[str]:
    """Passwords, keys and tokens written in the options of sources and targets. They should be
    environment variables, but are redacted all the same."""
    options = [table.load.options for table in project.sources if table.load]
    options += [values.options for values in project.activations]
    target = project.target
    # One level down, where key names such as `secret:` count too.
    options += [{"": values} for values in (*target.attach, *target.secrets, target.settings)]
    pieces = (piece for values in options for piece in of_options(values))
    return frozenset(piece for piece in pieces if len(piece) >= SHORTEST)
