"""Hooks of a whole build: what runs before its first step and after its last."""

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
    tools: RunContext, given: Sequence[Hook], words: Callable[[], Mapping[str, Any]] = dict
) -> tuple[Outcome, ...]:
    """The outcome of each hook, in order; what follows one that failed is skipped, and what was
    built stays, as with dbt. Raises TransformError for one that cannot be rendered before anything
    was built."""
    if not given:
        return ()
    more = words()
    made: list[Outcome] = []
    with tools.engine.session() as session:
        for at, hook in enumerate(given):
            package = hook.package or tools.project.name
            label = f"{package}.{hook.moment}.{at}"
            planned = Outcome(hook_id(hook, tools.project.name), "hook", label, "skipped")
            stopped = any(each.bad for each in made)
            made.append(planned if stopped else _done(tools, session, hook, planned, more))
    return tuple(made)


def _done(
    tools: RunContext,
    session: EngineSession,
    hook: Hook,
    planned: Outcome,
    words: Mapping[str, Any],
) -> Outcome:
    began, text = perf_counter(), ""
    try:
        text = sql_of(renderer(tools).text(hook, SessionWarehouse(session), words))
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
