"""Notices of a plan: rows built by an old query, models past their deprecation date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from transformer.compile.nodes import Graph, Node, SourceBody
from transformer.plan.materialize import ModelInputs, brings_new, no_longer_given
from transformer.steps import LOAD_COLUMNS, Columns, NodeState


def stale_row_notices(
    material: ModelInputs, recorded: NodeState | None, current_print: str, columns: Columns
) -> Iterator[str]:
    """Notices about the existing rows of an incremental table whose model changed."""
    name = material.name or material.relation.table
    if not brings_new(material):
        return
    if recorded is not None and recorded.fingerprint and recorded.fingerprint != current_print:
        yield (
            f"`{name}` was changed: existing rows of its table are from its old query; to rebuild"
            f" them, run `transform build --select {name} --full-refresh`"
        )
    yield from no_longer_given(material, columns)


def deprecated(node: Node, graph: Graph, now: datetime) -> Iterator[str]:
    """Notices for a `deprecation_date` of the node or of its inputs.

    As in dbt, a model itself is reported once its date has passed, its readers before that too.
    """
    if (date := _deprecation(node)) and date <= now:
        yield f"`{node.name}` passed its deprecation date, {date:%Y-%m-%d}: disable or remove it"
    reads = () if node.kind == "check" else node.needs
    for parent in (graph[need] for need in reads):
        if date := _deprecation(parent):
            state = "was deprecated" if date <= now else "will be deprecated"
            yield f"`{node.name}` reads `{parent.name}`, which {state} on {date:%Y-%m-%d}"


def _deprecation(node: Node) -> datetime | None:
    written = node.described.facts.get("deprecation_date")
    try:
        return datetime.fromisoformat(written) if written else None
    except ValueError:
        return None


def loader_columns(node: Node, graph: Graph) -> frozenset[str]:
    """The columns added by loading, if the node depends on a loaded source."""
    ancestors = (graph[ancestor].body for ancestor in graph.above(node.id))
    reads_loaded = any(
        isinstance(ancestor, SourceBody) and ancestor.table.load for ancestor in ancestors
    )
    return frozenset(name for name, _ in LOAD_COLUMNS) if reads_loaded else frozenset()


def abbreviated(names: list[str]) -> str:
    """The first three names as text, and the number of others."""
    unique = list(dict.fromkeys(names))
    first_names = ", ".join(f"`{name}`" for name in unique[:3])
    return first_names + (f" and {len(unique) - 3} more" if len(unique) > 3 else "")
