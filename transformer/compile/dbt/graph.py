"""The whole project for templates and artifacts: nodes by id, in dbt's form."""

from __future__ import annotations

from typing import Any

from transformer.compile.dbt.facts import described, files, model_facts, plain_facts, within
from transformer.compile.nodes import (
    CheckBody,
    Graph,
    ModelBody,
    Node,
    SeedBody,
    SnapshotBody,
    SourceBody,
)
from transformer.names import RelationName
from transformer.project.values import Project

# Longer names have a short form.
_LONGEST = 63


def graph_facts(graph: Graph, project: Project) -> dict[str, dict[str, Any]]:
    """The `nodes` and `sources` of a project by id."""
    facts: dict[str, dict[str, Any]] = {"nodes": {}, "sources": {}}
    for node in graph:
        if node.kind == "source":
            facts["sources"][node.id] = source_facts(node, project)
        elif node.kind in ("model", "seed", "snapshot", "check", "analysis"):
            facts["nodes"][node.id] = node_facts(node, graph, project)
    return facts


def node_facts(node: Node, graph: Graph, project: Project) -> dict[str, Any]:
    """A model, seed, snapshot or test."""
    body = node.body
    if isinstance(body, ModelBody):
        facts = model_facts(body.model, body.config, project.name)
        facts["compiled_code"] = body.query.text if body.query else None
    elif isinstance(body, SeedBody):
        facts = plain_facts("seed", body.seed, project.name)
    elif isinstance(body, SnapshotBody):
        facts = plain_facts("snapshot", body.snapshot, project.name)
    else:
        facts = _check_facts(node, project)
    catalog = node.database or project.target.catalog
    relation = node.relation
    if isinstance(body, CheckBody) and body.config.store_failures and body.stored:
        relation = body.stored  # the relation for its failing rows
    return {
        **facts,
        "unique_id": node.id,
        "database": catalog,
        "schema": _schema(node, relation, project),
        "alias": relation.table if relation else facts.get("alias") or node.name,
        "relation_name": full_name(node, relation, project)
        if relation and not node.ephemeral
        else None,
        "depends_on": {
            "nodes": [n for n in node.needs if graph[n].kind != "freshness"],
            "macros": _macros(node, project),
        },
        **files(node.path, node.package, project),
        "fqn": [node.package or project.name, *(node.fqn or (node.name,))],
    }


def _schema(node: Node, relation: RelationName | None, project: Project) -> str:
    """The schema of a node; for a check, that of its stored failures."""
    body = node.body
    if relation is None and isinstance(body, CheckBody) and body.stored:
        return body.stored.schema
    return relation.schema if relation else project.target.schema


def _macros(node: Node, project: Project) -> list[str]:
    body = node.body
    query = body.query if isinstance(body, ModelBody | CheckBody) else None
    names = query.macros if query else {}
    if isinstance(body, CheckBody) and body.on and not names:
        namespace, _, kind = (body.spec.kind if body.spec else body.kind).rpartition(".")
        return [f"macro.{namespace or 'dbt'}.test_{kind}"]
    return [f"macro.{name}" if "." in name else f"macro.{project.name}.{name}" for name in names]


def _check_facts(node: Node, project: Project) -> dict[str, Any]:
    body = node.body
    if not isinstance(body, CheckBody):
        raise TypeError(node.id)
    config = {name: getattr(body.config, name) for name in body.config.__struct_fields__}
    config["store_failures"] = config["store_failures"] or None
    config["schema"] = config["schema"] or "dbt_test__audit"
    if config["severity"] == "error":
        config["severity"] = "ERROR"  # dbt's spelling of its default
    namespace, _, kind = (body.spec.kind if body.spec else body.kind).rpartition(".")
    arguments = {**body.args, **({"column_name": body.column} if body.column else {})}
    on = body.on or ""
    generic, is_source = body.on is not None, on.startswith("source.")
    if generic and body.spec:
        arguments["model"] = f"{{{{ get_where_subquery({_called(str(body.on))}) }}}}"
    alias = body.config.alias or (body.spec.alias if body.spec else "") or None
    return {
        "name": node.name,
        "alias": alias or node.name,
        "resource_type": "test",
        "package_name": node.package or project.name,
        "path": node.path,
        "original_file_path": node.path,
        "config": {
            **config,
            "alias": alias,
            "tags": list(body.config.tags),
            "materialized": "test",
        },
        "tags": list(node.tags),
        "description": body.spec.description if body.spec else "",
        "meta": dict(body.config.meta),
        "columns": {},
        "raw_code": body.file.text
        if body.file
        else f"{{{{ test_{kind}(**_dbt_generic_test_kwargs) }}}}",
        "compiled_code": body.query.text if body.query else None,
        "column_name": body.column,
        "attached_node": on if generic and not is_source else None,
        "file_key_name": _file_key(on) if generic else None,
        "test_metadata": {"name": kind, "namespace": namespace or None, "kwargs": arguments}
        if generic
        else None,
    }


def _file_key(node_id: str) -> str:
    """The list and name under which a check is written in YAML."""
    kind, _, name, *_ = node_id.split(".")
    return f"{kind}s.{name}"


def short_name(node: Node) -> str:
    """The file name of a node's query: long names of checks are shortened."""
    spec = node.body.spec if isinstance(node.body, CheckBody) else None
    return spec.alias if spec and spec.alias and len(node.name) > _LONGEST else node.name


def _called(node_id: str) -> str:
    """The Jinja call that refers to the node."""
    kind, _, *names = node_id.split(".")
    return f"source('{names[0]}', '{names[1]}')" if kind == "source" else f"ref('{names[0]}')"


def source_facts(node: Node, project: Project) -> dict[str, Any]:
    """A source table."""
    body = node.body
    if not isinstance(body, SourceBody) or node.relation is None:
        raise TypeError(node.id)
    table, catalog = body.table, node.database or project.target.catalog
    return {
        "name": table.name,
        "source_name": table.source,
        "resource_type": "source",
        "package_name": node.package or project.name,
        "unique_id": node.id,
        "identifier": table.identifier,
        "database": catalog,
        "schema": table.schema,
        "relation_name": full_name(node, node.relation, project),
        "path": within(node.path, node.package, project),
        "original_file_path": within(node.path, node.package, project),
        "fqn": [node.package or project.name, *node.fqn],
        "tags": list(node.tags),
        "config": {"enabled": True, **table.config},
        "loader": str(table.config.get("loader") or ""),
        **described(node.described),
        "meta": dict(table.config.get("meta") or {}),
    }


def full_name(node: Node, relation: RelationName, project: Project) -> str:
    """A relation of the node with its catalog, quoted."""
    return f'"{node.database or project.target.catalog}".{relation.sql()}'
