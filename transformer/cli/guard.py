"""Around every command: errors become messages and exit codes."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from transformer.errors import Fault, TransformError, UsageError, refusal

if TYPE_CHECKING:
    from transformer.asking import Ask, Outside
    from transformer.console import Console


class State:
    """What the words before the command say."""

    debug = False


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Every error becomes a message and an exit code: 1 handled, 2 usage or our own fault."""

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
            _trace(console)
        except Fault as fault:
            console.error(refusal(fault))
            code = 1
            _trace(console)
        except KeyboardInterrupt:
            console.say("stopped; the next build goes on from here")
            code = 130
        except Exception as error:
            # DuckDB answers Ctrl-C in the middle of a query with an error of its own.
            if "interrupted" in str(error).lower():
                console.say("stopped; the next build goes on from here")
                raise typer.Exit(130) from None
            console.error(error)
            console.say("  this is the tool's own fault: run it again with `transform --debug …`")
            _trace(console)
            code = 2
        raise typer.Exit(code)

    # typer reads the signature; the console is not one of the user's words.
    del run.__wrapped__
    run.__signature__ = signature = _without_console(command)  # type: ignore[attr-defined]
    run.__annotations__ = {n: p.annotation for n, p in signature.parameters.items()}
    return run


def _trace(console: Console) -> None:
    """With --debug, where in the tool the error comes from; secrets are hidden in it too."""
    if State.debug:
        console.say(traceback.format_exc())


def _without_console(command: Callable[..., Any]) -> inspect.Signature:
    given = inspect.signature(command, eval_str=True)
    kept = [p for p in given.parameters.values() if p.name != "console"]
    return given.replace(parameters=kept, return_annotation=None)


def asked(command: str, console: Console, words: dict[str, Any]) -> tuple[Ask, Outside]:
    """What the words of a command ask for, and the outside they are asked in."""
    from transformer.asking import Ask, Outside

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
        said = getattr(error, "problem", None) or "it cannot be read"
        hint = "write it like '{name: value}'"
        raise UsageError(f"--vars is not YAML: {said}", hint=hint) from None
    if not isinstance(found, dict):
        raise UsageError("--vars must be a mapping", hint="write it like '{name: value}'")
    return {str(key): value for key, value in found.items()}
