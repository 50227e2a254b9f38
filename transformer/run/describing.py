"""Descriptions become comments of relations and columns, so that BI tools show them."""

from __future__ import annotations

from collections.abc import Iterable

from transformer.compile.nodes import Node
from transformer.engines import Session
from transformer.names import literal, quoted
from transformer.project.values import Column
from transformer.run.tools import Event, Tools
from transformer.steps import Columns

_KINDS = {"view": "view", "table_function": "macro table", "function": "macro"}


def describe(tools: Tools, session: Session, node: Node, columns: Columns) -> None:
    """Writes the comments of a relation that has these columns. Columns that are described and
    not there are told of: in dbt's form of project nobody has looked for them before."""
    if node.relation is None:
        return
    relation, each = _wanted(tools, node)
    kind = _KINDS.get(str(node.options.get("materialized")), "table")
    comments = []
    if relation and node.described.description:
        text = literal(node.described.description)
        comments.append(f"comment on {kind} {node.relation.sql()} is {text}")
    described = node.described.columns if each and not node.callable else ()
    missing = set(_missing(described, columns))
    comments += [
        f"comment on column {node.relation.sql()}.{quoted(column.name)}"
        f" is {literal(column.description)}"
        for column in described
        if column.description and column.name not in missing
    ]
    if comments:
        session.run("; ".join(comments))
    if missing and tools.project.open:
        names = ", ".join(c.name for c in node.described.columns if c.name in missing)
        said = (
            f"`{node.name}`: The following columns are specified in the schema but are not present"
            f" in the database: {names}"
        )
        tools.on_event(Event("notice", said, ""))


def _wanted(tools: Tools, node: Node) -> tuple[bool, bool]:
    """Whether the relation gets its comment, and its columns theirs: in a project of dbt's form
    only where `persist_docs` asks for them."""
    if not tools.project.open:
        return True, True
    asked = node.options.get("persist_docs") or {}
    return bool(asked.get("relation")), bool(asked.get("columns"))


def _missing(described: Iterable[Column], columns: Columns) -> Iterable[str]:
    """The names of described columns that are not there; case counts where a name is quoted."""
    names = {name for name, _ in columns}
    folded = {name.lower() for name in names}
    for column in described:
        there = column.name in names if column.quote else column.name.lower() in folded
        if not there:
            yield column.name
