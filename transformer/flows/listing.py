"""`transform ls`: what a project holds."""

from __future__ import annotations

from typing import Any

from transformer.compile.nodes import Node
from transformer.plan.select.resources import Resource, listed_by_dbt, things
from transformer.request import Environment, Request
from transformer.workspace.open import chosen_of, open_project, refuse_mistakes


def listed(ask: Request, outside: Environment) -> tuple[list[Resource], bool]:
    """What is chosen, in the order in which it would be built; in that of its ids where the
    project is one of dbt's, which is the second value. Raises Mistakes."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    chosen = chosen_of(opened, ask, outside)
    found = [t for t in things(opened.graph, opened.project) if t.id in chosen]
    if opened.project.open:
        found = listed_by_dbt(found, opened.project)
    return found, opened.project.open


def described(node: Node) -> dict[str, Any]:
    """A node for machines."""
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
