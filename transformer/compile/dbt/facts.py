"""Nodes in dbt's form for templates and artifacts: a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformer.compile.model_config import ModelConfig
from transformer.project.values import Described, Model, Project, Seed, Snapshot


def id_of(kind: str, resource: Model | Seed | Snapshot, project: str) -> str:
    """The id of a model, seed or snapshot."""
    version = getattr(resource, "version", None)
    package = resource.package or project
    return f"{kind}.{package}.{resource.name}" + (f".v{version}" if version else "")


def model_facts(model: Model, config: ModelConfig, project: str) -> dict[str, Any]:
    """A model's facts before it is rendered."""
    options = {
        **config.written,
        "materialized": config.materialized,
        "enabled": config.enabled,
        "tags": list(config.tags),
        "meta": dict(config.meta),
        "schema": config.schema,
        "alias": config.alias,
    }
    return {
        **_common(model.resource, model, project, model.path, options),
        "language": model.language,
        "raw_code": model.text,
        "raw_sql": model.text,
        "version": model.described.facts.get("version", model.version),
        "latest_version": model.described.facts.get("latest_version"),
        "deprecation_date": model.described.facts.get("deprecation_date"),
        "time_spine": _time_spine(model.described.facts.get("time_spine")),
    }


def _time_spine(written: Any) -> Any:
    return {"custom_granularities": [], **written} if isinstance(written, Mapping) else written


def plain_facts(kind: str, resource: Seed | Snapshot, project: str) -> dict[str, Any]:
    """A seed's or snapshot's facts before it is rendered."""
    path = resource.path if isinstance(resource, Seed) else resource.where.path
    written = {"materialized": kind, **resource.config}
    return {
        **_common(kind, resource, project, path, written),
        "raw_code": getattr(resource, "text", ""),
        "version": None,
    }


def _common(
    kind: str, resource: Model | Seed | Snapshot, project: str, path: str, config: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "name": resource.name,
        "resource_type": kind,
        "package_name": resource.package or project,
        "unique_id": id_of(kind, resource, project),
        "fqn": [resource.package or project, *(resource.fqn or (resource.name,))],
        "path": path,
        "original_file_path": path,
        "config": dict(config),
        "tags": list(config.get("tags") or ()),
        **described(resource.described),
    }


def described(described: Described) -> dict[str, Any]:
    """Description, meta and columns, by dbt's names."""
    return {
        "description": described.description,
        "meta": dict(described.meta),
        "columns": {
            column.name: {
                "name": column.name,
                "description": column.description,
                "data_type": column.data_type,
                "meta": dict(column.meta),
                "tags": list(column.tags),
                "quote": column.quote,
                "constraints": [constraint_facts(constraint) for constraint in column.constraints],
                "granularity": column.granularity,
            }
            for column in described.columns
        },
    }


_CONSTRAINT: Mapping[str, Any] = {
    "type": None, "name": None, "expression": None, "warn_unenforced": True,
    "warn_unsupported": True, "to": None, "to_columns": [],
}  # fmt: skip


def constraint_facts(written: Mapping[str, Any]) -> dict[str, Any]:
    """A constraint with all keys of dbt's form."""
    return {**_CONSTRAINT, **written}


def within(path: str, package: str, project: Project) -> str:
    """The path relative to the package's folder, as in dbt."""
    folder = project.packages[package].folder if package in project.packages else ""
    return path.removeprefix(f"{folder}/") if folder else path


def files(path: str, package: str, project: Project) -> dict[str, str]:
    """A node's file as in dbt: relative to the package, and to the resource folder."""
    local = within(path, package, project)
    return {"original_file_path": local, "path": local.partition("/")[2] or local}
