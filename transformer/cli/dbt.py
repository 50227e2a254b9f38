"""Commands that dbt projects know beside those of a warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from transformer.cli.guard import asked, guarded, mapped
from transformer.cli.options import Exclude, ProjectDir, Select


@guarded
def deps(project_dir: ProjectDir = Path(), console: Any = None) -> None:
    """
    Fetches the packages that a dbt project asks for.

    Example: `transform deps`
    """
    from transformer.flows.deps import installed

    ask, outside = asked("deps", console, locals())
    if not installed(ask, outside, console.say):
        console.say("no packages to install")


@guarded
def parse(project_dir: ProjectDir = Path(), console: Any = None) -> None:
    """
    Reads the project, and writes `target/manifest.json`.

    Example: `transform parse`
    """
    from transformer.flows.docs import parsed

    ask, outside = asked("parse", console, locals())
    console.say(f"wrote {parsed(ask, outside)}")


@guarded
def generate(
    select: Select = None,
    exclude: Exclude = None,
    bare: Annotated[
        bool, typer.Option("--empty-catalog", help="Do not look at the warehouse")
    ] = False,
    compiles: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Write the manifest and queries too")
    ] = True,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Writes `manifest.json` and `catalog.json`, as dbt's own documentation reads them.

    Example: `transform docs generate`
    """
    from transformer.flows.docs import generated

    ask, outside = asked("generate", console, locals())
    console.say(f"wrote {generated(ask, outside, bare=bare, compiles=compiles)}")


@guarded
def serve(
    port: Annotated[int, typer.Option("--port", help="The port to listen on")] = 8080,
    host: Annotated[str, typer.Option("--host", help="The address to listen on")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser", help="Nothing is opened here")] = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Serves the folder `target/`: the pages of documentation, where some tool has put them there.

    Example: `transform docs serve --port 8001`
    """
    from transformer.flows.serve import serving

    ask, outside = asked("serve", console, locals())
    with serving(ask, outside, (host, port)) as (server, has_pages):
        if not has_pages:
            console.say("there is no `index.html`: only the JSON files are there to be read")
        console.say(f"serving http://{host}:{server.server_address[1]} until Ctrl-C")
        server.serve_forever()


@guarded
def freshness(
    select: Select = None,
    exclude: Exclude = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file instead of `sources.json`")
    ] = None,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Says how old sources are, and writes `target/sources.json`.

    Example: `transform source freshness --select source:crm`
    """
    from transformer.cli.report import show_ages
    from transformer.flows.freshness import looked

    ask, outside = asked("freshness", console, locals())
    found, where = looked(ask, outside, output)
    show_ages(found, console)
    console.say(f"wrote {where}")
    return int(any(each.status in ("error", "runtime error") for each in found))


@guarded
def run_operation(
    macro: Annotated[str, typer.Argument(help="The macro: `name` or `package.name`")],
    args: Annotated[
        str | None, typer.Option("--args", help="What it is called with, as YAML: `{name: value}`")
    ] = None,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Calls a macro, with the warehouse open.

    What it did is published when it ends well. What it logs goes to the terminal.

    Example: `transform run-operation grant_select --args '{role: reporter}'`
    """
    from transformer.flows.operation import operated

    ask, outside = asked("run-operation", console, locals())
    for line in operated(ask, outside, macro, mapped(args, "--args")):
        console.data(line)
