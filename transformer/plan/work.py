"""What planning is made of: what is asked for, what the world says, and the work of a step."""

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
    """What is known of a node's input from outside: a reason to do it now, or none; of a source,
    what arrived."""

    reason: str = ""
    arrivals: Arrivals | None = None


class BuildRequest(Struct, frozen=True):
    """What is asked for: which nodes, which actions, and how.

    `always` does what is chosen even where nothing changed, as `transform run` does. With `gates`
    every check of severity error that reads what is made is measured, whatever is asked for: what
    is made will be published. With `strict` those that only warn are measured too.
    """

    chosen: frozenset[str]
    now: datetime
    actions: frozenset[Action] = EVERYTHING
    full_refresh: bool = False
    always: bool = False
    gates: bool = False
    strict: bool = False


class WorldFacts(Struct, frozen=True):
    """What the world says: columns as bound, sources as probed, what time has undone, and what
    has `failed` already in this run. Of a `late` node nobody knows the columns before it runs."""

    columns: Mapping[str, Columns] = field(default_factory=dict)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    expired: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    # What was made already in this run.
    made: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    increments: Mapping[str, Columns] = field(default_factory=dict)
    # The files that a node's query names, each with what tells whether it changed.
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Why everything has to be built again: another version of the engine.
    anew: str = ""

    @classmethod
    def of(cls, bound: BoundColumns) -> WorldFacts:
        """What binding has found out."""
        return cls(bound.columns, late=frozenset(bound.late), increments=bound.increments)


class Work(Struct, frozen=True):
    """What a step needs to be done.

    `inputs` are the ids whose versions it is made from. `checks` are measured inside the step,
    over `rows` (what stands behind FROM). `reads` are the relations by the names that Python
    calls them by. With `only_if_changed` nothing is done when the
    inputs turn out to have the versions they had before.
    """

    node: Node
    fingerprint: str
    inputs: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    checks: tuple[ReadyCheck, ...] = ()
    rows: str = ""
    reads: Mapping[str, RelationName] = field(default_factory=dict)
    columns: Columns | None = None
    # Whether these are the columns that the query gives whatever its inputs hold.
    certain: bool = False
    full_refresh: bool = False
    only_if_changed: bool = False
    # What the statements are made of, where that has to wait until the step is done.
    material: ModelInputs | None = None
    record: SnapshotInputs | None = None
    # The nodes whose tables have a foreign key to this one, and whether they are built as well.
    keyed: tuple[tuple[Node, bool], ...] = ()
    # Why there are no statements: the step fails with it when its turn comes.
    refused: TransformError | None = None
    # Whether the views that it is read through are those that it was made with.
    as_made: bool = False
    # Who reads what the step makes, and has nothing else to be done for.
    readers: tuple[Node, ...] = ()
    # The files that its query names, each with what tells whether it changed.
    files: Mapping[str, str] = field(default_factory=dict)
    # What a load has to land.
    arrivals: Arrivals | None = None
