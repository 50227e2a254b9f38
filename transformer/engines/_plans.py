"""DuckDB's query plans, read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from transformer.names import RelationName


def columns_read(plan: str, name: RelationName) -> frozenset[str] | None:
    """The columns of a relation that a plan in JSON reads; None where it does not stand in it, or
    where a scan of it names none: it reads none then (`count(*)`), or all that there are, for
    DuckDB 1.5 takes no column out of what is joined with a query that has CTEs.

    A plan writes a name of several lines as several, and a field as `column.field`: of the first
    each line is told, of the second the column as well. Rather too many than one too few.
    Raises ValueError and LookupError for what is no plan.
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
    known = part.get("extra_info") or {}
    if "Table" in known:
        yield known
    for child in part.get("children") or ():
        yield from _scans(child)


def _columns(scan: Mapping[str, Any]) -> Iterator[str]:
    told = scan["Projections"]
    for each in [told] if isinstance(told, str) else told:
        parts = each.split(".")
        yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1) if each)
