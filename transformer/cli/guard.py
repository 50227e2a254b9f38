"""Wraps every command: turns errors into messages and exit codes."""

from __future__ import annotations

import inspect
import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from transformer.cli.options import ALWAYS, COMMON, SELECTING
from transformer.errors import (
    Fault,
    TransformError,
    UsageError,
    is_panic,
    refusal,
    refused_by_machine,
)

if TYPE_CHECKING:
    from transformer.cli.console import Console
    from transformer.plan.select.selection import Selection
    from transformer.request import Environment, Request


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Turns every error into a message and an exit code: 1 for a failure, 2 for usage or a bug."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        shared = {**ALWAYS, **COMMON, **SELECTING}
        options = {name: kwargs.pop(name) for name in shared if name in kwargs}
        console = _console(options, as_json=bool(kwargs.get("as_json")))
        raise typer.Exit(_exit_code(lambda: command(*args, **kwargs, console=console), console))

    # typer reads the signature; the console is not an option.
    del run.__wrapped__
    run.__name__ = command.__name__.replace("_", "-")
    run.__signature__ = signature = _without_console(command)  # type: ignore[attr-defined]
    run.__annotations__ = {n: p.annotation for n, p in signature.parameters.items()}
    return run


def _console(options: Mapping[str, Any], *, as_json: bool) -> Console:
    from transformer.cli.console import Console

    class Quiet(Console):
        """Prints only errors and failures."""

        def error(self, error: BaseException) -> None:
            """Prints to the real stderr."""
            self.err, self._terminal = sys.stderr, None
            super().error(error)

        def failure(self, outcome: Any) -> None:
            """Prints to the real stderr too."""
            loud = Console(sys.stdout, sys.stderr, self.secrets, color=self.color)
            if outcome.bad:
                loud.failure(outcome)

    color = options.get("colors")
    if options.get("quiet"):
        return Quiet(sys.stdout, io.StringIO(), json=as_json, color=color, options=options)
    return Console(sys.stdout, sys.stderr, json=as_json, color=color, options=options)


def _exit_code(work: Callable[[], int | None], console: Console) -> int:
    """The exit code of the work; prints what it raised."""
    try:
        return work() or 0
    except KeyboardInterrupt:
        return _stopped(console)
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        if expected := _user_error(error):
            console.error(expected)
            _trace(console)
            return expected.exit_code
        # DuckDB turns Ctrl-C during a query into its own error.
        if "interrupted" in str(error).lower():
            return _stopped(console)
        console.error(error)
        console.say("  this is a bug in the tool: run it again with `transform --debug …`")
        _trace(console)
        return 2


def _user_error(error: BaseException) -> TransformError | None:
    """The error as users see it; None for an unexpected one."""
    if isinstance(error, TransformError):
        return error
    return refusal(error) if isinstance(error, Fault) else refused_by_machine(error)


def _stopped(console: Console) -> int:
    console.say("stopped; the next build continues from here")
    return 130


def _trace(console: Console) -> None:
    """With --debug, prints the traceback, with secrets masked."""
    if console.options.get("trace"):
        console.say(traceback.format_exc())


def _without_console(command: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(command, eval_str=True)
    parameters = [p for p in signature.parameters.values() if p.name != "console"]
    shared = ALWAYS | (COMMON if "project_dir" in signature.parameters else {})
    shared |= SELECTING if "select" in signature.parameters else {}
    for name, kind in shared.items():
        flag = str(kind.__origin__) == str(bool)
        parameters.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if flag else None,
                annotation=kind,
            )
        )
    return signature.replace(parameters=parameters, return_annotation=None)


def request_of(
    command: str, console: Console, arguments: dict[str, Any]
) -> tuple[Request, Environment]:
    """The request and environment of a command with these arguments. Raises UsageError."""
    from transformer.project.form import is_dbt_project
    from transformer.request import Environment, Request

    options = {**console.options, **arguments}
    root = (options.get("project_dir") or Path()).resolve()
    profiles = options.get("profiles_dir")
    env = dict(os.environ)
    if options.get("target_path"):
        env["DBT_TARGET_PATH"] = str(options["target_path"])
    elsewhere = _folder(root, options.get("defer_state") or options.get("state"))
    if state_is_target(options, root, env):
        console.say(SAME_FOLDER.format(options["state"]))
    if options.get("defer") and elsewhere is None:
        raise UsageError("`--defer` needs `--state FOLDER`")
    request = Request(
        root=root,
        target=options.get("target"),
        vars=yaml_mapping(options.get("variables"), "--vars"),
        select=_non_blank(options.get("select")),
        exclude=_non_blank(options.get("exclude")),
        full_refresh=bool(options.get("full_refresh")),
        command=command,
        profiles_dir=Path(profiles).resolve() if profiles else None,
        profile=options.get("profile"),
        flags=_flags(options),
        only=_only(options, root, env),
        deferred=_deferred(elsewhere) if options.get("defer") and elsewhere else {},
        favors=bool(options.get("favor_state")),
    )
    if is_dbt_project(root):
        os.chdir(root)  # paths in its SQL are relative to the project, as with dbt
    printed: set[str] = set()

    def say(text: str) -> None:
        if text not in printed:
            printed.add(text)
            console.say(text)

    return request, Environment(env, secrets=console.secrets, say=say)


SAME_FOLDER = (
    "The state and target directories are the same: '{}'. This command overwrites what it compares"
    " with: copy the earlier run's artifacts to another folder"
)


def state_is_target(options: dict[str, Any], root: Path, env: Mapping[str, str]) -> bool:
    """Whether `--state` is the folder that this command writes to."""
    if not options.get("state"):
        return False
    state = Path(options["state"])
    target = _target(root, env)
    return target.resolve() in (state.resolve(), (root / state).resolve())


def _target(root: Path, env: Mapping[str, str]) -> Path:
    return root / (env.get("DBT_TARGET_PATH") or "target")


def _non_blank(values: list[str] | None) -> tuple[str, ...]:
    return tuple(value for value in values or () if value.strip())


def _folder(root: Path, folder: Path | None) -> Path | None:
    """A folder relative to the current directory, or to the project. Raises UsageError."""
    if folder is None or folder.is_dir():
        return folder
    in_project = root / folder
    if not in_project.is_dir():
        raise UsageError(f"there is no folder `{folder}`", hint="check `--state`")
    return in_project


def _only(options: dict[str, Any], root: Path, env: dict[str, str]) -> Selection:
    from transformer.plan.select.selection import EarlierRun, Selection

    state = _folder(root, options.get("state"))
    target = _target(root, env)
    return Selection(
        selector=options.get("selector"),
        kinds=_non_blank(options.get("kinds")),
        not_kinds=_non_blank(options.get("not_kinds")),
        indirect=options.get("indirect") or "eager",
        earlier=_earlier(state, target) if state else EarlierRun(),
    )


def _earlier(state: Path, here: Path) -> Any:
    from transformer.workspace.artifacts import earlier

    return earlier(state, here)


def _deferred(folder: Path) -> Any:
    from transformer.workspace.artifacts import deferred

    return deferred(folder)


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    """The values of `flags` in templates, beyond those that are always set."""
    named = {
        "EMPTY": options.get("empty"),
        "SAMPLE": _sample(options.get("sample")),
        "EVENT_TIME_START": options.get("event_time_start"),
        "EVENT_TIME_END": options.get("event_time_end"),
        "STORE_FAILURES": options.get("store_failures"),
        "WARN_ERROR": options.get("warn_error"),
        "FAIL_FAST": options.get("fail_fast"),
    }
    return {name: value for name, value in named.items() if value}


def _sample(text: str | None) -> Any:
    return yaml_mapping(text, "--sample") if text and text.lstrip().startswith("{") else text


def yaml_mapping(text: str | None, option: str) -> dict[str, Any]:
    """A mapping given as YAML. Raises UsageError if it is not one."""
    if not text or not text.strip():
        return {}
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "it cannot be read"
        hint = "write it like '{name: value}'"
        raise UsageError(f"{option} is not YAML: {problem}", hint=hint) from None
    if not isinstance(value, dict):
        raise UsageError(f"{option} must be a mapping", hint="write it like '{name: value}'")
    return {str(key): value for key, value in value.items()}
