"""What is only kept (exposures, metrics, unit tests, groups …) in the manifest's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformer.compile.dbt.facts import files
from transformer.compile.nodes import Graph
from transformer.plan.select.resources import Resource, kept_id, kept_needs, kept_thing
from transformer.project.values import ArtifactOnly, Project

Facts = dict[str, Any]
_MANY = {
    "exposure": "exposures",
    "metric": "metrics",
    "semantic_model": "semantic_models",
    "saved_query": "saved_queries",
    "unit_test": "unit_tests",
    "group": "groups",
}


def every_kept(project: Project, graph: Graph, moment: float) -> Facts:
    """Exposures, metrics, groups … by kind and id."""
    made: Facts = {many: {} for many in _MANY.values()}
    needs = kept_needs(project, graph)
    for kept in project.kept:
        if kept.kind in _MANY:
            each = _kept(kept, project, needs, moment)
            made[_MANY[kept.kind]][each["unique_id"]] = each
    return made


def _kept(
    kept: ArtifactOnly, project: Project, needs: Mapping[str, tuple[str, ...]], moment: float
) -> Facts:
    thing = kept_thing(kept, project.name, needs.get(kept_id(kept, project.name), ()))
    place = files(kept.where.path, kept.package, project)
    content, config = dict(kept.content), dict(kept.content.get("config") or {})
    common: Facts = {
        "name": kept.name,
        "resource_type": kept.kind,
        "package_name": thing.package,
        **place,
        "unique_id": thing.id,
    }
    if kept.kind == "group":
        own: Facts = {
            key: content[key] for key in ("owner", "description", "config") if key in content
        }
        config = {"meta": {}, **(own.pop("config", None) or {})}
        told = {"description": None, "config": config, "owner": content.get("owner") or {}}
        return {**told, **own, **common}
    common |= {
        "fqn": list(thing.fqn),
        "depends_on": {"macros": [], "nodes": list(thing.needs)},
        "description": content.get("description") or "",
        "config": {
            "enabled": True,
            "meta": content.get("meta") or {},
            "tags": list(thing.tags),
            **config,
        },
        "created_at": moment,
    }
    return {**_OWN[kept.kind](content, config, thing), **common}


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
    """Measures and metrics that stand as plain names, as mappings."""
    made: Facts = {}
    for key, value in params.items():
        if key in ("measure", "numerator", "denominator") and isinstance(value, str):
            made[key] = {"name": value}
        elif key in ("metrics", "input_metrics") and isinstance(value, list):
            made[key] = [{"name": v} if isinstance(v, str) else _filtered(v) for v in value]
        else:
            made[key] = _filtered(value)
    return made


def _filtered(value: Any) -> Any:
    if isinstance(value, Mapping) and "filter" in value:
        return {**value, "filter": _filter(value["filter"])}
    return value


def _filter(written: Any) -> Facts | None:
    if not written:
        return None
    each = written if isinstance(written, list) else [written]
    return {"where_filters": [{"where_sql_template": str(text)} for text in each]}


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
    asked = content.get("query_params") or {}
    where = asked.get("where")
    return {
        "query_params": {
            "metrics": list(asked.get("metrics") or ()),
            "group_by": list(asked.get("group_by") or ()),
            "where": _filter(where),
            "order_by": list(asked.get("order_by") or ()),
            "limit": asked.get("limit"),
        },
        "exports": [
            {
                "name": each.get("name"),
                "config": {
                    "export_as": (each.get("config") or {}).get("export_as") or "table",
                    "schema_name": (each.get("config") or {}).get("schema"),
                    "alias": (each.get("config") or {}).get("alias"),
                },
                "unrendered_config": {},
            }
            for each in content.get("exports") or ()
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
        "given": [{k: g[k] for k in keys if k in g} for g in content.get("given") or ()],
        "expect": {k: v for k, v in (content.get("expect") or {}).items() if k in keys},
        "overrides": content.get("overrides"),
        "checksum": None,
        "schema": None,
        "versions": content.get("versions"),
        "version": None,
    }


_OWN: Mapping[str, Callable[[Facts, Facts, Resource], Facts]] = {
    "exposure": _exposure,
    "metric": _metric,
    "semantic_model": _semantic_model,
    "saved_query": _saved_query,
    "unit_test": _unit_test,
}
