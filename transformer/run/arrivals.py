"""What arrived at sources since they were last landed; in one build each source is opened once and
listed once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from transformer.compile.nodes import Graph, Node, SourceBody
from transformer.engines import EngineSession
from transformer.errors import Fault, LoadError, TransformError
from transformer.project.paths import Places
from transformer.project.values import SourceTable
from transformer.redaction import without_passwords
from transformer.sources import Reader, ReaderRequest, find
from transformer.steps import Arrivals, SourcePart
from transformer.warehouse import ledger


def reader(request: ReaderRequest) -> Reader:
    """The way in to a source table. Raises LoadError."""
    table = request.table
    if table.load is None:
        raise LoadError(f"`{table.source}.{table.name}` says no `load:`", table.where)
    opened: Reader = find(table.load.kind).connect(request)
    return opened


@dataclass(frozen=True)
class Sources:
    """The sources of one build, by node id. `extension` loads one of the engine's extensions into
    a session, by name; `env` holds the keys of servers.

        sources = Sources(places, engine.load_extension, env)
        arrivals, mistakes = sources.probe(session, graph, chosen)
    """

    places: Places
    extension: Any = field(repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    _readers: dict[str, Reader] = field(default_factory=dict, repr=False)
    _parts: dict[str, tuple[SourcePart, ...]] = field(default_factory=dict, repr=False)

    def reader(self, node: Node) -> Reader:
        """The source's reader. Raises LoadError."""
        if node.id not in self._readers:
            request = ReaderRequest(_table(node), self.places, self.extension, self.env)
            self._readers[node.id] = reader(request)
        return self._readers[node.id]

    def parts(self, session: EngineSession, node: Node) -> tuple[SourcePart, ...]:
        """The parts of the source when it was first listed. Raises LoadError."""
        if node.id not in self._parts:
            self._parts[node.id] = tuple(self.reader(node).parts(session))
        return self._parts[node.id]

    def arrivals(self, session: EngineSession, node: Node) -> Arrivals:
        """What is there, compared with what the ledger says was landed. A file that was touched
        without a change counts as landed. Raises LoadError."""
        landed = ledger.landed(session, node.id)
        parts = self.parts(session, node)
        touched = [part for part in parts if _may_have_changed(part, landed)]
        digests = {part.name: self.reader(node).digest(part) for part in touched}
        same = [p for p in touched if digests[p.name] and digests[p.name] == landed[p.name].digest]
        names = {part.name for part in parts}
        return Arrivals(
            parts,
            new=tuple(part for part in parts if part.name not in landed),
            changed=tuple(part for part in touched if part not in same),
            gone=tuple(name for name in landed if name not in names),
            same=tuple(same),
            landed=landed,
        )

    def listed_again(self, session: EngineSession, node: Node) -> Arrivals:
        """The same from a new listing."""
        self._parts.pop(node.id, None)
        return self.arrivals(session, node)

    def probe(
        self, session: EngineSession, graph: Graph, chosen: Collection[str]
    ) -> tuple[dict[str, Arrivals], list[TransformError]]:
        """What arrived at each chosen source that is loaded; mistakes beside."""
        arrivals: dict[str, Arrivals] = {}
        mistakes: list[TransformError] = []
        for node in graph:
            if node.id not in chosen or not _is_loaded(node):
                continue
            try:
                arrivals[node.id] = self.arrivals(session, node)
            except TransformError as error:
                mistakes.append(error.at(_table(node).where))
            except Fault as fault:
                message = without_passwords(fault.message.splitlines()[0])
                mistakes.append(LoadError(message, _table(node).where))
        return arrivals, mistakes


def note_touched(session: EngineSession, arrivals: Mapping[str, Arrivals]) -> None:
    """Records the new identity of files that were touched without a change."""
    for node_id, arrived in arrivals.items():
        ledger.note_identities(session, node_id, arrived.same)


def _may_have_changed(part: SourcePart, landed: Mapping[str, SourcePart]) -> bool:
    known = landed.get(part.name)
    return known is not None and (not part.identity or part.identity != known.identity)


def _is_loaded(node: Node) -> bool:
    return isinstance(node.body, SourceBody) and node.body.table.load is not None


def _table(node: Node) -> SourceTable:
    if not isinstance(node.body, SourceBody):
        raise TypeError(node.id)
    return node.body.table
