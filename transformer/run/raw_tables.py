"""Raw tables that someone else loads: what they hold, and for whom that is new.

No step makes them, so they are looked at where the warehouse file is not as a build left it. Of
each version the ledger keeps a digest of every column, in the order of the rows: a reader of
columns that are row by row what they were is told of the new version without being built again,
and so is one for which rows have no order, where they are the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from transformer.compile.model_config import has_hooks
from transformer.compile.nodes import Graph, Node, SourceBody
from transformer.engines import EngineSession
from transformer.plan.fingerprint import fingerprint, steadiness_of
from transformer.run.content_diff import is_among, looked_at, same_rows, told_columns
from transformer.run.context import RunContext
from transformer.steps import Contents, NodeState, Plan, State, Step
from transformer.warehouse import ledger


def with_external(
    session: EngineSession, graph: Graph, state: State, *, stood: bool = False
) -> State:
    """The state, with the contents of raw tables that someone else loads as they are now. Where
    the file `stood` since the last build, what was made of them says what they hold."""
    made = state.nodes.values() if stood else ()
    told = {need: version for each in made for need, version in each.inputs.items()}
    found, looked = {}, {}
    for node in graph:
        held = state.relation(node.relation)
        if not _is_external(node) or held is None or node.relation is None:
            continue
        version, rows = told.get(node.id, ""), None
        if not version:
            ordered = held.kind == "table"
            version, rows, looked[node.id] = looked_at(
                session, node.relation, held.columns, ordered=ordered
            )
        found[node.id] = NodeState(fingerprint(node), version, rows=rows)
    return replace(state, nodes={**state.nodes, **found}, contents=looked)


def follow_external(tools: RunContext, graph: Graph, plan: Plan) -> None:
    """Tells those that are planned of tables in which nothing moved for them, and notes what
    these tables hold now."""
    if not tools.state.contents:
        return
    waiting = [step for step in plan.steps if step.work.only_if_changed and step.work.as_made]
    steps = [] if _has_hooks(tools, plan) else waiting  # which may write to raw tables
    steady = steadiness_of(graph) if steps else {}
    with tools.engine.session() as session:
        stayed = {}
        for node_id in tools.state.contents:
            known = ledger.contents(session, node_id)
            stayed[node_id] = [
                step.id
                for step in steps
                if node_id in step.work.inputs
                and (
                    _has_same_rows(tools, step, node_id, ordered=steady[step.id].order)
                    or _has_same_columns(tools, session, (step, graph[node_id]), known)
                )
            ]
        with session.transaction():
            for node_id, readers in stayed.items():
                version = tools.versions[node_id]
                for reader in readers:
                    ledger.restate(session, reader, tools.advance(reader, node_id, version))
                ledger.note_contents(session, node_id, version, tools.state.contents[node_id])


def _has_same_rows(tools: RunContext, step: Step, node_id: str, *, ordered: bool) -> bool:
    """Whether the table holds the rows that the step's node was made from, where their order does
    not count for it."""
    return not ordered and same_rows(tools.versions[node_id], _stood_on(tools, step, node_id))


def _has_same_columns(
    tools: RunContext,
    session: EngineSession,
    pair: tuple[Step, Node],
    known: Mapping[str, Contents],
) -> bool:
    """Whether the columns that the step's node reads hold row by row what it was made from."""
    step, node = pair
    before, now = known.get(_stood_on(tools, step, node.id)), tools.state.contents[node.id]
    if not before or node.relation is None:
        return False
    every = session.reads(f"from {node.relation.sql()}", node.relation)
    if every is None or not all(is_among(name, every) for name in now):
        return False  # some are made of others, which a plan names in their place
    read = told_columns(session, step.work.node, node)
    return read is not None and _is_same(before, now, read)


def _stood_on(tools: RunContext, step: Step, node_id: str) -> str:
    return tools.state.nodes[step.id].inputs.get(node_id, "")


def _is_same(before: Contents, now: Contents, read: frozenset[str]) -> bool:
    """Whether the columns that are read were there, and hold row by row what they held, and none
    is gone that was there: what is read now does not tell whether a `*` had read it."""
    stays = [(name, kind) for name, (kind, _) in now.items() if name in before]
    if stays != [(name, kind) for name, (kind, _) in before.items()]:
        return False
    return all(now[name] == before.get(name) for name in now if is_among(name, read))


def _has_hooks(tools: RunContext, plan: Plan) -> bool:
    options = [step.work.node.options for step in plan.steps]
    return bool(tools.project.on_run_start) or any(map(has_hooks, options))


def _is_external(node: Node) -> bool:
    return isinstance(node.body, SourceBody) and node.body.table.load is None
