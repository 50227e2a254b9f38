"""run_results.json as a value, and the names for `on-run-end`.

It follows dbt's published schema: run results v6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from transformer.artifacts.documents import THREAD, Invocation, moment_of, timing
from transformer.artifacts.kept import artifact_only_facts
from transformer.compile.dbt.graph import full_name, node_facts
from transformer.compile.dbt.operations import hook_facts, hook_id
from transformer.compile.dbt.runtime import AttributeRecord
from transformer.compile.nodes import Graph
from transformer.plan.select.resources import things
from transformer.project.values import Project
from transformer.steps import Outcome, Plan, Results

_STATUS = {"success": "success", "fail": "success", "error": "error", "skipped": "skipped"}
_VERDICT = {
    "success": "pass",
    "fail": "fail",
    "warn": "warn",
    "error": "error",
    "skipped": "skipped",
}


# Resource types that are listed in the results of `build`, but not built.
_NO_OP_KINDS = ("exposure", "saved_query")
_NOT_BUILT = ("error", "fail", "skipped")


class RunRecord(Struct, frozen=True):
    """A completed run. `chosen` are the selected ids; None means everything."""

    plan: Plan = Plan()
    results: Results = Results()
    chosen: frozenset[str] | None = None


def run_results(run: RunRecord, graph: Graph, project: Project, call: Invocation) -> dict[str, Any]:
    """`run_results.json`: the results of all steps, and of the checks inside them."""
    results = run.results
    outcomes = [*_reported_outcomes(run.plan, results)]
    entries = [
        _result(outcome, graph, project, call) for outcome in outcomes if outcome.id in graph.nodes
    ]
    hooks = [
        _hook_result(outcome, call) for outcome in results.outcomes if outcome.action == "hook"
    ]
    at_end = [entry for entry in hooks if "-on-run-end-" in entry["unique_id"]]
    at_start = [entry for entry in hooks if entry not in at_end]
    entries = [*at_start, *entries, *_no_op_entries(run, graph, project, call), *at_end]
    return results_document(entries, results.seconds, call)


def results_document(entries: Any, seconds: float, call: Invocation) -> dict[str, Any]:
    """`run_results.json` with these entries."""
    return {
        "metadata": call.metadata("run-results/v6"),
        "results": entries,
        "elapsed_time": seconds,
        "args": {"which": call.command, "invocation_command": f"dbt {call.command}", **call.args},
    }


def _reported_outcomes(plan: Plan, results: Results) -> Iterator[Outcome]:
    """The outcomes to report; checks of a step that did not run are reported as skipped."""
    reported: set[str] = set()
    for outcome in results.every():
        if outcome.action in ("build", "seed", "snapshot", "check"):
            reported.add(outcome.id)
            yield outcome
    for step in plan:
        for check in getattr(step.work, "checks", ()):
            if check.id not in reported:
                yield Outcome(check.id, "check", check.label, "skipped")


def _hook_result(outcome: Outcome, call: Invocation) -> dict[str, Any]:
    status = str(outcome.status)
    return {
        **_entry(outcome.id, status, call),
        "thread_id": "main",
        "execution_time": outcome.seconds,
        "message": _message(outcome, None),
        "failures": int(status != "success"),
        "compiled": status != "skipped",
        "compiled_code": outcome.compiled or None,
    }


def _no_op_entries(
    run: RunRecord, graph: Graph, project: Project, call: Invocation
) -> Iterator[dict[str, Any]]:
    """Entries for exposures and saved queries, which `build` lists as no-ops."""
    if call.command != "build" or not any(
        artifact.kind in _NO_OP_KINDS for artifact in project.artifact_only
    ):
        return
    resources = things(graph, project)
    stopped = {outcome.id for outcome in run.results.outcomes if _stops(outcome)}
    for resource in resources:
        if resource.kind in _NO_OP_KINDS and (run.chosen is None or resource.id in run.chosen):
            skipped = not stopped.isdisjoint(resources.above([resource.id]))
            entry = _entry(resource.id, "skipped" if skipped else "no-op", call)
            yield entry if skipped else {**entry, "message": "NO-OP", "failures": 0}


def _stops(outcome: Outcome) -> bool:
    return outcome.status == "error" or (outcome.status == "skipped" and bool(outcome.message))


def _entry(unique_id: str, status: str, call: Invocation) -> dict[str, Any]:
    """A result entry without a relation."""
    return {
        "status": status,
        "timing": timing(moment_of(call.at)) if status != "skipped" else [],
        "thread_id": THREAD,
        "execution_time": 0.0,
        "adapter_response": {},
        "message": None,
        "failures": None,
        "unique_id": unique_id,
        "compiled": None,
        "compiled_code": None,
        "relation_name": None,
        "batch_results": None,
    }


def _result(outcome: Outcome, graph: Graph, project: Project, call: Invocation) -> dict[str, Any]:
    node = graph[outcome.id]
    check = outcome.action == "check"
    code = outcome.compiled or node.code
    status = (_VERDICT if check else _STATUS).get(outcome.status, outcome.status)
    failures = outcome.facts.get("failures") if check else None
    if status == "pass":
        failures = 0  # as in dbt, failures below the thresholds count as none
    return {
        "status": status,
        "timing": timing(moment_of(call.at)) if status != "skipped" else [],
        "thread_id": THREAD,
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


def end_words(run: RunRecord, graph: Graph, project: Project, call: Invocation) -> dict[str, Any]:
    """The names for `on-run-end`: `results`, and the schemas that were built."""
    all_entries = run_results(run, graph, project, call)["results"]
    # As in dbt, hooks are included only if they failed.
    entries = [
        entry for entry in all_entries if entry["thread_id"] != "main" or entry["status"] == "error"
    ]
    nodes = [
        graph[entry["unique_id"]]
        for entry in entries
        if entry["unique_id"] in graph.nodes and entry["status"] not in _NOT_BUILT
    ]
    places = dict.fromkeys(
        (node.database or project.target.catalog, node.relation.schema)
        for node in nodes
        if node.relation and node.solid
    )
    facts_by_id = _facts_outside_graph(graph, project, call, entries)
    return {
        "results": [
            AttributeRecord(
                {
                    **entry,
                    "node": AttributeRecord(
                        _facts(entry["unique_id"], graph, project, facts_by_id)
                    ),
                }
            )
            for entry in entries
        ],
        "schemas": list(dict.fromkeys(schema for _, schema in places)),
        "database_schemas": list(places),
    }


def _facts_outside_graph(
    graph: Graph, project: Project, call: Invocation, entries: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Facts of results that are not nodes of the graph, by id; empty if there are none."""
    if all(entry["unique_id"] in graph.nodes for entry in entries):
        return {}
    artifact_only = artifact_only_facts(project, graph, call.at.timestamp())
    hooks = (*project.on_run_start, *project.on_run_end)
    return {
        **artifact_only["exposures"],
        **artifact_only["saved_queries"],
        **{
            hook_id(hook, project.name): hook_facts(hook, project.name, project.target)
            for hook in hooks
        },
    }


def _facts(
    unique_id: str, graph: Graph, project: Project, facts_by_id: Mapping[str, Any]
) -> Mapping[str, Any]:
    node = graph.nodes.get(unique_id)
    return node_facts(node, graph, project) if node else facts_by_id[unique_id]
