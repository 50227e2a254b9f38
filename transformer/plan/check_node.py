"""Check nodes of the graph, made ready to be measured."""

from __future__ import annotations

from transformer.compile.nodes import CheckBody, Graph, Node, from_text
from transformer.plan.check_kinds import CheckSubject, Measure, ReadyCheck, holds, measure
from transformer.plan.fingerprint import full_fingerprint, solid_needs


def check_of(node: Node, graph: Graph, made_of: str = "") -> ReadyCheck:
    """The check, ready to be measured; `made_of` is its fingerprint, if known.

    Raises ConfigError for an invalid condition.
    """
    body = node.body
    if not isinstance(body, CheckBody):
        raise TypeError(node.id)
    for condition in (body.config.warn_if, body.config.error_if):
        holds(0, condition, body.where)
    return ReadyCheck(
        id=node.id,
        name=node.name,
        label=_label(node, body, graph),
        kind=body.kind,
        config=body.config,
        measure=_measure(node, body, graph),
        fingerprint=made_of or full_fingerprint(node, graph),
        needs=solid_needs(node, graph),
        where=body.where,
        shown=_shown(body, graph),
        stored=body.stored,
    )


def _shown(body: CheckBody, graph: Graph) -> tuple[str, ...]:
    """The columns known to identify a row, then the checked ones."""
    if body.on is None:
        return ()
    node = graph[body.on]
    keys = list(node.options.get("unique_key") or ())
    keys += [
        column.name
        for column in node.described.columns
        if any(check.kind == "unique" for check in column.checks)
    ]
    checked_columns = (
        [body.column] if body.column else list(body.args.get("combination_of_columns") or ())
    )
    return tuple(dict.fromkeys([*keys, *checked_columns]))


def rows_of(node: Node, graph: Graph) -> str:
    """The FROM clause of the check; "" for a check with its own query."""
    checked_id = node.body.on if isinstance(node.body, CheckBody) else None
    return from_text(graph[checked_id], graph) if checked_id else ""


def _measure(node: Node, body: CheckBody, graph: Graph) -> Measure:
    subject = CheckSubject(
        rows=rows_of(node, graph),
        column=body.column,
        args=body.args,
        where=body.config.where,
        to=body.to.sql() if body.to else None,
        query=body.query.text if body.query else None,
        fail_calc=body.config.fail_calc,
    )
    return measure(body.kind, subject)


def _label(node: Node, body: CheckBody, graph: Graph) -> str:
    if body.on is None:
        return node.name
    column = f".{body.column}" if body.column else ""
    return f"{body.kind} {graph[body.on].name}{column}"
