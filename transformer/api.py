"""The Python API: a project, and what can be done with it. The command line uses the same flows.

    from transformer import Project

    report = Project("shop").build("orders+")
    for outcome in report.results.outcomes:
        print(outcome.label, outcome.status, outcome.rows)

Nothing here is process-wide: several projects, each with its own environment and clock, can be
used in one process, and from several threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from transformer.flows.activate import previews
from transformer.flows.build import build
from transformer.flows.listing import selected_resources
from transformer.flows.look import ShownRows, ShowRequest, selected_rows
from transformer.flows.plan import preview
from transformer.plan.select.resources import Resource
from transformer.request import ACTIONS, BuildOptions, Environment, Event, Report, Request
from transformer.steps import Plan
from transformer.sync.sync import SyncPreview

__all__ = ["BuildOptions", "Event", "Plan", "Project", "Report", "Resource", "ShownRows"]


def _ignore(_: Event) -> None:
    """Nobody listens."""


class Project:
    """A project in a folder, native or dbt.

    `env` is the environment that templates and keys are read from: `os.environ` as it is now, if
    none is given. `on_event` is called with each `Event`, on the thread of its step. Methods raise
    `transformer.errors.TransformError`: `Mistakes` for a project with errors, `UsageError` for a
    selection that names nothing, `WarehouseError` for a warehouse that is locked. A failed model or
    check raises nothing: it is in the report.
    """

    def __init__(
        self,
        folder: str | Path = ".",
        *,
        target: str | None = None,
        variables: Mapping[str, Any] | None = None,
        profile: str | None = None,
        profiles_dir: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_event: Callable[[Event], None] = _ignore,
    ) -> None:
        self._request = Request(
            Path(folder).resolve(),
            target,
            variables or {},
            profile=profile,
            profiles_dir=Path(profiles_dir).resolve() if profiles_dir else None,
        )
        self._env = dict(os.environ if env is None else env)
        self._clock, self._on_event = clock, on_event

    def __repr__(self) -> str:
        return f"Project({str(self._request.root)!r})"

    def build(
        self,
        *select: str,
        exclude: Iterable[str] = (),
        full_refresh: bool = False,
        options: BuildOptions = BuildOptions(),  # noqa: B008 - frozen
    ) -> Report:
        """The report of `transform build`: loads, builds, checks, activates and publishes what is
        not up to date."""
        request = self._asked("build", select, exclude, full_refresh)
        return build(request, options, self._environment(), self._on_event)

    def run(
        self,
        command: str,
        *select: str,
        exclude: Iterable[str] = (),
        full_refresh: bool = False,
        options: BuildOptions = BuildOptions(),  # noqa: B008 - frozen
    ) -> Report:
        """The report of one part of a build: `run` (models), `load`, `seed`, `snapshot`, `test`,
        `activate` or, with `BuildOptions(retry_rejected=True)`, `quarantine retry`. Raises
        ValueError for another command."""
        if command not in ACTIONS or command == "build":
            raise ValueError(f"`{command}` is not one of {', '.join(list(ACTIONS)[1:])}")
        request = self._asked(command, select, exclude, full_refresh)
        part = replace(options, actions=ACTIONS[command], always=True)
        return build(request, part, self._environment(), self._on_event)

    def plan(self, *select: str, exclude: Iterable[str] = (), full_refresh: bool = False) -> Plan:
        """What a build would do, and why; nothing is done."""
        request = self._asked("plan", select, exclude, full_refresh)
        return preview(request, self._environment())[1]

    def ls(self, *select: str, exclude: Iterable[str] = ()) -> list[Resource]:
        """The selected nodes, in build order."""
        return selected_resources(self._asked("list", select, exclude), self._environment())[0]

    def show(self, name: str, *, limit: int | None = 5) -> ShownRows:
        """Rows of a model, seed, snapshot or source as Python values; all of them without `limit`.
        For large results open the published file with DuckDB."""
        wanted = ShowRequest(name=name, limit=limit)
        return selected_rows(self._asked("show"), self._environment(), wanted)[0]

    def preview_activations(self, *select: str) -> dict[str, SyncPreview]:
        """What each selected activation would send, by its name; nothing is sent."""
        pairs = previews(self._asked("activate", select), self._environment())
        return {node.name: sync for node, sync in pairs}

    def _asked(
        self,
        command: str,
        select: Sequence[str] = (),
        exclude: Iterable[str] = (),
        full_refresh: bool = False,
    ) -> Request:
        return replace(
            self._request,
            command=command,
            select=tuple(select),
            exclude=tuple(exclude),
            full_refresh=full_refresh,
        )

    def _environment(self) -> Environment:
        def say(text: str) -> None:
            self._on_event(Event("notice", text, ""))

        return Environment(self._env, self._clock, say=say)
