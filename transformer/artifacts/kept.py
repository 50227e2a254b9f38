"""Artifact-only entries (exposures, metrics, unit tests, groups …) in the manifest's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformer.compile.dbt.facts import files
from transformer.compile.nodes import Graph
from transformer.plan.select.resources import (
    Resource,
    artifact_only_id,
    artifact_only_needs,
    artifact_only_resource,
)
from transformer.project.values import ArtifactOnly, Project

Facts = dict[str, Any]
_PLURALS = {
    "exposure": "exposures",
    "metric": "metrics",
    "semantic_model": "semantic_models",
    "saved_query": "saved_queries",
    "unit_test": "unit_tests",
    "group": "groups",
}


def artifact_only_facts(project: Project, graph: Graph, moment: float) -> Facts:
    """Exposures, metrics, groups … by kind and id."""
    by_kind: Facts = {plural: {} for plural in _PLURALS.values()}
    needs = artifact_only_needs(project, graph)
    for entry in project.artifact_only:
        if entry.kind in _PLURALS:
            facts = _entry_facts(entry, project, needs, moment)
            by_kind[_PLURALS[entry.kind]][facts["unique_id"]] = facts
    return by_kind


def _entry_facts(
    entry: ArtifactOnly, project: Project, needs: Mapping[str, tuple[str, ...]], moment: float
) -> Facts:
    resource = artifact_only_resource(
        entry, project.name, needs.get(artifact_only_id(entry, project.name), ())
    )
    place = files(entry.where.path, entry.package, project)
    content, config = dict(entry.content), dict(entry.content.get("config") or {})
    common: Facts = {
        "name": entry.name,
        "resource_type": entry.kind,
        "package_name": resource.package,
        **place,
        "unique_id": resource.id,
    }
    if entry.kind == "group":
        own_facts: Facts = {
            key: content[key] for key in ("owner", "description", "config") if key in content
        }
        config = {"meta": {}, **(own_facts.pop("config", None) or {})}
        defaults = {"description": None, "config": config, "owner": content.get("owner") or {}}
        return {**defaults, **own_facts, **common}
    common |= {
        "fqn": list(resource.fqn),
        "depends_on": {"macros": [], "nodes": list(resource.needs)},
        "description": content.get("description") or "",
        "config": {
            "enabled": True,
            "meta": content.get("meta") or {},
            "tags": list(resource.tags),
            **config,
        },
        "created_at": moment,
    }
    return {**_FACTS_BY_KIND[entry.kind](content, config, resource), **common}


def _exposure(content: Facts, config: Facts, thing: Resource) -> Facts:
    return {
        "type": str(content.get("type") or "dashboard").lower(),
        "owner": content.get("owner") or {},
        "label": content.get("label"),
        "maturity": content.get("maturity"),
        "url": content.get("url"),
        "meta": content.get("meta") or config.get("meta") or {},
        "tags": list(thing.tags),
        "unrendered_config": {},
        "refs": [],
        "sources": [],
        "metrics": [],
    }


def _metric(content: Facts, config: Facts, thing: Resource) -> Facts:
    return {
        "label": content.get("label") or thing.name,
        "type": str(content.get("type") or "simple"),
        "type_params": {"input_measures": [], **_named(content.get("type_params") or {})},
        "filter": _filter(content.get("filter")),
        "meta": config.get("meta") or {},
        "tags": list(thing.tags),
        "group": config.get("group"),
        "unrendered_config": {},
        "refs": [],
        "sources": [],
        "metrics": [],
    }


def _named(params: Facts) -> Facts:
    """Measures and metrics given as plain names, as mappings."""
    mappings: Facts = {}
    for key, value in params.items():
        if key in ("measure", "numerator", "denominator") and isinstance(value, str):
            mappings[key] = {"name": value}
        elif key in ("metrics", "input_metrics") and isinstance(value, list):
            mappings[key] = [{"name": v} if isinstance(v, str) else _filtered(v) for v in value]
        else:
            mappings[key] = _filtered(value)
    return mappings


def _filtered(value: Any) -> Any:
    if isinstance(value, Mapping) and "filter" in value:
        return {**value, "filter": _filter(value["filter"])}
    return value


def _filter(written: Any) -> Facts | None:
    if not written:
        return None
    filters = written if isinstance(written, list) else [written]
    return {"where_filters": [{"where_sql_template": str(text)} for text in filters]}


def _semantic_model(content: Facts, config: Facts, _: Resource) -> Facts:
    keys = ("model", "entities", "dimensions", "measures", "defaults", "label", "primary_entity")
    return {
        **{key: content[key] for key in keys if key in content},
        "model": str(content.get("model") or ""),
        "group": config.get("group"),
        "unrendered_config": {},
        "refs": [],
        "node_relation": None,
        "metadata": None,
    }


def _saved_query(content: Facts, config: Facts, thing: Resource) -> Facts:
    query_params = content.get("query_params") or {}
    where = query_params.get("where")
    return {
        "query_params": {
            "metrics": list(query_params.get("metrics") or ()),
            "group_by": list(query_params.get("group_by") or ()),
            "where": _filter(where),
            "order_by": list(query_params.get("order_by") or ()),
            "limit": query_params.get("limit"),
        },
        "exports": [
            {
                "name": export.get("name"),
                "config": {
                    "export_as": (export.get("config") or {}).get("export_as") or "table",
                    "schema_name": (export.get("config") or {}).get("schema"),
                    "alias": (export.get("config") or {}).get("alias"),
                },
                "unrendered_config": {},
            }
            for export in content.get("exports") or ()
        ],
        "label": content.get("label"),
        "tags": list(thing.tags),
        "group": config.get("group"),
        "unrendered_config": {},
        "refs": [],
        "metadata": None,
    }


def _unit_test(content: Facts, _: Facts, __: Resource) -> Facts:
    keys = ("input", "rows", "format", "fixture")
    return {
        "model": str(content.get("model") or ""),
        "given": [
            {k: given_input[k] for k in keys if k in given_input}
            for given_input in content.get("given") or ()
        ],
        "expect": {k: v for k, v in (content.get("expect") or {}).items() if k in keys},
        "overrides": content.get("overrides"),
        "checksum": None,
        "schema": None,
        "versions": content.get("versions"),
        "version": None,
    }


_FACTS_BY_KIND: Mapping[str, Callable[[Facts, Facts, Resource], Facts]] = {
    "exposure": _exposure,
    "metric": _metric,
    "semantic_model": _semantic_model,
    "saved_query": _saved_query,
    "unit_test": _unit_test,
}
