"""`transform build` and its parts (`run`, `load`, `seed`, `test` …)."""

from __future__ import annotations

from collections.abc import Callable

from transformer.request import BuildOptions, Environment, Event, Report, Request
from transformer.workspace.last_build import unchanged


def build(
    request: Request,
    options: BuildOptions,
    environment: Environment,
    on_event: Callable[[Event], None],
) -> Report:
    """Builds what is requested. Where files alone say that there is nothing to do, the warehouse is
    not opened. Raises Mistakes before anything is changed."""
    report = unchanged(request, options, environment)
    if report is None:
        from transformer.flows.execution import execute

        return execute(request, options, environment, on_event)
    for text in report.plan.notices:
        on_event(Event("notice", text, ""))
    return report
