"""Secrets that stand in a project's files in plain."""

from __future__ import annotations

from transformer.project.values import Project
from transformer.redaction import SHORTEST, of_options


def plain_secrets(project: Project) -> frozenset[str]:
    """Passwords, keys and tokens that are written in what connects sources and targets: they are
    hidden as others are, though they ought to be variables."""
    options = [table.load.options for table in project.sources if table.load]
    options += [each.options for each in project.activations]
    target = project.target
    # One below the other: there names count too, such as `secret:`.
    options += [{"": each} for each in (*target.attach, *target.secrets, target.settings)]
    found = (piece for each in options for piece in of_options(each))
    return frozenset(piece for piece in found if len(piece) >= SHORTEST)
