"""Hooks of a whole build, before its first step and after its last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from msgspec.structs import replace

from transformer.compile.dbt.operations import hook_id
from transformer.compile.model_config import sql_of
from transformer.engines import EngineSession
from transformer.errors import TransformError
from transformer.project.values import Hook
from transformer.run.context import RunContext
from transformer.run.render_late import SessionWarehouse, renderer, run_statement
from transformer.steps import Outcome


def run_hooks(
    context: RunContext, hooks: Sequence[Hook], variables: Callable[[], Mapping[str, Any]] = dict
) -> tuple[Outcome, ...]:
    """The outcome of each hook, in order; hooks after a failed one are skipped, and what was built
    is kept, as in dbt. Raises TransformError if a hook before the build cannot be rendered."""
    if not hooks:
        return ()
    values = variables()
    outcomes: list[Outcome] = []
    with context.engine.session() as session:
        for index, hook in enumerate(hooks):
            package = hook.package or context.project.name
            label = f"{package}.{hook.moment}.{index}"
            planned = Outcome(hook_id(hook, context.project.name), "hook", label, "skipped")
            stopped = any(outcome.bad for outcome in outcomes)
            outcomes.append(
                planned if stopped else _run_hook(context, session, hook, planned, values)
            )
    return tuple(outcomes)


def _run_hook(
    context: RunContext,
    session: EngineSession,
    hook: Hook,
    planned: Outcome,
    variables: Mapping[str, Any],
) -> Outcome:
    began, text = perf_counter(), ""
    try:
        text = sql_of(renderer(context).text(hook, SessionWarehouse(session), variables))
        if text.strip(" \n;"):
            run_statement(session, text, hook.where)
    except TransformError as error:
        if not text and hook.moment == "on-run-start":
            raise
        return replace(planned, status="error", error=error, compiled=text)
    seconds = perf_counter() - began
    return replace(
        planned, status="success", seconds=seconds, message=f"{planned.label} passed", compiled=text
    )
