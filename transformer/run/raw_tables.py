"""Raw tables that are loaded externally: their content, and which readers a change affects.

No step builds them, so they are examined if the warehouse file is not as a build left it. For each
version the ledger stores a digest of every column in row order: a reader of columns that are
unchanged row by row advances to the new version without being rebuilt, and so does one that does
not depend on row order if the rows are the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from transformer.compile.model_config import has_hooks
from transformer.compile.nodes import Graph, Node, SourceBody
from transformer.engines import EngineSession
from transformer.plan.fingerprint import fingerprint, volatilities
from transformer.run.content_diff import columns_read_by, external_content, is_covered, same_rows
from transformer.run.context import RunContext
from transformer.steps import Contents, NodeState, Plan, State, Step
from transformer.warehouse import ledger


def with_external(
    session: EngineSession, graph: Graph, state: State, *, stood: bool = False
) -> State:
    """The state with the current contents of external raw tables. If the file `stood` unchanged
    since the last build, the versions recorded by their readers are used."""
    built_nodes = state.nodes.values() if stood else ()
    recorded = {
        need: version for node_state in built_nodes for need, version in node_state.inputs.items()
    }
    external_states, contents = {}, {}
    for node in graph:
        relation = state.relation(node.relation)
        if not _is_external(node) or relation is None or node.relation is None:
            continue
        version, rows = recorded.get(node.id, ""), None
        if not version:
            ordered = relation.kind == "table"
            version, rows, contents[node.id] = external_content(
                session, node.relation, relation.columns, ordered=ordered
            )
        external_states[node.id] = NodeState(fingerprint(node), version, rows=rows)
    return replace(state, nodes={**state.nodes, **external_states}, contents=contents)


def follow_external(context: RunContext, graph: Graph, plan: Plan) -> None:
    """Advances planned steps that changes of external tables do not affect, and records the current
    contents of these tables."""
    if not context.state.contents:
        return
    conditional = [step for step in plan.steps if step.work.only_if_changed and step.work.as_made]
    steps = [] if _has_hooks(context, plan) else conditional  # hooks may write to raw tables
    steady = volatilities(graph) if steps else {}
    with context.engine.session() as session:
        unaffected = {}
        for node_id in context.state.contents:
            previous = ledger.contents(session, node_id)
            unaffected[node_id] = [
                step.id
                for step in steps
                if node_id in step.work.inputs
                and (
                    _has_same_rows(context, step, node_id, ordered=steady[step.id].order)
                    or _has_same_columns(context, session, (step, graph[node_id]), previous)
                )
            ]
        with session.transaction():
            for node_id, readers in unaffected.items():
                version = context.versions[node_id]
                for reader in readers:
                    ledger.restate(session, reader, context.advance(reader, node_id, version))
                ledger.note_contents(session, node_id, version, context.state.contents[node_id])


def _has_same_rows(context: RunContext, step: Step, node_id: str, *, ordered: bool) -> bool:
    """Whether the step does not depend on row order, and the table has the rows it was built
    from."""
    return not ordered and same_rows(context.versions[node_id], _built_from(context, step, node_id))


def _has_same_columns(
    context: RunContext,
    session: EngineSession,
    pair: tuple[Step, Node],
    previous: Mapping[str, Contents],
) -> bool:
    """Whether the columns that the step's node reads are unchanged row by row."""
    step, node = pair
    before, now = previous.get(_built_from(context, step, node.id)), context.state.contents[node.id]
    if not before or node.relation is None:
        return False
    all_columns = session.reads(f"from {node.relation.sql()}", node.relation)
    if all_columns is None or not all(is_covered(name, all_columns) for name in now):
        return False  # some are computed from others, which the plan lists instead
    read = columns_read_by(session, step.work.node, node)
    return read is not None and _is_same(before, now, read)


def _built_from(context: RunContext, step: Step, node_id: str) -> str:
    return context.state.nodes[step.id].inputs.get(node_id, "")


def _is_same(before: Contents, now: Contents, read: frozenset[str]) -> bool:
    """Whether the columns that are read existed and are unchanged row by row, and no column was
    removed: what is read now does not tell whether a `*` had read it."""
    stays = [(name, kind) for name, (kind, _) in now.items() if name in before]
    if stays != [(name, kind) for name, (kind, _) in before.items()]:
        return False
    return all(now[name] == before.get(name) for name in now if is_covered(name, read))


def _has_hooks(context: RunContext, plan: Plan) -> bool:
    options = [step.work.node.options for step in plan.steps]
    return bool(context.project.on_run_start) or any(map(has_hooks, options))


def _is_external(node: Node) -> bool:
    return isinstance(node.body, SourceBody) and node.body.table.load is None
