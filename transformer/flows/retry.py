"""`transform retry`: the failed and skipped nodes of the last command, with the same command."""

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

_FAILED_STATUSES = ("error", "fail", "skipped", "runtime error", "partial success")
_COMMANDS = ("build", "run", "seed", "snapshot", "test", "load", "activate")


def retry_request(request: Request, environment: Environment) -> Request:
    """The request that repeats the last run's failures. Raises UsageError if there are no results,
    or its command cannot be retried."""
    root = request.root.resolve()
    if not is_dbt_project(root):
        raise UsageError(
            "`retry` is for dbt projects", hint="`transform build` continues where it failed"
        )
    results = read_artifact(target_folder(root, environment), "run_results.json")
    if results is None:
        raise UsageError("there is no `run_results.json`", hint="run `transform build` first")
    args: dict[str, Any] = results.get("args") or {}
    command = str(args.get("which") or "build")
    if command not in _COMMANDS:
        raise UsageError(f"`{command}` cannot be retried")
    failed = frozenset(
        str(result["unique_id"])
        for result in results.get("results", ())
        if result.get("status") in _FAILED_STATUSES
        and not str(result["unique_id"]).startswith("operation.")
    )
    return replace(
        request,
        command=command,
        target=request.target or args.get("target"),
        vars=request.vars or args.get("vars") or {},
        full_refresh=bool(request.full_refresh or args.get("full_refresh")),
        only=replace(request.only, only=failed),
    )


def target_folder(root: Path, environment: Environment) -> Path:
    """The folder of a dbt project's artifacts, without opening the project."""
    target_path = child(read_raw(root, FILE), "target-path")
    configured = str(target_path.value) if target_path and target_path.value else "target"
    return root / (environment.env.get("DBT_TARGET_PATH") or configured)
