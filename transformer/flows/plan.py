"""`transform plan`: what a build would do, without doing it."""

from __future__ import annotations

from transformer.request import BuildOptions, Environment, Request
from transformer.steps import Plan
from transformer.workspace.bind import refuse_mistakes_of
from transformer.workspace.open import Opened, open_project
from transformer.workspace.planning import BuildPlanner


def preview(request: Request, environment: Environment) -> tuple[Opened, Plan]:
    """The project, and the plan of a build of it. Raises Mistakes."""
    opened = open_project(request, environment)
    refuse_mistakes_of(opened, environment.env)
    with opened.publication.looking() as engine:
        planner = BuildPlanner(opened, request, BuildOptions(), environment, environment.clock())
        return opened, planner.of(engine).plan
