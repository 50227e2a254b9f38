"""A manifest of which only the SQL of some models changed."""

from __future__ import annotations

import json
from collections.abc import Collection

from transformer.artifacts.documents import plain
from transformer.artifacts.manifest import Facts, node_entry
from transformer.compile.dbt.graph import node_facts
from transformer.compile.nodes import Graph
from transformer.plan.select.resources import things
from transformer.project.values import Project

# What an edit of a model's SQL changes in its entry, where it refers to the same nodes.
_OF_SQL = frozenset(("raw_code", "compiled_code", "checksum", "created_at"))


def with_new_sql(
    document: Facts, graph: Graph, project: Project, changed: Collection[str], moment: float
) -> Facts | None:
    """A manifest that was read, with the SQL of these models as it is now; None where anything else
    of theirs changed."""
    resources, entries = things(graph, project), dict(document["nodes"])
    for node_id in changed:
        node = graph[node_id]
        entry = node_entry(node, node_facts(node, graph, project), resources, project)
        entry = json.loads(json.dumps(entry | {"created_at": moment}, default=plain))
        known = entries.get(node_id, {})
        if any(entry.get(key) != known.get(key) for key in {*entry, *known} - _OF_SQL):
            return None
        entries[node_id] = entry
    return {**document, "nodes": entries}
