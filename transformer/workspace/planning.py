"""Plans a build from the state of the warehouse, the request, and what arrived at the sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.compile.bind import BoundColumns
from transformer.compile.nodes import Graph, SourceBody
from transformer.engines import Engine
from transformer.errors import Mistakes, TransformError
from transformer.plan.fingerprint import fingerprint, volatilities
from transformer.plan.planner import plan
from transformer.plan.work import BuildRequest, Probe, WorldFacts
from transformer.project import inputs
from transformer.project.paths import Places
from transformer.request import BuildOptions, Environment, Request
from transformer.run.actions import lost
from transformer.run.arrivals import Sources
from transformer.run.claims import taken
from transformer.run.raw_tables import with_external
from transformer.steps import Action, Arrivals, NodeState, Plan, Results, State
from transformer.warehouse import ledger
from transformer.warehouse.publication import state_of
from transformer.workspace.bind import bound, bound_after, sources_of
from transformer.workspace.open import Opened, refuse_mistakes, selected_ids

_UNKNOWN = NodeState("", "")


class PlannedBuild(Struct, frozen=True):
    """The plan, its columns and the state that it starts from. `expires` is when the first check
    expires, in seconds since 1970."""

    plan: Plan
    columns: BoundColumns
    state: State
    expires: float | None
    # What arrived at the chosen sources, by node id.
    arrivals: Mapping[str, Arrivals] = {}


@dataclass(frozen=True)
class BuildPlanner:
    """Plans the builds of a project."""

    opened: Opened
    request: Request
    options: BuildOptions
    environment: Environment
    started: datetime

    def of(self, engine: Any) -> PlannedBuild:
        """The plan of everything, loads too, from the warehouse as it is; `engine` is None where
        there is none. Raises Mistakes."""
        state, expires = self._state(engine) if engine else (State(), None)
        wish = self._wish(self.options.actions)
        probes, mistakes = self._probes(engine, wish)
        columns = bound(self.opened, state, self.sources, self._arriving(state, probes))
        refuse_mistakes([*mistakes, *columns.mistakes, *self._taken()])
        known = self._facts(engine, columns)
        known = replace(known, probes={**known.probes, **probes})
        arrived = {i: probe.arrivals for i, probe in probes.items() if probe.arrivals}
        return PlannedBuild(self._planned(state, wish, known), columns, state, expires, arrived)

    def _probes(
        self, engine: Any, wish: BuildRequest
    ) -> tuple[dict[str, Probe], list[TransformError]]:
        """For each chosen source whether there is something new; mistakes beside."""
        if not engine or "load" not in wish.actions:
            return {}, []
        with engine.session() as session:
            arrived, mistakes = self.sources.probe(session, self.opened.graph, wish.chosen)
        return {node_id: self._probe(node_id, each) for node_id, each in arrived.items()}, mistakes

    def _probe(self, node_id: str, arrivals: Arrivals) -> Probe:
        body = self.opened.graph[node_id].body
        load = body.table.load if isinstance(body, SourceBody) else None
        mirrors = load is not None and load.mode == "replace"
        return Probe(arrivals.reason(mirrors=mirrors), arrivals)

    def _taken(self) -> list[TransformError]:
        """The activations that would write where the project reads or builds."""
        opened = self.opened
        return taken(opened.project, opened.everything, opened.places, opened.publication)

    def _arriving(self, state: State, probes: Mapping[str, Probe]) -> frozenset[str]:
        """The sources that will be loaded: their readers are bound over what they hold then."""
        graph = self.opened.graph
        return frozenset(
            node_id
            for node_id, probe in probes.items()
            if probe.reason
            or self.request.full_refresh
            or state.nodes.get(node_id, _UNKNOWN).fingerprint != fingerprint(graph[node_id])
        )

    def after(self, engine: Any, loaded: Results, before: PlannedBuild) -> Plan:
        """The plan of what comes after the loads, with the types that they really made. Raises
        Mistakes."""
        state, _ = self._state(engine)
        columns = bound_after(self.opened, state, self.sources, before.columns)
        if columns.mistakes:
            count = loaded.count("load", "success")
            verb = "source was" if count == 1 else "sources were"
            raise Mistakes(columns.mistakes, f"{count} {verb} loaded, nothing was built")
        failed = frozenset(o.id for o in loaded.outcomes if o.bad)
        loaded_ids = frozenset(o.id for o in loaded.outcomes if o.status in ("success", "warn"))
        known = replace(self._facts(engine, columns), failed=failed, made=loaded_ids)
        return self._planned(state, self._wish(self.options.actions - {"load"}), known)

    @cached_property
    def sources(self) -> Sources:
        """The sources of this build: opened once, listed once."""
        return sources_of(self.opened, self.environment.env)

    @property
    def unsent(self) -> str:
        """What is said of the chosen activations that do not run; nothing where there are none."""
        graph, target = self.opened.everything, self.opened.project.target
        if target.activate or "activate" not in self.options.actions:
            return ""
        names = [graph[i].name for i in sorted(self.chosen) if graph[i].kind == "activation"]
        why = f"the target `{target.name}` does not say `activate: true`"
        return f"{', '.join(names)}: not sent, since {why}" if names else ""

    @cached_property
    def chosen(self) -> frozenset[str]:
        """The ids of what is asked for. Raises UsageError."""
        return selected_ids(self.opened, self.request, self.environment)

    @property
    def narrowed(self) -> frozenset[str] | None:
        """The ids of what is asked for; None where that is everything."""
        return None if self.request.selection.everything else self.chosen

    def _state(self, engine: Any) -> tuple[State, float | None]:
        part = self.opened.whole is not None
        with engine.session() as session:
            expires = ledger.expires(session)
            state = state_of(engine, self.opened.graph if part else None)
            return with_external(session, self.opened.graph, state, stood=part), expires

    def _planned(self, state: State, wish: BuildRequest, known: WorldFacts) -> Plan:
        planned, mistakes = plan(self.opened.graph, state, wish, known)
        refuse_mistakes(() if self.opened.project.open else mistakes)  # there each step fails alone
        return replace(planned, skips=(*planned.skips, *self.opened.left))

    def _wish(self, actions: frozenset[Action]) -> BuildRequest:
        if self.opened.project.open:
            actions -= {"freshness"}  # dbt looks at it by `source freshness` only
        if not self.opened.project.target.activate:
            actions -= {"activate"}
        return BuildRequest(
            self.chosen,
            self.started,
            actions,
            self.request.full_refresh,
            self.options.always,
            gates=self.opened.publication.target.publish.mode == "gated",
            strict=self.options.strict,
        )

    def _facts(self, engine: Any, columns: BoundColumns) -> WorldFacts:
        at = self.opened.places, self.opened.publication.synced
        return facts(engine, self.opened.graph, columns, at, self.started)


def facts(
    engine: Engine | None, graph: Graph, bound: BoundColumns, at: tuple[Places, Path], now: datetime
) -> WorldFacts:
    """Columns, what time has undone, which targets lost what was sent, which files are there.
    `at` is where targets lie, and the sync ledger. Without a warehouse nothing was ever sent."""
    known_facts = replace(WorldFacts.of(bound), files=dict(files_of(graph, at[0].root)))
    if engine is None:
        return known_facts
    with engine.session() as session:
        expired = ledger.expired(session, now.timestamp())
        before = ledger.engine(session)
    sent = any(node.kind == "activation" for node in graph)
    return replace(
        known_facts,
        probes=lost(graph, *at) if sent else {},
        expired=frozenset(expired),
        rebuild_reason=f"it was built by {before}" if before not in ("", engine.version) else "",
    )


def files_of(graph: Graph, root: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """For every node whose query names files, or a view's that it reads: each of them with what
    tells whether it changed."""
    for node_id, volatility in volatilities(graph).items():
        if volatility.files:
            yield node_id, {f"file:{name}": inputs.named(name, root) for name in volatility.files}
