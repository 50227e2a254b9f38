"""The state shared by all renderings of a project, and their templates and queries."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from transformer.compile.context import RenderTrace, TemplateNames
from transformer.compile.dbt.adapter import WarehouseConnection
from transformer.compile.jinja.macros import MacroLibrary
from transformer.compile.jinja.rendering import Rendering
from transformer.compile.namespace import Namespace, Referable
from transformer.compile.naming import PlacedRelation, RelationRequest, by_macros, by_rule
from transformer.compile.sql.edits import Edit
from transformer.compile.sql.reader import Grammar
from transformer.compile.sql.volatility import DETERMINISTIC, Volatility
from transformer.compile.time_ranges import TimeRange
from transformer.compile.world import RenderWorld
from transformer.names import RelationName
from transformer.project.values import Target


class Scope(Struct, frozen=True):
    """The state shared by all renderings of a project."""

    index: Namespace
    library: MacroLibrary
    target: Target
    vars: Mapping[str, Any]
    world: RenderWorld
    grammar: Grammar
    # The variables visible in the files of each package.
    vars_of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # Available only during the build.
    warehouse: WarehouseConnection | None = None
    graph: Callable[[], dict[str, Any]] | None = None
    # Time filters on rows: the batch of a microbatch model, and `--sample`.
    batch: TimeRange | None = None
    sample: TimeRange | None = None
    # Constant results that replace macros, by name or `package.name`, for unit tests.
    replaced: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether queries may read relations unknown to the project."""
        return self.index.open

    def session(self, trace: RenderTrace, package: str = "", **node_options: Any) -> Rendering:
        """A rendering of a file of the package, with the names for one node."""
        session = Rendering(
            self.library, {}, trace.macros, package, trace.names_read, self.replaced
        )
        names = TemplateNames(
            self.index,
            self.target,
            self.vars_of.get(package, self.vars),
            self.world,
            trace,
            package,
            warehouse=self.warehouse,
            graph=self.graph,
            spans=tuple(span for span in (self.batch, self.sample) if span),
            filled=session.rendered if self.is_open else None,
            **node_options,
        )
        session.context.update(names.context(session))
        return session

    def placed(self, request: RelationRequest) -> PlacedRelation:
        """The relation of a node, by the project's macros if it has them."""
        if self.library.find("generate_schema_name") is None:
            return by_rule(request, self.target)
        if request.options.get("target_schema"):  # a snapshot with an explicit schema
            options = {
                "schema": request.options["target_schema"],
                "alias": request.options.get("alias"),
            }
            return by_rule(
                RelationRequest(request.name, options),
                dataclasses.replace(self.target, schema="main"),
            )
        session = self.session(RenderTrace(), node=request.facts, options=request.options)

        def call(name: str, *arguments: Any) -> str:
            return str(session.call(name, {}, "", arguments) or "")

        return by_macros(request, self.target, call)


class Query(Struct, frozen=True):
    """A query before ephemeral parents are inlined; `needs` are ids, including ephemeral ones."""

    rendered: str
    splices: tuple[Edit, ...]
    needs: tuple[str, ...]
    with_end: int | None
    trace: RenderTrace
    parsed: bool = True
    # Only its references are known: the text is rendered when it runs.
    late: bool = False
    # Its canonical form, independent of layout.
    canonical: str = ""
    volatility: Volatility = DETERMINISTIC


class Template(Struct, frozen=True):
    """A template of a node: its text and file, its options and its facts."""

    text: str
    path: str
    package: str = ""
    this: Referable | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    # Whether a custom materialization uses the text, which then need not be a query.
    free: bool = False


class AnyNamespace(Namespace):
    """A namespace in which every name resolves, for renderings that only collect `config()`."""

    def ref(self, *args: str, **_: Any) -> Referable:
        """A placeholder for any name."""
        return Referable("", args[-1], RelationName("", args[-1]))

    def source(self, *args: str, **_: Any) -> Referable:
        """A placeholder for any name."""
        return self.ref(*args)
