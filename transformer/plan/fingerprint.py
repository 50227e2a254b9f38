"""The fingerprint of a node: a short digest that changes if the node would be built differently.

Comments and layout of SQL do not count, nor do descriptions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from transformer.compile.contracts import contract_order
from transformer.compile.dbt import constraints
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
    from_text,
)
from transformer.compile.sql.volatility import Volatility
from transformer.names import quoted
from transformer.steps import State

# Options that do not affect the content of the relation.
_IRRELEVANT = frozenset({"tags", "meta", "enabled", "full_refresh"})


def digest(*parts: Any) -> str:
    """A short digest of JSON-like values, regardless of key order."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def fingerprint(node: Node) -> str:
    """The node's fingerprint."""
    return digest(node.kind, node.relation, _content(node))


def _content(node: Node) -> Any:
    return _CONTENT_BY_KIND[node.kind](node, node.body)


def _seed(node: Node, body: SeedBody) -> Any:
    return body.seed.digest, _without_irrelevant(body.seed.config), _types(node)


def _snapshot(_: Node, body: SnapshotBody) -> Any:
    compared = body.strategy, body.updated_at, body.check_cols
    read = _text_of(body.query) if body.query else body.reads
    return read, body.unique_key, compared, body.hard_deletes, body.code


def _freshness(_: Node, body: FreshnessBody) -> Any:
    return repr(body.table.freshness)


def _check(_: Node, body: CheckBody) -> Any:
    query = _text_of(body.query) if body.query else None
    late = body.file.text if body.file and body.late else ""
    return body.kind, body.column, body.args, repr(body.config), body.to, query or late


def _activation(_: Node, body: ActivationBody) -> Any:
    activation = body.activation
    options = {k: v for k, v in activation.options.items() if k != "headers"}
    return (
        activation.kind,
        activation.key,
        activation.mode,
        activation.fields,
        _without_secrets(options),
    )


def _text_of(query: Compiled) -> str:
    return query.canonical or query.text


def _types(node: Node) -> list[tuple[str, str]]:
    return [(c.name, c.data_type) for c in node.described.columns if c.data_type]


def _model(node: Node, body: ModelBody) -> Any:
    texts = [_text_of(query) for query in (body.query, body.increment) if query]
    excluded = {"as_dbt"} if body.config.materialized == "external" else {"as_dbt", "files_root"}
    names = [name for name in body.config.__struct_fields__ if name not in excluded]
    options = {name: getattr(body.config, name) for name in names}
    options["written"] = _without_irrelevant(body.config.written)
    parts = texts, body.code, _without_irrelevant(options)
    columns = contract_columns(node, body) or contract_order(node.described, body.config)
    return (*parts, columns) if columns else parts


def contract_columns(node: Node, body: ModelBody) -> tuple[str, ...]:
    """The columns of a contract with constraints, as in `create table`; empty without any."""
    described = node.described
    has_constraints = described.constraints or any(
        column.constraints for column in described.columns
    )
    if not body.config.contract or not has_constraints:
        return ()
    columns = {
        column.name: {
            "name": quoted(column.name),
            "data_type": column.data_type,
            "constraints": list(column.constraints),
        }
        for column in described.columns
    }
    return (*constraints.columns(columns), *constraints.table(described.constraints))


def _without_irrelevant(options: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k not in _IRRELEVANT}


def _source(node: Node, body: SourceBody) -> Any:
    load = body.table.load
    if load is None:
        return None
    rules = load.mode, load.key, load.cursor
    return load.kind, rules, _without_secrets(load.options), _types(node)


def _without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without credentials in URLs, so that a new password changes nothing."""
    public = {}
    for key, value in options.items():
        text = str(value)
        scheme, _, rest = text.partition("://")
        secret = key == "url" and "@" in rest
        public[key] = f"{scheme}://{rest.rpartition('@')[2]}" if secret else value
    return public


def full_fingerprint(node: Node, graph: Graph) -> str:
    """The node's fingerprint; for a check, including the ephemeral models that it reads."""
    own_print = fingerprint(node)
    inlined_texts = [
        (need, _inlined_text(graph[need], graph))
        for need in sorted(node.needs)
        if graph[need].ephemeral
    ]
    if isinstance(node.body, CheckBody) and node.body.before:
        return digest(own_print, fingerprint(graph[node.body.before]))
    return digest(own_print, inlined_texts) if node.kind == "check" and inlined_texts else own_print


def _inlined_text(node: Node, graph: Graph) -> str:
    query = node.body.query if isinstance(node.body, ModelBody) else None
    if isinstance(node.body, ModelBody) and node.body.late:
        return node.body.code  # its query is not known yet
    return query.canonical if query and query.canonical else from_text(node, graph)


def current_versions(graph: Graph, state: State) -> dict[str, str]:
    """The current version of every node's relation. A view's is derived from its fingerprint."""
    return {
        node.id: view_version(recorded.fingerprint) if node.view else recorded.version
        for node in graph
        if (recorded := state.nodes.get(node.id))
    }


def view_version(made_of: str) -> str:
    """The version of a view, which stores nothing: its readers depend on its inputs too."""
    return digest("view", made_of)


def solid_needs(node: Node, graph: Graph) -> tuple[str, ...]:
    """The relations that the node really reads: ephemeral models are replaced by their inputs, and
    the inputs of views are added."""
    read: dict[str, None] = {}
    visited: set[str] = set()
    pending = list(reversed(node.needs))
    while pending:
        need = pending.pop()
        if need in visited:
            continue
        visited.add(need)
        parent = graph[need]
        if not parent.ephemeral:
            read[need] = None
        if parent.ephemeral or parent.view:
            pending += reversed(parent.needs)
    return tuple(read)


def volatilities(graph: Graph) -> dict[str, Volatility]:
    """The volatility of every node, including that of the views and ephemeral models that it
    reads."""
    by_node: dict[str, Volatility] = {}
    for node in graph:
        volatility = node.volatility
        for need in node.needs:
            parent = graph[need]
            if parent.ephemeral or parent.view:
                volatility |= by_node[need]
        by_node[node.id] = volatility
    return by_node


_CONTENT_BY_KIND: Mapping[str, Callable[[Node, Any], Any]] = {
    "model": _model,
    "analysis": _model,
    "seed": _seed,
    "snapshot": _snapshot,
    "source": _source,
    "freshness": _freshness,
    "check": _check,
    "activation": _activation,
}
