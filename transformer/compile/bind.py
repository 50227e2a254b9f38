"""Binds every query before anything is built, so that the engine itself reports the errors.

Each model is described over empty tables with the types of its inputs. Unknown columns, ambiguous
names and type errors get their place, and the columns of all models are known for contracts,
checks and comments.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct, field

from transformer.compile.config import option_place
from transformer.compile.contracts import contract, contract_order, in_order
from transformer.compile.engine_errors import complaint, placed
from transformer.compile.freshness import newest
from transformer.compile.nodes import (
    ActivationBody,
    CheckBody,
    Compiled,
    FreshnessBody,
    Graph,
    ModelBody,
    Node,
    SnapshotBody,
    from_text,
    record_type,
)
from transformer.errors import Fault, SqlError, TransformError, Where, did_you_mean
from transformer.names import RelationName, expression, quoted
from transformer.steps import Columns


class BindCatalog(Protocol):
    """The scratch catalog in which queries are bound; an engine's `scratch()`.

    Example: `create(RelationName("main", "a"), (("id", "INTEGER"),))`, then
    `describe('select id from "main"."a"')` returns `(("id", "INTEGER"),)`.
    """

    def create(self, name: RelationName, columns: Columns) -> None:
        """Creates an empty table. Raises Fault."""

    def describe(self, sql: str) -> Columns:
        """The columns of a query. Raises Fault."""


class BoundColumns(Struct):
    """Columns by node id, and the mistakes. A node whose columns are unknown before it runs
    (a Python model without declared types) is in `late`, and so is everything downstream."""

    columns: dict[str, Columns] = field(default_factory=dict)
    # Columns of the incremental queries, which return only new rows.
    increments: dict[str, Columns] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    mistakes: list[TransformError] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    # Mistakes that only fail their own nodes, during the build.
    notices: list[TransformError] = field(default_factory=list)


def forgiven(bound: BoundColumns) -> BoundColumns:
    """The result for an open project: queries may read relations unknown to the project, so nodes
    that cannot be bound become late, and fail only when they are built."""
    late = bound.late | bound.failed
    return BoundColumns(bound.columns, bound.increments, late, notices=bound.mistakes)


def bind(
    graph: Graph,
    columns_of: Mapping[str, Columns],
    catalog: BindCatalog,
    context: Container[str] = frozenset(),
) -> BoundColumns:
    """Binds the graph in its order. `columns_of` has the columns of sources, seeds and Python
    models, and of the `context`: existing nodes that are only read."""
    bound = BoundColumns()
    failed = bound.failed
    for node in graph:
        if node.id in context:
            if node.id in columns_of:
                _set_columns(_Task(node, graph, columns_of, catalog, bound), columns_of[node.id])
        elif any(need in failed for need in node.needs):
            failed.add(node.id)  # its own mistakes would be mixed up with its parent's
        elif any(need in bound.late for need in node.needs):
            bound.late.add(node.id)
        elif not _bind(_Task(node, graph, columns_of, catalog, bound)):
            failed.add(node.id)
    return bound


class _Task(Struct, frozen=True):
    node: Node
    graph: Graph
    columns_of: Mapping[str, Columns]
    catalog: BindCatalog
    bound: BoundColumns

    def mistake(self, error: TransformError) -> None:
        self.bound.mistakes.append(error)


def _bind(task: _Task) -> bool:
    before = len(task.bound.mistakes)
    body = task.node.body
    if isinstance(body, ModelBody):
        _model(task, body)
    elif isinstance(body, SnapshotBody):
        _snapshot(task, body)
    elif isinstance(body, CheckBody):
        _check(task, body)
    elif isinstance(body, ActivationBody):
        _activation(task, body)
    elif isinstance(body, FreshnessBody):
        _freshness(task, body)
    else:
        _set_columns(task, task.columns_of.get(task.node.id))
    return len(task.bound.mistakes) == before


def _set_columns(task: _Task, columns: Columns | None) -> None:
    """Records the node's columns and creates its table; without columns the node is late."""
    if columns is None:
        task.bound.late.add(task.node.id)
        return
    task.bound.columns[task.node.id] = columns
    if task.node.relation is None or task.node.ephemeral:
        return
    try:
        task.catalog.create(task.node.relation, columns)
    except Fault as fault:
        task.mistake(SqlError(fault.message.splitlines()[0], task.node.where))


def _model(task: _Task, body: ModelBody) -> None:
    if task.node.callable:
        task.bound.late.add(task.node.id)  # its parameters are not columns
        return
    if body.query is None:
        declared = tuple(
            (column.name, column.data_type)
            for column in task.node.described.columns
            if column.data_type
        )
        complete = len(declared) == len(task.node.described.columns) and bool(declared)
        _set_columns(task, task.columns_of.get(task.node.id) or (declared if complete else None))
        return
    columns = _describe(task, body.query)
    if columns is None:
        return
    if body.config.contract and task.node.described.columns:
        task.bound.mistakes += contract(task.node, columns, task.catalog.describe)
    columns = in_order(columns, contract_order(task.node.described, body.config))
    _set_columns(task, columns)
    increment = _describe(task, body.increment) if body.increment else None
    if increment is not None:
        task.bound.increments[task.node.id] = increment
    if body.config.unique_key:
        _require_columns(
            task, body.config.unique_key, task.node.id, option_place(body.model, "unique_key")
        )


def _describe(task: _Task, query: Compiled) -> Columns | None:
    try:
        return task.catalog.describe(query.text)
    except Fault as fault:
        task.mistake(placed(query, fault, dict(_readable(task))))
        return None


def _readable(task: _Task) -> Iterator[tuple[str, list[str]]]:
    for need in task.node.needs:
        columns = task.bound.columns.get(need)
        if columns:
            yield task.graph[need].name, [name for name, _ in columns]


def _snapshot(task: _Task, body: SnapshotBody) -> None:
    if body.late:
        task.bound.late.add(task.node.id)
        return
    read = task.bound.columns.get(task.node.needs[0], ()) if task.node.needs else ()
    if body.query is not None:
        read = _describe(task, body.query) or ()
    required = [*body.unique_key, *([body.updated_at] if body.updated_at else [])]
    required += [c for c in body.check_cols if c != "all"]
    if task.node.needs and body.query is None:
        required = [name for name in required if name.isidentifier()]  # skip expressions
        _require_columns(task, required, task.node.needs[0], body.snapshot.where)
    time_type = record_type(body, read)
    kinds = ("VARCHAR", time_type, time_type, time_type, "VARCHAR")
    extra: Columns = tuple(zip(body.own_names, kinds, strict=False))
    _set_columns(task, (*read, *extra))


def _require_columns(
    task: _Task, required: Iterable[str], node_id: str, where: Where | None
) -> None:
    """Notes a mistake for each required column that the node does not have."""
    columns = [name for name, _ in task.bound.columns.get(node_id, ())]
    known_names = {name.lower() for name in columns}
    for name in required:
        if columns and name.lower() not in known_names:
            label = task.graph[node_id].name
            task.mistake(
                SqlError(
                    f"`{label}` has no column `{name}`",
                    where,
                    hint=did_you_mean(name, columns, otherwise="it has {}"),
                )
            )


def _check(task: _Task, body: CheckBody) -> None:
    if body.query is not None:
        _describe(task, body.query)
        return
    if body.refused is not None:
        return
    if body.on is None or body.on not in task.bound.columns:
        return
    if body.column:
        described = task.graph[body.on].described.columns
        place = next((c.where for c in described if c.name == body.column), body.where)
        _require_columns(task, [body.column], body.on, place)
    combined = body.args.get("combination_of_columns") or ()
    _require_columns(task, combined, body.on, body.where)
    if body.to is not None and body.args.get("field"):
        target = next((n for n in task.node.needs if task.graph[n].relation == body.to), None)
        if target:
            _require_columns(task, [str(body.args["field"])], target, body.where)
    relation = from_text(task.graph[body.on], task.graph)
    for key in ("expression", "field"):
        text = body.args.get(key)
        if text and not (key == "field" and body.to is not None):
            column = quoted(body.column) + " " if key == "expression" and body.column else ""
            sql_text = expression(str(text)) if key == "field" else text
            _condition(task, f"select {column}{sql_text} from {relation}", str(text), body.where)
    if body.config.where:
        text = body.config.where
        _condition(task, f"select 1 from {relation} where {text}", text, body.where)


def _condition(task: _Task, sql: str, text: str, where: Where) -> None:
    try:
        task.catalog.describe(sql)
    except Fault as fault:
        message = complaint(fault, dict(_readable(task)))
        task.mistake(SqlError(f"`{text}` does not work: {message.what}", where, message.hint))


def _activation(task: _Task, body: ActivationBody) -> None:
    activation = body.activation
    _require_columns(task, activation.key, task.node.needs[0], activation.place("key"))
    for column in activation.fields.values():
        _require_columns(task, [column], task.node.needs[0], activation.place(f"fields.{column}"))


def _freshness(task: _Task, body: FreshnessBody) -> None:
    freshness = body.table.freshness
    relation = task.graph[task.node.needs[0]].relation
    if freshness and relation:
        label = freshness.field or "loaded_at_query"
        _condition(task, newest(freshness, relation.sql()), label, body.table.where)
