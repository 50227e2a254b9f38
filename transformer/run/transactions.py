"""Small steps that follow each other share a session and a transaction.

A commit costs more than a small table does. What is committed is the same as before: a table and
its row in the ledger, never one without the other. Killed in between, a build has lost at most
what it did since the last commit, and does it again. A step that fails takes its whole
transaction with it; those before it in there are then done again, each by itself.
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

# Seconds and steps after which a shared transaction is committed: so much is lost at most.
_LONGEST, _MOST = 0.5, 128
_PLAIN = ("table", "view", "incremental")
# Over so few rows a second thread costs more than it brings.
SMALL = 20_000


class SharedTransactions:
    """The engine, for steps that are done one after the other. `sizes` are the numbers of rows
    of nodes, as far as they are known by now."""

    def __init__(self, engine: Any, sizes: Mapping[str, int | None]) -> None:
        self._engine, self._sizes = engine, sizes
        self._holder: Any = None
        self._session: Any = None
        self._since = 0.0
        # How many steps may share a transaction: few after a failure, then more and more.
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
        """The shared session; one of its own for a step that stands alone."""
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
        """Around a step: it joins those before it where it may."""
        self._alone = not may_join(step)
        small = not self._alone and is_small(step.work, self._sizes)
        if self._alone:
            self.settle()
        self._engine.use_all_threads(not small)
        yield
        if self._open:
            self._joined.append(step)
            # Rows that are not committed are read by one thread.
            large = (self._sizes.get(step.id) or 0) > SMALL
            late = time.monotonic() - self._since > _LONGEST
            if large or late or len(self._joined) >= self._room:
                self._end(step)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For what may fail and must leave what was done before: each transaction by itself."""
        self.settle()
        self._alone = True
        yield

    def _end(self, step: Step) -> None:
        try:
            self.settle()
        except Fault:
            self._lost.remove(step)  # it is this step's failure
            raise

    def settle(self) -> None:
        """Commits what was done together. Raises Fault: all of it is then lost."""
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
        """Lets go of the session."""
        self._engine.use_all_threads(True)
        if self._holder is not None:
            self._undo()
            self._holder.__exit__(None, None, None)
        self._holder = self._session = None

    def again(self) -> list[Step]:
        """The steps that the failure of one took with it; what that one left is undone too."""
        lost, self._lost = self._lost, []
        if lost:
            self._undo()
            self._room = 1
        return lost

    def begin(self) -> None:
        """Opens the transaction, where none is open."""
        if not self._open:
            self._session.own.run("begin transaction")
            self._open, self._since = True, time.monotonic()

    def undo(self) -> None:
        """Rolls back: what the steps before did in this transaction is lost."""
        self._lost += self._joined
        self._undo()

    def note(self, entries: Iterable[ledger.NodeEntry]) -> None:
        """Entries of the ledger that are written when the transaction ends."""
        self._entries += entries

    def write(self) -> None:
        """Writes them now."""
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
        """Entries of the ledger, written at the end."""
        self._together.note(entries)

    def mark(self, node_id: str, status: str) -> None:
        """Writes how an attempt ended, after what was noted before."""
        self._together.write()
        ledger.mark(self.own, node_id, status)

    def restate(self, node_id: str, inputs: Mapping[str, str]) -> None:
        """Writes anew from which versions a node is made, after what was noted before."""
        self._together.write()
        ledger.restate(self.own, node_id, inputs)


def note(session: Any, entries: Iterable[ledger.NodeEntry]) -> None:
    """Writes what is now true of nodes: at the end of the transaction, where that is shared."""
    if isinstance(session, _Shared):
        session.note(entries)
    else:
        ledger.record(session, entries)


def mark(session: Any, node_id: str, status: str) -> None:
    """Writes how the last attempt at a node ended, and leaves what it made before."""
    if isinstance(session, _Shared):
        session.mark(node_id, status)
    else:
        ledger.mark(session, node_id, status)


def restate(session: Any, node_id: str, inputs: Mapping[str, str]) -> None:
    """Writes anew from which versions a node is made."""
    if isinstance(session, _Shared):
        session.restate(node_id, inputs)
    else:
        ledger.restate(session, node_id, inputs)


def is_small(work: Work, sizes: Mapping[str, int | None]) -> bool:
    """Whether what the step reads is known, and little."""
    if not work.inputs:
        return False
    rows = [sizes.get(need) for need in work.inputs]
    return None not in rows and sum(n or 0 for n in rows) <= SMALL


def may_join(step: Step) -> bool:
    """Whether the step does nothing but SQL of ours that can be done again."""
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
