"""dbt's artifacts as values: manifest.json, catalog.json, sources.json.

They follow dbt's published schemas: manifest v12, catalog v1, sources v3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field

from transformer.artifacts.manifest import criteria, manifest_sections
from transformer.compile.dbt.words import DBT_VERSION
from transformer.compile.nodes import Graph
from transformer.project.values import Freshness, Project
from transformer.request import Environment, Request

_SCHEMA = "https://schemas.getdbt.com/dbt/{}.json"
# dbt's name for the thread of a node.
THREAD = "Thread-1 (worker)"


def moment_of(at: datetime) -> str:
    """A point in time as dbt writes it."""
    return f"{at.replace(tzinfo=None).isoformat()}Z"


def timing(moment: str) -> list[dict[str, str]]:
    """The timing of compile and execute, of which only one time is known."""
    names = ("compile", "execute")
    return [{"name": n, "started_at": moment, "completed_at": moment} for n in names]


class Invocation(Struct, frozen=True):
    """One call of the tool: command, time and arguments."""

    command: str
    at: datetime
    invocation: str
    args: Mapping[str, Any] = field(default_factory=dict)
    # The `DBT_ENV_CUSTOM_ENV_…` variables, for tools that read artifacts.
    env: Mapping[str, str] = field(default_factory=dict)

    def metadata(self, schema: str) -> dict[str, Any]:
        """The metadata at the top of every artifact."""
        return {
            "dbt_schema_version": _SCHEMA.format(schema),
            "dbt_version": DBT_VERSION,
            "generated_at": moment_of(self.at),
            "invocation_id": self.invocation or None,
            "invocation_started_at": None,
            "env": dict(self.env),
        }


def manifest(graph: Graph, project: Project, call: Invocation) -> dict[str, Any]:
    """`manifest.json`: the whole project by ids."""
    return {
        "metadata": {
            **call.metadata("manifest/v12"),
            "project_name": project.name,
            "project_id": None,
            "adapter_type": project.target.type,
        },
        **manifest_sections(graph, project, call.at.timestamp()),
        "docs": {},
        "selectors": dict(project.selectors),
        "disabled": {},
    }


class CatalogColumn(Struct, frozen=True):
    """A column of a relation as stored in the warehouse."""

    database: str
    schema: str
    table: str
    column: str
    type: str
    comment: str | None = None
    table_comment: str | None = None
    view: bool = False


_NO_STATS = {
    "has_stats": {
        "id": "has_stats",
        "label": "Has Stats?",
        "value": False,
        "include": False,
        "description": "Indicates whether there are statistics for this table",
    }
}


def catalog(
    graph: Graph, project: Project, catalog_columns: Sequence[CatalogColumn], call: Invocation
) -> dict[str, Any]:
    """`catalog.json`: the columns and comments of the project's relations in the warehouse."""
    columns_by_table: dict[tuple[str, str, str], list[CatalogColumn]] = {}
    for column in catalog_columns:
        key = (column.database.lower(), column.schema.lower(), column.table.lower())
        columns_by_table.setdefault(key, []).append(column)
    entries: dict[str, dict[str, Any]] = {"nodes": {}, "sources": {}}
    for node in graph:
        if node.relation is None or not node.solid:
            continue
        database = (node.database or project.target.catalog or "warehouse").lower()
        columns = columns_by_table.get(
            (database, node.relation.schema.lower(), node.relation.table.lower())
        )
        if columns:
            kind = "sources" if node.kind == "source" else "nodes"
            entries[kind][node.id] = _relation(node.id, columns)
    return {"metadata": call.metadata("catalog/v1"), **entries, "errors": None}


def _relation(node_id: str, columns: Sequence[CatalogColumn]) -> dict[str, Any]:
    first = columns[0]
    return {
        "metadata": {
            "type": "VIEW" if first.view else "BASE TABLE",
            "schema": first.schema,
            "name": first.table,
            "database": first.database,
            "comment": first.table_comment,
            "owner": None,
        },
        "columns": {
            column.column: {
                "type": column.type,
                "index": index,
                "name": column.column,
                "comment": column.comment,
            }
            for index, column in enumerate(columns, 1)
        },
        "stats": _NO_STATS,
        "unique_id": node_id,
    }


class SourceAge(Struct, frozen=True):
    """The age of a source: `status` is pass, warn, error, or runtime error with its `error`."""

    id: str
    name: str
    rule: Freshness
    at: datetime
    status: str
    newest: float | None = None
    seconds: float = 0.0
    error: str = ""

    @property
    def age(self) -> float:
        """The age of its newest row in seconds; without rows, since 1970."""
        return max(0.0, self.at.timestamp() - (self.newest or 0.0))


def sources(ages: Sequence[SourceAge], call: Invocation, seconds: float) -> dict[str, Any]:
    """`sources.json`."""
    return {
        "metadata": call.metadata("sources/v3"),
        "results": [_aged(age) for age in ages],
        "elapsed_time": seconds,
    }


def _aged(age: SourceAge) -> dict[str, Any]:
    if age.status == "runtime error":
        return {"unique_id": age.id, "error": age.error, "status": age.status}
    newest, rule = datetime.fromtimestamp(age.newest or 0.0, UTC), age.rule
    moment = moment_of(age.at)
    return {
        "unique_id": age.id,
        "max_loaded_at": moment_of(newest),
        "snapshotted_at": moment,
        "max_loaded_at_time_ago_in_s": age.age,
        "status": age.status,
        "criteria": criteria(rule.warn_after, rule.error_after, rule.filter),
        "adapter_response": {},
        "timing": timing(moment),
        "thread_id": THREAD,
        "execution_time": age.seconds,
    }


_CUSTOM = "DBT_ENV_CUSTOM_ENV_"


def call_of(ask: Request, outside: Environment) -> Invocation:
    """This call of the tool; without arguments if they contain a secret."""
    options = {
        "vars": dict(ask.vars),
        "target": ask.target,
        "profile": ask.profile,
        "select": list(ask.select),
        "exclude": list(ask.exclude),
        "full_refresh": ask.full_refresh,
        **{name.lower(): value for name, value in ask.flags.items()},
    }
    args = {name: value for name, value in options.items() if value}
    if any(secret in str(args) for secret in outside.secrets if secret):
        args = {}
    env = {
        name.removeprefix(_CUSTOM): value
        for name, value in outside.env.items()
        if name.startswith(_CUSTOM) and not any(s in value for s in outside.secrets if s)
    }
    return Invocation(ask.command, outside.clock(), outside.invocation, args, env)


def manifest_now(graph: Graph, project: Project, call: Invocation) -> dict[str, Any]:
    """The manifest as plain values, as if read from a file."""
    values: dict[str, Any] = json.loads(json.dumps(manifest(graph, project, call), default=plain))
    return values


def plain(value: Any) -> Any:
    """A JSON value for types that JSON does not have."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
