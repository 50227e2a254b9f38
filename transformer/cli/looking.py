"""Commands that look, or make something that is no warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from transformer.cli.guard import asked, guarded
from transformer.cli.options import (
    Exclude,
    FullRefresh,
    Json,
    Limit,
    ProjectDir,
    Select,
    Target,
    Vars,
)
from transformer.errors import UsageError


@guarded
def init(
    folder: Annotated[Path, typer.Argument(help="The new project's folder")],
    console: Any = None,
) -> None:
    """
    Makes a project to start from.

    It holds a small retailer's silos, models, checks and an audience.

    Example: `transform init shop`
    """
    from transformer.flows.start import start

    made = start(folder)
    console.say(
        f"created {made.path}: {made.models} models, {made.seeds} seeds,"
        f" {made.macros} files of macros, raw files of {made.silos} silos"
    )
    console.say(f"next: cd {made.path} && transform build")


@guarded
def plan(
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    full_refresh: FullRefresh = False,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Says what a build would do, and why.

    Example: `transform plan`
    """
    from transformer.flows.build import preview
    from transformer.report import show_plan

    ask, outside = asked("plan", console, locals())
    _, made = preview(ask, outside)
    show_plan(made, console)


@guarded
def compile(  # noqa: A001 - the command's name
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Writes the SQL that would run.

    It goes to `target/compiled/`, and to the terminal too when it is one query.

    Example: `transform compile --select orders`
    """
    from transformer.flows.look import compiled

    ask, outside = asked("compile", console, locals())
    home, made = compiled(ask, outside)
    if len(made) == 1:
        console.data(made[0][1])
    console.say(f"{len(made)} queries in {home}")


@guarded
def ls(
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    kind: Annotated[
        list[str] | None, typer.Option("--resource-type", help="model, source, seed, check …")
    ] = None,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Lists what the project holds.

    The order is that in which it is built.

    Example: `transform ls --select tag:nightly`
    """
    import json

    from transformer.flows.look import described, listed

    ask, outside = asked("ls", console, locals())
    for node in listed(ask, outside, tuple(kind or ())):
        console.data(json.dumps(described(node)) if as_json else f"{node.kind}:{node.name}")


@guarded
def show(
    name: Annotated[str | None, typer.Argument(help="A model, seed, snapshot or source")] = None,
    failures: Annotated[
        str | None, typer.Option("--failures", help="The failing rows of this check instead")
    ] = None,
    inline: Annotated[str | None, typer.Option("--inline", help="The rows of this query")] = None,
    limit: Limit = 5,
    target: Target = None,
    variables: Vars = None,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Shows rows of a relation or of a check.

    `--inline` shows those of a query, `--failures` those that fail a check.

    Example: `transform show customers --limit 10`
    """
    from transformer.flows.look import Wanted, shown
    from transformer.report import show_rows

    if sum(map(bool, (name, failures, inline))) != 1:
        raise UsageError("say one of: a name, --failures or --inline")
    ask, outside = asked("show", console, locals())
    show_rows(shown(ask, outside, Wanted(name, failures, inline, limit)), console)


@guarded
def debug(target: Target = None, project_dir: ProjectDir = Path(), console: Any = None) -> None:
    """
    Says what the tool sees.

    Versions, project, target, warehouse.

    Example: `transform debug`
    """
    from transformer.flows.debug import facts

    ask, outside = asked("debug", console, locals())
    for key, value in facts(ask, outside):
        console.data(f"{key:<12}{value}")


@guarded
def clean(target: Target = None, project_dir: ProjectDir = Path(), console: Any = None) -> None:
    """
    Removes what builds leave behind.

    The warehouse itself and the sync ledger stay.

    Example: `transform clean`
    """
    from transformer.flows.build import clean as removed

    ask, outside = asked("clean", console, locals())
    found = removed(ask, outside)
    console.say(f"removed {', '.join(found)}" if found else "nothing to remove")
