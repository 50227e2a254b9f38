"""What tells whether a node has to be done again: fingerprints with all they stand on, versions."""

from __future__ import annotations

from collections.abc import Mapping

from transformer.compile.nodes import CheckBody, Graph, Node, from_text
from transformer.plan.fingerprint import digest, fingerprint
from transformer.steps import State


def print_of(node: Node, graph: Graph) -> str:
    """The node's fingerprint; that of a check holds the query of the ephemeral model it reads."""
    own = fingerprint(node)
    inlined = [from_text(graph[need], graph) for need in node.needs if graph[need].ephemeral]
    if isinstance(node.body, CheckBody) and node.body.before:
        return digest(own, fingerprint(graph[node.body.before]))
    return digest(own, inlined) if node.kind == "check" and inlined else own


def current_versions(graph: Graph, state: State) -> dict[str, str]:
    """The content of every node's relation as it is now. A view's is that of what it reads: it
    may have moved since the view was made."""
    versions: dict[str, str] = {}
    for node in graph:
        known = state.nodes.get(node.id)
        if known is None:
            continue
        inputs = {need: versions.get(need, "") for need in solid_needs(node, graph)}
        versions[node.id] = view_version(known.fingerprint, inputs) if node.view else known.version
    return versions


def view_version(made_of: str, inputs: Mapping[str, str]) -> str:
    """The version of a view: what it is made of, and the versions of what it is made from."""
    return digest("view", made_of, sorted(inputs.items()))


def solid_needs(node: Node, graph: Graph) -> tuple[str, ...]:
    """What the node really reads: an ephemeral model stands for what it reads itself."""
    found: list[str] = []
    for need in node.needs:
        parent = graph[need]
        found += solid_needs(parent, graph) if parent.ephemeral else [need]
    return tuple(dict.fromkeys(found))
