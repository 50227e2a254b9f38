"""Around every command: errors become messages and exit codes."""

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

from transformer.cli.options import COMMON, SELECTING
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


class GlobalOptions:
    """What the words before the command say."""

    debug = False
    # What every command takes that works on a project.
    common: dict[str, Any] = {}  # noqa: RUF012 - the words of this one call


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Every error becomes a message and an exit code: 1 handled, 2 usage or our own fault."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        shared = {**COMMON, **SELECTING}
        GlobalOptions.common = {name: kwargs.pop(name) for name in shared if name in kwargs}
        GlobalOptions.debug = GlobalOptions.debug or bool(GlobalOptions.common.get("trace"))
        console = _console(as_json=bool(kwargs.get("as_json")))
        raise typer.Exit(_ended(lambda: command(*args, **kwargs, console=console), console))

    # typer reads the signature; the console is not one of the user's words.
    del run.__wrapped__
    run.__name__ = command.__name__.replace("_", "-")
    run.__signature__ = signature = _without_console(command)  # type: ignore[attr-defined]
    run.__annotations__ = {n: p.annotation for n, p in signature.parameters.items()}
    return run


def _console(*, as_json: bool) -> Console:
    from transformer.cli.console import Console

    class Quiet(Console):
        """Says errors and failures only."""

        def error(self, error: BaseException) -> None:
            """Loud."""
            self.err, self._terminal = sys.stderr, None
            super().error(error)

        def failure(self, outcome: Any) -> None:
            """Loud too."""
            loud = Console(sys.stdout, sys.stderr, self.secrets, color=self.color)
            if outcome.bad:
                loud.failure(outcome)

    quiet, color = bool(GlobalOptions.common.get("quiet")), GlobalOptions.common.get("colors")
    if quiet:
        return Quiet(sys.stdout, io.StringIO(), json=as_json, color=color)
    return Console(sys.stdout, sys.stderr, json=as_json, color=color)


def _ended(work: Callable[[], int | None], console: Console) -> int:
    """The exit code of the work; what it raised is told."""
    try:
        return work() or 0
    except KeyboardInterrupt:
        return _stopped(console)
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        if known := _known(error):
            console.error(known)
            _trace(console)
            return known.exit_code
        # DuckDB answers Ctrl-C in the middle of a query with an error of its own.
        if "interrupted" in str(error).lower():
            return _stopped(console)
        console.error(error)
        console.say("  this is the tool's own fault: run it again with `transform --debug …`")
        _trace(console)
        return 2


def _known(error: BaseException) -> TransformError | None:
    """The error as users see it; None for one that nobody expected."""
    if isinstance(error, TransformError):
        return error
    return refusal(error) if isinstance(error, Fault) else refused_by_machine(error)


def _stopped(console: Console) -> int:
    console.say("stopped; the next build goes on from here")
    return 130


def _trace(console: Console) -> None:
    """With --debug, where in the tool the error comes from; secrets are hidden in it too."""
    if GlobalOptions.debug:
        console.say(traceback.format_exc())


def _without_console(command: Callable[..., Any]) -> inspect.Signature:
    given = inspect.signature(command, eval_str=True)
    kept = [p for p in given.parameters.values() if p.name != "console"]
    shared = dict(COMMON) if "project_dir" in given.parameters else {}
    shared |= SELECTING if "select" in given.parameters else {}
    for name, kind in shared.items():
        flag = str(kind.__origin__) == str(bool)
        kept.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if flag else None,
                annotation=kind,
            )
        )
    return given.replace(parameters=kept, return_annotation=None)


def asked(command: str, console: Console, words: dict[str, Any]) -> tuple[Request, Environment]:
    """What the words of a command ask for, and the outside they are asked in."""
    from transformer.project.form import is_dbt_project
    from transformer.request import Environment, Request

    said = {**GlobalOptions.common, **words}
    root = (said.get("project_dir") or Path()).resolve()
    profiles = said.get("profiles_dir")
    env = dict(os.environ)
    if said.get("target_path"):
        env["DBT_TARGET_PATH"] = str(said["target_path"])
    elsewhere = _folder(root, said.get("defer_state") or said.get("state"))
    if state_is_target(said, root, env):
        console.say(SAME_FOLDER.format(said["state"]))
    if said.get("defer") and elsewhere is None:
        raise UsageError("`--defer` needs `--state FOLDER`")
    ask = Request(
        root=root,
        target=said.get("target"),
        vars=mapped(said.get("variables"), "--vars"),
        select=_words(said.get("select")),
        exclude=_words(said.get("exclude")),
        full_refresh=bool(said.get("full_refresh")),
        command=command,
        profiles_dir=Path(profiles).resolve() if profiles else None,
        profile=said.get("profile"),
        flags=_flags(said),
        only=_only(said, root, env),
        deferred=_deferred(elsewhere) if said.get("defer") and elsewhere else {},
        favors=bool(said.get("favor_state")),
    )
    if is_dbt_project(root):
        os.chdir(root)  # files that its SQL names are named from there, as with dbt
    told: set[str] = set()

    def say(text: str) -> None:
        if text not in told:
            told.add(text)
            console.say(text)

    return ask, Environment(env, secrets=console.secrets, say=say)


SAME_FOLDER = (
    "The state and target directories are the same: '{}'. This call writes where it compares with:"
    " keep what an earlier run left in a folder of its own"
)


def state_is_target(said: dict[str, Any], root: Path, env: Mapping[str, str]) -> bool:
    """Whether `--state` is the folder that this call writes to."""
    if not said.get("state"):
        return False
    given = Path(said["state"])
    here = _target(root, env)
    return here.resolve() in (given.resolve(), (root / given).resolve())


def _target(root: Path, env: Mapping[str, str]) -> Path:
    return root / (env.get("DBT_TARGET_PATH") or "target")


def _words(given: list[str] | None) -> tuple[str, ...]:
    return tuple(each for each in given or () if each.strip())


def _folder(root: Path, given: Path | None) -> Path | None:
    """A folder as it is named from here, or from the project."""
    if given is None or given.is_dir():
        return given
    found = root / given
    if not found.is_dir():
        raise UsageError(f"there is no folder `{given}`", hint="look at `--state`")
    return found


def _only(said: dict[str, Any], root: Path, env: dict[str, str]) -> Selection:
    from transformer.plan.select.selection import EarlierRun, Selection

    state = _folder(root, said.get("state"))
    here = _target(root, env)
    return Selection(
        selector=said.get("selector"),
        kinds=_words(said.get("kinds")),
        not_kinds=_words(said.get("not_kinds")),
        indirect=said.get("indirect") or "eager",
        earlier=_earlier(state, here) if state else EarlierRun(),
    )


def _earlier(state: Path, here: Path) -> Any:
    from transformer.workspace.artifacts import earlier

    return earlier(state, here)


def _deferred(folder: Path) -> Any:
    from transformer.workspace.artifacts import deferred

    return deferred(folder)


def _flags(said: dict[str, Any]) -> dict[str, Any]:
    """What templates may ask `flags` for, beyond what is always there."""
    named = {
        "EMPTY": said.get("empty"),
        "SAMPLE": _sample(said.get("sample")),
        "EVENT_TIME_START": said.get("event_time_start"),
        "EVENT_TIME_END": said.get("event_time_end"),
        "STORE_FAILURES": said.get("store_failures"),
        "WARN_ERROR": said.get("warn_error"),
        "FAIL_FAST": said.get("fail_fast"),
    }
    return {name: value for name, value in named.items() if value}


def _sample(text: str | None) -> Any:
    return mapped(text, "--sample") if text and text.lstrip().startswith("{") else text


def mapped(text: str | None, option: str) -> dict[str, Any]:
    """A mapping that is written as YAML. Raises UsageError when it is none."""
    if not text or not text.strip():
        return {}
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        said = getattr(error, "problem", None) or "it cannot be read"
        hint = "write it like '{name: value}'"
        raise UsageError(f"{option} is not YAML: {said}", hint=hint) from None
    if not isinstance(found, dict):
        raise UsageError(f"{option} must be a mapping", hint="write it like '{name: value}'")
    return {str(key): value for key, value in found.items()}
