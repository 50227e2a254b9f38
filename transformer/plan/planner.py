"""`Graph + State + selection → Plan`: what has to be done, in which order, and why."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cached_property, partial

from msgspec.structs import replace

from transformer.compile.config import option_place
from transformer.compile.contracts import contract_order
from transformer.compile.foreign_keys import referencing_nodes
from transformer.compile.nodes import (
    CheckBody,
    Graph,
    ModelBody,
    Node,
    SnapshotBody,
    SourceBody,
    from_text,
)
from transformer.errors import TransformError, Where
from transformer.plan.ancestors import Descendants, waits
from transformer.plan.check_kinds import ReadyCheck
from transformer.plan.check_node import check_of, rows_of
from transformer.plan.fingerprint import (
    contract_columns,
    current_versions,
    full_fingerprint,
    solid_needs,
    volatilities,
)
from transformer.plan.materialize import ModelInputs, Statement, brings_new, statements
from transformer.plan.notices import abbreviated, deprecated, loader_columns, stale_row_notices
from transformer.plan.snapshots import SnapshotInputs, snapshot
from transformer.plan.work import BuildRequest, Probe, Work, WorldFacts
from transformer.steps import BAD, Action, Plan, Skip, State, Step

_ACTIONS: Mapping[str, Action] = {
    "source": "load",
    "freshness": "freshness",
    "seed": "seed",
    "model": "build",
    "snapshot": "snapshot",
    "check": "check",
    "activation": "activate",
}
# Kinds whose results were computed at some time.
_MADE = ("model", "snapshot", "check")


def plan(
    graph: Graph, state: State, wish: BuildRequest, facts: WorldFacts
) -> tuple[Plan, list[TransformError]]:
    """The plan, and the mistakes detected while planning (such as a forbidden schema change)."""
    planner = _Planner(graph, state, wish, facts)
    # Activations come last, because they depend on which checks are due.
    for node in sorted(graph, key=lambda n: n.kind == "activation"):
        planner.visit(node)
    return planner.result(), planner.mistakes


class _Planner:
    def __init__(self, graph: Graph, state: State, wish: BuildRequest, facts: WorldFacts) -> None:
        self.graph, self.state, self.wish, self.facts = graph, state, wish, facts
        self.fingerprints = {node.id: full_fingerprint(node, graph) for node in graph}
        self.inputs = {node.id: solid_needs(node, graph) for node in graph}
        self.versions = current_versions(graph, state)
        self.keyed = referencing_nodes(graph)
        self.readers = _readers(self.inputs)
        self.volatility = volatilities(graph)
        self.due: dict[str, str] = {}
        # Nodes that are due only because of their inputs, which may turn out to be unchanged.
        self.only_moved: set[str] = set()
        self.skips: list[Skip] = []
        self.mistakes: list[TransformError] = []

    @cached_property
    def below(self) -> Descendants:
        """The downstream nodes of every node."""
        return Descendants.of(self.graph)

    def visit(self, node: Node) -> None:
        """Decides whether the node is due; its parents are already decided."""
        if not self.is_requested(node):
            return
        reason = self.reason(node)
        if reason and node.kind == "activation" and self.failed_above(node):
            self.skips.append(Skip(node.id, node.name, "an upstream check failed"))
        elif reason:
            self.due[node.id] = reason
        elif node.kind != "source" or self.loads(node):
            self.skips.append(Skip(node.id, node.name, "unchanged"))

    def failed_above(self, node: Node) -> bool:
        """Whether something upstream failed last time, and is not run again now."""
        above = self.graph.above(node.id)
        reading_checks = {n.id for n in self.graph if n.kind == "check" and set(n.needs) & above}
        recorded = self.state.nodes
        return any(
            i in recorded and recorded[i].status in BAD and i not in self.due
            for i in above | reading_checks
            if not self.graph[i].ephemeral
        )

    def is_requested(self, node: Node) -> bool:
        in_scope = _ACTIONS.get(node.kind) in self.wish.actions  # an analysis is only compiled
        if in_scope and node.id in self.wish.chosen:
            return not node.ephemeral and self.has_work(node)
        return self.wish.gates and self.is_gate(node)

    def is_gate(self, node: Node) -> bool:
        """Whether the node is a check that gates publishing: it reads something that is built in
        this run, and nothing that does not exist."""
        body = node.body
        if not isinstance(body, CheckBody):
            return False
        if body.config.severity != "error" and not self.wish.strict:
            return False
        if body.before:
            model = self.graph[body.before]
            return self.is_requested(model) and bool(self.reason(model))
        inputs = self.inputs[node.id]
        built = [need in self.due or need in self.facts.made for need in inputs]
        return any(built) and all(
            is_built or self.state.relation(self.graph[need].relation) is not None
            for need, is_built in zip(inputs, built, strict=True)
        )

    def has_work(self, node: Node) -> bool:
        return node.kind != "source" or self.loads(node)

    @staticmethod
    def loads(node: Node) -> bool:
        return isinstance(node.body, SourceBody) and node.body.table.load is not None

    def reason(self, node: Node) -> str:
        """Why the node is due, or "": the first reason that applies."""
        recorded = self.state.nodes.get(node.id)
        if recorded is None:
            return "new"
        exists = node.callable or self.state.relation(node.relation) is not None
        is_gone = bool(node.relation) and not exists
        refreshed = self.wish.full_refresh and node.kind in ("source", "model", "seed")
        reasons = {
            "its relation is missing": is_gone,
            "it failed last time": recorded.status in BAD,
            "it was changed": recorded.fingerprint != self.fingerprints[node.id],
            "full refresh": refreshed,
            "time has passed": node.id in self.facts.expired,
            "it is non-deterministic": self.volatility[node.id].time and node.kind in _MADE,
        }
        if self.facts.rebuild_reason and node.kind in ("model", "seed", "check"):
            reasons[self.facts.rebuild_reason] = True
        probe = self.facts.probes.get(node.id, Probe())
        cause = next((reason for reason, holds in reasons.items() if holds), probe.reason)
        inputs_changed = "" if cause else self.changed_inputs(node)
        if inputs_changed:
            self.only_moved.add(node.id)
        return cause or inputs_changed or ("requested" if self.wish.always else "")

    def changed_inputs(self, node: Node) -> str:
        """The reason naming inputs that are due, or whose version changed; "" if none."""
        recorded = self.state.nodes[node.id]
        names = [
            self.graph[need].name
            for need in self.inputs[node.id]
            if need in self.due
            or self.graph[need].elsewhere
            or self.versions.get(need, "") != recorded.inputs.get(need)
        ]
        files = self.facts.files.get(node.id, {})
        names += [name for name, version in files.items() if recorded.inputs.get(name) != version]
        return f"{abbreviated(names)} changed" if names else ""

    def result(self) -> Plan:
        gates = self.gates()
        holders = {c: holder for holder, checks in gates.items() for c in checks}
        inside = {c for c, holder in holders.items() if c != holder}
        units = self.unit_tests()
        due = [self.graph[node_id] for node_id in self.due]
        waiting = waits(self.below, due, self.separate_checks(inside), self.readers)
        steps = []
        for node_id, reason in self.due.items():
            if node_id in inside:
                continue
            node = self.graph[node_id]
            after = [n for n in self.inputs[node_id] if n in self.due]
            after = [holders.get(n, n) for n in after]
            after += waiting.get(node_id, ())
            if self.facts.failed:
                after += sorted(self.below.among(node_id, self.facts.failed))
            after += units.get(node_id, ())
            own_check = [node_id] if node.kind == "check" else []
            measured = gates.get(node_id, own_check)
            work = self.work(node, measured)
            if work.refused:
                self.mistakes.append(work.refused)
            order = tuple(dict.fromkeys(a for a in after if a != node_id))
            steps.append(Step(node_id, _ACTIONS[node.kind], node.name, reason, work, order))
        return Plan(tuple(steps), tuple(self.skips), tuple(self.notices()))

    def notices(self) -> Iterator[str]:
        for node in (self.graph[node_id] for node_id in self.due):
            if material := self.material(node):
                recorded, current_print = self.state.nodes.get(node.id), self.fingerprints[node.id]
                columns = self.facts.increments.get(node.id, self.facts.columns.get(node.id, ()))
                yield from stale_row_notices(material, recorded, current_print, columns)
            yield from deprecated(node, self.graph, self.wish.now)

    def gates(self) -> dict[str, list[str]]:
        """The checks that are measured in one scan, by the step that measures them.

        A check that reads only its relation and what is upstream of it is measured inside the
        relation's step: a failure rolls the relation back. If the relation has no step, its checks
        share one, named after the first of them.
        """
        checks_by_step: dict[str, list[str]] = {}
        leaders: dict[str, str] = {}
        for node_id in self.due:
            body = self.graph[node_id].body
            if not isinstance(body, CheckBody) or body.on is None or body.late or body.refused:
                continue
            other_inputs = set(self.inputs[node_id]) - {body.on}
            if not other_inputs or other_inputs <= self.below.among(body.on, other_inputs):
                has_step = body.on in self.due and self.graph[body.on].relation is not None
                holder = body.on if has_step else leaders.setdefault(body.on, node_id)
                checks_by_step.setdefault(holder, []).append(node_id)
        return checks_by_step

    def unit_tests(self) -> dict[str, list[str]]:
        """The unit tests that run before each model."""
        tests: dict[str, list[str]] = {}
        for node_id in self.due:
            body = self.graph[node_id].body
            if isinstance(body, CheckBody) and body.before:
                tests.setdefault(body.before, []).append(node_id)
        return tests

    def separate_checks(self, inside: Container[str]) -> dict[str, tuple[str, ...]]:
        """Checks with their own step, and their inputs."""
        reads: dict[str, tuple[str, ...]] = {}
        for node_id in self.due:
            body = self.graph[node_id].body
            if isinstance(body, CheckBody) and body.before:
                continue
            if self.graph[node_id].kind in ("check", "freshness") and node_id not in inside:
                reads[node_id] = self.inputs[node_id]
        return reads

    def work(self, node: Node, checks: Sequence[str]) -> Work:
        step_work = self.work_without_statements(node, checks)
        if step_work.material or step_work.record or step_work.refused:
            return step_work
        try:
            return replace(step_work, statements=self.statements(node))
        except TransformError as error:
            return replace(step_work, refused=error)

    def work_without_statements(self, node: Node, checks: Sequence[str]) -> Work:
        has_several = node.kind == "check" and len(checks) > 1
        late = node.late or (node.id in self.facts.late and _has_query(node))
        only_inputs = node.id in self.only_moved and not self.wish.always and not has_several
        only_inputs = only_inputs and not any(
            self.graph[need].elsewhere for need in self.inputs[node.id]
        )
        return Work(
            node=node,
            fingerprint=self.fingerprints[node.id],
            inputs=self.inputs[node.id],
            material=self.material(node) if late else None,
            record=self.record(node) if late else None,
            checks=tuple(self.check(c) for c in checks),
            rows=self.rows(node),
            reads={
                self.graph[need].name: relation
                for need in node.needs
                if (relation := self.graph[need].relation)
            },
            columns=self.facts.columns.get(node.id),
            certain=not late and self.certain(node),
            keyed=tuple((n, n.id in self.due) for n in self.keyed.get(node.id, ())),
            refused=node.body.refused if isinstance(node.body, CheckBody) else None,
            full_refresh=self.refreshes(node),
            readers=self.unaffected_readers(node),
            files=self.facts.files.get(node.id, {}),
            arrivals=self.facts.probes.get(node.id, Probe()).arrivals,
            only_if_changed=only_inputs
            and node.kind in ("model", "snapshot", "check", "activation"),
            as_made=only_inputs and self.views_unchanged(node.id),
        )

    def check(self, check_id: str) -> ReadyCheck:
        ready = check_of(self.graph[check_id], self.graph, self.fingerprints[check_id])
        only_inputs = check_id in self.only_moved and not self.wish.always
        return replace(ready, files=self.facts.files.get(check_id, {}), only_moved=only_inputs)

    def certain(self, node: Node) -> bool:
        """Whether a query bound over empty tables returns the same columns over real ones: not with
        `pivot`, whose columns come from values, nor with inputs outside the graph."""
        if not isinstance(node.body, ModelBody) or node.body.config.materialized != "table":
            return False
        reads_outside = any(self.graph[need].elsewhere for need in node.needs)
        return not reads_outside and bool(node.code) and not self.volatility[node.id].shape

    def unaffected_readers(self, node: Node) -> tuple[Node, ...]:
        """Readers that are up to date with the node and not due for another reason: they can be
        skipped if the node's content turns out to be unchanged."""
        if node.id not in self.state.nodes or not node.solid or node.view:
            return ()
        return tuple(
            self.graph[reader]
            for reader in self.readers.get(node.id, ())
            if self.was_built_from(reader, node.id)
            and self.may_be_unaffected(reader, node.id)
            and self.views_unchanged(reader)
        )

    def views_unchanged(self, reader: str) -> bool:
        """Whether the views that the reader reads are those it was built with: only then do they
        show what it has read. The query of a late view is unknown until it runs."""
        made_from = self.state.nodes[reader].inputs
        return not any(
            view.late
            or (view.id in self.due and view.id not in self.only_moved)
            or self.versions.get(view.id) != made_from.get(view.id)
            for view in (self.graph[need] for need in self.inputs[reader])
            if view.view
        )

    def was_built_from(self, reader: str, node_id: str) -> bool:
        """Whether the reader, in its current definition, was built from the node's current version:
        only then does unchanged content mean that the reader is unaffected."""
        recorded = self.state.nodes.get(reader)
        if recorded is None or recorded.fingerprint != self.fingerprints[reader]:
            return False
        return recorded.inputs.get(node_id) == self.state.nodes[node_id].version

    def may_be_unaffected(self, reader: str, node_id: str) -> bool:
        """Whether changed inputs are the only possible reason to run the reader again. A check of
        the node is measured in the node's step anyway."""
        body = self.graph[reader].body
        if reader in self.due and isinstance(body, CheckBody) and body.on == node_id:
            return False
        if self.volatility[reader].order:
            return False  # another order of rows may change the result
        return reader not in self.due or reader in self.only_moved

    def rows(self, node: Node) -> str:
        body = node.body
        if isinstance(body, CheckBody):
            return rows_of(node, self.graph)
        return from_text(node, self.graph)

    def refreshes(self, node: Node) -> bool:
        if isinstance(node.body, ModelBody):
            config = node.body.config
            return self.wish.full_refresh if config.full_refresh is None else config.full_refresh
        return self.wish.full_refresh

    def statements(self, node: Node) -> tuple[Statement, ...]:
        columns = self.facts.columns.get(node.id)
        record = self.record(node)
        if isinstance(node.body, SnapshotBody) and record:
            return snapshot(record, node.body, self.facts.columns.get(node.id, ()))
        material = self.material(node)
        if material is None:
            return ()
        if brings_new(material):
            columns = self.facts.increments.get(node.id, columns)
        return statements(replace(material, columns=columns))

    def record(self, node: Node) -> SnapshotInputs | None:
        """The inputs of a snapshot's update, except its columns."""
        if not isinstance(node.body, SnapshotBody) or not node.relation:
            return None
        existing = self.state.relation(node.relation)
        return SnapshotInputs(
            node.relation, existing, self.wish.now, loader_columns(node, self.graph)
        )

    def material(self, node: Node) -> ModelInputs | None:
        """The inputs of a model's materialization, except its columns."""
        body = node.body
        if not isinstance(body, ModelBody) or not node.relation:
            return None
        return ModelInputs(
            relation=node.relation,
            config=body.config,
            query=body.query.text if body.query else None,
            increment=body.increment.text if body.increment else None,
            strategy=body.strategy,
            existing=self.state.relation(node.relation),
            full_refresh=self.wish.full_refresh,
            place=partial(_columns_place, body),
            shape=contract_columns(node, body),
            names=tuple(c.name for c in node.described.columns),
            name=node.name,
            order=contract_order(node.described, body.config),
        )


def _readers(inputs: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    readers: dict[str, list[str]] = {}
    for reader, needs in inputs.items():
        for need in needs:
            readers.setdefault(need, []).append(reader)
    return readers


def _has_query(node: Node) -> bool:
    is_model = isinstance(node.body, ModelBody) and node.body.query is not None
    return is_model or isinstance(node.body, SnapshotBody)


def _columns_place(body: ModelBody) -> Where:
    """The place of `on_schema_change` in the model, else of `materialized`."""
    written = "on_schema_change" in body.model.text
    return option_place(body.model, "on_schema_change" if written else "materialized")
