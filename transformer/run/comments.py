"""Descriptions become comments of relations and columns, so that BI tools show them."""

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


def describe(tools: RunContext, session: EngineSession, node: Node, columns: Columns) -> None:
    """Writes the comments of a relation that has these columns. Columns that are described and
    not there are told of: in dbt's form of project nobody has looked for them before."""
    if node.relation is None:
        return
    relation, each = _wanted(tools, node)
    described = node.described.columns if each and not node.callable else ()
    missing = set(_missing(described, columns))
    texts = {"": node.described.description if relation else ""}
    texts |= {c.name: c.description for c in described if c.name not in missing}
    comments = [_comment(node, column, text) for column, text in texts.items() if text]
    if comments:
        session.run("; ".join(comments))
    if missing and tools.project.open:
        names = ", ".join(c.name for c in node.described.columns if c.name in missing)
        said = (
            f"`{node.name}`: The following columns are specified in the schema but are not present"
            f" in the database: {names}"
        )
        tools.on_event(Event("notice", said, ""))


def outdated(engine: Engine, graph: Graph) -> list[str]:
    """The statements that bring comments up to date with what is written by now: a description is
    no reason to build anything. What has none keeps the comment that it has."""
    described = [n for n in graph if n.relation and n.solid and not n.callable and _says(n)]
    if not described:
        return []
    said = engine.comments()
    state = State(engine.relations([node.relation for node in described if node.relation]))
    found = []
    for node in described:
        held = state.relation(node.relation)
        if held is None or node.relation is None:
            continue
        there = said.get(node.relation.key(), {})
        names = {name.lower() for name, _ in held.columns} | {""}
        texts = {"": node.described.description}
        texts |= {column.name: column.description for column in node.described.columns}
        found += [
            _comment(node, name, text, held.kind)
            for name, text in texts.items()
            if text and name.lower() in names and there.get(name.lower()) != text
        ]
    return found


def _says(node: Node) -> bool:
    described = node.described
    made = node.kind in ("model", "seed", "snapshot")
    return made and bool(described.description or any(c.description for c in described.columns))


def _comment(node: Node, column: str, text: str, kind: str = "") -> str:
    if node.relation is None:
        raise TypeError(node.id)
    kind = kind or _KINDS.get(str(node.options.get("materialized")), "table")
    on = f"column {node.relation.sql()}.{quoted(column)}" if column else ""
    return f"comment on {on or f'{kind} {node.relation.sql()}'} is {literal(text)}"


def _wanted(tools: RunContext, node: Node) -> tuple[bool, bool]:
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
