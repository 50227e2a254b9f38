"""What tells whether a node has to be done again: fingerprints with all they stand on, versions."""

from __future__ import annotations

from transformer.compile.nodes import CheckBody, Graph, ModelBody, Node, from_text
from transformer.compile.steadiness import Steadiness
from transformer.plan.fingerprint import digest, fingerprint
from transformer.steps import State


def print_of(node: Node, graph: Graph) -> str:
    """The node's fingerprint; that of a check holds the query of the ephemeral model it reads."""
    own = fingerprint(node)
    inlined = [(n, _said(graph[n], graph)) for n in sorted(node.needs) if graph[n].ephemeral]
    if isinstance(node.body, CheckBody) and node.body.before:
        return digest(own, fingerprint(graph[node.body.before]))
    return digest(own, inlined) if node.kind == "check" and inlined else own


def _said(node: Node, graph: Graph) -> str:
    query = node.body.query if isinstance(node.body, ModelBody) else None
    if isinstance(node.body, ModelBody) and node.body.late:
        return node.body.code  # its query is not known yet
    return query.canonical if query and query.canonical else from_text(node, graph)


def current_versions(graph: Graph, state: State) -> dict[str, str]:
    """The version of every node's relation as it is now. A view's is what it is made of."""
    return {
        node.id: view_version(known.fingerprint) if node.view else known.version
        for node in graph
        if (known := state.nodes.get(node.id))
    }


def view_version(made_of: str) -> str:
    """The version of a view: it holds nothing, so whoever reads it reads what it reads too."""
    return digest("view", made_of)


def solid_needs(node: Node, graph: Graph) -> tuple[str, ...]:
    """What the node really reads: an ephemeral model stands for what it reads itself, and a view
    for that and for itself."""
    read: dict[str, None] = {}
    seen: set[str] = set()
    open_ = list(reversed(node.needs))
    while open_:
        need = open_.pop()
        if need in seen:
            continue
        seen.add(need)
        parent = graph[need]
        if not parent.ephemeral:
            read[need] = None
        if parent.ephemeral or parent.view:
            open_ += reversed(parent.needs)
    return tuple(read)


def steadiness_of(graph: Graph) -> dict[str, Steadiness]:
    """What every node depends on beside the content of its tables, views that it reads included:
    they are run with it."""
    found: dict[str, Steadiness] = {}
    for node in graph:
        made = node.steadiness
        for need in node.needs:
            parent = graph[need]
            if parent.ephemeral or parent.view:
                made |= found[need]
        found[node.id] = made
    return found
