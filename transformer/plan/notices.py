"""What a user should know of a plan: rows an old query made, models past their deprecation date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from transformer.compile.nodes import Graph, Node, SourceBody
from transformer.plan.materialize import ModelInputs, brings_new, no_longer_given
from transformer.steps import LOAD_COLUMNS, Columns, NodeState


def kept_rows(
    material: ModelInputs, known: NodeState | None, made_of: str, given: Columns
) -> Iterator[str]:
    """What holds for the rows that an incremental table keeps, where its model is another."""
    name = material.name or material.relation.table
    if not brings_new(material):
        return
    if known is not None and known.fingerprint and known.fingerprint != made_of:
        yield (
            f"`{name}` was changed: rows that its table holds stay as its old query made"
            f" them; `--full-refresh` makes them again: --select {name} --full-refresh"
        )
    yield from no_longer_given(material, given)


def deprecated(node: Node, graph: Graph, now: datetime) -> Iterator[str]:
    """What is to be said where a model, or one that the node reads, has a `deprecation_date`.

    As dbt: a model is named once its date has passed, and readers of it before that too.
    """
    if (date := _deprecation(node)) and date <= now:
        yield f"`{node.name}` passed its deprecation date, {date:%Y-%m-%d}: disable or remove it"
    reads = () if node.kind == "check" else node.needs
    for read in (graph[each] for each in reads):
        if date := _deprecation(read):
            state = "was deprecated" if date <= now else "will be deprecated"
            yield f"`{node.name}` reads `{read.name}`, which {state} on {date:%Y-%m-%d}"


def _deprecation(node: Node) -> datetime | None:
    written = node.described.facts.get("deprecation_date")
    try:
        return datetime.fromisoformat(written) if written else None
    except ValueError:
        return None


def loaders_above(node: Node, graph: Graph) -> frozenset[str]:
    """The loader's own columns, where the node reads something that was loaded."""
    above = (graph[each].body for each in graph.above(node.id))
    loaded = any(isinstance(each, SourceBody) and each.table.load for each in above)
    return frozenset(name for name, _ in LOAD_COLUMNS) if loaded else frozenset()


def listed(names: list[str]) -> str:
    """The names as text: the first few, and how many more."""
    unique = list(dict.fromkeys(names))
    shown = ", ".join(f"`{name}`" for name in unique[:3])
    return shown + (f" and {len(unique) - 3} more" if len(unique) > 3 else "")
