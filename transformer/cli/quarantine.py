"""`transform quarantine show` and `retry`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from transformer.cli.building import built
from transformer.cli.guard import asked, guarded
from transformer.cli.options import (
    Json,
    Limit,
    ProjectDir,
    Wait,
)


@guarded
def show(
    name: Annotated[str | None, typer.Argument(help="A source or activation")] = None,
    limit: Limit = 20,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Shows the rows in quarantine, with the reason, newest first.

    Example: `transform quarantine show crm.contacts`
    """
    from transformer.cli.report import show_rows
    from transformer.flows.quarantine import rows

    ask, outside = asked("quarantine", console, locals())
    show_rows(rows(ask, outside, name, limit), console, empty="nothing is in quarantine")


@guarded
def retry(
    name: Annotated[str | None, typer.Argument(help="A source or activation")] = None,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Tries rows again: reads a source's files anew, sends an activation's rejected rows anew.

    Example: `transform quarantine retry crm.contacts`
    """
    from transformer.flows.quarantine import to_retry

    words = {**locals(), "retry_rejected": True}
    ask, outside = asked("quarantine", console, words)
    words["select"] = to_retry(ask, outside, name)
    if not words["select"]:
        console.say("nothing is in quarantine")
        return 0
    return built("quarantine retry", "load activate", console, words)
