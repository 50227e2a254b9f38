"""Checks the age of a source's newest row."""

from __future__ import annotations

from transformer.compile.freshness import newest
from transformer.compile.nodes import FreshnessBody
from transformer.errors import BuildError, Fault
from transformer.plan.check_kinds import aged, expires
from transformer.plan.work import Work
from transformer.run.context import RunContext
from transformer.steps import NodeState, Outcome, Step
from transformer.warehouse import ledger
from transformer.warehouse.ledger import NodeEntry


def freshness(context: RunContext, step: Step) -> Outcome:
    """Performs a freshness node: success, warn or fail by the age of the newest row."""
    work: Work = step.work
    body = work.node.body
    if not isinstance(body, FreshnessBody) or body.table.freshness is None:
        raise TypeError(step.id)
    rule = body.table.freshness
    now = context.clock().timestamp()
    limits = rule.warn_after, rule.error_after
    with context.engine.session() as session:
        try:
            rows = session.rows(newest(rule, work.rows))
        except Fault as fault:
            raise BuildError(
                f"cannot check the freshness of `{step.label}`: {fault.message.splitlines()[0]}",
                body.table.where,
                hint="check its `loaded_at_field` or `loaded_at_query`",
            ) from None
        latest = rows[0][0]
        status = aged(latest, now, limits)
        age = None if latest is None else max(0, int(now - latest))
        state = NodeState(work.fingerprint, status, context.inputs(work), status)
        entry = NodeEntry(
            step.id, "freshness", None, state, context.run_id, context.clock(),
            expires=expires(latest, now, limits),
        )  # fmt: skip
        with session.transaction():
            ledger.record(session, [entry])
    facts = {} if age is None else {"age": age}
    return Outcome(step.id, "freshness", step.label, status, facts=facts)
