"""`transform ls`: the project's resources."""

from __future__ import annotations

from typing import Any

from transformer.compile.nodes import Node
from transformer.plan.select.resources import Resource, listed_by_dbt, things
from transformer.request import Environment, Request
from transformer.workspace.open import open_project, refuse_mistakes, selected_ids


def selected_resources(request: Request, environment: Environment) -> tuple[list[Resource], bool]:
    """The selected resources, in build order (in a dbt project ordered by id), and whether this is
    a dbt project. Raises Mistakes."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    chosen = selected_ids(opened, request, environment)
    resources = [t for t in things(opened.graph, opened.project) if t.id in chosen]
    if opened.project.open:
        resources = listed_by_dbt(resources, opened.project)
    return resources, opened.project.open


def node_json(node: Node) -> dict[str, Any]:
    """A node as JSON."""
    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "path": node.path,
        "relation": str(node.relation) if node.relation else None,
        "materialized": node.options.get("materialized"),
        "needs": list(node.needs),
        "tags": list(node.tags),
        "description": node.described.description,
    }
