"""The graph of a project: every node compiled, every edge found, every mistake collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from transformer.compile.checks import Checked, checks_of, sql_check
from transformer.compile.config import ModelConfig, relation_name
from transformer.compile.conflicts import Clashes, circle
from transformer.compile.context import Trace, World
from transformer.compile.index import Index, Referable
from transformer.compile.models import (
    Query,
    Scope,
    configure,
    finish,
    python_code,
    python_needs,
    relation_of,
    render,
    with_canonical,
)
from transformer.compile.nodes import (
    ActivationBody,
    CheckBody,
    Compiled,
    FreshnessBody,
    Graph,
    ModelBody,
    Node,
    SeedBody,
    SnapshotBody,
    SourceBody,
)
from transformer.compile.templates import read_library
from transformer.errors import GraphError, TransformError, Where, did_you_mean
from transformer.names import Name
from transformer.project.values import Activation, Model, Project, Snapshot, SourceTable

Queries = tuple[Query, Query | None]


@dataclass(slots=True)
class _Draft:
    """Nodes before they are in order, with the queries that still miss their ephemeral parents."""

    scope: Scope
    mistakes: list[TransformError] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    queries: dict[str, Queries] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    def add(self, node: Node) -> None:
        if node.id in self.nodes:
            first = self.nodes[node.id]
            if node.relation is None:  # else it is noted as a clash of names
                self.mistakes.append(
                    GraphError(
                        f"two {node.kind}s are named `{node.name}`",
                        node.where,
                        hint=f"the other is at {first.where or first.path}; rename one of them",
                    )
                )
            return
        self.nodes[node.id] = node


@dataclass(frozen=True, slots=True)
class CompiledProject:
    """The graph, the scope it was rendered in, and all mistakes: the project's own, and those
    found on the way. With mistakes the graph holds what could be understood."""

    graph: Graph
    scope: Scope
    mistakes: tuple[TransformError, ...]


def compile_project(project: Project, world: World, dialect: str) -> CompiledProject:
    """Compiles everything. Nothing is raised: mistakes are in the value."""
    library, wrong = read_library({file.path: file.text for file in project.macros})
    index = Index(project.name)
    scope = Scope(index, library, project.target, project.vars, world, dialect)
    draft = _Draft(scope, [*project.mistakes, *wrong], unread=project.unread)
    models = list(_configured(project, draft))
    _fill_index(project, models, draft)
    _sources(project, draft)
    _seeds(project, draft)
    for model, config in models:
        _guard(draft, lambda m=model, c=config: _model(m, c, draft))  # type: ignore[misc]
    for snapshot in project.snapshots:
        _guard(draft, lambda s=snapshot: _snapshot(s, draft))  # type: ignore[misc]
    for activation in project.activations:
        _guard(draft, lambda a=activation: _activation(a, draft))  # type: ignore[misc]
    _checks(project, draft)
    graph = _ordered(draft)
    silent = {f"`{name}` is undefined" for name in library.broken}
    mistakes = tuple(each for each in draft.mistakes if each.what not in silent)
    return CompiledProject(_finished(graph, draft), scope, mistakes)


def _guard(draft: _Draft, work: Callable[[], None]) -> None:
    try:
        work()
    except TransformError as error:
        draft.mistakes.append(error)


def _configured(project: Project, draft: _Draft) -> Iterator[tuple[Model, ModelConfig]]:
    for model in project.models:
        config, mistakes = configure(model, draft.scope)
        draft.mistakes += mistakes
        if config.enabled:
            yield model, config
        else:
            index = draft.scope.index
            index.disabled = index.disabled | {model.name}


def _fill_index(
    project: Project, models: Iterable[tuple[Model, ModelConfig]], draft: _Draft
) -> None:
    index, target = draft.scope.index, project.target
    clashes = Clashes(draft.mistakes)
    for model, config in models:
        node_id = f"model.{project.name}.{model.name}"
        ephemeral = config.materialized == "ephemeral"
        made = Referable(node_id, model.name, relation_of(model, config, target), ephemeral)
        clashes.note(made, index.add(made), Where(model.path, 1))
    for seed in project.seeds:
        node_id = f"seed.{project.name}.{seed.name}"
        made = Referable(node_id, seed.name, relation_name(target, seed.name, seed.config))
        clashes.note(made, index.add(made), Where(seed.path, 1))
    for snapshot in project.snapshots:
        node_id = f"snapshot.{project.name}.{snapshot.name}"
        relation = relation_name(target, snapshot.name, snapshot.config)
        made = Referable(node_id, snapshot.name, relation)
        clashes.note(made, index.add(made), snapshot.where)
    for table in project.sources:
        relation = Name(table.schema, table.identifier)
        made = Referable(source_id(project.name, table), f"{table.source}.{table.name}", relation)
        clashes.note(made, index.add_source(table.source, table.name, made), table.where)


def source_id(project: str, table: SourceTable) -> str:
    """The id of a source table."""
    return f"source.{project}.{table.source}.{table.name}"


def _sources(project: Project, draft: _Draft) -> None:
    for table in project.sources:
        node_id = source_id(project.name, table)
        relation = Name(table.schema, table.identifier)
        label = f"{table.source}.{table.name}"
        shared: dict[str, Any] = {
            "path": table.where.path,
            "tags": table.tags,
            "where": table.where,
        }
        if node_id in draft.nodes:
            continue  # noted as a clash of names
        draft.add(
            Node(
                node_id,
                "source",
                label,
                body=SourceBody(table),
                relation=relation,
                described=table.described,
                options={"loader": table.load.kind if table.load else None},
                **shared,
            )
        )
        if table.freshness:
            freshness_id = f"freshness.{project.name}.{label}"
            body = FreshnessBody(table)
            draft.add(Node(freshness_id, "freshness", label, body=body, needs=(node_id,), **shared))


def _seeds(project: Project, draft: _Draft) -> None:
    for seed in project.seeds:
        draft.add(
            Node(
                id=f"seed.{project.name}.{seed.name}",
                kind="seed",
                name=seed.name,
                path=seed.path,
                body=SeedBody(seed),
                relation=relation_name(project.target, seed.name, seed.config),
                tags=tuple(seed.config.get("tags", ())),
                options=seed.config,
                described=seed.described,
                where=seed.described.where or Where(seed.path, 1),
            )
        )


def _model(model: Model, config: ModelConfig, draft: _Draft) -> None:
    scope = draft.scope
    relation = relation_of(model, config, scope.target)
    node_id = f"model.{scope.index.project}.{model.name}"
    node = Node(
        id=node_id,
        kind="model",
        name=model.name,
        path=model.path,
        body=ModelBody(model, config),
        relation=relation,
        tags=config.tags,
        options=_options(config),
        described=model.described,
        where=Where.in_text(model.path, model.text, 1, 1),
    )
    if model.language == "python":
        needs, mistakes = python_needs(model, scope.index)
        draft.mistakes += mistakes
        code = python_code(model, scope)
        draft.add(replace(node, needs=needs, body=ModelBody(model, config, code=code)))
        return
    if model.path in draft.unread:
        draft.add(node)
        return
    try:
        whole = render(model, scope, relation)
        increment = None
        if config.materialized == "incremental" and whole.trace.asked_incremental:
            increment = render(model, scope, relation, incremental=True)
    except TransformError as error:
        draft.mistakes.append(error)
        draft.add(node)  # what reads it has no mistake of its own
        return
    if node_id in whole.needs:
        raise GraphError(
            f"`{model.name}` reads itself",
            node.where,
            hint="in an incremental model write `{{ this }}` behind `is_incremental()`",
        )
    # `this` in the incremental form is the table itself, not an edge to it.
    found = (*whole.needs, *(increment.needs if increment else ()))
    needs = tuple(dict.fromkeys(n for n in found if n != node_id))
    draft.queries[node_id] = (whole, increment)
    draft.add(replace(node, needs=needs))


def _options(config: ModelConfig) -> Mapping[str, Any]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def _snapshot(snapshot: Snapshot, draft: _Draft) -> None:
    scope, config = draft.scope, snapshot.config
    trace = Trace()
    relation = scope.session(trace).evaluate(snapshot.relation, snapshot.where)
    reads = Name(relation.schema, relation.identifier)
    strategy = config.get("strategy", "timestamp")
    missing = "unique_key" if not config.get("unique_key") else None
    if strategy == "timestamp" and not config.get("updated_at"):
        missing = missing or "updated_at"
    if strategy == "check" and not config.get("check_cols"):
        missing = missing or "check_cols"
    if missing:
        raise GraphError(
            f"the snapshot `{snapshot.name}` has no `{missing}`",
            snapshot.where,
            hint=f"set `{missing}:` under its `config:`",
        )
    draft.add(
        Node(
            id=f"snapshot.{scope.index.project}.{snapshot.name}",
            kind="snapshot",
            name=snapshot.name,
            path=snapshot.where.path,
            body=SnapshotBody(
                snapshot,
                reads,
                tuple(config["unique_key"]),
                strategy,
                config.get("updated_at"),
                tuple(config.get("check_cols", ())),
                config.get("hard_deletes", "ignore"),
            ),
            needs=tuple(trace.needs),
            relation=relation_name(scope.target, snapshot.name, config),
            tags=tuple(config.get("tags", ())),
            options=config,
            described=snapshot.described,
            where=snapshot.where,
        )
    )


def _activation(activation: Activation, draft: _Draft) -> None:
    index = draft.scope.index
    found = index.nodes.get(activation.model)
    if found is None:
        raise GraphError(
            f"there is no model `{activation.model}`",
            activation.where,
            hint=did_you_mean(activation.model, index.nodes),
        )
    if found.ephemeral:
        raise GraphError(
            f"`{activation.model}` is ephemeral: there is no relation to send",
            activation.where,
            hint="materialize it as a view or a table",
        )
    draft.add(
        Node(
            id=f"activation.{index.project}.{activation.name}",
            kind="activation",
            name=activation.name,
            path=activation.where.path,
            body=ActivationBody(activation),
            needs=(found.id,),
            tags=activation.tags,
            options={"target": activation.kind, "mode": activation.mode},
            where=activation.where,
        )
    )


def _checks(project: Project, draft: _Draft) -> None:
    for node in list(draft.nodes.values()):
        if node.relation is None:
            continue
        checked = Checked(node, node.relation)
        for check, query in checks_of(checked, draft.scope, draft.mistakes):
            draft.add(check)
            if query:
                draft.queries[check.id] = (query, None)
    for each in project.sql_checks:
        try:
            check, query = sql_check(each, draft.scope)
        except TransformError as error:
            draft.mistakes.append(error)
            continue
        body = check.body
        if isinstance(body, CheckBody) and body.config.enabled:
            draft.add(check)
            draft.queries[check.id] = (query, None)


def _ordered(draft: _Draft) -> Graph:
    known = draft.nodes
    edges = {i: [n for n in node.needs if n in known] for i, node in known.items()}
    try:
        order = list(TopologicalSorter(edges).static_order())
    except CycleError as error:
        draft.mistakes.append(circle([known[i] for i in reversed(error.args[1])]))
        return Graph({})
    return Graph({i: replace(known[i], needs=tuple(edges[i])) for i in order})


def _finished(graph: Graph, draft: _Draft) -> Graph:
    """Every query with its ephemeral parents put in; parents come first in the graph's order."""
    texts: dict[str, str] = {}
    nodes: dict[str, Node] = {}
    for node in graph:
        made = node
        if node.id in draft.queries:
            made = _with_query(node, draft.queries[node.id], graph, texts, draft.scope)
        nodes[node.id] = made
    return Graph(nodes)


def _with_query(
    node: Node, queries: Queries, graph: Graph, texts: dict[str, str], scope: Scope
) -> Node:
    whole, increment = queries
    body = node.body

    def made(query: Query) -> Compiled:
        chain = _ephemeral_chain(query.needs, graph)
        parents = [(graph[i].name, texts[i]) for i in chain]
        template = body.model.text if isinstance(body, ModelBody) else _template(node, query)
        compiled = finish(query, node.path, template, parents)
        files = dict.fromkeys(query.trace.macros.values())
        called = {path: scope.library.texts.get(path, "") for path in files}
        return with_canonical(replace(compiled, called=called), scope.dialect)

    if isinstance(body, ModelBody):
        # An ephemeral model is put in without its own parents: they are put in beside it.
        texts[node.id] = finish(whole, node.path, "", ()).text
        return replace(
            node,
            body=replace(body, query=made(whole), increment=made(increment) if increment else None),
        )
    if isinstance(body, CheckBody):
        query = made(whole)
        if body.kind != "sql":
            query = replace(query, where=body.where)
        return replace(node, body=replace(body, query=query))
    return node


def _template(node: Node, query: Query) -> str:
    return query.rendered if node.kind == "check" else ""


def _ephemeral_chain(needs: Iterable[str], graph: Graph) -> list[str]:
    """The ephemeral models a query stands on, also through each other, parents first."""
    found: list[str] = []
    for need in needs:
        if need in graph.nodes and graph[need].ephemeral:
            found += _ephemeral_chain(graph[need].needs, graph)
            found.append(need)
    return list(dict.fromkeys(found))
