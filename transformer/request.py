"""What a user asks for, and what came of it: the words between the command line and the flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from transformer.compile.world import secrets_of
from transformer.plan.select.selection import Selection
from transformer.steps import EVERYTHING, Action, Outcome, Plan, Results

# What each command does of all that a build does; all but `build` also where nothing changed.
ACTIONS: Mapping[str, frozenset[Action]] = {
    "build": EVERYTHING,
    "run": frozenset(("build",)),
    "load": frozenset(("load", "freshness")),
    "seed": frozenset(("seed",)),
    "snapshot": frozenset(("snapshot",)),
    "test": frozenset(("check", "freshness")),
    "activate": frozenset(("activate",)),
    "quarantine retry": frozenset(("load", "activate")),
}

# Flags of options that build from a part of the rows.
_NARROWING = {
    "EMPTY": "--empty",
    "SAMPLE": "--sample",
    "EVENT_TIME_START": "--event-time-start",
    "EVENT_TIME_END": "--event-time-end",
}


class DeferredRelation(Struct, frozen=True):
    """A relation that another target holds: `kind` is what made it."""

    database: str
    schema: str
    table: str
    kind: str = "model"

    @property
    def parts(self) -> tuple[str, str, str]:
        """The parts of its name."""
        return self.database, self.schema, self.table


class Request(Struct, frozen=True):
    """What a user asks for on the command line, whatever the command."""

    root: Path = Path()
    target: str | None = None
    vars: Mapping[str, Any] = {}
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    full_refresh: bool = False
    command: str = "build"
    profiles_dir: Path | None = None
    profile: str | None = None
    # Flags of the command line that templates may ask for, by dbt's names.
    flags: Mapping[str, Any] = {}
    # What narrows the choice beside `select` and `exclude`.
    only: Selection = msgspec.field(default_factory=Selection)
    # Where nodes lie that were built elsewhere, by id: what is not chosen is read there, even
    # where it is built here too when `favors` says so.
    deferred: Mapping[str, DeferredRelation] = {}
    favors: bool = False

    @property
    def narrows(self) -> tuple[str, ...]:
        """The options that build from a part of the rows, as they are written."""
        return tuple(option for flag, option in _NARROWING.items() if self.flags.get(flag))

    @property
    def selection(self) -> Selection:
        """Which nodes are meant."""
        return replace(self.only, select=self.select, exclude=self.exclude)


@dataclass(frozen=True, slots=True)
class Environment:
    """What the outside gives: environment and clock. `secrets` fills with values to be hidden."""

    env: Mapping[str, str] = field(repr=False)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    secrets: set[str] = field(default_factory=set, repr=False)
    # Tells this call of the tool from every other.
    invocation: str = field(default_factory=lambda: str(uuid4()))
    # What is told while something is done: a warning, the log of a macro.
    say: Callable[[str], object] = field(default=str, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Values of secret variables are secret for every reader, also for Python models."""
        self.secrets.update(secrets_of(self.env))


class BuildOptions(Struct, frozen=True):
    """How a build is done, beside what is asked for."""

    actions: frozenset[Action] = EVERYTHING
    always: bool = False
    threads: int | None = None
    fail_fast: bool = False
    keep_failed: bool = False
    retry_rejected: bool = False
    # A warning is a failure.
    strict: bool = False
    wait: float = 0.0


class Event(Struct, frozen=True):
    """Something a watcher may want to show: a step begins, moves on, or has ended."""

    kind: str
    label: str
    action: str
    done: int = 0
    total: int = 0
    outcome: Outcome | None = None


class Published(Struct, frozen=True):
    """What was put in place: the file, its size in bytes, its models and their rows."""

    path: str
    size: int
    models: int
    rows: int


class Report(Struct, frozen=True):
    """What a build came to. Without `published` the file is the one from before (`since`)."""

    plan: Plan
    results: Results
    published: Published | None = None
    resumed: bool = False
    since: datetime | None = None
    quarantine: Mapping[str, int] = {}
    path: str = ""
    # What failed in an earlier build of the same copy and keeps it from being published.
    standing: tuple[str, ...] = ()
    # Relations whose model is gone from the project: they stay as they were when it went.
    left_over: tuple[str, ...] = ()
    # When a verdict changes because time passes, in seconds since 1970.
    expires: float | None = None
    # A warning is a failure.
    strict: bool = False

    @property
    def well(self) -> bool:
        """Whether there is nothing to say, not even a warning."""
        return self.ok and not self.results.warned

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and nothing that failed before keeps the file back."""
        if self.strict and (self.results.warned or self.standing):
            return False
        return not self.results.bad and not (self.standing and self.published is None)
