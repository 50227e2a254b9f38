"""Commands that do something to a warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformer.cli.guard import asked, guarded
from transformer.cli.options import (
    DryRun,
    Exclude,
    FailFast,
    FullRefresh,
    Json,
    KeepFailed,
    ProjectDir,
    Select,
    Target,
    Threads,
    Vars,
    Wait,
)

if TYPE_CHECKING:
    from transformer.console import Console


def built(command: str, actions: str, console: Console, words: dict[str, Any]) -> int:
    """The one body of build, run, load, seed, snapshot, test and activate."""
    from transformer.asking import How
    from transformer.flows.build import build
    from transformer.plan.planner import EVERYTHING
    from transformer.report import show_report

    wanted = EVERYTHING if actions == "*" else frozenset(actions.split())
    how = How(
        actions=wanted,  # type: ignore[arg-type]
        always=actions != "*",
        threads=words.get("threads"),
        fail_fast=bool(words.get("fail_fast")),
        keep_failed=bool(words.get("keep_failed")),
        retry_rejected=bool(words.get("retry_rejected")),
        wait=words.get("wait") or 0.0,
    )
    ask, outside = asked(command, console, words)
    with console.watch() as watcher:
        report = build(ask, how, outside, watcher)
    show_report(report, console, command)
    return 0 if report.ok else 1


@guarded
def build(
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    full_refresh: FullRefresh = False,
    threads: Threads = None,
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
    return built("build", "*", console, locals())


@guarded
def run(
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    full_refresh: FullRefresh = False,
    threads: Threads = None,
    fail_fast: FailFast = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Builds models, changed or not.

    Nothing is loaded and nothing is checked.

    Example: `transform run --select orders+`
    """
    return built("run", "build", console, locals())


@guarded
def load(
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    full_refresh: FullRefresh = False,
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
    return built("load", "load freshness", console, locals())


@guarded
def seed(
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    full_refresh: FullRefresh = False,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Loads the project's own CSV files.

    Example: `transform seed --select countries`
    """
    return built("seed", "seed", console, locals())


@guarded
def snapshot(
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Records how rows have changed since the last time.

    Example: `transform snapshot`
    """
    return built("snapshot", "snapshot", console, locals())


@guarded
def test(
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    threads: Threads = None,
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
    return built("test", "check freshness", console, locals())


@guarded
def activate(
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
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
        return built("activate", "activate", console, locals())
    from transformer.flows.activate import previews
    from transformer.report import show_preview

    ask, outside = asked("activate", console, locals())
    for node, preview in previews(ask, outside):
        show_preview(node.name, preview, console)
    return 0
