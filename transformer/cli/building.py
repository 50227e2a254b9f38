"""Commands that change the warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transformer.cli.guard import guarded, request_of, state_is_target
from transformer.cli.options import (
    DryRun,
    Exclude,
    FailFast,
    FullRefresh,
    Json,
    KeepFailed,
    ProjectDir,
    Select,
    Wait,
)
from transformer.errors import UsageError

if TYPE_CHECKING:
    from transformer.cli.console import Console
    from transformer.request import Environment, Request


def run_build(command: str, console: Console, words: dict[str, Any]) -> int:
    """The common body of build, run, load, seed, snapshot, test and activate: the exit code."""
    request, environment = request_of(command, console, words)
    return build_as(request, environment, console, words)


def build_as(
    request: Request,
    environment: Environment,
    console: Console,
    arguments: dict[str, Any],
) -> int:
    """Builds what is requested and prints the report; returns the exit code."""
    from transformer.cli.report import show_report
    from transformer.flows.build import build as build_flow
    from transformer.request import ACTIONS, BuildOptions

    options = {**console.options, **arguments}
    build_options = BuildOptions(
        actions=ACTIONS[request.command],
        always=request.command != "build",
        threads=options.get("threads"),
        fail_fast=bool(options.get("fail_fast")),
        keep_failed=bool(options.get("keep_failed")),
        retry_rejected=bool(options.get("retry_rejected")),
        strict=bool(options.get("warn_error")),
        wait=options.get("wait") or 0.0,
    )
    with console.watch() as printer:
        report = build_flow(request, build_options, environment, printer)
    show_report(report, console, request.command)
    return 0 if report.ok else 1


@guarded
def build(
    select: Select = None,
    exclude: Exclude = None,
    full_refresh: FullRefresh = False,
    fail_fast: FailFast = False,
    keep_failed: KeepFailed = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Loads, builds, checks, activates and publishes.

    Unchanged nodes are skipped. Nobody ever sees a half-built warehouse: the file is replaced at
    the end, once every check has passed.

    Example: `transform build --select +daily_revenue`
    """
    return run_build("build", console, locals())


@guarded
def run(
    select: Select = None,
    exclude: Exclude = None,
    full_refresh: FullRefresh = False,
    fail_fast: FailFast = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Builds models, whether changed or not; loads nothing.

    If the target publishes in mode `gated`, the checks of the built models are run.

    Example: `transform run --select orders+`
    """
    return run_build("run", console, locals())


@guarded
def load(
    select: Select = None,
    exclude: Exclude = None,
    full_refresh: FullRefresh = False,
    fail_fast: FailFast = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Loads sources into raw tables.

    Sources are files and tables of other databases; only new data is read.

    Example: `transform load --select source:crm`
    """
    return run_build("load", console, locals())


@guarded
def seed(
    select: Select = None,
    exclude: Exclude = None,
    full_refresh: FullRefresh = False,
    show: Annotated[bool, typer.Option("--show", help="Show the first rows of each")] = False,
    fail_fast: FailFast = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Loads the project's own CSV files.

    Example: `transform seed --select countries`
    """
    arguments = {**locals()}
    code = run_build("seed", console, arguments)
    if show and not code:
        show_selected(console, arguments, ("seed",))
    return code


def show_selected(console: Console, arguments: dict[str, Any], kinds: tuple[str, ...]) -> None:
    """Shows the first rows of the selected nodes."""
    from transformer.cli.report import show_found
    from transformer.flows.look import ShowRequest, selected_rows

    request, environment = request_of("show", console, arguments)
    show_found(selected_rows(request, environment, ShowRequest(limit=5), kinds), console)


@guarded
def snapshot(
    select: Select = None,
    exclude: Exclude = None,
    fail_fast: FailFast = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Records how rows have changed since the last snapshot.

    Example: `transform snapshot`
    """
    return run_build("snapshot", console, locals())


@guarded
def test(
    select: Select = None,
    exclude: Exclude = None,
    fail_fast: FailFast = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Runs the checks on the current warehouse.

    Example: `transform test --select customers`
    """
    return run_build("test", console, locals())


@guarded
def activate(
    select: Select = None,
    exclude: Exclude = None,
    dry_run: DryRun = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Sends changes to external targets.

    Example: `transform activate --dry-run`
    """
    if not dry_run:
        return run_build("activate", console, locals())
    from transformer.cli.report import show_preview
    from transformer.flows.activate import previews

    request, environment = request_of("activate", console, locals())
    for node, preview in previews(request, environment):
        show_preview(node.name, preview, console)
    return 0


@guarded
def retry(
    fail_fast: FailFast = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Reruns the failed and skipped nodes of the last command in a dbt project.

    The command and its results are read from `run_results.json`.

    Example: `transform retry`
    """

    from transformer.flows.retry import retry_request

    request, environment = request_of("retry", console, locals())
    request = retry_request(request, environment)
    if not request.only.only:
        console.say("nothing to do: the last command had no failures")
        return 0
    return build_as(request, environment, console, locals())


@guarded
def clone(
    select: Select = None,
    exclude: Exclude = None,
    full_refresh: FullRefresh = False,
    wait: Wait = 0.0,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Clones relations of an earlier run into the target's schemas.

    Each clone is a view of the other relation. `--state` is the folder with that run's
    `manifest.json`. The relations must be in the same file, or in an attached one. Existing
    relations are kept, unless `--full-refresh` is given.

    Example: `transform clone --state prod-artifacts --select +orders`
    """

    from transformer.flows.clone import clone_relations

    request, environment = request_of("clone", console, {**locals(), "defer": True})
    arguments = {**console.options, "project_dir": project_dir}
    if state_is_target(arguments, request.root, environment.env):
        raise UsageError("a run cannot be cloned to itself", hint="use another folder in `--state`")
    cloned_names = clone_relations(request, environment, wait)
    console.say(f"cloned {', '.join(cloned_names)}" if cloned_names else "nothing to clone")
