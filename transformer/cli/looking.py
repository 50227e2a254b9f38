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
    Wait,
)
from transformer.errors import UsageError

Inline = Annotated[str | None, typer.Option("--inline", help="This query instead, a template")]


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
    full_refresh: FullRefresh = False,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Says what a build would do, and why.

    Example: `transform plan`
    """
    from transformer.cli.report import show_plan
    from transformer.flows.plan import preview

    ask, outside = asked("plan", console, locals())
    _, made = preview(ask, outside)
    show_plan(made, console)


@guarded
def compile(  # noqa: A001 - the command's name
    select: Select = None,
    exclude: Exclude = None,
    inline: Inline = None,
    output: Annotated[str, typer.Option("--output", help="text or json")] = "text",
    full_refresh: FullRefresh = False,
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
    home, made = compiled(ask, outside, inline or "")
    chosen = [each for each in made if each[0] in ask.select] if len(made) > 1 else made
    if len(chosen) == 1:
        name, text = chosen[0]
        if output == "json":
            console.json_data({"node": name, "compiled": text})
        else:
            console.data(text)
    if not inline:
        console.say(f"{len(made)} queries in {home}")


@guarded
def ls(
    select: Select = None,
    exclude: Exclude = None,
    output: Annotated[
        str | None, typer.Option("--output", help="selector, name, path or json")
    ] = None,
    keys: Annotated[
        list[str] | None, typer.Option("--output-keys", help="With json: only these keys")
    ] = None,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Lists what the project holds.

    The order is that in which it is built. In a dbt project the lines are dbt's own.

    Example: `transform ls --select tag:nightly`
    """

    from transformer.cli.report import listed_as, listed_facts
    from transformer.flows.listing import described, listed

    if output not in (None, "selector", "name", "path", "json"):
        raise UsageError(f"there is no `--output {output}`", hint="selector, name, path or json")
    ask, outside = asked("list", console, locals())
    if output == "json":
        wanted = " ".join(keys or ()).replace(",", " ").split()
        from transformer.flows.look import in_manifest

        for each in in_manifest(ask, outside).values():
            console.json_data(listed_facts(each, wanted))
        return
    found, is_open = listed(ask, outside)
    if not found:
        outside.say("No nodes selected!" if is_open else "nothing was chosen")
    for thing in found:
        if output or (is_open and not as_json):
            console.data(listed_as(thing, output or "selector"))
        elif thing.node is not None:
            node = thing.node
            if as_json:
                console.json_data(described(node))
            else:
                console.data(f"{node.kind}:{node.name}")


@guarded
def show(
    name: Annotated[str | None, typer.Argument(help="A model, seed, snapshot or source")] = None,
    failures: Annotated[
        str | None, typer.Option("--failures", help="The failing rows of this check instead")
    ] = None,
    inline: Inline = None,
    plain: Annotated[
        str | None, typer.Option("--inline-direct", help="This query instead, as it stands")
    ] = None,
    select: Select = None,
    exclude: Exclude = None,
    limit: Limit = 5,
    output: Annotated[str, typer.Option("--output", help="text or json")] = "text",
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Shows rows of a relation or of a check.

    `--inline` shows those of a query, `--failures` those that fail a check, `--select` those of
    models as they would be now.

    Example: `transform show customers --limit 10`
    """
    from transformer.cli.report import show_found, show_rows, show_values
    from transformer.flows.look import ShowRequest, selected, shown

    if sum(map(bool, (name, failures, inline, plain, select))) != 1:
        raise UsageError("say one of: a name, --select, --failures or --inline")
    ask, outside = asked("show", console, locals())
    most = None if limit < 0 else limit
    wanted = ShowRequest(name, failures, inline or plain, most, plain=bool(plain))
    if output == "json" and not failures:
        show_values(selected(ask, outside, wanted), console)
    elif not select:
        show_rows(shown(ask, outside, wanted), console)
    else:
        show_found(selected(ask, outside, wanted), console)


@guarded
def debug(project_dir: ProjectDir = Path(), console: Any = None) -> int:
    """
    Says what the tool sees.

    Versions, project, target, warehouse.

    Example: `transform debug`
    """
    from transformer.errors import TransformError
    from transformer.flows.debug import facts

    ask, outside = asked("debug", console, locals())
    try:
        for key, value in facts(ask, outside):
            console.data(f"{key:<12}{value}")
    except TransformError as error:
        console.error(error)
        return 1
    return 0


@guarded
def clean(
    removed: Annotated[
        bool, typer.Option("--removed", help="Drop the tables of models and seeds that are gone")
    ] = False,
    wait: Wait = 0.0,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Removes what builds leave behind.

    The warehouse itself and the sync ledger stay. In a dbt project the folders of
    `clean-targets` go too. With `--removed` instead the tables and views of models and seeds that
    are gone from the project are dropped: those that a build has made, and nobody else's.

    Example: `transform clean`
    """
    from transformer.flows.clean import cleaned, without_removed

    ask, outside = asked("clean", console, locals())
    found = without_removed(ask, outside, wait) if removed else cleaned(ask, outside)
    console.say(f"removed {', '.join(found)}" if found else "nothing to remove")
