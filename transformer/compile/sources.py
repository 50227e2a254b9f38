"""Source tables and their freshness checks as nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transformer.compile.nodes import FreshnessBody, Node, SourceBody
from transformer.names import RelationName
from transformer.project.values import SourceTable


def source_id(project: str, table: SourceTable) -> str:
    """The id of a source table."""
    return f"source.{table.package or project}.{table.source}.{table.name}"


def source_nodes(table: SourceTable, project: str) -> Iterator[Node]:
    """The node of the table, and that of its freshness check, if any."""
    node_id = source_id(project, table)
    label = f"{table.source}.{table.name}"
    shared: dict[str, Any] = {
        "path": table.where.path,
        "tags": table.tags,
        "where": table.where,
        "package": table.package,
        "fqn": table.fqn,
    }
    yield Node(
        node_id,
        "source",
        label,
        body=SourceBody(table),
        relation=RelationName(table.schema, table.identifier),
        described=table.described,
        options={**table.config, "loader": table.load.kind if table.load else None},
        database=table.database,
        **shared,
    )
    if table.freshness:
        freshness_id = f"freshness.{table.package or project}.{label}"
        yield Node(
            freshness_id, "freshness", label, body=FreshnessBody(table), needs=(node_id,), **shared
        )
