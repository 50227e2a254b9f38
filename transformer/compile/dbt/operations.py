"""Hooks of a whole build as nodes of dbt's kind `operation`."""

from __future__ import annotations

from typing import Any

from transformer.project.values import Hook, Target


def hook_id(hook: Hook, project: str) -> str:
    """The id of a hook."""
    package = hook.package or project
    return f"operation.{package}.{hook_name(hook, project)}"


def hook_name(hook: Hook, project: str) -> str:
    """The name of a hook, as in dbt."""
    return f"{hook.package or project}-{hook.moment}-{hook.place}"


def hook_facts(hook: Hook, project: str, target: Target) -> dict[str, Any]:
    """A hook's facts before it is rendered."""
    name = hook_name(hook, project)
    return {
        "name": name,
        "alias": name,
        "resource_type": "operation",
        "package_name": hook.package or project,
        "unique_id": hook_id(hook, project),
        "fqn": [hook.package or project, "hooks", name],
        "path": f"hooks/{name}.sql",
        "original_file_path": "./dbt_project.yml",
        "database": target.catalog,
        "schema": target.schema,
        "relation_name": None,
        "config": {"enabled": True, "materialized": "view", "tags": [], "meta": {}},
        "tags": [hook.moment],
        "description": "",
        "meta": {},
        "columns": {},
        "language": "sql",
        "raw_code": hook.text,
        "raw_sql": hook.text,
        "compiled_code": None,
        "index": hook.place + 1,
        "depends_on": {"nodes": [], "macros": []},
    }
