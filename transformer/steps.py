"""The words that both wings share: `State`, `Step`, `Plan`, `Outcome`, `Results`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from transformer.names import RelationName

Columns = tuple[tuple[str, str], ...]
Action = Literal["load", "freshness", "seed", "build", "snapshot", "check", "activate", "hook"]
# What is chosen; hooks run with whatever is.
EVERYTHING: frozenset[Action] = frozenset(
    ("load", "freshness", "seed", "build", "snapshot", "check", "activate")
)
Status = Literal["success", "warn", "fail", "error", "skipped"]

BAD: tuple[Status, ...] = ("fail", "error")


# Columns of every loaded row: when, in which batch, and from which file or table and row.
LOAD_COLUMNS: Columns = (
    ("_loaded_at", "TIMESTAMP WITH TIME ZONE"),
    ("_batch", "VARCHAR"),
    ("_source", "VARCHAR"),
)


class RelationState(Struct, frozen=True):
    """A relation that is there: table or view, and its columns with their types."""

    kind: Literal["table", "view"]
    columns: Columns = ()


class NodeState(Struct, frozen=True):
    """What the ledger knows of a node.

    `version` names the content of its relation; `inputs` are the versions it was made from.
    """

    fingerprint: str
    version: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    status: Status = "success"
    columns: Columns = ()
    rows: int | None = None


class SourcePart(Struct, frozen=True):
    """A file or table of a source. `identity` changes when it changes; an empty one says nothing.
    `cursor` is how far a table was read."""

    name: str
    identity: str
    digest: str = ""
    cursor: str | None = None


class Arrivals(Struct, frozen=True):
    """The parts of a source: all of them, those never `landed`, those that changed since, the
    names of those that are gone, and those that were touched and are the `same`."""

    parts: tuple[SourcePart, ...] = ()
    new: tuple[SourcePart, ...] = ()
    changed: tuple[SourcePart, ...] = ()
    gone: tuple[str, ...] = ()
    same: tuple[SourcePart, ...] = ()
    landed: Mapping[str, SourcePart] = {}

    def reason(self, *, mirrors: bool) -> str:
        """Why the source has to be loaded, or nothing. A load that `mirrors` its source drops what
        is gone there."""
        changed = [part for part in self.changed if part.identity]
        reasons = {
            "new file": len(self.new),
            "changed file": len(changed),
            "may have changed": len(self.changed) > len(changed),
            "vanished file": len(self.gone) if mirrors else 0,
        }
        return ", ".join(
            what if count is True else f"{count} {what}{'' if count == 1 else 's'}"
            for what, count in reasons.items()
            if count
        )


# The type of each column, and a digest of its values in the order of the rows.
Contents = Mapping[str, tuple[str, str]]


class State(Struct, frozen=True):
    """A warehouse as it is: its relations, and what the ledger says of the nodes. `contents` are
    those of raw tables that someone else loads, where they were looked at."""

    relations: Mapping[tuple[str, str], RelationState] = field(default_factory=dict)
    nodes: Mapping[str, NodeState] = field(default_factory=dict)
    contents: Mapping[str, Contents] = field(default_factory=dict)

    def relation(self, name: RelationName | None) -> RelationState | None:
        """The relation of that name, when it is there."""
        return self.relations.get(name.key()) if name else None


class Step(Struct, frozen=True):
    """One thing to do, why, and after which other steps. `work` is what its action needs."""

    id: str
    action: Action
    label: str
    reason: str
    work: Any
    after: tuple[str, ...] = ()


class Skip(Struct, frozen=True):
    """A node that needs nothing done, and why."""

    id: str
    label: str
    reason: str


class Plan(Struct, frozen=True):
    """Steps in an order that can be followed, what is left alone, and what a user should know
    before it is followed."""

    steps: tuple[Step, ...] = ()
    skips: tuple[Skip, ...] = ()
    notices: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def of(self, action: Action) -> tuple[Step, ...]:
        """The steps of one action."""
        return tuple(step for step in self.steps if step.action == action)


class Sample(Struct, frozen=True):
    """A few rows to show: column names and values as text."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


class Outcome(Struct, frozen=True):
    """What became of a step. `facts` are figures by name, such as `quarantined`.

    `parts` are the outcomes of checks that ran inside the step; `error` is what went wrong.
    `compiled` is the query as it was made for the step, and `ran` what was run, where SQL was.
    """

    id: str
    action: Action
    label: str
    status: Status
    seconds: float = 0.0
    rows: int | None = None
    message: str = ""
    facts: Mapping[str, int] = field(default_factory=dict)
    sample: Sample = Sample()
    parts: tuple[Outcome, ...] = ()
    error: Exception | None = None
    compiled: str = ""
    ran: str = ""

    @property
    def bad(self) -> bool:
        """Whether it stops what stands on it."""
        return self.status in BAD


class Results(Struct, frozen=True):
    """All outcomes of a run, in the order in which they ended."""

    outcomes: tuple[Outcome, ...] = ()
    seconds: float = 0.0

    def every(self) -> Iterator[Outcome]:
        """Every outcome, checks inside steps included."""
        for outcome in self.outcomes:
            yield outcome
            yield from outcome.parts

    @property
    def bad(self) -> tuple[Outcome, ...]:
        """Everything that failed."""
        return tuple(outcome for outcome in self.every() if outcome.bad)

    @property
    def warned(self) -> bool:
        """Whether there is a warning."""
        return any(outcome.status == "warn" for outcome in self.every())

    def count(self, action: Action, *status: Status) -> int:
        """How many outcomes of an action have one of the statuses (none named: any)."""
        return sum(o.action == action and (not status or o.status in status) for o in self.every())
