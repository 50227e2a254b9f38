"""The graph as values: nodes, what each is made of, and the order they stand in."""

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
from transformer.compile.sql.volatility import STEADY, Volatility, steadiness
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
    """A query that runs, and the way back from a place in it to the user's line.

    `text` is what runs; `rendered` what Jinja made; `splices` what stands between the two;
    `canonical` what it says, whatever its layout: it tells whether it changed.
    """

    text: str
    path: str
    template: str = ""
    rendered: str = ""
    splices: tuple[Edit, ...] = ()
    canonical: str = ""
    steadiness: Volatility = STEADY
    macros: Mapping[str, str] = {}
    # The texts of the files whose macros it called, for messages.
    called: Mapping[str, str] = {}
    # Place of the template's first line in its file, for text that is only part of one.
    where: Where | None = None

    def locate(self, offset: int) -> Where:
        """Where the user wrote what stands at `offset` of `text`."""
        if self.where is not None:
            return self.where
        return in_template(self.path, self.template, self.rendered, unspliced(offset, self.splices))

    def beside(self, offset: int) -> tuple[Where, ...]:
        """What an error at `offset` is better understood with, where a macro or an expression
        wrote the line: the macro's line, and the line that was compiled."""
        rendered = in_text(self.path, self.rendered, unspliced(offset, self.splices))
        if self.where is not None or self.locate(offset).text.strip() == rendered.text.strip():
            return ()
        compiled_place = in_text(f"compiled {self.path}", self.text, offset)
        macro_places = (in_macro(path, text, compiled_place) for path, text in self.called.items())
        return (*[place for place in macro_places if place], compiled_place)


class ModelBody(Struct, frozen=True):
    """A model: `query` builds it whole, `increment` brings only what is new.

    A Python model has neither, and neither has a `late` one, whose template asks the warehouse:
    its query is made just before it runs. An ephemeral model is part of the queries that read it.
    """

    model: Model
    config: ModelConfig
    query: Compiled | None = None
    increment: Compiled | None = None
    # What a model is made of besides its queries: a Python model's code without comments, its
    # variables, the target; a late one's template, and what it rendered to without the warehouse;
    # the file of its incremental strategy.
    code: str = ""
    late: bool = False
    # The macro of the project that is its incremental strategy, where that is not the tool's own.
    strategy: str = ""


class SeedBody(Struct, frozen=True):
    """A seed and its types."""

    seed: Seed


# What a snapshot adds to a row: its id, when it was seen, from when and until when it was true,
# and whether it records that there was none.
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
    # The query of a snapshot that is no relation's.
    query: Compiled | None = None
    # Whether a key that is missing or stands twice is refused.
    guarded: bool = True
    # The query asks the warehouse, and is made just before it runs; what it is made of.
    late: bool = False
    code: str = ""

    @property
    def source(self) -> str:
        """What stands behind FROM for the rows that are recorded."""
        return f"({self.query.text}\n)" if self.query else self.reads.sql()

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names of the record's own columns; the last only where absence is recorded."""
        renamed = self.snapshot.config.get("snapshot_meta_column_names") or {}
        names = RECORD if self.hard_deletes == "new_record" else RECORD[:4]
        return tuple(str(renamed.get(name) or name) for name in names)


def is_time(kind: str) -> bool:
    """Whether values of the type are days or moments."""
    return kind.upper().startswith(("DATE", "TIMESTAMP"))


def record_type(body: SnapshotBody, read: Columns) -> str:
    """The type of the moments of a record: that of `updated_at` where it has one, as in dbt. A
    native project takes text for a time."""
    if not body.updated_at:
        return "TIMESTAMP"
    column = body.updated_at.strip('"').lower()
    kind = next((kind for name, kind in read if name.lower() == column), "TIMESTAMP")
    return "TIMESTAMP" if body.guarded and kind == "VARCHAR" else kind


class SourceBody(Struct, frozen=True):
    """A source table, loaded by the build where it says how."""

    table: SourceTable


class FreshnessBody(Struct, frozen=True):
    """How old the newest row of a source may be."""

    table: SourceTable


class CheckBody(Struct, frozen=True):
    """A check of one relation, or a SQL file of failing rows (`on` is then None).

    `query` gives the failing rows of checks that are SQL; `to` is the relation that a
    relationship leads to.
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
    # Its query asks the warehouse, and is made just before it runs.
    late: bool = False
    # Where its failing rows are kept, where that is not the tool's own schema.
    stored: RelationName | None = None
    # The model that is built only when it passes: it is a unit test of that.
    before: str | None = None
    # Why it cannot be measured: it fails by itself when its turn comes.
    refused: TransformError | None = None


class ActivationBody(Struct, frozen=True):
    """An activation of one relation."""

    activation: Activation


Body = ModelBody | SeedBody | SnapshotBody | SourceBody | FreshnessBody | CheckBody | ActivationBody


@dataclass(frozen=True, slots=True)
class Node:
    """One thing of the graph. `needs` are the ids of what it reads, `relation` what it makes."""

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
    # The package it comes from, none for the project's own; its folders and name.
    package: str = ""
    fqn: tuple[str, ...] = ()
    version: str | None = None
    database: str = ""

    def having(self, **changes: Any) -> Node:
        """The node with other values in these fields."""
        return replace(self, **changes)

    @property
    def late(self) -> bool:
        """Whether what it runs is known only when it runs."""
        return isinstance(self.body, ModelBody | CheckBody | SnapshotBody) and self.body.late

    @property
    def code(self) -> str:
        """The query of a model, a check or a snapshot, where it is known."""
        body = self.body
        query = body.query if isinstance(body, ModelBody | CheckBody | SnapshotBody) else None
        return query.text if query else ""

    @property
    def steadiness(self) -> Volatility:
        """What its queries depend on beside the content of the tables they read."""
        body = self.body
        if isinstance(body, ModelBody):
            parts = [query.steadiness for query in (body.query, body.increment) if query]
            return reduce(or_, parts, STEADY) if parts else _unwritten(body)
        query = body.query if isinstance(body, CheckBody | SnapshotBody) else None
        if query is None and isinstance(body, CheckBody):
            expressions = f"{body.args.get('expression') or ''} {body.config.where or ''}"
            return steadiness(_WORD.findall(expressions))
        return query.steadiness if query else STEADY

    @property
    def elsewhere(self) -> bool:
        """Whether it is a source that is read where it lies: nobody knows when it changes."""
        outside = isinstance(self.body, SourceBody) and bool(self.body.table.reads or self.database)
        return outside and isinstance(self.body, SourceBody) and self.body.table.load is None

    @property
    def ephemeral(self) -> bool:
        """Whether it is only part of other queries."""
        return isinstance(self.body, ModelBody) and self.body.config.materialized == "ephemeral"

    @property
    def callable(self) -> bool:
        """Whether it is a macro of the warehouse: queries call it."""
        kinds = ("table_function", "function")
        return isinstance(self.body, ModelBody) and self.body.config.materialized in kinds

    @property
    def view(self) -> bool:
        """Whether it holds nothing itself: a view, or what is called."""
        is_view = isinstance(self.body, ModelBody) and self.body.config.materialized == "view"
        return is_view or self.callable

    @property
    def solid(self) -> bool:
        """Whether it has a relation of its own."""
        return self.relation is not None and not self.ephemeral


# The tokens of a text that is no query, roughly.
_WORD = re.compile(r"'[^']*'|\w+|\S")


def _unwritten(body: ModelBody) -> Volatility:
    """What a model depends on whose query is not known yet, or that has none."""
    volatility = steadiness(_WORD.findall(body.model.text)) if body.late else STEADY
    return volatility | Volatility(order=True)


class Graph(Struct, frozen=True):
    """All nodes in an order in which everything comes after what it needs."""

    nodes: Mapping[str, Node] = {}

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __getitem__(self, node_id: str) -> Node:
        return self.nodes[node_id]

    def edges(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every node with what it reads."""
        return ((node.id, node.needs) for node in self)

    def schemas(self) -> set[str]:
        """The schemas that a build writes to."""
        names = {node.relation.schema for node in self if node.relation}
        bodies = [node.body for node in self if isinstance(node.body, CheckBody)]
        # Checks run side by side: none of them may have to make the schema of what is kept.
        return names | {b.stored.schema for b in bodies if b.stored and b.config.store_failures}

    def children(self) -> dict[str, list[str]]:
        """For every node, who reads it."""
        children: dict[str, list[str]] = {node_id: [] for node_id in self.nodes}
        for node_id, needs in self.edges():
            for need in needs:
                children[need].append(node_id)
        return children

    def above(self, node_id: str, depth: int = -1) -> set[str]:
        """Everything the node stands on, at most `depth` edges away (-1: any)."""
        return _reach(lambda at: self.nodes[at].needs, node_id, depth)

    def below_all(self, ids: Iterable[str]) -> set[str]:
        """These, and everything that stands on one of them."""
        reached = set(ids)
        for node_id, needs in self.edges():  # in their order what is read comes first
            if not reached.isdisjoint(needs):
                reached.add(node_id)
        return reached & set(self.nodes)

    def below(self, node_id: str, depth: int = -1) -> set[str]:
        """Everything that stands on the node."""
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
    """What stands behind FROM for the node: its relation, or the query of an ephemeral model.
    A node without a relation of its own (a freshness check) stands for what it looks at."""
    if node.ephemeral and isinstance(node.body, ModelBody) and node.body.query:
        return f"({node.body.query.text}\n)"
    if isinstance(node.body, SourceBody) and node.body.table.reads:
        return node.body.table.reads
    relation = node.relation or (graph[node.needs[0]].relation if node.needs else None)
    catalog = f"{quoted(node.database)}." if node.database else ""
    return catalog + relation.sql() if relation else ""
