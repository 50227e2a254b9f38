"""Commands that exist for dbt projects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from transformer.cli.guard import guarded, request_of, yaml_mapping
from transformer.cli.options import Exclude, ProjectDir, Select


@guarded
def deps(project_dir: ProjectDir = Path(), console: Any = None) -> None:
    """
    Installs a dbt project's packages.

    Example: `transform deps`
    """

    from transformer.flows.deps import install_packages

    request, environment = request_of("deps", console, locals())
    if not install_packages(request, environment, console.say):
        console.say("no packages to install")


@guarded
def parse(project_dir: ProjectDir = Path(), console: Any = None) -> None:
    """
    Reads the project, and writes `target/manifest.json`.

    Example: `transform parse`
    """

    from transformer.flows.docs import write_manifest

    request, environment = request_of("parse", console, locals())
    console.say(f"wrote {write_manifest(request, environment)}")


@guarded
def generate(
    select: Select = None,
    exclude: Exclude = None,
    empty_catalog: Annotated[
        bool, typer.Option("--empty-catalog", help="Do not read the warehouse")
    ] = False,
    compile_too: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Also write the manifest and queries")
    ] = True,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Writes `manifest.json` and `catalog.json` for dbt's documentation site.

    Example: `transform docs generate`
    """

    from transformer.flows.docs import generate_docs

    request, environment = request_of("generate", console, locals())
    path = generate_docs(request, environment, empty_catalog=empty_catalog, compile_too=compile_too)
    console.say(f"wrote {path}")


@guarded
def serve(
    port: Annotated[int, typer.Option("--port", help="The port to listen on")] = 8080,
    host: Annotated[str, typer.Option("--host", help="The address to listen on")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser", help="Has no effect")] = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Serves the folder `target/`, including documentation pages that another tool put there.

    Example: `transform docs serve --port 8001`
    """

    from transformer.flows.serve import server_on

    request, environment = request_of("serve", console, locals())
    with server_on(request, environment, (host, port)) as (server, has_pages):
        if not has_pages:
            console.say("there is no `index.html`: only the JSON files can be read")
        console.say(f"serving http://{host}:{server.server_address[1]} until Ctrl-C")
        server.serve_forever()


@guarded
def freshness(
    select: Select = None,
    exclude: Exclude = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; default `sources.json`"),
    ] = None,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Shows how old sources are, and writes `target/sources.json`.

    Example: `transform source freshness --select source:crm`
    """
    from transformer.cli.report import show_ages
    from transformer.flows.freshness import source_ages

    request, environment = request_of("freshness", console, locals())
    ages, path = source_ages(request, environment, output)
    show_ages(ages, console)
    console.say(f"wrote {path}")
    return int(any(source.status in ("error", "runtime error") for source in ages))


@guarded
def run_operation(
    macro: Annotated[str, typer.Argument(help="The macro: `name` or `package.name`")],
    args: Annotated[
        str | None, typer.Option("--args", help="The macro's arguments, as YAML: `{name: value}`")
    ] = None,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Calls a macro, with the warehouse open.

    Its changes are published if it succeeds. Its log is printed to the terminal.

    Example: `transform run-operation grant_select --args '{role: reporter}'`
    """

    from transformer.flows.operation import run_macro

    request, environment = request_of("run-operation", console, locals())
    for line in run_macro(request, environment, macro, yaml_mapping(args, "--args")):
        console.data(line)
