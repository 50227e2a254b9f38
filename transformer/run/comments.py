"""Writes descriptions as comments on relations and columns, for BI tools."""

from __future__ import annotations

from collections.abc import Iterable

from transformer.compile.nodes import Graph, Node
from transformer.engines import Engine, EngineSession
from transformer.names import literal, quoted
from transformer.project.values import Column
from transformer.request import Event
from transformer.run.context import RunContext
from transformer.steps import Columns, State

_KINDS = {"view": "view", "table_function": "macro table", "function": "macro"}


def write_comments(
    context: RunContext, session: EngineSession, node: Node, columns: Columns
) -> None:
    """Writes the comments of a relation with these columns. In dbt projects, reports described
    columns that do not exist, since they were not checked before."""
    if node.relation is None:
        return
    relation, on_columns = _wanted(context, node)
    described = node.described.columns if on_columns and not node.callable else ()
    missing = set(_missing(described, columns))
    texts = {"": node.described.description if relation else ""}
    texts |= {c.name: c.description for c in described if c.name not in missing}
    comments = [_comment(node, column, text) for column, text in texts.items() if text]
    if comments:
        session.run("; ".join(comments))
    if missing and context.project.open:
        names = ", ".join(c.name for c in node.described.columns if c.name in missing)
        message = (
            f"`{node.name}`: The following columns are specified in the schema but are not present"
            f" in the database: {names}"
        )
        context.on_event(Event("notice", message, ""))


def outdated_comments(engine: Engine, graph: Graph) -> list[str]:
    """The statements that update comments to the current descriptions, which are no reason to
    rebuild anything. Without a description, an existing comment is kept."""
    described = [
        n for n in graph if n.relation and n.solid and not n.callable and _has_description(n)
    ]
    if not described:
        return []
    comments = engine.comments()
    state = State(engine.relations([node.relation for node in described if node.relation]))
    statements = []
    for node in described:
        relation = state.relation(node.relation)
        if relation is None or node.relation is None:
            continue
        current = comments.get(node.relation.key(), {})
        names = {name.lower() for name, _ in relation.columns} | {""}
        texts = {"": node.described.description}
        texts |= {column.name: column.description for column in node.described.columns}
        statements += [
            _comment(node, name, text, relation.kind)
            for name, text in texts.items()
            if text and name.lower() in names and current.get(name.lower()) != text
        ]
    return statements


def _has_description(node: Node) -> bool:
    described = node.described
    is_built = node.kind in ("model", "seed", "snapshot")
    return is_built and bool(described.description or any(c.description for c in described.columns))


def _comment(node: Node, column: str, text: str, kind: str = "") -> str:
    if node.relation is None:
        raise TypeError(node.id)
    kind = kind or _KINDS.get(str(node.options.get("materialized")), "table")
    on = f"column {node.relation.sql()}.{quoted(column)}" if column else ""
    return f"comment on {on or f'{kind} {node.relation.sql()}'} is {literal(text)}"


def _wanted(context: RunContext, node: Node) -> tuple[bool, bool]:
    """Whether to write the relation's comment, and those of its columns: in dbt projects only if
    `persist_docs` is set."""
    if not context.project.open:
        return True, True
    persist_docs = node.options.get("persist_docs") or {}
    return bool(persist_docs.get("relation")), bool(persist_docs.get("columns"))


def _missing(described: Iterable[Column], columns: Columns) -> Iterable[str]:
    """The names of described columns that do not exist; quoted names are case-sensitive."""
    names = {name for name, _ in columns}
    folded = {name.lower() for name in names}
    for column in described:
        exists = column.name in names if column.quote else column.name.lower() in folded
        if not exists:
            yield column.name
