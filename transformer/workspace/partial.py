"""Compiles only the changed models of a cached project."""

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

# If more have changed, compiling everything is as fast.
_MOST = 40


def partly_compiled(
    request: Request, environment: Environment, nearly: StaleProject
) -> tuple[CachedProject, Scope] | None:
    """The project with its changed models; None if anything else has changed, or a model has an
    error: errors are reported by compiling everything."""
    cached = nearly.known
    nodes = cached.graph.nodes
    if len(nearly.files) > _MOST or not isinstance(nodes, CachedNodes):
        return None
    scope = _scope(request, environment, cached)
    compiled = CompiledProject(cached.graph, scope, (), cached.texts)
    at = {head.path: head.id for head in nodes.heads.values() if head.kind == "model"}
    remade_nodes: dict[str, Node] = {}
    for file in nearly.files:
        shown = Path(os.path.relpath(file, cached.project.root)).as_posix()
        node = _recompiled(Path(file), shown, at.get(shown), compiled)
        if node is None:
            return None
        remade_nodes[node.id] = node
    graph = CachedGraph(CachedNodes(nodes.heads.values(), nodes.texts, remade_nodes))
    return replace(cached, graph=graph), scope


def _scope(request: Request, environment: Environment, known: CachedProject) -> Scope:
    project = known.project
    index = Namespace(project.name, open=project.open, packages=frozenset(project.packages))
    grammar = grammar_of(project)
    return scope_of(
        project,
        index.filled(decode(known.index, NamespaceEntries)),
        world_of(request, environment),
        grammar,
    )[0]


def _recompiled(path: Path, shown: str, node_id: str | None, known: CompiledProject) -> Node | None:
    if node_id is None:
        return None
    try:
        return remade(known.graph[node_id], read_file(path, shown), known)
    except TransformError:
        return None
