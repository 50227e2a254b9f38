"""Commands that read the project or warehouse, or create other files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from transformer.cli.guard import guarded, request_of
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

Inline = Annotated[str | None, typer.Option("--inline", help="A query (template) to use instead")]


@guarded
def init(
    folder: Annotated[Path, typer.Argument(help="The new project's folder")],
    console: Any = None,
) -> None:
    """
    Creates an example project.

    It has raw data of a small retailer, models, checks and an audience.

    Example: `transform init shop`
    """
    from transformer.flows.start import start

    project = start(folder)
    console.say(
        f"created {project.path}: {project.models} models, {project.seeds} seeds,"
        f" {project.macros} macro files, raw data from {project.silos} systems"
    )
    console.say(f"next: cd {project.path} && transform build")


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
    Shows what a build would do, and why.

    Example: `transform plan`
    """
    from transformer.cli.report import show_plan
    from transformer.flows.plan import preview

    request, environment = request_of("plan", console, locals())
    _, build_plan = preview(request, environment)
    show_plan(build_plan, console)


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
    Writes the compiled SQL.

    It is written to `target/compiled/`, and printed if it is a single query.

    Example: `transform compile --select orders`
    """

    from transformer.flows.look import compile_queries

    request, environment = request_of("compile", console, locals())
    folder, queries = compile_queries(request, environment, inline or "")
    chosen = (
        [query for query in queries if query[0] in request.select] if len(queries) > 1 else queries
    )
    if len(chosen) == 1:
        name, text = chosen[0]
        if output == "json":
            console.json_data({"node": name, "compiled": text})
        else:
            console.data(text)
    if not inline:
        console.say(f"{len(queries)} queries in {folder}")


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
    Lists the project's resources.

    They are listed in build order. In a dbt project the output is dbt's.

    Example: `transform ls --select tag:nightly`
    """

    from transformer.cli.report import listed_as, listed_facts
    from transformer.flows.listing import node_json, selected_resources

    if output not in (None, "selector", "name", "path", "json"):
        raise UsageError(f"there is no `--output {output}`", hint="selector, name, path or json")
    request, environment = request_of("list", console, locals())
    if output == "json":
        wanted = " ".join(keys or ()).replace(",", " ").split()
        from transformer.flows.look import in_manifest

        for facts in in_manifest(request, environment).values():
            console.json_data(listed_facts(facts, wanted))
        return
    resources, is_open = selected_resources(request, environment)
    if not resources:
        environment.say("No nodes selected!" if is_open else "nothing was selected")
    for resource in resources:
        if output or (is_open and not as_json):
            console.data(listed_as(resource, output or "selector"))
        elif resource.node is not None:
            node = resource.node
            if as_json:
                console.json_data(node_json(node))
            else:
                console.data(f"{node.kind}:{node.name}")


@guarded
def show(
    name: Annotated[str | None, typer.Argument(help="A model, seed, snapshot or source")] = None,
    failures: Annotated[
        str | None, typer.Option("--failures", help="Show the failing rows of this check")
    ] = None,
    inline: Inline = None,
    plain: Annotated[
        str | None, typer.Option("--inline-direct", help="A query without templates to use instead")
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

    `--inline` shows the rows of a query, `--failures` those that fail a check, `--select` those of
    models as they would be built now.

    Example: `transform show customers --limit 10`
    """
    from transformer.cli.report import show_found, show_rows, show_values
    from transformer.flows.look import ShowRequest, selected_rows, shown_sample

    if sum(map(bool, (name, failures, inline, plain, select))) != 1:
        raise UsageError("give exactly one of: a name, --select, --failures or --inline")
    request, environment = request_of("show", console, locals())
    most = None if limit < 0 else limit
    wanted = ShowRequest(name, failures, inline or plain, most, plain=bool(plain))
    if output == "json" and not failures:
        show_values(selected_rows(request, environment, wanted), console)
    elif not select:
        show_rows(shown_sample(request, environment, wanted), console)
    else:
        show_found(selected_rows(request, environment, wanted), console)


@guarded
def debug(project_dir: ProjectDir = Path(), console: Any = None) -> int:
    """
    Shows versions, project, target and warehouse.

    Example: `transform debug`
    """
    from transformer.errors import TransformError
    from transformer.flows.debug import facts

    request, environment = request_of("debug", console, locals())
    try:
        for key, value in facts(request, environment):
            console.data(f"{key:<12}{value}")
    except TransformError as error:
        console.error(error)
        return 1
    return 0


@guarded
def clean(
    removed: Annotated[
        bool, typer.Option("--removed", help="Drop tables of models and seeds that were removed")
    ] = False,
    wait: Wait = 0.0,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Removes files that builds leave behind.

    The warehouse itself and the sync ledger are kept. In a dbt project the folders of
    `clean-targets` are removed too. `--removed` instead drops the tables and views of models and
    seeds that were removed from the project, but only those that a build created.

    Example: `transform clean`
    """

    from transformer.flows.clean import clean_files, drop_removed

    request, environment = request_of("clean", console, locals())
    removed_names = (
        drop_removed(request, environment, wait) if removed else clean_files(request, environment)
    )
    console.say(f"removed {', '.join(removed_names)}" if removed_names else "nothing to remove")
