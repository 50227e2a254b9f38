"""What every step needs to be done: the warehouse, the clock, and who watches."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from transformer.compile.finishing import Late
from transformer.engines import Engine, Session
from transformer.ledger import Entry
from transformer.names import Name, quoted
from transformer.plan.planner import Work
from transformer.project.paths import Places
from transformer.project.values import Project
from transformer.steps import Columns, NodeState, Outcome, State, Status


@dataclass(frozen=True, slots=True)
class Event:
    """Something a watcher may want to show: a step begins, moves on, or has ended."""

    kind: str
    label: str
    action: str
    done: int = 0
    total: int = 0
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """The hands of a run. `versions` are the contents of relations as they are by now, and
    `state` what the warehouse held when the run began: each relation is made once in a run."""

    engine: Engine
    project: Project
    places: Places
    run_id: str
    clock: Callable[[], datetime]
    on_event: Callable[[Event], None]
    extension: Callable[[Any, str], None]
    synced: Path
    state: State = field(default_factory=State)
    versions: dict[str, str] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)
    late: Late | None = None
    # What has to be done whatever its inputs turn out to be.
    outdated: set[str] = field(default_factory=set)
    keep_failed: bool = False
    retry_rejected: bool = False

    def inputs(self, work: Work) -> dict[str, str]:
        """The versions of what the step reads."""
        with self.guard:
            return {need: self.versions.get(need, "") for need in work.inputs}

    def settle(self, node_id: str, version: str) -> None:
        """A node has this content from now on."""
        with self.guard:
            self.versions[node_id] = version

    def outdate(self, node_id: str) -> None:
        """A node has to be done again."""
        with self.guard:
            self.outdated.add(node_id)

    def unchanged(self, work: Work) -> bool:
        """Whether the step's inputs turned out to be what they were when it was last done."""
        known = self.state.nodes.get(work.node.id)
        if work.node.id in self.outdated:
            return False
        return work.only_if_changed and known is not None and known.inputs == self.inputs(work)

    def entry(self, work: Work, made: Made) -> Entry:
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
        return Entry(
            node.id, node.kind, relation, state, self.run_id, now, made.failures, made.expires
        )


@dataclass(frozen=True, slots=True)
class Made:
    """What a step has made: its content's version, its size, its columns, how it ended."""

    version: str
    status: Status = "success"
    columns: Columns = ()
    rows: int | None = None
    failures: int | None = None
    expires: float | None = None


def content(session: Session, relation: Name, columns: Columns) -> tuple[str, int]:
    """The version of a table's content, and its number of rows. Order does not count."""
    names = [quoted(n) for n, _ in columns]
    hashed = f"hash({', '.join(names)})" if names else "0"
    found = session.rows(
        f"select count(*), coalesce(sum({hashed}::hugeint), 0) from {relation.sql()}"
    )[0]
    shape = ",".join(f"{n} {k}" for n, k in columns)
    return f"{found[0]}:{found[1]:x}:{_short(shape)}", int(found[0])


def raw_content(session: Session, relation: Name, columns: Columns) -> tuple[str, int]:
    """The same of a raw table: when and in which batch a row came is no content."""
    kept = tuple(c for c in columns if c[0] not in ("_loaded_at", "_batch"))
    return content(session, relation, kept)


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
