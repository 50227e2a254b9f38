"""What every step needs: the warehouse, the clock, the event callback."""

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
    """The context of a run. `versions` are the current content versions of relations, and `state`
    is the warehouse when the run began: each relation is built once per run."""

    engine: Engine | SharedTransactions
    project: Project
    places: Places
    run_id: str
    clock: Callable[[], datetime]
    on_event: Callable[[Event], None]
    sources: Sources
    synced: Path
    # The published file, whose permissions other files get.
    shown: Path
    state: State = field(default_factory=State)
    versions: dict[str, str] = field(default_factory=dict)
    # The row counts of nodes, where known.
    sizes: dict[str, int | None] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)
    advance_lock: threading.Lock = field(default_factory=threading.Lock)
    late: LateRendering | None = None
    # Nodes that must be built even if their inputs are unchanged.
    outdated: set[str] = field(default_factory=set)
    keep_failed: bool = False
    retry_rejected: bool = False
    secrets: Secrets = field(default_factory=Secrets)
    # The input versions of nodes that have advanced since the run began.
    advanced: dict[str, dict[str, str]] = field(default_factory=dict)
    count: Iterator[int] = field(default_factory=itertools.count)

    @property
    def together(self) -> SharedTransactions | None:
        """The engine, if consecutive steps share transactions."""
        return self.engine if isinstance(self.engine, SharedTransactions) else None

    def alone(self) -> AbstractContextManager[None]:
        """Wraps transactions that must not be shared."""
        return self.together.alone() if self.together else nullcontext()

    def commit(self) -> None:
        """Commits the shared transaction, if there is one."""
        if self.together:
            self.together.settle()

    @contextmanager
    def sparing(self) -> Iterator[None]:
        """Wraps a step that must run alone and with one thread, to save memory."""
        with self.alone():
            self.engine.use_all_threads(False)
            try:
                yield
            finally:
                self.engine.use_all_threads(True)

    def inputs(self, work: Work) -> dict[str, str]:
        """The versions of the step's inputs."""
        with self.guard:
            return {need: self.versions.get(need, "") for need in work.inputs} | dict(work.files)

    def settle(self, node_id: str, version: str, rows: int | None = None) -> None:
        """Records the new content version of a node."""
        with self.guard:
            self.versions[node_id] = version
            self.sizes[node_id] = rows

    def version(self) -> str:
        """A new, unique version."""
        return f"{self.run_id}.{next(self.count)}"

    def advance(self, reader: str, node_id: str, version: str) -> dict[str, str]:
        """Advances a reader to the new version of a node, which does not affect it; returns all of
        the reader's input versions."""
        with self.guard:
            inputs = {**self._stands_on(reader), node_id: version}
            self.advanced[reader] = inputs
            return inputs

    def _stands_on(self, node_id: str) -> Mapping[str, str]:
        node_state = self.state.nodes.get(node_id)
        return self.advanced.get(node_id) or (node_state.inputs if node_state else {})

    def outdate(self, node_id: str) -> None:
        """Marks a node to be built again."""
        with self.guard:
            self.outdated.add(node_id)

    def unchanged(self, work: Work) -> bool:
        """Whether the step's inputs turned out to be those of its last run."""
        if work.node.id in self.outdated or work.node.id not in self.state.nodes:
            return False
        return work.only_if_changed and self._stands_on(work.node.id) == self.inputs(work)

    def unmoved(self, check: ReadyCheck) -> bool:
        """Whether the check's inputs turned out to be those of its last run."""
        with self.guard:
            now = {need: self.versions.get(need, "") for need in check.needs} | dict(check.files)
            return check.only_moved and self._stands_on(check.id) == now

    def entry(self, work: Work, product: StepProduct) -> NodeEntry:
        """The ledger entry of a finished step."""
        state = NodeState(
            fingerprint=work.fingerprint,
            version=product.version,
            inputs=self.inputs(work),
            status=product.status,
            columns=product.columns,
            rows=product.rows,
        )
        node = work.node
        relation = node.relation
        now = self.clock()
        return NodeEntry(
            node.id, node.kind, relation, state, self.run_id, now, product.failures, product.expires
        )


class StepProduct(Struct, frozen=True):
    """The product of a step: content version, status, columns, row count."""

    version: str
    status: Status = "success"
    columns: Columns = ()
    rows: int | None = None
    failures: int | None = None
    expires: float | None = None
