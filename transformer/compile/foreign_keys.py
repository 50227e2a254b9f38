"""Foreign keys of contracts: the tables that they lead to."""

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


def with_keys(node: Node, scope: Scope) -> Node:
    """The node with `to: ref('…')` of its constraints as the relation that is meant, and with an
    edge to it. Raises TransformError."""
    if not any(_is_call(one) for one in _constraints(node.described)):
        return node
    trace = RenderTrace()
    session = scope.session(trace, node.package)
    place = node.described.where or node.where or Where(node.path)

    def led(one: Mapping[str, Any]) -> Mapping[str, Any]:
        if not _is_call(one):
            return one
        found = session.evaluate(str(one["to"]), place)
        return {**one, "to": RelationName(found.schema, found.identifier).sql()}

    described = replace(
        node.described,
        constraints=tuple(led(one) for one in node.described.constraints),
        columns=tuple(
            replace(column, constraints=tuple(led(one) for one in column.constraints))
            for column in node.described.columns
        ),
    )
    return node.having(described=described, needs=(*node.needs, *trace.needs))


def keyed(graph: Graph) -> dict[str, tuple[Node, ...]]:
    """The nodes whose tables have a foreign key to a node's, by the id of that."""
    found: dict[str, tuple[Node, ...]] = {}
    for node in graph:
        led = {str(one.get("to")) for one in _constraints(node.described)}
        for need in node.needs if led else ():
            relation = graph[need].relation
            if relation and relation.sql() in led:
                found[need] = (*found.get(need, ()), node)
    return found


def _constraints(described: Described) -> Iterator[Mapping[str, Any]]:
    yield from described.constraints
    for column in described.columns:
        yield from column.constraints


def _is_call(one: Mapping[str, Any]) -> bool:
    return one.get("type") == "foreign_key" and bool(_CALL.match(str(one.get("to") or "")))
