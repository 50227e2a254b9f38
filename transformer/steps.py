"""The values that planning and running share: `State`, `Step`, `Plan`, `Outcome`, `Results`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from transformer.names import RelationName

Columns = tuple[tuple[str, str], ...]
Action = Literal["load", "freshness", "seed", "build", "snapshot", "check", "activate", "hook"]
# Actions that can be selected; hooks always run.
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
    """An existing relation: table or view, and its columns with their types."""

    kind: Literal["table", "view"]
    columns: Columns = ()


class NodeState(Struct, frozen=True):
    """What the ledger records about a node.

    `version` identifies the content of its relation; `inputs` are the versions it was built from.
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


# For each column, its type and a digest of its values in row order.
Contents = Mapping[str, tuple[str, str]]


class State(Struct, frozen=True):
    """The current state of a warehouse: its relations, and the ledger's records of the nodes.
    `contents` covers raw tables loaded by others, where they were inspected."""

    relations: Mapping[tuple[str, str], RelationState] = field(default_factory=dict)
    nodes: Mapping[str, NodeState] = field(default_factory=dict)
    contents: Mapping[str, Contents] = field(default_factory=dict)

    def relation(self, name: RelationName | None) -> RelationState | None:
        """The relation of that name, or None."""
        return self.relations.get(name.key()) if name else None


class Step(Struct, frozen=True):
    """One thing to do, why, and after which other steps. `work` holds what the action needs."""

    id: str
    action: Action
    label: str
    reason: str
    work: Any
    after: tuple[str, ...] = ()


class Skip(Struct, frozen=True):
    """A node that is not built, and why."""

    id: str
    label: str
    reason: str


class Plan(Struct, frozen=True):
    """Steps in executable order, the nodes that are skipped, and notices for the user."""

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
    """The result of a step. `facts` are figures by name, such as `quarantined`.

    `parts` are the outcomes of checks that ran inside the step; `error` is what went wrong.
    `compiled` is the step's query, and `ran` the SQL that was executed, if any.
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
        """Whether downstream steps are skipped because of it."""
        return self.status in BAD


class Results(Struct, frozen=True):
    """All outcomes of a run, in order of completion."""

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
        """How many outcomes of an action have one of the statuses (no status given: any)."""
        return sum(o.action == action and (not status or o.status in status) for o in self.every())
