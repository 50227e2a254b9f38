"""Models: their configuration, their queries, their hooks."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from transformer.compile.config import duplicate_hooks, model_config, open_config
from transformer.compile.context import RenderTrace
from transformer.compile.dbt.adapter import NeedsWarehouse
from transformer.compile.dbt.facts import id_of, model_facts, plain_facts
from transformer.compile.jinja.environment import constant_calls
from transformer.compile.jinja.macros import MacroLibrary
from transformer.compile.model_config import ModelConfig
from transformer.compile.namespace import Referable
from transformer.compile.nodes import ModelBody, Node, SeedBody, SnapshotBody
from transformer.compile.python_models import python_options
from transformer.compile.rendering import or_late, referred, render, rendered_or_late
from transformer.compile.scope import AnyNamespace, Query, Scope, Template
from transformer.errors import TransformError, Where
from transformer.names import RelationName
from transformer.project.dbt.blocks import may_call
from transformer.project.dbt.configs import IDLE
from transformer.project.values import Model, Seed, Snapshot


def configure(model: Model, scope: Scope) -> tuple[ModelConfig, list[TransformError]]:
    """The model's configuration, determined before anything is rendered.

    `config()` calls with constants are read directly; if one is computed or inside a block, the
    template is rendered once for its configuration, with any reference allowed.
    """
    if model.language == "python":
        written, mistakes = python_options(model)
    elif "config" not in model.text and not configures(model, scope):
        written, mistakes = {}, []
    else:
        written, mistakes = written_options(model, scope)
    if scope.is_open:
        for key in sorted(IDLE & written.keys()):
            scope.world.hear(f"`{key}` in `{model.path}` has no effect here")
        root = str(scope.target.words.get("external_root") or ".")
        return open_config(model, written, root), [*mistakes, *duplicate_hooks(model, written)]
    config, config_mistakes = model_config(model, written)
    return config, mistakes + config_mistakes


def configures(model: Model, scope: Scope) -> bool:
    """Whether the file calls a macro that may call `config(…)`."""
    return may_call(model.text, scope.library.configuring)


def written_options(model: Model, scope: Scope) -> tuple[dict[str, Any], list[TransformError]]:
    """The options set by `config(…)` in the model's file."""
    try:
        may_call = constant_calls(scope.library.env, model.text, "config")
    except Exception:
        return {}, []
    if may_call is not None and not configures(model, scope):
        return {key: value for call in may_call for key, value in call.items()}, []
    trace = RenderTrace()
    try:
        index = AnyNamespace(scope.index.project, open=scope.is_open)
        session = replace(scope, index=index).session(
            trace,
            model.package,
            this=index.ref(model.name),
            options=model.config,
            execute=not scope.is_open,
            node={"name": model.name, "config": model.config},
        )
        session.render(model.text, model.path)
    except (TransformError, NeedsWarehouse):
        pass  # it is rendered again with real names, where mistakes are reported once
    return trace.config, []


def template_of(node: Node, scope: Scope) -> Template:
    """The template of a model or analysis, or for the hooks of other nodes."""
    if node.kind == "analysis" and isinstance(node.body, ModelBody):
        analysis = node.body.model
        facts = model_facts(analysis, node.body.config, scope.index.project)
        return Template(
            analysis.text, analysis.path, analysis.package, options=analysis.config, facts=facts
        )
    if node.relation is None:
        raise TypeError(node.id)
    if isinstance(node.body, SeedBody | SnapshotBody):
        return _template_of_other(node, node.relation, scope)
    if not isinstance(node.body, ModelBody):
        raise TypeError(node.id)
    model, config = node.body.model, node.body.config
    this = Referable(node.id, model.name, node.relation, database=node.database)
    facts = model_facts(model, config, scope.index.project)
    facts |= {"database": node.database or scope.target.catalog, "schema": node.relation.schema}
    facts["alias"] = node.relation.table
    options = config.written or model.config
    return Template(model.text, model.path, model.package, this, options, facts, free=config.custom)


def _template_of_other(node: Node, relation: RelationName, scope: Scope) -> Template:
    """The template for the hooks of a seed or snapshot."""
    body = node.body
    resource: Seed | Snapshot | None = body.seed if isinstance(body, SeedBody) else None
    resource = body.snapshot if isinstance(body, SnapshotBody) else resource
    if resource is None:
        raise TypeError(node.id)
    this = Referable(node.id, node.name, relation, database=node.database)
    facts = plain_facts(node.kind, resource, scope.index.project)
    facts |= {"schema": relation.schema, "alias": relation.table}
    return Template("", node.path, resource.package, this, resource.config, facts)


def queries_of(node: Node, scope: Scope) -> tuple[Query, Query | None]:
    """The model's full query, and its incremental query, if any. Raises TransformError."""
    template = template_of(node, scope)
    whole = rendered_or_late(template, scope)
    config = node.body.config if isinstance(node.body, ModelBody) else None
    incremental = config is not None and config.materialized == "incremental"
    if config and incremental and config.incremental_strategy == "microbatch":
        return referred(template, scope), None
    if whole.late or not incremental or not whole.trace.uses_is_incremental:
        return whole, None
    increment = or_late(
        lambda: render(template, scope, incremental=True),
        lambda: referred(template, scope),
        scope,
    )
    return (increment, None) if increment.late else (whole, increment)


def rendered_now(node: Node, scope: Scope, *, incremental: bool = False) -> Query:
    """The query of a late model, once the scope has a warehouse. Raises TransformError."""
    return render(template_of(node, scope), scope, incremental=incremental)


def code_of(query: Query, scope: Scope) -> str:
    """What determines a late model: its text as rendered without the warehouse, the macros it
    calls, the variables and environment it reads."""
    trace = query.trace
    files = sorted(set(trace.macros.values()))
    texts = [scope.library.texts.get(path, "") for path in files]
    return (
        f"{query.rendered}{texts}{sorted(trace.vars.items(), key=str)}{sorted(trace.env.items())}"
    )


def model_body(model: Model, config: ModelConfig, library: MacroLibrary) -> ModelBody:
    """The body of a model before its queries are known."""
    macro = config.materialized == "incremental" and library.strategy(config.strategy)
    if not macro:
        return ModelBody(model, config)
    return ModelBody(model, config, code=library.texts[macro.path], strategy=macro.qualified)


def with_code(node: Node, needs: tuple[str, ...], code: str, *, late: bool = False) -> Node:
    """A model without a query, or without one yet."""
    if not isinstance(node.body, ModelBody):
        raise TypeError(node.id)
    body = replace(node.body, code=f"{node.body.code}{code}", late=late)
    return node.having(needs=needs, body=body)


def analysis_node(model: Model, config: ModelConfig, project: str) -> Node:
    """The node of an analysis, which is compiled but never run."""
    return Node(
        id=id_of("analysis", model, project),
        kind="analysis",
        name=model.name,
        path=model.path,
        body=ModelBody(model, replace(config, materialized="analysis")),
        tags=config.tags,
        options=config.written,
        described=model.described,
        where=Where(model.path, 1),
        package=model.package,
        fqn=model.fqn,
    )
