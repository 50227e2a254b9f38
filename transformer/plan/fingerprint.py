"""What a node is made of, as one short text: it changes when the node would be made otherwise.

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
    ModelBody,
    Node,
    SeedBody,
    SnapshotBody,
    SourceBody,
)
from transformer.names import quoted

# What `config()` says of when and where, not of what is made.
_IRRELEVANT = frozenset({"tags", "meta", "enabled", "full_refresh"})


def digest(*parts: Any) -> str:
    """A short digest of JSON-like values; the order of mappings does not count."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def fingerprint(node: Node) -> str:
    """The node's fingerprint."""
    return digest(node.kind, node.relation, _made_of(node))


def _made_of(node: Node) -> Any:
    return _MADE_OF[node.kind](node, node.body)


def _seed(node: Node, body: SeedBody) -> Any:
    return body.seed.digest, _relevant(body.seed.config), _types(node)


def _snapshot(_: Node, body: SnapshotBody) -> Any:
    compared = body.strategy, body.updated_at, body.check_cols
    read = _said(body.query) if body.query else body.reads
    return read, body.unique_key, compared, body.hard_deletes, body.code


def _freshness(_: Node, body: FreshnessBody) -> Any:
    return repr(body.table.freshness)


def _check(_: Node, body: CheckBody) -> Any:
    query = _said(body.query) if body.query else None
    late = body.file.text if body.file and body.late else ""
    return body.kind, body.column, body.args, repr(body.config), body.to, query or late


def _activation(_: Node, body: ActivationBody) -> Any:
    made = body.activation
    options = {k: v for k, v in made.options.items() if k != "headers"}
    return made.kind, made.key, made.mode, made.fields, _without_secrets(options)


def _said(query: Compiled) -> str:
    return query.canonical or query.text


def _types(node: Node) -> list[tuple[str, str]]:
    return [(c.name, c.data_type) for c in node.described.columns if c.data_type]


def _model(node: Node, body: ModelBody) -> Any:
    texts = [_said(query) for query in (body.query, body.increment) if query]
    away = {"as_dbt"} if body.config.materialized == "external" else {"as_dbt", "files_root"}
    own = [n for n in body.config.__struct_fields__ if n not in away]
    options = {name: getattr(body.config, name) for name in own}
    options["written"] = _relevant(body.config.written)
    made = texts, body.code, _relevant(options)
    held = shape(node, body) or contract_order(node.described, body.config)
    return (*made, held) if held else made


def shape(node: Node, body: ModelBody) -> tuple[str, ...]:
    """The columns of a contract that has constraints, as they stand in `create table`."""
    described = node.described
    ruled = described.constraints or any(c.constraints for c in described.columns)
    if not body.config.contract or not ruled:
        return ()
    raw = {
        c.name: {
            "name": quoted(c.name),
            "data_type": c.data_type,
            "constraints": list(c.constraints),
        }
        for c in described.columns
    }
    return (*constraints.columns(raw), *constraints.table(described.constraints))


def _relevant(options: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k not in _IRRELEVANT}


def _source(node: Node, body: SourceBody) -> Any:
    load = body.table.load
    if load is None:
        return None
    rules = load.mode, load.key, load.cursor
    return load.kind, rules, _without_secrets(load.options), _types(node)


def _without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without what a URL holds besides its place: a new password changes nothing."""
    made = {}
    for key, value in options.items():
        text = str(value)
        scheme, _, rest = text.partition("://")
        secret = key == "url" and "@" in rest
        made[key] = f"{scheme}://{rest.rpartition('@')[2]}" if secret else value
    return made


_MADE_OF: Mapping[str, Callable[[Node, Any], Any]] = {
    "model": _model,
    "analysis": _model,
    "seed": _seed,
    "snapshot": _snapshot,
    "source": _source,
    "freshness": _freshness,
    "check": _check,
    "activation": _activation,
}
