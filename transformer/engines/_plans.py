"""Reads DuckDB's query plans."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from transformer.names import RelationName


def columns_read(plan: str, name: RelationName) -> frozenset[str] | None:
    """The columns of a relation that a JSON plan reads; None if the plan does not scan it, or a
    scan lists no columns: then it reads none (`count(*)`), or all of them, since DuckDB 1.5 does
    not prune columns of relations joined with a query that has CTEs.

    A plan splits a name with line breaks into several, and writes a struct field as `column.field`:
    every line, and the column as well as the field, are returned. Too many columns are harmless,
    one too few is not. Raises ValueError and LookupError for text that is not a plan.
    """
    place = f".{name.schema}.{name.table}".lower().replace('"', "")
    scans = [
        scan
        for root in json.loads(plan)
        for scan in _scans(root)
        if str(scan["Table"]).lower().replace('"', "").endswith(place)
    ]
    if not scans or not all(scan.get("Projections") for scan in scans):
        return None
    return frozenset(column for scan in scans for column in _columns(scan))


def _scans(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    info = part.get("extra_info") or {}
    if "Table" in info:
        yield info
    for child in part.get("children") or ():
        yield from _scans(child)


def _columns(scan: Mapping[str, Any]) -> Iterator[str]:
    projections = scan["Projections"]
    for projection in [projections] if isinstance(projections, str) else projections:
        parts = projection.split(".")
        yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1) if projection)
