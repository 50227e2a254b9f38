"""The options of the commands, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select", "-s", help="What to take: `orders+`, `tag:nightly`, `path:models/marts`"
    ),
]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", "-x", help="What to leave out")]
Target = Annotated[
    str | None, typer.Option("--target", "-t", help="The target in transform.yml to work on")
]
Vars = Annotated[
    str | None, typer.Option("--vars", help="Values for `var()`, as YAML: `'{today: 2024-07-01}'`")
]
ProjectDir = Annotated[
    Path, typer.Option("--project-dir", help="The project's folder; without it, this one")
]
FullRefresh = Annotated[
    bool, typer.Option("--full-refresh", "-f", help="Make tables anew that otherwise only grow")
]
Threads = Annotated[int | None, typer.Option("--threads", help="Steps at the same time", min=1)]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure")]
KeepFailed = Annotated[
    bool, typer.Option("--keep-failed", help="Keep a new table although its check failed")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on each line, to stdout")]
Wait = Annotated[
    float, typer.Option("--wait", help="Seconds to wait for another build to end", min=0)
]
Limit = Annotated[int, typer.Option("--limit", help="How many rows to show", min=1)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, do nothing")]
