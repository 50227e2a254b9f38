"""Foreign keys of contracts, and the tables that they reference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from transformer.compile.context import RenderTrace
from transformer.compile.nodes import Graph, Node
from transformer.compile.scope import Scope
from transformer.errors import Where
from transformer.names import RelationName
from transformer.project.values import Described

_CALL = re.compile(r"\s*(ref|source)\s*\(")


def with_foreign_keys(node: Node, scope: Scope) -> Node:
    """The node with `to: ref('…')` in its constraints resolved to relations, and with edges to
    them. Raises TransformError."""
    if not any(_is_call(constraint) for constraint in _constraints(node.described)):
        return node
    trace = RenderTrace()
    session = scope.session(trace, node.package)
    place = node.described.where or node.where or Where(node.path)

    def led(constraint: Mapping[str, Any]) -> Mapping[str, Any]:
        if not _is_call(constraint):
            return constraint
        relation = session.evaluate(str(constraint["to"]), place)
        return {**constraint, "to": RelationName(relation.schema, relation.identifier).sql()}

    described = replace(
        node.described,
        constraints=tuple(led(constraint) for constraint in node.described.constraints),
        columns=tuple(
            replace(column, constraints=tuple(led(constraint) for constraint in column.constraints))
            for column in node.described.columns
        ),
    )
    return node.having(described=described, needs=(*node.needs, *trace.needs))


def referencing_nodes(graph: Graph) -> dict[str, tuple[Node, ...]]:
    """The nodes whose tables have a foreign key to a node's table, by the id of that node."""
    nodes: dict[str, tuple[Node, ...]] = {}
    for node in graph:
        targets = {str(constraint.get("to")) for constraint in _constraints(node.described)}
        for need in node.needs if targets else ():
            relation = graph[need].relation
            if relation and relation.sql() in targets:
                nodes[need] = (*nodes.get(need, ()), node)
    return nodes


def _constraints(described: Described) -> Iterator[Mapping[str, Any]]:
    yield from described.constraints
    for column in described.columns:
        yield from column.constraints


def _is_call(constraint: Mapping[str, Any]) -> bool:
    return constraint.get("type") == "foreign_key" and bool(
        _CALL.match(str(constraint.get("to") or ""))
    )
