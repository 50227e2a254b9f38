"""The options of the commands, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def _option(*names: str, help: str, env: str = "", **rest: Any) -> Any:  # noqa: A002 - typer's word
    """An option, and the variable of the environment that stands for it."""
    return typer.Option(*names, help=help, envvar=env or None, show_envvar=False, **rest)


Select = Annotated[
    list[str] | None,
    _option("--select", "-s", help="What to take: `orders+`, `tag:nightly`, `path:models/marts`"),
]
Exclude = Annotated[list[str] | None, _option("--exclude", help="What to leave out")]
Target = Annotated[str | None, _option("--target", "-t", help="The target to work on")]
Vars = Annotated[
    str | None, _option("--vars", help="Values for `var()`, as YAML: `'{today: 2024-07-01}'`")
]
ProjectDir = Annotated[
    Path,
    _option(
        "--project-dir", help="The project's folder; without it, this one", env="DBT_PROJECT_DIR"
    ),
]
ProfilesDir = Annotated[
    Path | None, _option("--profiles-dir", help="Where a dbt project's profiles.yml lies")
]
Profile = Annotated[str | None, _option("--profile", help="The profile of a dbt project")]
TargetPath = Annotated[
    Path | None, _option("--target-path", help="The folder for the artifacts of a dbt project")
]
Quiet = Annotated[
    bool, _option("--quiet", "-q", help="Say nothing but errors and data", env="DBT_QUIET")
]
Colors = Annotated[
    bool | None,
    _option("--use-colors/--no-use-colors", help="Colour, or none", env="DBT_USE_COLORS"),
]
Trace = Annotated[bool, _option("--debug", "-d", help="Show where in the tool an error comes from")]
FullRefresh = Annotated[
    bool,
    _option(
        "--full-refresh",
        "--full",
        "-f",
        help="Do everything anew, also what is unchanged; tables that only grow begin again",
        env="DBT_FULL_REFRESH",
    ),
]
Threads = Annotated[int | None, _option("--threads", help="Steps at the same time", min=1)]
FailFast = Annotated[
    bool, _option("--fail-fast", "-x", help="Stop at the first failure", env="DBT_FAIL_FAST")
]
KeepFailed = Annotated[
    bool, _option("--keep-failed", help="Keep a new table although its check failed")
]
WarnError = Annotated[
    bool, _option("--warn-error", help="A warning of a check is a failure", env="DBT_WARN_ERROR")
]
Json = Annotated[bool, _option("--json", help="One JSON object on each line, to stdout")]
Wait = Annotated[float, _option("--wait", help="Seconds to wait for another build to end", min=0)]
Limit = Annotated[int, _option("--limit", help="How many rows to show; -1: all", min=-1)]
DryRun = Annotated[bool, _option("--dry-run", help="Show what would be done, do nothing")]

Selector = Annotated[
    str | None, _option("--selector", help="A selection of `selectors.yml`, by its name")
]
Kinds = Annotated[
    list[str] | None, _option("--resource-type", help="Only these: model, source, seed, test …")
]
NotKinds = Annotated[list[str] | None, _option("--exclude-resource-type", help="Not these")]
Indirect = Annotated[
    str | None,
    _option(
        "--indirect-selection",
        help="Which tests come along: eager, cautious, buildable, empty",
        env="DBT_INDIRECT_SELECTION",
    ),
]
StateDir = Annotated[
    Path | None,
    _option("--state", help="The folder with the artifacts of an earlier run", env="DBT_STATE"),
]
Defer = Annotated[
    bool,
    _option("--defer", help="Read what is not built here where `--state` has it", env="DBT_DEFER"),
]
DeferState = Annotated[
    Path | None,
    _option("--defer-state", help="Another folder for `--defer`", env="DBT_DEFER_STATE"),
]
FavorState = Annotated[
    bool,
    _option("--favor-state", help="… even where it is built here too", env="DBT_FAVOR_STATE"),
]
Empty = Annotated[bool, _option("--empty", help="Build with no rows (dbt projects)")]
Sample = Annotated[
    str | None, _option("--sample", help="Build from a part of the rows: `3 days` (dbt projects)")
]
EventStart = Annotated[
    str | None,
    _option("--event-time-start", help="From when on microbatches are built (dbt projects)"),
]
EventEnd = Annotated[
    str | None, _option("--event-time-end", help="Until when microbatches are built (dbt projects)")
]
StoreFailures = Annotated[
    bool,
    _option(
        "--store-failures", help="Keep the failing rows of every test", env="DBT_STORE_FAILURES"
    ),
]

# What every command takes that works on a project: name, type.
COMMON: dict[str, Any] = {
    "target": Target,
    "variables": Vars,
    "profiles_dir": ProfilesDir,
    "profile": Profile,
    "target_path": TargetPath,
    "quiet": Quiet,
    "colors": Colors,
    "trace": Trace,
}
# What those take that select.
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
