"""The relation of a node: its schema and its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from transformer.names import RelationName
from transformer.project.values import Target


class PlacedRelation(Struct, frozen=True):
    """The relation of a node; `database` is set only if it is not in the warehouse itself."""

    relation: RelationName
    database: str = ""


class RelationRequest(Struct, frozen=True):
    """The input of the naming rule: the node's name and options, and its facts for macros."""

    name: str
    options: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)


def by_macros(request: RelationRequest, target: Target, call: Any) -> PlacedRelation:
    """dbt's rule: `generate_schema_name` etc., which a project may override. `call` calls a macro
    by name."""
    options = request.options
    schema = call("generate_schema_name", options.get("schema"), request.facts)
    table = call("generate_alias_name", options.get("alias"), request.facts)
    database = call("generate_database_name", options.get("database"), request.facts).strip()
    return PlacedRelation(
        RelationName(schema.strip(), table.strip()),
        "" if database in ("", target.catalog) else database,
    )


def by_rule(request: RelationRequest, target: Target) -> PlacedRelation:
    """The native rule: a node's own schema is appended to the target's schema.

    As in dbt, except if the target's schema is DuckDB's default `main`: then the node's schema is
    used alone, since `main_marts` adds nothing to `marts`.
    """
    schema_option = request.options.get("schema")
    if not schema_option:
        schema = target.schema
    else:
        schema = schema_option if target.schema == "main" else f"{target.schema}_{schema_option}"
    return PlacedRelation(
        RelationName(str(schema), str(request.options.get("alias") or request.name))
    )
