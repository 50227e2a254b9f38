"""What a run leaves for the tools around dbt, as values: run_results.json, manifest.json,
catalog.json, sources.json.

The forms are dbt's published schemas: run results v6, manifest v12, catalog v1, sources v3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field

from transformer.asking import Ask, Outside
from transformer.compile.dbt.graph import full_name, node_facts
from transformer.compile.dbt.runtime import Record
from transformer.compile.dbt.words import DBT_VERSION
from transformer.compile.nodes import Graph
from transformer.plan.manifest import criteria, whole
from transformer.project.values import Freshness, Project
from transformer.steps import Outcome, Plan, Results

_SCHEMA = "https://schemas.getdbt.com/dbt/{}.json"
_STATUS = {"success": "success", "fail": "success", "error": "error", "skipped": "skipped"}
_VERDICT = {
    "success": "pass",
    "fail": "fail",
    "warn": "warn",
    "error": "error",
    "skipped": "skipped",
}


def _moment(at: datetime) -> str:
    return f"{at.replace(tzinfo=None).isoformat()}Z"


def _timing(moment: str) -> list[dict[str, str]]:
    names = ("compile", "execute")
    return [{"name": n, "started_at": moment, "completed_at": moment} for n in names]


class Call(Struct, frozen=True):
    """One call of the tool: which command, when, with what."""

    command: str
    at: datetime
    invocation: str
    args: Mapping[str, Any] = field(default_factory=dict)
    # What `DBT_ENV_CUSTOM_ENV_…` variables say: they are for the tools that read artifacts.
    env: Mapping[str, str] = field(default_factory=dict)

    def metadata(self, schema: str) -> dict[str, Any]:
        """What stands at the head of every artifact."""
        return {
            "dbt_schema_version": _SCHEMA.format(schema),
            "dbt_version": DBT_VERSION,
            "generated_at": _moment(self.at),
            "invocation_id": self.invocation or None,
            "invocation_started_at": None,
            "env": dict(self.env),
        }


def run_results(
    done: tuple[Plan, Results], graph: Graph, project: Project, call: Call
) -> dict[str, Any]:
    """How every step ended, checks inside steps included."""
    plan, results = done
    told = _told(plan, results)
    entries = [_result(o, graph, project, call) for o in told if o.id in graph.nodes]
    return {
        "metadata": call.metadata("run-results/v6"),
        "results": entries,
        "elapsed_time": results.seconds,
        "args": {"which": call.command, "invocation_command": f"dbt {call.command}", **call.args},
    }


def _told(plan: Plan, results: Results) -> Iterator[Outcome]:
    """Every outcome that has a place there; the checks of a step that was not done are skipped."""
    told: set[str] = set()
    for outcome in results.every():
        if outcome.action in ("build", "seed", "snapshot", "check"):
            told.add(outcome.id)
            yield outcome
    for step in plan:
        for each in getattr(step.work, "checks", ()):
            if each.id not in told:
                yield Outcome(each.id, "check", each.label, "skipped")


def _result(outcome: Outcome, graph: Graph, project: Project, call: Call) -> dict[str, Any]:
    node = graph[outcome.id]
    check = outcome.action == "check"
    code = outcome.compiled or node.code
    status = (_VERDICT if check else _STATUS).get(outcome.status, outcome.status)
    failures = outcome.facts.get("failures") if check else None
    if status == "pass":
        failures = 0  # failures that neither warn nor fail are none, as dbt counts
    return {
        "status": status,
        "timing": _timing(_moment(call.at)) if status != "skipped" else [],
        "thread_id": "Thread-1 (worker)",
        "execution_time": outcome.seconds,
        "adapter_response": {"_message": "OK"} if status in ("success", "pass") else {},
        "message": _message(outcome, failures),
        "failures": failures,
        "unique_id": outcome.id,
        "compiled": bool(code),
        "compiled_code": code or None,
        "relation_name": full_name(node, node.relation, project)
        if node.relation and node.solid
        else None,
        "batch_results": None,
    }


def _message(outcome: Outcome, failures: int | None) -> str | None:
    if outcome.error is not None:
        return str(getattr(outcome.error, "what", outcome.error))
    if outcome.status == "skipped":
        return outcome.message or None
    if failures and outcome.status in ("fail", "warn"):
        return f"Got {failures} result{'s' if failures != 1 else ''}, configured to fail if != 0"
    return outcome.message or "OK" if outcome.action != "check" else None


def end_words(
    done: tuple[Plan, Results], graph: Graph, project: Project, call: Call
) -> dict[str, Any]:
    """What `on-run-end` may ask for: `results`, and the schemas that were built in."""
    entries = run_results(done, graph, project, call)["results"]
    catalog = project.target.catalog
    nodes = [graph[each["unique_id"]] for each in entries]
    schemas = dict.fromkeys(n.relation.schema for n in nodes if n.relation and n.solid)
    return {
        "results": [
            Record({**each, "node": Record(node_facts(node, graph, project))})
            for each, node in zip(entries, nodes, strict=True)
        ],
        "schemas": list(schemas),
        "database_schemas": [(catalog, schema) for schema in schemas],
    }


def manifest(graph: Graph, project: Project, call: Call) -> dict[str, Any]:
    """The whole project by ids."""
    return {
        "metadata": {
            **call.metadata("manifest/v12"),
            "project_name": project.name,
            "project_id": None,
            "adapter_type": project.target.type,
        },
        **whole(graph, project, call.at.timestamp()),
        "docs": {},
        "selectors": dict(project.selectors),
        "disabled": {},
    }


class Held(Struct, frozen=True):
    """A column of a relation as the warehouse holds it."""

    database: str
    schema: str
    table: str
    column: str
    type: str
    comment: str | None = None
    said: str | None = None
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


def catalog(graph: Graph, project: Project, held: Sequence[Held], call: Call) -> dict[str, Any]:
    """What the warehouse holds of the project's relations: their columns and comments."""
    found: dict[tuple[str, str, str], list[Held]] = {}
    for each in held:
        key = (each.database.lower(), each.schema.lower(), each.table.lower())
        found.setdefault(key, []).append(each)
    made: dict[str, dict[str, Any]] = {"nodes": {}, "sources": {}}
    for node in graph:
        if node.relation is None or not node.solid:
            continue
        database = (node.database or project.target.catalog or "warehouse").lower()
        columns = found.get((database, node.relation.schema.lower(), node.relation.table.lower()))
        if columns:
            kind = "sources" if node.kind == "source" else "nodes"
            made[kind][node.id] = _relation(node.id, columns)
    return {"metadata": call.metadata("catalog/v1"), **made, "errors": None}


def _relation(node_id: str, columns: Sequence[Held]) -> dict[str, Any]:
    first = columns[0]
    return {
        "metadata": {
            "type": "VIEW" if first.view else "BASE TABLE",
            "schema": first.schema,
            "name": first.table,
            "database": first.database,
            "comment": first.said,
            "owner": None,
        },
        "columns": {
            each.column: {
                "type": each.type,
                "index": index,
                "name": each.column,
                "comment": each.comment,
            }
            for index, each in enumerate(columns, 1)
        },
        "stats": _NO_STATS,
        "unique_id": node_id,
    }


class Aged(Struct, frozen=True):
    """How old a source is: `status` is pass, warn, error, or runtime error with its `error`."""

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
        """The age of its newest row in seconds; without any row that is since 1970."""
        return max(0.0, self.at.timestamp() - (self.newest or 0.0))


def sources(found: Sequence[Aged], call: Call, seconds: float) -> dict[str, Any]:
    """`sources.json`."""
    return {
        "metadata": call.metadata("sources/v3"),
        "results": [_aged(each) for each in found],
        "elapsed_time": seconds,
    }


def _aged(each: Aged) -> dict[str, Any]:
    if each.status == "runtime error":
        return {"unique_id": each.id, "error": each.error, "status": each.status}
    newest, rule = datetime.fromtimestamp(each.newest or 0.0, UTC), each.rule
    moment = _moment(each.at)
    return {
        "unique_id": each.id,
        "max_loaded_at": _moment(newest),
        "snapshotted_at": moment,
        "max_loaded_at_time_ago_in_s": each.age,
        "status": each.status,
        "criteria": criteria(rule.warn_after, rule.error_after, rule.filter),
        "adapter_response": {},
        "timing": _timing(moment),
        "thread_id": "Thread-1 (worker)",
        "execution_time": each.seconds,
    }


_CUSTOM = "DBT_ENV_CUSTOM_ENV_"


def call_of(ask: Ask, outside: Outside) -> Call:
    """This call of the tool; what it was asked, unless a secret is in it."""
    asked = {
        "vars": dict(ask.vars),
        "target": ask.target,
        "profile": ask.profile,
        "select": list(ask.select),
        "exclude": list(ask.exclude),
        "full_refresh": ask.full_refresh,
        **{name.lower(): value for name, value in ask.flags.items()},
    }
    args = {name: value for name, value in asked.items() if value}
    if any(secret in str(args) for secret in outside.secrets if secret):
        args = {}
    env = {
        name.removeprefix(_CUSTOM): value
        for name, value in outside.env.items()
        if name.startswith(_CUSTOM) and not any(s in value for s in outside.secrets if s)
    }
    return Call(ask.command, outside.clock(), outside.invocation, args, env)


def manifest_now(graph: Graph, project: Project, call: Call) -> dict[str, Any]:
    """The manifest as plain values, as one that was read is."""
    made: dict[str, Any] = json.loads(json.dumps(manifest(graph, project, call), default=plain))
    return made


def plain(value: Any) -> Any:
    """What JSON has no form for, as something that it has one for."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
