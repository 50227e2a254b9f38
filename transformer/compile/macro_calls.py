"""Calls of the project's custom materializations and incremental strategies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformer.compile.context import RenderTrace
from transformer.compile.dbt.column import AdapterColumn
from transformer.compile.dbt.relation import Relation
from transformer.compile.jinja.rendering import Rendering
from transformer.compile.model_config import ModelConfig
from transformer.compile.models import template_of
from transformer.compile.nodes import ModelBody, Node
from transformer.compile.scope import Scope
from transformer.steps import Columns


def call_materialization(node: Node, text: str, config: ModelConfig, scope: Scope) -> None:
    """Calls the macro of a custom materialization, which runs its statements itself."""
    macro = scope.library.materialization(config.materialized)
    if macro is None:
        raise TypeError(node.id)
    session = _session(node, scope, {"compiled_code": text, "compiled_sql": text})
    session.context |= {
        "sql": text,
        "compiled_code": text,
        "pre_hooks": [{"sql": h, "transaction": True} for h in config.pre_hook],
        "post_hooks": [{"sql": h, "transaction": True} for h in config.post_hook],
        "write": lambda *_: "",
    }
    session.call(f"{macro.package or scope.index.project}.{macro.name}", {}, macro.path)


def call_strategy(node: Node, rows: str, columns: Columns, scope: Scope) -> str:
    """The SQL of a custom incremental strategy, which updates the table from the new rows."""
    body = node.body
    if not isinstance(body, ModelBody):
        raise TypeError(node.id)
    session = _session(node, scope, {})
    written = body.config.written
    arguments = {
        "strategy": body.config.strategy,
        "target_relation": session.context["this"],
        "temp_relation": Relation(identifier=rows.strip('"'), type="table"),
        "unique_key": written.get("unique_key") or None,
        "dest_columns": [AdapterColumn(name, kind) for name, kind in columns],
        "incremental_predicates": written.get("predicates")
        or written.get("incremental_predicates"),
    }
    return str(session.call(body.strategy, {}, node.path, (arguments,)))


def _session(node: Node, scope: Scope, more: Mapping[str, Any]) -> Rendering:
    """A rendering with the names of the node's template, and with `more` facts in `model`."""
    template = template_of(node, scope)
    return scope.session(
        RenderTrace(),
        template.package,
        this=template.this,
        options=template.options,
        node={**template.facts, **more},
    )
