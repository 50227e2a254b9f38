"""`transform plan`: what a build would do, and nothing done."""

from __future__ import annotations

from transformer.request import BuildOptions, Environment, Request
from transformer.steps import Plan
from transformer.workspace.bind import no_mistakes
from transformer.workspace.open import Opened, open_project
from transformer.workspace.planning import BuildPlanner


def preview(ask: Request, outside: Environment) -> tuple[Opened, Plan]:
    """The project, and the plan of a build of it. Raises Mistakes."""
    opened = open_project(ask, outside)
    no_mistakes(opened, outside.env)
    with opened.workplace.looking() as engine:
        planner = BuildPlanner(opened, ask, BuildOptions(), outside, outside.clock())
        return opened, planner.of(engine).plan
