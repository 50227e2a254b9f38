"""The inputs of planning: the request and facts about the world; and its output, the work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from transformer.compile.bind import BoundColumns
from transformer.compile.nodes import Node
from transformer.errors import TransformError
from transformer.names import RelationName
from transformer.plan.check_kinds import ReadyCheck
from transformer.plan.materialize import ModelInputs, Statement
from transformer.plan.snapshots import SnapshotInputs
from transformer.steps import EVERYTHING, Action, Arrivals, Columns


class Probe(Struct, frozen=True):
    """The result of probing a node's external input: a reason to run it, or none; for a source,
    what arrived."""

    reason: str = ""
    arrivals: Arrivals | None = None


class BuildRequest(Struct, frozen=True):
    """The request: which nodes, which actions, and how.

    `always` runs the chosen nodes even if nothing changed, as `transform run` does. With `gates`
    every check of severity error that reads something built is measured, chosen or not, because
    the result will be published. With `strict` checks that only warn are measured too.
    """

    chosen: frozenset[str]
    now: datetime
    actions: frozenset[Action] = EVERYTHING
    full_refresh: bool = False
    always: bool = False
    gates: bool = False
    strict: bool = False


class WorldFacts(Struct, frozen=True):
    """Facts about the world: bound columns, probed sources, expired results, and what has already
    `failed` in this run. The columns of a `late` node are unknown before it runs."""

    columns: Mapping[str, Columns] = field(default_factory=dict)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    expired: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    # Nodes already built in this run.
    made: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    increments: Mapping[str, Columns] = field(default_factory=dict)
    # The files in each node's query, each with a digest of its state.
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Why everything has to be rebuilt: another version of the engine.
    rebuild_reason: str = ""

    @classmethod
    def of(cls, bound: BoundColumns) -> WorldFacts:
        """The facts from binding."""
        return cls(bound.columns, late=frozenset(bound.late), increments=bound.increments)


class Work(Struct, frozen=True):
    """Everything a step needs to run.

    `inputs` are the ids whose versions it is built from. `checks` are measured inside the step,
    over `rows` (a FROM clause). `reads` are the relations by their names in Python. With
    `only_if_changed` the step is skipped if its inputs turn out to have their previous versions.
    """

    node: Node
    fingerprint: str
    inputs: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    checks: tuple[ReadyCheck, ...] = ()
    rows: str = ""
    reads: Mapping[str, RelationName] = field(default_factory=dict)
    columns: Columns | None = None
    # Whether the query returns these columns whatever its inputs contain.
    certain: bool = False
    full_refresh: bool = False
    only_if_changed: bool = False
    # The inputs of statements that can only be created when the step runs.
    material: ModelInputs | None = None
    record: SnapshotInputs | None = None
    # The nodes whose tables have a foreign key to this one, and whether they are built too.
    keyed: tuple[tuple[Node, bool], ...] = ()
    # Why there are no statements: the step fails with it when it runs.
    refused: TransformError | None = None
    # Whether the views that it reads are those that it was built with.
    as_made: bool = False
    # Readers of the result that are not due for any other reason.
    readers: tuple[Node, ...] = ()
    # The files in its query, each with a digest of its state.
    files: Mapping[str, str] = field(default_factory=dict)
    # What a load has to land.
    arrivals: Arrivals | None = None
