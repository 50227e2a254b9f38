"""What every step needs to be done: the warehouse, the clock, and who watches."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field

from transformer.compile.assemble import LateRendering
from transformer.engines import Engine
from transformer.plan.check_kinds import ReadyCheck
from transformer.plan.work import Work
from transformer.project.paths import Places
from transformer.project.values import Project
from transformer.redaction import Secrets
from transformer.request import Event
from transformer.run.arrivals import Sources
from transformer.run.transactions import SharedTransactions
from transformer.steps import Columns, NodeState, State, Status
from transformer.warehouse.ledger import NodeEntry


class RunContext(Struct, frozen=True):
    """The hands of a run. `versions` are the contents of relations as they are by now, and
    `state` what the warehouse held when the run began: each relation is made once in a run."""

    engine: Engine | SharedTransactions
    project: Project
    places: Places
    run_id: str
    clock: Callable[[], datetime]
    on_event: Callable[[Event], None]
    sources: Sources
    synced: Path
    # The published file: who may read it may read what is left beside it.
    shown: Path
    state: State = field(default_factory=State)
    versions: dict[str, str] = field(default_factory=dict)
    # How many rows a node has, where that is known.
    sizes: dict[str, int | None] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)
    telling: threading.Lock = field(default_factory=threading.Lock)
    late: LateRendering | None = None
    # What has to be done whatever its inputs turn out to be.
    outdated: set[str] = field(default_factory=set)
    keep_failed: bool = False
    retry_rejected: bool = False
    secrets: Secrets = field(default_factory=Secrets)
    # From which versions nodes are made, where that is not what the state says any more.
    told: dict[str, dict[str, str]] = field(default_factory=dict)
    count: Iterator[int] = field(default_factory=itertools.count)

    @property
    def together(self) -> SharedTransactions | None:
        """The engine, where steps that follow each other share transactions."""
        return self.engine if isinstance(self.engine, SharedTransactions) else None

    def alone(self) -> AbstractContextManager[None]:
        """For transactions that are not to be shared."""
        return self.together.alone() if self.together else nullcontext()

    def commit(self) -> None:
        """Ends the transaction that steps share, where they do."""
        if self.together:
            self.together.settle()

    @contextmanager
    def sparing(self) -> Iterator[None]:
        """For a step that ran out of memory: by itself, and with one thread."""
        with self.alone():
            self.engine.use_all_threads(False)
            try:
                yield
            finally:
                self.engine.use_all_threads(True)

    def inputs(self, work: Work) -> dict[str, str]:
        """The versions of what the step reads."""
        with self.guard:
            return {need: self.versions.get(need, "") for need in work.inputs} | dict(work.files)

    def settle(self, node_id: str, version: str, rows: int | None = None) -> None:
        """A node has this content from now on."""
        with self.guard:
            self.versions[node_id] = version
            self.sizes[node_id] = rows

    def version(self) -> str:
        """A version that nothing had before."""
        return f"{self.run_id}.{next(self.count)}"

    def advance(self, reader: str, node_id: str, version: str) -> dict[str, str]:
        """A reader stands on the new version of a node, in which nothing moved for it; all that
        it stands on."""
        with self.guard:
            made = {**self._stands_on(reader), node_id: version}
            self.told[reader] = made
            return made

    def _stands_on(self, node_id: str) -> Mapping[str, str]:
        known = self.state.nodes.get(node_id)
        return self.told.get(node_id) or (known.inputs if known else {})

    def outdate(self, node_id: str) -> None:
        """A node has to be done again."""
        with self.guard:
            self.outdated.add(node_id)

    def unchanged(self, work: Work) -> bool:
        """Whether the step's inputs turned out to be what they were when it was last done."""
        if work.node.id in self.outdated or work.node.id not in self.state.nodes:
            return False
        return work.only_if_changed and self._stands_on(work.node.id) == self.inputs(work)

    def unmoved(self, check: ReadyCheck) -> bool:
        """Whether what the check reads turned out to be what it was when it was last measured."""
        with self.guard:
            now = {need: self.versions.get(need, "") for need in check.needs} | dict(check.files)
            return check.only_moved and self._stands_on(check.id) == now

    def entry(self, work: Work, made: StepProduct) -> NodeEntry:
        """What the ledger keeps of a step that was done."""
        state = NodeState(
            fingerprint=work.fingerprint,
            version=made.version,
            inputs=self.inputs(work),
            status=made.status,
            columns=made.columns,
            rows=made.rows,
        )
        node = work.node
        relation = node.relation
        now = self.clock()
        return NodeEntry(
            node.id, node.kind, relation, state, self.run_id, now, made.failures, made.expires
        )


class StepProduct(Struct, frozen=True):
    """What a step has made: its content's version, its size, its columns, how it ended."""

    version: str
    status: Status = "success"
    columns: Columns = ()
    rows: int | None = None
    failures: int | None = None
    expires: float | None = None
