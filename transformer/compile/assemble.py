"""The last step to an executable query: its ephemeral parents are inlined.

For most nodes that happens before the build. Templates that query the warehouse (`run_query`,
`adapter.get_columns_in_relation` …) are `late`: they are rendered just before they run, when
their inputs exist.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.compile.checks import late_query
from transformer.compile.context import RenderTrace
from transformer.compile.dbt.operations import hook_facts
from transformer.compile.hooks import hook_statements
from transformer.compile.macro_calls import call_materialization, call_strategy
from transformer.compile.models import code_of, rendered_now
from transformer.compile.nodes import CheckBody, Compiled, Graph, ModelBody, Node, SnapshotBody
from transformer.compile.rendering import EphemeralParent, finish, resolve
from transformer.compile.scope import Query, Scope
from transformer.compile.snapshots import snapshot_now
from transformer.compile.sql.volatility import relative_files
from transformer.compile.time_ranges import TimeRange
from transformer.compile.unit_tests import unit_query
from transformer.errors import TransformError, Where
from transformer.project.values import Hook
from transformer.steps import Columns

# Option of a table that was configured as a view, with the file that it reads.
OVER = "view over"

Queries = tuple[Query, Query | None]


class AssembledGraph(Struct, frozen=True):
    """The graph with its queries, and the texts of ephemeral models without their own parents."""

    graph: Graph
    texts: Mapping[str, str]


def with_queries(graph: Graph, queries: Mapping[str, Queries], scope: Scope) -> AssembledGraph:
    """Every query with its ephemeral parents inlined. Parents come first in the graph's order."""
    nodes: dict[str, Node] = {}
    texts: dict[str, str] = {}
    canonical: dict[str, str] = {}
    for node in graph:
        assembled = node
        if node.id in queries:
            whole, increment = queries[node.id]
            if node.ephemeral:
                texts[node.id] = finish(whole, node.path, "", ()).text
                canonical[node.id] = whole.canonical
            chain = ephemeral_chain(whole.needs, graph)
            if any(nodes[parent_id].late for parent_id in chain):
                assembled = _late(node, whole, scope)
            elif texts.keys() >= set(chain):  # else a parent has a mistake, which is reported
                parents = [
                    EphemeralParent(graph[parent_id].name, texts[parent_id], canonical[parent_id])
                    for parent_id in chain
                ]
                assembled = _with_query(node, whole, increment, parents, scope)
        elif isinstance(node.body, CheckBody) and _checks_late_ephemeral(node.body, nodes):
            assembled = node.having(body=replace(node.body, late=True))
        nodes[node.id] = assembled
    return AssembledGraph(Graph(nodes), texts)


def _checks_late_ephemeral(body: CheckBody, nodes: Mapping[str, Node]) -> bool:
    """Whether a check reads an ephemeral model whose query is not known yet."""
    checked = nodes.get(body.on or "")
    return checked is not None and checked.ephemeral and checked.late


def assembled_node(node: Node, queries: Queries, graph: Graph, scope: Scope) -> Node | None:
    """One node of a complete graph with its query; None if it reads ephemeral models, which is
    for `with_queries`."""
    whole, increment = queries
    return (
        None
        if ephemeral_chain(whole.needs, graph)
        else _with_query(node, whole, increment, [], scope)
    )


def _late(node: Node, whole: Query, scope: Scope) -> Node:
    if isinstance(node.body, ModelBody):
        code = f"{node.body.code}{code_of(whole, scope)}"
        return node.having(body=replace(node.body, late=True, code=code))
    if isinstance(node.body, CheckBody):
        return node.having(body=replace(node.body, late=True))
    if isinstance(node.body, SnapshotBody):
        return node.having(body=replace(node.body, late=True, code=code_of(whole, scope)))
    return node


def _with_query(
    node: Node,
    whole: Query,
    increment: Query | None,
    parents: list[EphemeralParent],
    scope: Scope,
) -> Node:
    body = node.body
    compiled = _compiled(node, whole, parents, scope)
    if isinstance(body, ModelBody):
        compiled_increment = _compiled(node, increment, parents, scope) if increment else None
        body_with_queries = replace(body, query=compiled, increment=compiled_increment)
        return (
            as_table_if_relative_file(node, body_with_queries, compiled)
            if not scope.is_open
            else node.having(body=body_with_queries)
        )
    if isinstance(body, CheckBody):
        placed_query = compiled if body.kind == "sql" else replace(compiled, where=body.where)
        return node.having(body=replace(body, query=placed_query))
    if isinstance(body, SnapshotBody):
        return node.having(body=replace(body, query=compiled))
    return node


def as_table_if_relative_file(node: Node, body: ModelBody, query: Compiled) -> Node:
    """The node; a view over a file with a relative path becomes a table. DuckDB resolves such a
    path in the reader's working directory, so a published view would not find the file."""
    files = relative_files(query.text, query.volatility.files)
    if body.config.materialized != "view" or not files:
        return node.having(body=body)
    config = replace(body.config, materialized="table")
    options = {**node.options, "materialized": "table", OVER: files[0]}
    return node.having(body=replace(body, config=config), options=options)


def _compiled(node: Node, query: Query, parents: list[EphemeralParent], scope: Scope) -> Compiled:
    compiled = finish(query, node.path, _template(node, query), parents)
    files = dict.fromkeys(query.trace.macros.values())
    macro_texts = {path: scope.library.texts.get(path, "") for path in files}
    return replace(compiled, called=macro_texts)


def _template(node: Node, query: Query) -> str:
    if isinstance(node.body, ModelBody):
        return node.body.model.text
    if isinstance(node.body, SnapshotBody):
        return node.body.snapshot.text
    return query.rendered


def ephemeral_chain(needs: Iterable[str], graph: Graph) -> list[str]:
    """The ephemeral models that a query depends on, directly or not, parents first."""
    chain: list[str] = []
    for need in needs:
        if need in graph.nodes and graph[need].ephemeral:
            chain += ephemeral_chain(graph[need].needs, graph)
            chain.append(need)
    return list(dict.fromkeys(chain))


class LateRendering(Struct, frozen=True):
    """Renders late nodes during the build."""

    graph: Graph
    scope: Scope
    texts: Mapping[str, str]
    facts: Callable[[], dict[str, Any]]

    def of(self, chosen: Iterable[str]) -> LateRendering:
        """The same for a run of these nodes (`selected_resources` in templates)."""
        world = dataclasses.replace(self.scope.world, selected=tuple(sorted(chosen)))
        return replace(self, scope=replace(self.scope, world=world))

    def asking(self, warehouse: Any) -> Scope:
        """The scope of a rendering that may query the warehouse and the graph."""
        return replace(self.scope, warehouse=warehouse, graph=self.facts)

    def made(self, node: Node, warehouse: Any, *, incremental: bool = False) -> Node:
        """The node with its query. Raises TransformError at the template's line."""
        scope = self.asking(warehouse)
        if isinstance(node.body, CheckBody) and node.body.before:
            query = unit_query(node, self.graph, scope)
            return node.having(body=replace(node.body, late=False, query=query))
        if isinstance(node.body, CheckBody):
            check_query = late_query(node, self.graph, scope)
            if check_query is None:
                return node.having(body=replace(node.body, late=False))
            whole = check_query
        elif isinstance(node.body, ModelBody):
            whole = rendered_now(node, scope, incremental=incremental)
        elif isinstance(node.body, SnapshotBody):
            whole = snapshot_now(node, scope)
        else:
            raise TypeError(node.id)
        parents = self._parents((*node.needs, *whole.needs), scope)
        current = node.having(body=replace(node.body, late=False))
        return _with_query(current, whole, None, parents, scope)

    def around(self, check: Node, warehouse: Any) -> Graph:
        """The graph with the query of the late ephemeral model that a check reads, if any. Raises
        TransformError."""
        checked_id = check.body.on if isinstance(check.body, CheckBody) else None
        if checked_id is None or not (
            self.graph[checked_id].ephemeral and self.graph[checked_id].late
        ):
            return self.graph
        return Graph({**self.graph.nodes, checked_id: self.made(self.graph[checked_id], warehouse)})

    def batch(self, node: Node, warehouse: Any, batch: TimeRange, *, incremental: bool) -> Node:
        """A microbatch model with the query of one batch."""
        rendering = replace(self, scope=replace(self.scope, batch=batch))
        return rendering.made(node, warehouse, incremental=incremental)

    def hook(self, node: Node, text: str, warehouse: Any) -> Sequence[str]:
        """The statements of a hook of the node. Raises TransformError."""
        return hook_statements(node, text, self.asking(warehouse))

    def materialize(self, node: Node, warehouse: Any) -> None:
        """Runs the macro of a model's custom materialization. Raises TransformError."""
        body = node.body
        if not isinstance(body, ModelBody) or body.query is None:
            raise TypeError(node.id)
        call_materialization(node, body.query.text, body.config, self.asking(warehouse))

    def strategy(self, node: Node, rows: str, columns: Columns, warehouse: Any) -> str:
        """The statements of a custom incremental strategy; `rows` is the table of new rows. Raises
        TransformError."""
        return call_strategy(node, rows, columns, self.asking(warehouse))

    def text(self, hook: Hook, warehouse: Any, names: Mapping[str, Any]) -> str:
        """The SQL of an `on-run-…` hook, with additional names in its context. Raises
        TransformError."""
        facts = hook_facts(hook, self.scope.index.project, self.scope.target)
        session = self.asking(warehouse).session(RenderTrace(), hook.package, node=facts)
        session.context.update(names)
        try:
            return session.render(hook.text, hook.where.path)
        except TransformError as error:
            raise error.moved(hook.where) from None

    def inline(self, text: str, warehouse: Any) -> str:
        """A query from the command line with its ephemeral parents. Without a warehouse it cannot
        query anything. Raises TransformError."""
        scope, trace = (self.asking(warehouse) if warehouse else self.scope), RenderTrace()
        rendered = scope.session(trace).render(text, "--inline")
        query = resolve(rendered, scope, trace, lambda _: Where("--inline", 1, 1, 1, text))
        return finish(query, "--inline", "", self._parents(query.needs, scope)).text

    def _parents(self, needs: Iterable[str], scope: Scope) -> list[EphemeralParent]:
        parents = []
        for parent_id in ephemeral_chain(needs, self.graph):
            parent = self.graph[parent_id]
            text = self.texts.get(parent_id)
            if text is None:
                text = finish(rendered_now(parent, scope), parent.path, "", ()).text
            parents.append(EphemeralParent(parent.name, text))
        return parents
