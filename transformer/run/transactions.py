"""Consecutive small steps share a session and a transaction.

A commit costs more than a small table. A table and its row in the ledger are still committed
together. A killed build loses at most the work since the last commit. A failing step rolls back the
whole transaction; the steps before it in that transaction are then repeated, each on its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from transformer.compile.model_config import has_hooks
from transformer.compile.nodes import ModelBody, Node
from transformer.errors import Fault
from transformer.plan.work import Work
from transformer.steps import Step
from transformer.warehouse import ledger

# Seconds and steps after which a shared transaction is committed: the most that can be lost.
_LONGEST, _MOST = 0.5, 128
_PLAIN = ("table", "view", "incremental")
# Up to this many rows, a second thread costs more than it gains.
SMALL = 20_000


class SharedTransactions:
    """The engine for steps that run one after the other. `sizes` are the row counts of nodes, as
    far as known."""

    def __init__(self, engine: Any, sizes: Mapping[str, int | None]) -> None:
        self._engine, self._sizes = engine, sizes
        self._holder: Any = None
        self._session: Any = None
        self._since = 0.0
        # How many steps may share a transaction: one after a failure, then doubling.
        self._room = _MOST
        self._joined: list[Step] = []
        self._entries: list[ledger.NodeEntry] = []
        self._open = False
        self._alone = True
        self._lost: list[Step] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    @contextmanager
    def session(self) -> Iterator[Any]:
        """The shared session, or a separate one for a step that cannot share."""
        if self._alone:
            with self._engine.session() as session:
                yield session
            return
        if self._session is None:
            self._holder = self._engine.session()
            self._session = _Shared(self._holder.__enter__(), self)
        yield self._session

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Wraps a step, which joins the previous ones if possible."""
        self._alone = not may_join(step)
        small = not self._alone and is_small(step.work, self._sizes)
        if self._alone:
            self.settle()
        self._engine.use_all_threads(not small)
        yield
        if self._open:
            self._joined.append(step)
            # Uncommitted rows are read by one thread only.
            large = (self._sizes.get(step.id) or 0) > SMALL
            late = time.monotonic() - self._since > _LONGEST
            if large or late or len(self._joined) >= self._room:
                self._end(step)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wraps work that may fail without affecting earlier steps: its transactions are
        separate."""
        self.settle()
        self._alone = True
        yield

    def _end(self, step: Step) -> None:
        try:
            self.settle()
        except Fault:
            self._lost.remove(step)  # the failure is this step's own
            raise

    def settle(self) -> None:
        """Commits the shared transaction. Raises Fault: then all of it is lost."""
        if not self._open:
            return
        try:
            self.write()
            self._session.own.run("commit")
        except Fault:
            self.undo()
            raise
        self._room = min(_MOST, self._room * 2)
        self._forget()

    def close(self) -> None:
        """Closes the shared session."""
        self._engine.use_all_threads(True)
        if self._holder is not None:
            self._undo()
            self._holder.__exit__(None, None, None)
        self._holder = self._session = None

    def again(self) -> list[Step]:
        """The steps whose work was lost by another's failure; rolls back what is left."""
        lost, self._lost = self._lost, []
        if lost:
            self._undo()
            self._room = 1
        return lost

    def begin(self) -> None:
        """Begins the transaction, if none is open."""
        if not self._open:
            self._session.own.run("begin transaction")
            self._open, self._since = True, time.monotonic()

    def undo(self) -> None:
        """Rolls back: the work of the earlier steps in this transaction is lost."""
        self._lost += self._joined
        self._undo()

    def note(self, entries: Iterable[ledger.NodeEntry]) -> None:
        """Adds ledger entries that are written when the transaction ends."""
        self._entries += entries

    def write(self) -> None:
        """Writes the pending ledger entries now."""
        ledger.record(self._session, self._entries)
        self._entries = []

    def _undo(self) -> None:
        if self._open:
            with suppress(Fault):
                self._session.own.run("rollback")
        self._forget()

    def _forget(self) -> None:
        self._joined, self._entries, self._open = [], [], False


class _Shared:
    """A session whose transactions are parts of one."""

    def __init__(self, own: Any, together: SharedTransactions) -> None:
        self.own, self._together = own, together

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A part of the shared transaction; a failure rolls all of it back."""
        self._together.begin()
        try:
            yield
        except BaseException:
            self._together.undo()
            raise

    def note(self, entries: Iterable[ledger.NodeEntry]) -> None:
        """Adds ledger entries, written at the end."""
        self._together.note(entries)

    def mark(self, node_id: str, status: str) -> None:
        """Writes a node's status, after the pending entries."""
        self._together.write()
        ledger.mark(self.own, node_id, status)

    def restate(self, node_id: str, inputs: Mapping[str, str]) -> None:
        """Rewrites a node's input versions, after the pending entries."""
        self._together.write()
        ledger.restate(self.own, node_id, inputs)


def note(session: Any, entries: Iterable[ledger.NodeEntry]) -> None:
    """Writes ledger entries; in a shared transaction at its end."""
    if isinstance(session, _Shared):
        session.note(entries)
    else:
        ledger.record(session, entries)


def mark(session: Any, node_id: str, status: str) -> None:
    """Writes the status of a node's last attempt, and keeps the rest of its entry."""
    if isinstance(session, _Shared):
        session.mark(node_id, status)
    else:
        ledger.mark(session, node_id, status)


def restate(session: Any, node_id: str, inputs: Mapping[str, str]) -> None:
    """Rewrites the input versions of a node."""
    if isinstance(session, _Shared):
        session.restate(node_id, inputs)
    else:
        ledger.restate(session, node_id, inputs)


def is_small(work: Work, sizes: Mapping[str, int | None]) -> bool:
    """Whether the step's inputs are known to be small."""
    if not work.inputs:
        return False
    rows = [sizes.get(need) for need in work.inputs]
    return None not in rows and sum(n or 0 for n in rows) <= SMALL


def may_join(step: Step) -> bool:
    """Whether the step runs only our own SQL, which can be repeated."""
    work = step.work
    if not isinstance(work, Work) or work.material or work.record or work.keyed or work.refused:
        return False
    if any(check.config.store_failures for check in work.checks):
        return False
    if step.action == "check":
        return not work.node.late
    return step.action == "build" and _is_plain(work.node)


def _is_plain(node: Node) -> bool:
    body = node.body
    if not isinstance(body, ModelBody) or body.query is None or body.late or body.strategy:
        return False
    return body.config.materialized in _PLAIN and not has_hooks(node.options)
