"""The graph of a project: all nodes compiled, all edges resolved, all mistakes collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.compile.activations import activation_node
from transformer.compile.assemble import Queries, assembled_node, with_queries
from transformer.compile.checks import CheckedNode, checks_of, sql_check
from transformer.compile.config import is_true, option_place
from transformer.compile.conflicts import Conflicts, cycle_error
from transformer.compile.dbt.facts import id_of, model_facts, plain_facts
from transformer.compile.dbt.making import ineffective_macros
from transformer.compile.foreign_keys import with_foreign_keys
from transformer.compile.freshness import with_query
from transformer.compile.hooks import hook_needs
from transformer.compile.jinja.environment import LenientUndefined, Strict
from transformer.compile.jinja.macros import read_library
from transformer.compile.model_config import OWN_MATERIALIZATIONS, ModelConfig, options_of
from transformer.compile.models import (
    analysis_node,
    code_of,
    configure,
    model_body,
    queries_of,
    with_code,
)
from transformer.compile.namespace import DisabledError, Namespace, Referable
from transformer.compile.naming import PlacedRelation, RelationRequest
from transformer.compile.nodes import (
    CheckBody,
    Graph,
    ModelBody,
    Node,
)
from transformer.compile.python_models import python_code, python_needs
from transformer.compile.scope import Scope
from transformer.compile.seeds import seed_dependency_error, seed_node
from transformer.compile.snapshots import configured, snapshot_node
from transformer.compile.sources import source_id, source_nodes
from transformer.compile.sql.reader import Grammar
from transformer.compile.time_ranges import sample_range
from transformer.compile.unit_tests import unit_nodes
from transformer.compile.world import RenderWorld
from transformer.errors import GraphError, TransformError, Where, did_you_mean
from transformer.names import RelationName
from transformer.project.values import (
    Model,
    Project,
    Seed,
    Snapshot,
    SourceTable,
    SqlCheck,
)


class _Draft(Struct):
    """Unordered nodes, with queries that still lack their ephemeral parents."""

    scope: Scope
    mistakes: list[TransformError] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    queries: dict[str, Queries] = field(default_factory=dict)
    placed: dict[str, PlacedRelation] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    far: Mapping[str, PlacedRelation] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        if node.id in self.nodes:
            first = self.nodes[node.id]
            if node.relation is None:  # else already noted as a conflict of relations
                self.mistakes.append(
                    GraphError(
                        f"two {node.kind}s are named `{node.name}`",
                        node.where,
                        hint=f"the other is at {first.where or first.path}; rename one of them",
                    )
                )
            return
        self.nodes[node.id] = node


class CompiledProject(Struct, frozen=True):
    """The graph, its scope, and all mistakes in reading and compiling. With mistakes the graph
    contains what could be compiled."""

    graph: Graph
    scope: Scope
    mistakes: tuple[TransformError, ...]
    # The texts of ephemeral models, without their own parents.
    texts: Mapping[str, str] = field(default_factory=dict)


def compile_project(
    project: Project,
    world: RenderWorld,
    grammar: Grammar,
    far: Mapping[str, PlacedRelation] | None = None,
) -> CompiledProject:
    """Compiles everything; mistakes are in the value, not raised. References to nodes in `far`
    resolve to the relations given there."""
    packages = frozenset(project.packages)
    disabled = frozenset(project.disabled)
    index = Namespace(project.name, open=project.open, packages=packages, disabled=disabled)
    scope, macro_mistakes = scope_of(project, index, world, grammar)
    library = scope.library
    for text in ineffective_macros(library) if project.open else ():
        world.hear(text)
    draft = _Draft(
        scope, [*project.mistakes, *macro_mistakes], unread=project.unread, far=far or {}
    )
    models = list(_configured(project, draft))
    project = replace(project, snapshots=tuple(_snapshots(project, draft)))
    _fill_index(project, models, draft)
    for table in project.sources:
        _guard(draft, lambda t=table: _source(t, draft))  # type: ignore[misc]
    for seed in project.seeds:
        _guard(draft, lambda s=seed: _seed(s, draft))  # type: ignore[misc]
    for model, config in models:
        _guard(draft, lambda m=model, c=config: _model(m, c, draft))  # type: ignore[misc]
    for snapshot in project.snapshots:
        _guard(draft, lambda s=snapshot: _snapshot(s, draft))  # type: ignore[misc]
    for analysis in project.analyses:
        _guard(draft, lambda a=analysis: _analysis(a, draft))  # type: ignore[misc]
    for activation in project.activations:
        _guard(draft, lambda a=activation: draft.add(activation_node(a, index)))  # type: ignore[misc]
    _checks(project, draft)
    graph = _ordered(draft)
    expected = {f"`{name}` is undefined" for name in library.broken}
    mistakes = tuple(mistake for mistake in draft.mistakes if mistake.what not in expected)
    assembled = with_queries(graph, draft.queries, scope)
    return CompiledProject(assembled.graph, scope, mistakes, assembled.texts)


def scope_of(
    project: Project, index: Namespace, world: RenderWorld, grammar: Grammar
) -> tuple[Scope, list[TransformError]]:
    """The scope shared by all renderings, and the mistakes in macros."""
    library, mistakes = read_library(
        project.macros,
        undefined=LenientUndefined if project.open else Strict,
        root=project.name,
        dispatch=project.dispatch,
    )
    vars_of = {name: package.vars for name, package in project.packages.items()}
    sample = sample_range(world.flags.get("SAMPLE"), world.now)
    target = project.target
    scope = Scope(index, library, target, project.vars, world, grammar, vars_of, sample=sample)
    return scope, mistakes


def remade(node: Node, text: str, compiled: CompiledProject) -> Node | None:
    """A model of a compiled project with a new text; None if more than this model may change, or
    it has a mistake: then everything must be recompiled."""
    body = node.body
    if not isinstance(body, ModelBody) or body.model.language != "sql" or node.ephemeral:
        return None
    model = replace(body.model, text=text)
    config, mistakes = configure(model, compiled.scope)
    if mistakes or config != body.config or node.kind != "model":
        return None
    draft = _Draft(compiled.scope)
    draft.placed[node.id] = PlacedRelation(node.relation or RelationName("", ""), node.database)
    _guard(draft, lambda: _model(model, config, draft))
    model_node = draft.nodes.get(node.id)
    earlier = set(takewhile(lambda other: other != node.id, compiled.graph.nodes))
    if draft.mistakes or model_node is None or not set(model_node.needs) <= earlier:
        return None
    if node.id in draft.queries:
        return assembled_node(model_node, draft.queries[node.id], compiled.graph, compiled.scope)
    return model_node


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


def _snapshots(project: Project, draft: _Draft) -> Iterator[Snapshot]:
    index = draft.scope.index
    for snapshot in project.snapshots:
        with_config = configured(snapshot, draft.scope)
        if is_true(with_config.config.get("enabled"), True):
            yield with_config
        else:
            index.disabled = index.disabled | {with_config.name}


def _fill_index(
    project: Project, models: Iterable[tuple[Model, ModelConfig]], draft: _Draft
) -> None:
    index, clashes = draft.scope.index, Conflicts(draft.mistakes)
    for model, config in models:
        facts = model_facts(model, config, project.name)
        request = RelationRequest(model.name, _placement_options(config), facts)
        referable = replace(
            _referable(model.resource, model, draft, request),
            ephemeral=config.materialized == "ephemeral",
            version=model.version,
            latest=model.latest,
            event_time=str(config.written.get("event_time") or ""),
        )
        add = index.add_function if model.resource == "function" else index.add
        clashes.note(referable, add(referable), Where(model.path, 1))
    for seed in project.seeds:
        referable = _referable("seed", seed, draft, _request("seed", seed, project.name))
        clashes.note(referable, index.add(referable), Where(seed.path, 1))
    for snapshot in project.snapshots:
        referable = _referable(
            "snapshot", snapshot, draft, _request("snapshot", snapshot, project.name)
        )
        clashes.note(referable, index.add(referable), snapshot.where)
    for table in project.sources:
        referable = Referable(
            source_id(project.name, table),
            f"{table.source}.{table.name}",
            RelationName(table.schema, table.identifier),
            package=table.package,
            database=table.database,
            reads=table.reads,
            event_time=str(table.config.get("event_time") or ""),
            makes=table.load is not None,
        )
        existing = index.add_source(table.source, table.name, referable)
        # In an open project a source may be the relation of another node.
        clashes.note(referable, None if index.open else existing, table.where)


def _placement_options(config: ModelConfig) -> dict[str, Any]:
    written = config.written
    return {"schema": config.schema, "alias": config.alias, "database": written.get("database")}


def _request(kind: str, resource: Seed | Snapshot, project: str) -> RelationRequest:
    return RelationRequest(resource.name, resource.config, plain_facts(kind, resource, project))


def _referable(
    kind: str, resource: Model | Seed | Snapshot, draft: _Draft, request: RelationRequest
) -> Referable:
    node_id = id_of(kind, resource, draft.scope.index.project)
    placed = PlacedRelation(RelationName(draft.scope.target.schema, resource.name))
    try:
        placed = draft.scope.placed(request)
    except TransformError as error:
        draft.mistakes.append(error)
    draft.placed[node_id] = placed
    placed = draft.far.get(node_id, placed)
    return Referable(
        node_id,
        resource.name,
        placed.relation,
        package=resource.package,
        database=placed.database,
        event_time=str(resource.config.get("event_time") or ""),
    )


def _source(table: SourceTable, draft: _Draft) -> None:
    project = draft.scope.index.project
    if source_id(project, table) in draft.nodes:
        return  # already noted as a conflict
    this = draft.scope.index.source(table.source, table.name, package=table.package)
    for node in source_nodes(with_query(table, this, draft.scope), project):
        draft.add(node)


def _seed(seed: Seed, draft: _Draft) -> None:
    project = draft.scope.index.project
    node = seed_node(seed, draft.placed[id_of("seed", seed, project)], project)
    draft.add(node)
    if hook_needs(node, draft.scope):
        raise seed_dependency_error(node)


def _model_node(model: Model, config: ModelConfig, draft: _Draft) -> Node:
    scope = draft.scope
    node_id = id_of(model.resource, model, scope.index.project)
    placed = draft.placed[node_id]
    return Node(
        id=node_id,
        kind="model",
        name=model.name,
        path=model.path,
        body=model_body(model, config, scope.library),
        relation=placed.relation,
        tags=config.tags,
        options=options_of(config),
        described=model.described,
        where=Where.in_text(model.path, model.text, 1, 1),
        package=model.package,
        fqn=model.fqn,
        version=model.version,
        database=placed.database,
    )


def _model(model: Model, config: ModelConfig, draft: _Draft) -> None:
    scope, node = draft.scope, _model_node(model, config, draft)
    node_id = node.id
    if config.custom and scope.library.materialization(config.materialized) is None:
        raise GraphError(
            f"there is no materialization `{config.materialized}`",
            option_place(model, "materialized"),
            hint=did_you_mean(config.materialized, OWN_MATERIALIZATIONS, otherwise="available: {}"),
        )
    project_macro = scope.library.materialization_of_project(config.materialized)
    if project_macro and not config.custom:
        raise GraphError(
            f"`{model.name}` is a `{config.materialized}`, which is a macro of the project"
            f" ({project_macro.path}:{project_macro.line}): it would not be called",
            option_place(model, "materialized"),
            hint="rename the materialization, and use the new name in the models' configuration",
        )
    if model.language == "python":
        needs, mistakes = python_needs(model, scope.index)
        draft.mistakes += mistakes
        draft.add(with_code(node, needs, python_code(model, scope)))
        return
    if model.path in draft.unread:
        draft.add(node)
        return
    try:
        whole, increment = queries_of(node, scope)
        node = with_foreign_keys(node, scope)
        hooked = (*hook_needs(node, scope), *node.needs)
    except TransformError as error:
        draft.mistakes.append(error)
        draft.add(node)  # so that its readers get no follow-up mistakes
        return
    if node_id in whole.needs and not whole.late and not scope.is_open:
        raise GraphError(
            f"`{model.name}` reads itself",
            node.where,
            hint="in an incremental model write `{{ this }}` inside `{% if is_incremental() %}`",
        )
    # `this` in the incremental form is the table itself, not an edge to it.
    all_needs = (*whole.needs, *(increment.needs if increment else ()), *hooked)
    needs = tuple(dict.fromkeys(n for n in all_needs if n != node_id))
    if whole.late:
        draft.add(with_code(node, needs, code_of(whole, scope), late=True))
        return
    draft.queries[node_id] = (whole, increment)
    draft.add(node.having(needs=needs))


def _snapshot(snapshot: Snapshot, draft: _Draft) -> None:
    node_id = id_of("snapshot", snapshot, draft.scope.index.project)
    node, query = snapshot_node(snapshot, draft.scope, draft.placed[node_id])
    hooked = hook_needs(node, draft.scope)
    draft.add(node.having(needs=tuple(dict.fromkeys((*node.needs, *hooked)))))
    if query and not query.late:
        draft.queries[node_id] = (query, None)


def _analysis(model: Model, draft: _Draft) -> None:
    config, mistakes = configure(model, draft.scope)
    draft.mistakes += mistakes
    node = analysis_node(model, config, draft.scope.index.project)
    whole, _ = queries_of(node, draft.scope)
    if whole.late:
        draft.add(with_code(node, whole.needs, code_of(whole, draft.scope), late=True))
        return
    draft.queries[node.id] = (whole, None)
    draft.add(node.having(needs=whole.needs))


def _checks(project: Project, draft: _Draft) -> None:
    for node in list(draft.nodes.values()):
        if node.relation is None:
            continue
        checked = CheckedNode(node, node.relation)
        for check, query in checks_of(checked, draft.scope, draft.mistakes):
            draft.add(check)
            if query and not query.late:
                draft.queries[check.id] = (query, None)
    for unit in list(unit_nodes(project, draft.scope, draft.nodes, draft.mistakes)):
        draft.add(unit)
    for sql_file in project.sql_checks:
        _guard(draft, lambda c=sql_file: _sql_check(c, draft))  # type: ignore[misc]


def _sql_check(sql_file: SqlCheck, draft: _Draft) -> None:
    try:
        check, query = sql_check(sql_file, draft.scope)
    except DisabledError:
        if draft.scope.is_open:
            return  # it is disabled together with its reference
        raise
    body = check.body
    if isinstance(body, CheckBody) and body.config.enabled:
        draft.add(check)
        if not query.late:
            draft.queries[check.id] = (query, None)


def _ordered(draft: _Draft) -> Graph:
    nodes = draft.nodes
    edges = {i: [n for n in node.needs if n in nodes] for i, node in nodes.items()}
    try:
        order = list(TopologicalSorter(edges).static_order())
    except CycleError as error:
        draft.mistakes.append(cycle_error([nodes[i] for i in reversed(error.args[1])]))
        return Graph({})
    return Graph({i: nodes[i].having(needs=tuple(edges[i])) for i in order})
