"""The graph as values: nodes, their bodies, and their order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Any, Literal

from msgspec import Struct

from transformer.compile.model_config import ModelConfig
from transformer.compile.sql.edits import Edit, unspliced
from transformer.compile.sql.source_map import in_macro, in_template, in_text
from transformer.compile.sql.volatility import DETERMINISTIC, Volatility, volatility_of
from transformer.errors import TransformError, Where
from transformer.names import RelationName, quoted
from transformer.project.values import (
    NOTHING,
    Activation,
    CheckConfig,
    CheckSpec,
    Described,
    Model,
    Seed,
    Snapshot,
    SourceTable,
    SqlCheck,
)
from transformer.steps import Columns

Kind = Literal[
    "source", "freshness", "seed", "model", "snapshot", "check", "activation", "analysis"
]


class Compiled(Struct, frozen=True):
    """An executable query, and the mapping from its places to the user's lines.

    `text` is what runs, `rendered` the output of Jinja, `splices` the edits between the two.
    `canonical` is independent of layout, and shows whether the query changed.
    """

    text: str
    path: str
    template: str = ""
    rendered: str = ""
    splices: tuple[Edit, ...] = ()
    canonical: str = ""
    volatility: Volatility = DETERMINISTIC
    macros: Mapping[str, str] = {}
    # The texts of the files with the called macros, for messages.
    called: Mapping[str, str] = {}
    # Place of the template in its file, if it is only a part of it.
    where: Where | None = None

    def locate(self, offset: int) -> Where:
        """The place in the user's file of the text at `offset`."""
        if self.where is not None:
            return self.where
        return in_template(self.path, self.template, self.rendered, unspliced(offset, self.splices))

    def beside(self, offset: int) -> tuple[Where, ...]:
        """Related places of an error at `offset` in generated text: the macro's line, and the
        compiled line."""
        rendered = in_text(self.path, self.rendered, unspliced(offset, self.splices))
        if self.where is not None or self.locate(offset).text.strip() == rendered.text.strip():
            return ()
        compiled_place = in_text(f"compiled {self.path}", self.text, offset)
        macro_places = (in_macro(path, text, compiled_place) for path, text in self.called.items())
        return (*[place for place in macro_places if place], compiled_place)


class ModelBody(Struct, frozen=True):
    """A model: `query` builds it in full, `increment` returns only new rows.

    Python models have neither, nor have `late` ones, whose template queries the warehouse and is
    rendered just before it runs. An ephemeral model is inlined in the queries that read it.
    """

    model: Model
    config: ModelConfig
    query: Compiled | None = None
    increment: Compiled | None = None
    # What determines a model besides its queries: a Python model's code without comments, its
    # variables and the target; a late model's text rendered without the warehouse; the file of its
    # incremental strategy.
    code: str = ""
    late: bool = False
    # The macro of a custom incremental strategy, if any.
    strategy: str = ""


class SeedBody(Struct, frozen=True):
    """A seed."""

    seed: Seed


# Columns that a snapshot adds: record id, time of the change, start and end of validity, and
# whether the record marks a deletion.
RECORD = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "dbt_is_deleted")


class SnapshotBody(Struct, frozen=True):
    """A snapshot of one relation. `reads` is that relation."""

    snapshot: Snapshot
    reads: RelationName
    unique_key: tuple[str, ...]
    strategy: str
    updated_at: str | None
    check_cols: tuple[str, ...]
    hard_deletes: str
    # The query of a snapshot without `relation`.
    query: Compiled | None = None
    # Whether missing or duplicate keys are an error.
    guarded: bool = True
    # Whether the template queries the warehouse and is rendered just before it runs; and what
    # determines it.
    late: bool = False
    code: str = ""

    @property
    def source(self) -> str:
        """The FROM clause for the recorded rows."""
        return f"({self.query.text}\n)" if self.query else self.reads.sql()

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names of the added columns; the last only if deletions are recorded."""
        renamed = self.snapshot.config.get("snapshot_meta_column_names") or {}
        names = RECORD if self.hard_deletes == "new_record" else RECORD[:4]
        return tuple(str(renamed.get(name) or name) for name in names)


def is_time(kind: str) -> bool:
    """Whether the type is a date or timestamp."""
    return kind.upper().startswith(("DATE", "TIMESTAMP"))


def record_type(body: SnapshotBody, read: Columns) -> str:
    """The type of a record's times: that of `updated_at` if set, as in dbt. In a native project
    text counts as a timestamp."""
    if not body.updated_at:
        return "TIMESTAMP"
    column = body.updated_at.strip('"').lower()
    kind = next((kind for name, kind in read if name.lower() == column), "TIMESTAMP")
    return "TIMESTAMP" if body.guarded and kind == "VARCHAR" else kind


class SourceBody(Struct, frozen=True):
    """A source table, loaded by the build if it has a `load:`."""

    table: SourceTable


class FreshnessBody(Struct, frozen=True):
    """The freshness check of a source."""

    table: SourceTable


class CheckBody(Struct, frozen=True):
    """A check of one relation, or a SQL file of failing rows (`on` is then None).

    `query` returns the failing rows of SQL checks; `to` is the target of a relationship.
    """

    kind: str
    on: str | None
    column: str | None
    args: Mapping[str, Any]
    config: CheckConfig
    where: Where
    to: RelationName | None = None
    query: Compiled | None = None
    spec: CheckSpec | None = None
    file: SqlCheck | None = None
    # Whether its template queries the warehouse and is rendered just before it runs.
    late: bool = False
    # The relation for its failing rows, if not in the tool's own schema.
    stored: RelationName | None = None
    # The model that is built only if this unit test passes.
    before: str | None = None
    # Why it cannot be measured: it fails alone when it runs.
    refused: TransformError | None = None


class ActivationBody(Struct, frozen=True):
    """An activation of one relation."""

    activation: Activation


Body = ModelBody | SeedBody | SnapshotBody | SourceBody | FreshnessBody | CheckBody | ActivationBody


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the graph. `needs` are the ids of its inputs, `relation` is what it creates."""

    id: str
    kind: Kind
    name: str
    path: str
    body: Body
    needs: tuple[str, ...] = ()
    relation: RelationName | None = None
    tags: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    described: Described = NOTHING
    where: Where | None = None
    # Its package, empty for the root project; its folders and name.
    package: str = ""
    fqn: tuple[str, ...] = ()
    version: str | None = None
    database: str = ""

    def having(self, **changes: Any) -> Node:
        """The node with these fields changed."""
        return replace(self, **changes)

    @property
    def late(self) -> bool:
        """Whether its query is known only when it runs."""
        return isinstance(self.body, ModelBody | CheckBody | SnapshotBody) and self.body.late

    @property
    def code(self) -> str:
        """The query of a model, check or snapshot, empty if unknown."""
        body = self.body
        query = body.query if isinstance(body, ModelBody | CheckBody | SnapshotBody) else None
        return query.text if query else ""

    @property
    def volatility(self) -> Volatility:
        """What its queries depend on besides the content of their tables."""
        body = self.body
        if isinstance(body, ModelBody):
            parts = [query.volatility for query in (body.query, body.increment) if query]
            return reduce(or_, parts, DETERMINISTIC) if parts else _unwritten(body)
        query = body.query if isinstance(body, CheckBody | SnapshotBody) else None
        if query is None and isinstance(body, CheckBody):
            expressions = f"{body.args.get('expression') or ''} {body.config.where or ''}"
            return volatility_of(_WORD.findall(expressions))
        return query.volatility if query else DETERMINISTIC

    @property
    def elsewhere(self) -> bool:
        """Whether it is an external source read in place, whose changes are not tracked."""
        outside = isinstance(self.body, SourceBody) and bool(self.body.table.reads or self.database)
        return outside and isinstance(self.body, SourceBody) and self.body.table.load is None

    @property
    def ephemeral(self) -> bool:
        """Whether it is inlined in other queries."""
        return isinstance(self.body, ModelBody) and self.body.config.materialized == "ephemeral"

    @property
    def callable(self) -> bool:
        """Whether it is a macro in the warehouse, which queries call."""
        kinds = ("table_function", "function")
        return isinstance(self.body, ModelBody) and self.body.config.materialized in kinds

    @property
    def view(self) -> bool:
        """Whether it stores no rows: a view or a macro."""
        is_view = isinstance(self.body, ModelBody) and self.body.config.materialized == "view"
        return is_view or self.callable

    @property
    def solid(self) -> bool:
        """Whether it has its own relation."""
        return self.relation is not None and not self.ephemeral


# Approximate tokens of a text that is not a query.
_WORD = re.compile(r"'[^']*'|\w+|\S")


def _unwritten(body: ModelBody) -> Volatility:
    """The volatility of a model without a query, or without one yet."""
    volatility = volatility_of(_WORD.findall(body.model.text)) if body.late else DETERMINISTIC
    return volatility | Volatility(order=True)


class Graph(Struct, frozen=True):
    """All nodes in topological order, inputs first."""

    nodes: Mapping[str, Node] = {}

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __getitem__(self, node_id: str) -> Node:
        return self.nodes[node_id]

    def edges(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every node id with the ids of its inputs."""
        return ((node.id, node.needs) for node in self)

    def schemas(self) -> set[str]:
        """The schemas that a build writes to."""
        names = {node.relation.schema for node in self if node.relation}
        bodies = [node.body for node in self if isinstance(node.body, CheckBody)]
        # Checks run in parallel: none of them should have to create the schema for its failures.
        return names | {b.stored.schema for b in bodies if b.stored and b.config.store_failures}

    def children(self) -> dict[str, list[str]]:
        """For every node, the nodes that read it."""
        children: dict[str, list[str]] = {node_id: [] for node_id in self.nodes}
        for node_id, needs in self.edges():
            for need in needs:
                children[need].append(node_id)
        return children

    def above(self, node_id: str, depth: int = -1) -> set[str]:
        """Everything upstream of the node, at most `depth` edges away (-1: any)."""
        return _reach(lambda at: self.nodes[at].needs, node_id, depth)

    def below_all(self, ids: Iterable[str]) -> set[str]:
        """These nodes and everything downstream."""
        reached = set(ids)
        for node_id, needs in self.edges():  # inputs come first
            if not reached.isdisjoint(needs):
                reached.add(node_id)
        return reached & set(self.nodes)

    def below(self, node_id: str, depth: int = -1) -> set[str]:
        """Everything downstream of the node."""
        return _reach(self.children().__getitem__, node_id, depth)


def _reach(edges: Callable[[str], Iterable[str]], start: str, depth: int) -> set[str]:
    reached: set[str] = set()
    front = {start}
    while front and depth != 0:
        front = {n for node_id in front for n in edges(node_id)} - reached
        reached |= front
        depth -= 1
    return reached


def from_text(node: Node, graph: Graph) -> str:
    """The FROM clause for the node: its relation, or the query of an ephemeral model. For a node
    without a relation (a freshness check) it is that of its input."""
    if node.ephemeral and isinstance(node.body, ModelBody) and node.body.query:
        return f"({node.body.query.text}\n)"
    if isinstance(node.body, SourceBody) and node.body.table.reads:
        return node.body.table.reads
    relation = node.relation or (graph[node.needs[0]].relation if node.needs else None)
    catalog = f"{quoted(node.database)}." if node.database else ""
    return catalog + relation.sql() if relation else ""
