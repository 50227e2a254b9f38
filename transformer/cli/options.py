"""The options of the commands, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def _option(*names: str, help: str, env: str = "", **rest: Any) -> Any:  # noqa: A002 - typer's name
    """An option, optionally with an environment variable."""
    return typer.Option(*names, help=help, envvar=env or None, show_envvar=False, **rest)


Select = Annotated[
    list[str] | None,
    _option(
        "--select", "-s", help="Nodes to include: `orders+`, `tag:nightly`, `path:models/marts`"
    ),
]
Exclude = Annotated[list[str] | None, _option("--exclude", help="Nodes to exclude")]
Target = Annotated[str | None, _option("--target", "-t", help="The target to use")]
Vars = Annotated[
    str | None, _option("--vars", help="Values for `var()`, as YAML: `'{today: 2024-07-01}'`")
]
ProjectDir = Annotated[
    Path,
    _option("--project-dir", help="The project folder; default: this one", env="DBT_PROJECT_DIR"),
]
ProfilesDir = Annotated[
    Path | None, _option("--profiles-dir", help="The folder of a dbt project's profiles.yml")
]
Profile = Annotated[str | None, _option("--profile", help="The profile of a dbt project")]
TargetPath = Annotated[
    Path | None, _option("--target-path", help="The folder for the artifacts of a dbt project")
]
Quiet = Annotated[
    bool, _option("--quiet", "-q", help="Print only errors and data", env="DBT_QUIET")
]
Colors = Annotated[
    bool | None,
    _option("--use-colors/--no-use-colors", help="Color the output, or not", env="DBT_USE_COLORS"),
]
Trace = Annotated[bool, _option("--debug", "-d", help="Show the traceback of an error")]
FullRefresh = Annotated[
    bool,
    _option(
        "--full-refresh",
        "--full",
        "-f",
        help="Rebuild everything; incremental tables start from scratch",
        env="DBT_FULL_REFRESH",
    ),
]
Threads = Annotated[
    int | None, _option("--threads", help="Number of steps to run in parallel", min=1)
]
FailFast = Annotated[
    bool, _option("--fail-fast", "-x", help="Stop at the first failure", env="DBT_FAIL_FAST")
]
KeepFailed = Annotated[
    bool, _option("--keep-failed", help="Keep a new table even if its check fails")
]
WarnError = Annotated[
    bool, _option("--warn-error", help="Treat warnings of checks as failures", env="DBT_WARN_ERROR")
]
Json = Annotated[bool, _option("--json", help="Print one JSON object per line to stdout")]
Wait = Annotated[
    float, _option("--wait", help="Seconds to wait for another build to finish", min=0)
]
Limit = Annotated[int, _option("--limit", help="Number of rows to show; -1: all", min=-1)]
DryRun = Annotated[bool, _option("--dry-run", help="Show what would be sent, without sending it")]

Selector = Annotated[str | None, _option("--selector", help="A named selection of `selectors.yml`")]
Kinds = Annotated[
    list[str] | None,
    _option("--resource-type", help="Include only these kinds: model, source, seed, test …"),
]
NotKinds = Annotated[
    list[str] | None, _option("--exclude-resource-type", help="Exclude these kinds")
]
Indirect = Annotated[
    str | None,
    _option(
        "--indirect-selection",
        help="Which tests to include: eager, cautious, buildable, empty",
        env="DBT_INDIRECT_SELECTION",
    ),
]
StateDir = Annotated[
    Path | None,
    _option("--state", help="The folder with an earlier run's artifacts", env="DBT_STATE"),
]
Defer = Annotated[
    bool,
    _option("--defer", help="Read unbuilt models from the run in `--state`", env="DBT_DEFER"),
]
DeferState = Annotated[
    Path | None,
    _option(
        "--defer-state", help="The folder for `--defer`, if not `--state`", env="DBT_DEFER_STATE"
    ),
]
FavorState = Annotated[
    bool,
    _option(
        "--favor-state", help="With `--defer`, even if they are built here", env="DBT_FAVOR_STATE"
    ),
]
Empty = Annotated[bool, _option("--empty", help="Build without rows (dbt projects)")]
Sample = Annotated[
    str | None, _option("--sample", help="Build from recent rows only: `3 days` (dbt projects)")
]
EventStart = Annotated[
    str | None,
    _option("--event-time-start", help="Start of the microbatches to build (dbt projects)"),
]
EventEnd = Annotated[
    str | None, _option("--event-time-end", help="End of the microbatches to build (dbt projects)")
]
StoreFailures = Annotated[
    bool,
    _option(
        "--store-failures", help="Keep the failing rows of every test", env="DBT_STORE_FAILURES"
    ),
]

# The option of every command.
ALWAYS: dict[str, Any] = {"trace": Trace}
# Options of all commands that work on a project: name, type.
COMMON: dict[str, Any] = {
    "target": Target,
    "variables": Vars,
    "profiles_dir": ProfilesDir,
    "profile": Profile,
    "target_path": TargetPath,
    "quiet": Quiet,
    "colors": Colors,
}
# Options of all commands that select nodes.
SELECTING: dict[str, Any] = {
    "selector": Selector,
    "kinds": Kinds,
    "not_kinds": NotKinds,
    "indirect": Indirect,
    "state": StateDir,
    "defer": Defer,
    "defer_state": DeferState,
    "favor_state": FavorState,
    "threads": Threads,
    "empty": Empty,
    "sample": Sample,
    "event_time_start": EventStart,
    "event_time_end": EventEnd,
    "store_failures": StoreFailures,
    "warn_error": WarnError,
}
