"""Opens a project: as it is remembered, or read and compiled, with everything that is wrong
with it.

What reads, renders and parses is loaded when it is needed: most calls find a project as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.compile.nodes import Graph
from transformer.compile.world import secrets_of
from transformer.engines import find
from transformer.errors import ConfigError, Mistakes, TransformError, UsageError
from transformer.names import RelationName
from transformer.plan.select.choose import choose, chosen
from transformer.plan.select.resources import dangling
from transformer.project.dbt.dotenv import with_dotenv
from transformer.project.form import is_dbt_project
from transformer.project.inputs import WatchedEnvironment, watching
from transformer.project.paths import Places, places_of
from transformer.project.values import Project
from transformer.request import Environment, Request
from transformer.steps import Skip
from transformer.warehouse.publication import Publication
from transformer.workspace.cache import CachedProject, StaleProject, remember, remembered

if TYPE_CHECKING:
    from transformer.compile.assemble import LateRendering
    from transformer.compile.scope import Scope


class Opened(Struct, frozen=True):
    """A project, compiled. With `mistakes` the graph must not be run.

    The `scope` of a project that was only remembered is made when it is asked for: few commands
    need to render anything more.
    """

    project: Project
    graph: Graph
    places: Places
    rendering: Callable[[], Scope]
    mistakes: tuple[TransformError, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    # What tells what is remembered of it from what was before; nothing where nothing is.
    mark: str = ""
    # Which nodes were made anew since it had another mark.
    since: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # What was remembered of it, where only a part was compiled.
    known: CachedProject | None = None
    # All that is in the project, where the graph is only a part of it; and the nodes of that part
    # that are there only because others read them; and what is left alone.
    whole: Graph | None = None
    context: frozenset[str] = frozenset()
    left: tuple[Skip, ...] = ()
    # There: the models that changed, and dbt's artifacts as the last build left them.
    changed: tuple[str, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)

    @property
    def everything(self) -> Graph:
        """All that is in the project, also where only a part is looked at."""
        return self.whole or self.graph

    def memory(self) -> CachedProject:
        """What there is to remember of it."""
        if self.known is not None:
            return self.known
        from transformer.workspace.codec import encode

        index = encode(self.scope.index.listed())
        return CachedProject(self.project, self.graph, self.texts, index)

    @property
    def engine(self) -> Any:
        """The module of the target's engine."""
        return find(self.project.target.type)

    @property
    def scope(self) -> Scope:
        """What every rendering shares."""
        return self.rendering()

    @property
    def late(self) -> LateRendering:
        """What renders late nodes and hooks while the build goes on."""
        from transformer.artifacts.manifest import flat
        from transformer.compile.assemble import LateRendering

        facts = partial(flat, self.graph, self.project, self.scope.world.now.timestamp())
        return LateRendering(self.graph, self.scope, self.texts, cache(facts))

    @property
    def workplace(self) -> Publication:
        """Where the target's warehouse is built."""
        target = self.project.target
        path = self.places.resolve(target.path, target.places.get("path"))
        project = self.project
        packages, root = tuple(project.packages), self.places.root
        return Publication(path, target, self.engine, project.name, packages, root)


def open_project(ask: Request, outside: Environment) -> Opened:
    """The project, read and compiled, or as it is remembered. Raises UsageError when there is
    none."""
    root = ask.root.resolve()
    _check_options(ask, root)
    if is_dbt_project(root):
        outside = dataclasses.replace(outside, env=with_dotenv(root, outside.env))
    cached = None if ask.deferred else remembered(ask, outside.env, outside.say)
    if cached is not None and not cached.files:
        return _again(ask, outside, cached.known)
    with watching() as seen:
        watched = dataclasses.replace(outside, env=WatchedEnvironment(outside.env))
        edited = _patched(ask, watched, cached) if cached else None
        opened = edited or _compiled(ask, watched)
    if opened.mistakes or ask.deferred or not outside.secrets <= secrets_of(outside.env):
        return opened
    if edited is not None and cached is not None:
        seen = cached.seen.and_then(seen)
    asked = frozenset(opened.scope.library.asked)
    stored = remember(ask, outside.env, seen, opened.memory(), asked)
    return replace(opened, mark=stored.mark, since=stored.since) if stored else opened


def _check_options(ask: Request, root: Path) -> None:
    """Raises UsageError for an option that would publish a part of the rows as if it were all."""
    if ask.narrows and not is_dbt_project(root):
        raise UsageError(
            f"`{ask.narrows[0]}` is for dbt projects: here a build from a part of the rows would"
            " replace the file that is published",
            hint="`transform plan` checks every query without reading any rows; nothing was built",
        )


def _again(ask: Request, outside: Environment, known: CachedProject) -> Opened:
    """The project as it is remembered."""
    return Opened(
        known.project,
        known.graph,
        places_of(ask.root.resolve(), known.project.allowed_paths),
        cache(lambda: _compiled(ask, outside).scope),
        texts=known.texts,
        mark=known.mark,
        since=known.since,
    )


def _patched(ask: Request, outside: Environment, nearly: StaleProject) -> Opened | None:
    """The project as it is remembered but for some models, which are compiled anew."""
    from transformer.workspace.partial import patched

    result = patched(ask, outside, nearly)
    if result is None:
        return None
    cached, scope = result
    return replace(_again(ask, outside, cached), rendering=lambda: scope, known=cached)


def _compiled(ask: Request, outside: Environment) -> Opened:
    """The project, read and compiled. What it takes is loaded only then."""
    from transformer.workspace.compile import compiled

    project, compiled_project = compiled(ask, outside)
    places = places_of(ask.root.resolve(), project.allowed_paths)
    mistakes = compiled_project.mistakes or dangling(project, compiled_project.graph)
    return Opened(
        project,
        compiled_project.graph,
        places,
        lambda: compiled_project.scope,
        mistakes,
        compiled_project.texts,
    )


def chosen_of(opened: Opened, ask: Request, outside: Environment) -> frozenset[str]:
    """The ids of what is asked for. Raises UsageError."""

    def now() -> dict[str, Any]:
        from transformer.artifacts.documents import call_of, manifest_now

        return manifest_now(opened.graph, opened.project, call_of(ask, outside))

    if opened.whole is not None:
        return frozenset(opened.graph.nodes) - opened.context
    return chosen(opened.graph, opened.project, ask.selection, now=now, say=outside.say)


def shown_of(opened: Opened) -> list[RelationName]:
    """The relations that the shown file holds, where the target asks for some only."""
    graph, target = opened.graph, opened.workplace.target
    wanted = target.publish.models
    try:
        nodes = [graph[i] for i in choose(graph, wanted, ())] if wanted else []
    except UsageError as error:  # they are written in the project, not in the command
        where, hint = target.places.get("publish"), error.hint
        raise ConfigError(f"`publish.models`: {error.what}", where, hint) from None
    return sorted(n.relation for n in nodes if n.relation and n.solid)


def refuse_mistakes(*groups: Any) -> None:
    """Raises all mistakes at once, when there are any."""
    errors = [error for group in groups for error in group]
    if errors:
        raise Mistakes(errors)
