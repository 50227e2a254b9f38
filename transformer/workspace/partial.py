"""A remembered project of which some models have another text: only they are compiled."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from transformer.compile.graph import CompiledProject, remade, scope_of
from transformer.compile.namespace import Namespace, NamespaceEntries
from transformer.compile.nodes import Node
from transformer.compile.scope import Scope
from transformer.errors import TransformError
from transformer.project.settings import read_file
from transformer.request import Environment, Request
from transformer.workspace.cache import CachedProject, StaleProject
from transformer.workspace.codec import CachedGraph, CachedNodes, decode
from transformer.workspace.compile import grammar_of, world_of

# Where more have changed, compiling everything is as quick.
_MOST = 40


def patched(
    ask: Request, outside: Environment, nearly: StaleProject
) -> tuple[CachedProject, Scope] | None:
    """The project with its changed models; None where something else has changed with them, or
    where one has a mistake: messages are told when all is compiled."""
    cached = nearly.known
    nodes = cached.graph.nodes
    if len(nearly.files) > _MOST or not isinstance(nodes, CachedNodes):
        return None
    scope = _scope(ask, outside, cached)
    compiled = CompiledProject(cached.graph, scope, (), cached.texts)
    at = {head.path: head.id for head in nodes.heads.values() if head.kind == "model"}
    remade_nodes: dict[str, Node] = {}
    for file in nearly.files:
        shown = Path(os.path.relpath(file, cached.project.root)).as_posix()
        node = _remade(Path(file), shown, at.get(shown), compiled)
        if node is None:
            return None
        remade_nodes[node.id] = node
    graph = CachedGraph(CachedNodes(nodes.heads.values(), nodes.texts, remade_nodes))
    return replace(cached, graph=graph), scope


def _scope(ask: Request, outside: Environment, known: CachedProject) -> Scope:
    project = known.project
    index = Namespace(project.name, open=project.open, packages=frozenset(project.packages))
    grammar = grammar_of(project)
    return scope_of(
        project,
        index.filled(decode(known.index, NamespaceEntries)),
        world_of(ask, outside),
        grammar,
    )[0]


def _remade(path: Path, shown: str, node_id: str | None, known: CompiledProject) -> Node | None:
    if node_id is None:
        return None
    try:
        return remade(known.graph[node_id], read_file(path, shown), known)
    except TransformError:
        return None
