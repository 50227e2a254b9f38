"""`transform run-operation`: calls a macro with the warehouse open for writing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from transformer.compile.context import RenderTrace
from transformer.compile.jinja.macros import Macro
from transformer.errors import BuildError, Fault, RenderError, TransformError, did_you_mean
from transformer.request import Environment, Request
from transformer.run.render_late import SessionWarehouse
from transformer.warehouse.lock import building
from transformer.workspace.open import Opened, open_project, refuse_mistakes


def run_macro(
    request: Request, environment: Environment, name: str, args: Mapping[str, Any]
) -> list[str]:
    """Calls the macro and publishes its changes; returns what it logged.

    Raises TransformError if there is no such macro, or it fails; then nothing is published.
    """
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    macro = _macro(opened, name)
    place = opened.publication
    with building(place.warehouse, f"transform {request.command}", environment.clock()):
        place.recover()
        place.forget_unfinished()
        try:
            with place.working() as engine, engine.session() as session:
                log_lines = _called(opened, session, macro, args)
        except TransformError:
            place.forget_unfinished()
            raise
        place.publish()
    return log_lines


def _macro(opened: Opened, name: str) -> Macro:
    library = opened.scope.library
    package, _, plain = name.rpartition(".")
    match = library.own(plain, package) if package else library.find(name)
    if match is None:
        names = [
            macro if not package else f"{package}.{macro}"
            for package, macros in library.packages.items()
            for macro in macros
        ]
        raise RenderError(f"there is no macro `{name}`", hint=did_you_mean(name, names, ""))
    return match


def _called(opened: Opened, session: Any, macro: Macro, args: Mapping[str, Any]) -> list[str]:
    scope, name = opened.late.asking(SessionWarehouse(session)), macro.qualified
    world = dataclasses.replace(scope.world, hear=str)  # its log is printed at the end
    scope = replace(scope, world=world)
    trace = RenderTrace()
    try:
        scope.session(trace, macro.package).call(name, args, macro.path)
    except Fault as fault:
        what, *rest = fault.message.strip().splitlines()
        raise BuildError(f"the macro `{name}` failed: {what}", detail=rest[:3]) from None
    return trace.notes
