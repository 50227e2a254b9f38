"""Freshness: the query for the time of a source's newest row."""

from __future__ import annotations

from msgspec.structs import replace

from transformer.compile.context import RenderTrace
from transformer.compile.namespace import Referable
from transformer.compile.scope import Scope
from transformer.names import expression
from transformer.project.values import Freshness, SourceTable


def newest(rule: Freshness, rows: str) -> str:
    """The query for the newest time in epoch seconds; `rows` is the FROM clause."""
    if rule.query:
        return f"select epoch(({rule.query}\n)::timestamptz)"
    condition = f" where {rule.filter}" if rule.filter else ""
    return f"select epoch(max(({expression(rule.field)})::timestamptz)) from {rows}{condition}"


def with_query(table: SourceTable, this: Referable, scope: Scope) -> SourceTable:
    """The table with its `loaded_at_query` rendered, where `{{ this }}` is the table. Raises
    TransformError."""
    rule = table.freshness
    if rule is None or not rule.query:
        return table
    session = scope.session(RenderTrace(), table.package, this=this)
    query = session.render(rule.query, table.where.path).strip().rstrip(";")
    return replace(table, freshness=replace(rule, query=query))
