"""`transform retry`: what failed or was skipped the last time, with the same command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from transformer.errors import UsageError
from transformer.project.dbt.projectfile import FILE, read_raw
from transformer.project.dbt.words import child
from transformer.project.form import is_dbt_project
from transformer.request import Environment, Request
from transformer.workspace.artifacts import read_artifact

_AGAIN = ("error", "fail", "skipped", "runtime error", "partial success")
_COMMANDS = ("build", "run", "seed", "snapshot", "test", "load", "activate")


def again(ask: Request, outside: Environment) -> Request:
    """What to ask for, from the results that the last run left. Raises UsageError when there are
    none, or of a command that cannot be tried again."""
    root = ask.root.resolve()
    if not is_dbt_project(root):
        raise UsageError(
            "`retry` is for dbt projects", hint="`transform build` goes on where it failed"
        )
    results = read_artifact(target_folder(root, outside), "run_results.json")
    if results is None:
        raise UsageError("there is no `run_results.json`", hint="run `transform build` first")
    args: dict[str, Any] = results.get("args") or {}
    command = str(args.get("which") or "build")
    if command not in _COMMANDS:
        raise UsageError(f"`{command}` cannot be tried again")
    failed = frozenset(
        str(each["unique_id"])
        for each in results.get("results", ())
        if each.get("status") in _AGAIN and not str(each["unique_id"]).startswith("operation.")
    )
    return replace(
        ask,
        command=command,
        target=ask.target or args.get("target"),
        vars=ask.vars or args.get("vars") or {},
        full_refresh=bool(ask.full_refresh or args.get("full_refresh")),
        only=replace(ask.only, only=failed),
    )


def target_folder(root: Path, outside: Environment) -> Path:
    """Where the artifacts of a dbt project lie, without opening it."""
    written = child(read_raw(root, FILE), "target-path")
    plain = str(written.value) if written and written.value else "target"
    return root / (outside.env.get("DBT_TARGET_PATH") or plain)
