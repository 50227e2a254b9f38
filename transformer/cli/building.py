"""Commands that do something to a warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transformer.cli.guard import GlobalOptions, asked, guarded, state_is_target
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
    from transformer.request import BuildOptions, Environment, Report, Request

# What each command does of all that a build does.
ACTIONS = {
    "build": "*",
    "run": "build",
    "load": "load freshness",
    "seed": "seed",
    "snapshot": "snapshot",
    "test": "check freshness",
    "activate": "activate",
}


def built(command: str, actions: str, console: Console, words: dict[str, Any]) -> int:
    """The one body of build, run, load, seed, snapshot, test and activate."""
    ask, outside = asked(command, console, words)
    return build_as(ask, outside, actions, console, words)


def build_as(
    ask: Request, outside: Environment, actions: str, console: Console, words: dict[str, Any]
) -> int:
    """Builds what is asked for, and tells what came of it."""
    from transformer.cli.report import show_report
    from transformer.request import BuildOptions
    from transformer.steps import EVERYTHING
    from transformer.workspace.last_build import unchanged

    said = {**GlobalOptions.common, **words}
    wanted = EVERYTHING if actions == "*" else frozenset(actions.split())
    how = BuildOptions(
        actions=wanted,  # type: ignore[arg-type]
        always=actions != "*",
        threads=said.get("threads"),
        fail_fast=bool(said.get("fail_fast")),
        keep_failed=bool(said.get("keep_failed")),
        retry_rejected=bool(said.get("retry_rejected")),
        strict=bool(said.get("warn_error")),
        wait=said.get("wait") or 0.0,
    )
    report = unchanged(ask, how, outside)
    for text in report.plan.notices if report else ():
        console.say(text)
    if report is None:
        report = _built(ask, how, outside, console)
    show_report(report, console, ask.command)
    return 0 if report.ok else 1


def _built(ask: Request, how: BuildOptions, outside: Environment, console: Console) -> Report:
    from transformer.flows.build import build

    with console.watch() as watcher:
        return build(ask, how, outside, watcher)


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

    What is unchanged is left alone. Nobody sees a half-built warehouse: the file is replaced at
    the end, when every check has passed.

    Example: `transform build --select +daily_revenue`
    """
    return built("build", ACTIONS["build"], console, locals())


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
    Builds models, changed or not; nothing is loaded.

    Where the target publishes in mode `gated`, the checks of what is built are measured.

    Example: `transform run --select orders+`
    """
    return built("run", ACTIONS["run"], console, locals())


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

    Sources are files and tables of other databases; only what is new is read.

    Example: `transform load --select source:crm`
    """
    return built("load", ACTIONS["load"], console, locals())


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
    words = {**locals()}
    code = built("seed", ACTIONS["seed"], console, words)
    if show and not code:
        show_selected(console, words, ("seed",))
    return code


def show_selected(console: Console, words: dict[str, Any], kinds: tuple[str, ...]) -> None:
    """Shows the first rows of what is chosen."""
    from transformer.cli.report import show_found
    from transformer.flows.look import ShowRequest, selected

    ask, outside = asked("show", console, words)
    show_found(selected(ask, outside, ShowRequest(limit=5), kinds), console)


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
    Records how rows have changed since the last time.

    Example: `transform snapshot`
    """
    return built("snapshot", ACTIONS["snapshot"], console, locals())


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
    Measures the checks on the warehouse as it is.

    Example: `transform test --select customers`
    """
    return built("test", ACTIONS["test"], console, locals())


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
    Sends to the places outside what changed.

    Example: `transform activate --dry-run`
    """
    if not dry_run:
        return built("activate", ACTIONS["activate"], console, locals())
    from transformer.cli.report import show_preview
    from transformer.flows.activate import previews

    ask, outside = asked("activate", console, locals())
    for node, preview in previews(ask, outside):
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
    Does again what failed in a dbt project, and what was skipped for it.

    `run_results.json` tells which command that was, and what came of it.

    Example: `transform retry`
    """
    from transformer.flows.retry import again

    ask, outside = asked("retry", console, locals())
    ask = again(ask, outside)
    if not ask.only.only:
        console.say("nothing to do: nothing failed the last time")
        return 0
    return build_as(ask, outside, ACTIONS[ask.command], console, locals())


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
    Shows relations of an earlier run in the target's own schemas.

    Each is a view that reads the other relation. `--state` says where the run's `manifest.json`
    lies. They must be in the same file, or in one that is attached. What is there already stays,
    without `--full-refresh`.

    Example: `transform clone --state prod-artifacts --select +orders`
    """
    from transformer.flows.clone import cloned

    ask, outside = asked("clone", console, {**locals(), "defer": True})
    said = {**GlobalOptions.common, "project_dir": project_dir}
    if state_is_target(said, ask.root, outside.env):
        raise UsageError("nothing can be cloned to itself", hint="name another folder: `--state`")
    made = cloned(ask, outside, wait)
    console.say(f"cloned {', '.join(made)}" if made else "nothing to clone")
