"""run_results.json as a value, and what `on-run-end` may ask of it.

The form is dbt's published schema: run results v6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from transformer.artifacts.documents import THREAD, Invocation, moment_of, timing
from transformer.artifacts.kept import every_kept
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


# What `build` has a result of, and does nothing for.
_PASSED_OVER = ("exposure", "saved_query")
_NOT_MADE = ("error", "fail", "skipped")


class RunRecord(Struct, frozen=True):
    """What a run did. `chosen` are the ids of what was asked for; None means everything."""

    plan: Plan = Plan()
    results: Results = Results()
    chosen: frozenset[str] | None = None


def run_results(
    done: RunRecord, graph: Graph, project: Project, call: Invocation
) -> dict[str, Any]:
    """How every step ended, checks inside steps included."""
    results = done.results
    told = [*_told(done.plan, results)]
    entries = [_result(o, graph, project, call) for o in told if o.id in graph.nodes]
    hooks = [_hook_result(o, call) for o in results.outcomes if o.action == "hook"]
    at_end = [each for each in hooks if "-on-run-end-" in each["unique_id"]]
    at_start = [each for each in hooks if each not in at_end]
    entries = [*at_start, *entries, *_passed_over(done, graph, project, call), *at_end]
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


def _passed_over(
    done: RunRecord, graph: Graph, project: Project, call: Invocation
) -> Iterator[dict[str, Any]]:
    """The exposures and saved queries that `build` comes by: there is nothing to do for them."""
    if call.command != "build" or not any(k.kind in _PASSED_OVER for k in project.kept):
        return
    found = things(graph, project)
    stopped = {o.id for o in done.results.outcomes if _stops(o)}
    for thing in found:
        if thing.kind in _PASSED_OVER and (done.chosen is None or thing.id in done.chosen):
            skipped = not stopped.isdisjoint(found.above([thing.id]))
            made = _entry(thing.id, "skipped" if skipped else "no-op", call)
            yield made if skipped else {**made, "message": "NO-OP", "failures": 0}


def _stops(outcome: Outcome) -> bool:
    return outcome.status == "error" or (outcome.status == "skipped" and bool(outcome.message))


def _entry(unique_id: str, status: str, call: Invocation) -> dict[str, Any]:
    """A result of something that is no relation."""
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
        failures = 0  # failures that neither warn nor fail are none, as dbt counts
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


def end_words(done: RunRecord, graph: Graph, project: Project, call: Invocation) -> dict[str, Any]:
    """What `on-run-end` may ask for: `results`, and the schemas that were built in."""
    every = run_results(done, graph, project, call)["results"]
    # As in dbt: of hooks only those that failed.
    entries = [each for each in every if each["thread_id"] != "main" or each["status"] == "error"]
    made = [
        graph[each["unique_id"]]
        for each in entries
        if each["unique_id"] in graph.nodes and each["status"] not in _NOT_MADE
    ]
    places = dict.fromkeys(
        (n.database or project.target.catalog, n.relation.schema)
        for n in made
        if n.relation and n.solid
    )
    others = _others(graph, project, call, entries)
    return {
        "results": [
            AttributeRecord(
                {**each, "node": AttributeRecord(_facts(each["unique_id"], graph, project, others))}
            )
            for each in entries
        ],
        "schemas": list(dict.fromkeys(schema for _, schema in places)),
        "database_schemas": list(places),
    }


def _others(
    graph: Graph, project: Project, call: Invocation, entries: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The facts of what is no node of the graph, by id, where any of it has a result."""
    if all(each["unique_id"] in graph.nodes for each in entries):
        return {}
    kept = every_kept(project, graph, call.at.timestamp())
    hooks = (*project.on_run_start, *project.on_run_end)
    return {
        **kept["exposures"],
        **kept["saved_queries"],
        **{hook_id(h, project.name): hook_facts(h, project.name, project.target) for h in hooks},
    }


def _facts(
    unique_id: str, graph: Graph, project: Project, others: Mapping[str, Any]
) -> Mapping[str, Any]:
    known = graph.nodes.get(unique_id)
    return node_facts(known, graph, project) if known else others[unique_id]
