"""`transform quarantine show` and `retry`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from transformer.cli.building import run_build
from transformer.cli.guard import guarded, request_of
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

    request, environment = request_of("quarantine", console, locals())
    show_rows(rows(request, environment, name, limit), console, empty="no rows in quarantine")


@guarded
def retry(
    name: Annotated[str | None, typer.Argument(help="A source or activation")] = None,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Retries rows: reads a source's files again, sends an activation's rejected rows again.

    Example: `transform quarantine retry crm.contacts`
    """
    from transformer.flows.quarantine import to_retry

    options = {**locals(), "retry_rejected": True}
    request, environment = request_of("quarantine", console, options)
    options["select"] = to_retry(request, environment, name)
    if not options["select"]:
        console.say("no rows in quarantine")
        return 0
    return run_build("quarantine retry", console, options)
