"""The command line: each command parses its words, calls one flow, and shows what came of it.

Heavy modules load when a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transformer import __version__
from transformer.errors import TransformError, UsageError

if TYPE_CHECKING:
    from transformer.console import Console
    from transformer.opening import Ask, Outside

app = typer.Typer(
    help="""
    Organizes raw data into one DuckDB file, transforms it with SQL models, and activates it.

    Example: `transform init shop && cd shop && transform build`
    """,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
quarantine = typer.Typer(
    help="""
    Shows rows that were not let in or were not taken, and tries them again.

    Example: `transform quarantine show crm.contacts`
    """,
    no_args_is_help=True,
)
app.add_typer(quarantine, name="quarantine")

# ------------------------------------------------------------------ options, said once
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


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Show the version")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the tool an error comes from")
    ] = False,
) -> None:
    _State.debug = debug
    if version:
        typer.echo(f"transform {__version__}")
        raise typer.Exit


class _State:
    debug = False


def _guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Every error becomes a message and an exit code: 1 handled, 2 usage or the tool's own fault."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        from transformer.console import Console

        console = Console(sys.stdout, sys.stderr, json=bool(kwargs.get("as_json")))
        code = 0
        try:
            code = command(*args, **kwargs, console=console) or 0
        except TransformError as error:
            console.error(error)
            code = error.exit_code
            if _State.debug:
                raise
        except KeyboardInterrupt:
            console.say("stopped; the next build goes on from here")
            code = 130
        except Exception as error:
            if _State.debug:
                raise
            console.error(error)
            console.say("  this is the tool's own fault: run it again with `transform --debug …`")
            code = 2
        raise typer.Exit(code)

    # typer reads the signature; the console is not one of the user's words.
    del run.__wrapped__
    signature = _signature_without_console(command)
    run.__signature__ = signature  # type: ignore[attr-defined]
    return run


def _signature_without_console(command: Callable[..., Any]) -> Any:
    import inspect

    given = inspect.signature(command, eval_str=True)
    kept = [p for p in given.parameters.values() if p.name != "console"]
    return given.replace(parameters=kept, return_annotation=None)


def _ask(command: str, console: Console, words: dict[str, Any]) -> tuple[Ask, Outside]:
    from transformer.opening import Ask, Outside

    ask = Ask(
        root=words.get("project_dir") or Path(),
        target=words.get("target"),
        vars=_vars(words.get("variables")),
        select=tuple(words.get("select") or ()),
        exclude=tuple(words.get("exclude") or ()),
        full_refresh=bool(words.get("full_refresh")),
        command=command,
    )
    return ask, Outside(dict(os.environ), secrets=console.secrets)


def _vars(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--vars is not YAML: {error}", hint="write '{name: value}'") from None
    if not isinstance(found, dict):
        raise UsageError("--vars must be a mapping", hint="write '{name: value}'")
    return {str(key): value for key, value in found.items()}


def _build(command: str, actions: str, console: Console, words: dict[str, Any]) -> int:
    """The one body of build, run, load, seed, snapshot, test and activate."""
    from transformer.flows.build import How, build
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
    ask, outside = _ask(command, console, words)
    with console.watch() as watcher:
        report = build(ask, how, outside, watcher)
    show_report(report, console, command)
    return 0 if report.ok else 1


@app.command()
@_guarded
def init(
    folder: Annotated[Path, typer.Argument(help="The new project's folder")],
    console: Any = None,
) -> None:
    """
    Makes a project to start from: a small retailer's silos, models, checks and an audience.

    Example: `transform init shop`
    """
    from transformer.flows.start import start

    made = start(folder)
    console.say(
        f"created {made.path}: {made.models} models, {made.seeds} seeds,"
        f" {made.macros} files of macros, raw files of {made.silos} silos"
    )
    console.say(f"next: cd {made.path} && transform build")


@app.command()
@_guarded
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
    Does everything that has to be done: loads, builds, checks, activates, publishes.

    What is unchanged is left alone. Nobody sees a half-built warehouse: the file is replaced at
    the end, when every check has passed.

    Example: `transform build --select +daily_revenue`
    """
    return _build("build", "*", console, locals())


@app.command()
@_guarded
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
    Builds models, changed or not, without loading or checking anything.

    Example: `transform run --select orders+`
    """
    return _build("run", "build", console, locals())


@app.command()
@_guarded
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
    Loads sources: raw data from files and databases into raw tables.

    Example: `transform load --select source:crm`
    """
    return _build("load", "load freshness", console, locals())


@app.command()
@_guarded
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
    return _build("seed", "seed", console, locals())


@app.command()
@_guarded
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
    return _build("snapshot", "snapshot", console, locals())


@app.command()
@_guarded
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
    return _build("test", "check freshness", console, locals())


@app.command()
@_guarded
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
    Sends what changed since the last time to the places outside.

    Example: `transform activate --dry-run`
    """
    if not dry_run:
        return _build("activate", "activate", console, locals())
    from transformer.flows.activate import previews
    from transformer.report import show_preview

    ask, outside = _ask("activate", console, locals())
    for node, preview in previews(ask, outside):
        show_preview(node.name, preview, console)
    return 0


@app.command()
@_guarded
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
    Says what `transform build` would do, and why, and does nothing.

    Example: `transform plan`
    """
    from transformer.flows.build import preview
    from transformer.report import show_plan

    ask, outside = _ask("plan", console, locals())
    _, made = preview(ask, outside)
    show_plan(made, console)


@app.command()
@_guarded
def compile(  # noqa: A001 - the command's name
    select: Select = None,
    exclude: Exclude = None,
    target: Target = None,
    variables: Vars = None,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Writes the SQL that would run to `target/compiled/`, and shows it when it is one query.

    Example: `transform compile --select orders`
    """
    from transformer.flows.look import compiled

    ask, outside = _ask("compile", console, locals())
    home, made = compiled(ask, outside)
    if len(made) == 1:
        console.data(made[0][1])
    console.say(f"{len(made)} queries in {home}")


@app.command()
@_guarded
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
    Lists what the project holds, in the order in which it is built.

    Example: `transform ls --select tag:nightly`
    """
    import json

    from transformer.flows.look import described, listed

    ask, outside = _ask("ls", console, locals())
    for node in listed(ask, outside, tuple(kind or ())):
        console.data(json.dumps(described(node)) if as_json else f"{node.kind}:{node.name}")


@app.command()
@_guarded
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
    Shows rows: of a relation, of a query, or those that fail a check.

    Example: `transform show customers --limit 10`
    """
    from transformer.flows.look import Wanted, shown
    from transformer.report import show_rows

    if sum(map(bool, (name, failures, inline))) != 1:
        raise UsageError("say one of: a name, --failures or --inline")
    ask, outside = _ask("show", console, locals())
    show_rows(shown(ask, outside, Wanted(name, failures, inline, limit)), console)


@app.command()
@_guarded
def debug(target: Target = None, project_dir: ProjectDir = Path(), console: Any = None) -> None:
    """
    Says what the tool sees: versions, project, target, warehouse.

    Example: `transform debug`
    """
    from transformer.flows.debug import facts

    ask, outside = _ask("debug", console, locals())
    for key, value in facts(ask, outside):
        console.data(f"{key:<12}{value}")


@app.command()
@_guarded
def clean(target: Target = None, project_dir: ProjectDir = Path(), console: Any = None) -> None:
    """
    Removes what builds leave behind; the warehouse itself and the sync ledger stay.

    Example: `transform clean`
    """
    from transformer.flows.build import clean as removed

    ask, outside = _ask("clean", console, locals())
    found = removed(ask, outside)
    console.say(f"removed {', '.join(found)}" if found else "nothing to remove")


@quarantine.command("show")
@_guarded
def quarantine_show(
    name: Annotated[str | None, typer.Argument(help="A source or activation")] = None,
    limit: Limit = 20,
    target: Target = None,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> None:
    """
    Shows the rows in quarantine, with the reason, newest first.

    Example: `transform quarantine show crm.contacts`
    """
    from transformer.flows.quarantine import rows
    from transformer.report import show_rows

    ask, outside = _ask("quarantine", console, locals())
    show_rows(rows(ask, outside, name, limit), console, empty="nothing is in quarantine")


@quarantine.command("retry")
@_guarded
def quarantine_retry(
    name: Annotated[str | None, typer.Argument(help="A source or activation")] = None,
    target: Target = None,
    wait: Wait = 0.0,
    as_json: Json = False,
    project_dir: ProjectDir = Path(),
    console: Any = None,
) -> int:
    """
    Tries rows again: reads a source's files anew, sends an activation's rejected rows anew.

    Example: `transform quarantine retry crm.contacts`
    """
    from transformer.flows.quarantine import to_retry

    words = {**locals(), "retry_rejected": True}
    ask, outside = _ask("quarantine", console, words)
    words["select"] = to_retry(ask, outside, name)
    if not words["select"]:
        console.say("nothing is in quarantine")
        return 0
    return _build("quarantine retry", "load activate", console, words)
