"""Opens a project: from the cache, or read and compiled, with all of its errors.

The compiler is imported only when it is needed: most calls find the project in the cache.
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
from transformer.workspace.cache import CachedProject, StaleProject, load_cached, store

if TYPE_CHECKING:
    from transformer.compile.assemble import LateRendering
    from transformer.compile.scope import Scope


class Opened(Struct, frozen=True):
    """A compiled project. With `mistakes` the graph must not be run.

    The `scope` of a cached project is created on demand: few commands have to render anything.
    """

    project: Project
    graph: Graph
    places: Places
    rendering: Callable[[], Scope]
    mistakes: tuple[TransformError, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    # The version of its cache file; empty if it is not cached.
    mark: str = ""
    # The nodes compiled since an earlier mark.
    since: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # The cached project, if only a part of it was compiled.
    known: CachedProject | None = None
    # If `graph` is only a part of the project: the whole graph, the nodes of the part that are only
    # read by others, and the skipped nodes.
    whole: Graph | None = None
    context: frozenset[str] = frozenset()
    left: tuple[Skip, ...] = ()
    # In that case also: the changed models, and dbt's artifacts as the last build left them.
    changed: tuple[str, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)

    @property
    def everything(self) -> Graph:
        """The graph of the whole project."""
        return self.whole or self.graph

    def memory(self) -> CachedProject:
        """The project as it is cached."""
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
        """What all renderings share."""
        return self.rendering()

    @property
    def late(self) -> LateRendering:
        """Renders deferred nodes and hooks during the build."""
        from transformer.artifacts.manifest import flat
        from transformer.compile.assemble import LateRendering

        facts = partial(flat, self.graph, self.project, self.scope.world.now.timestamp())
        return LateRendering(self.graph, self.scope, self.texts, cache(facts))

    @property
    def publication(self) -> Publication:
        """The target's warehouse, to be built and published."""
        target = self.project.target
        path = self.places.resolve(target.path, target.places.get("path"))
        project = self.project
        packages, root = tuple(project.packages), self.places.root
        return Publication(path, target, self.engine, project.name, packages, root)


def open_project(request: Request, environment: Environment) -> Opened:
    """The project, from the cache or compiled. Raises UsageError if there is none."""
    root = request.root.resolve()
    _check_options(request, root)
    if is_dbt_project(root):
        environment = dataclasses.replace(environment, env=with_dotenv(root, environment.env))
    cached = None if request.deferred else load_cached(request, environment.env, environment.say)
    if cached is not None and not cached.files:
        return _from_cache(request, environment, cached.known)
    with watching() as seen:
        watched = dataclasses.replace(environment, env=WatchedEnvironment(environment.env))
        edited = _partly_compiled(request, watched, cached) if cached else None
        opened = edited or _compiled(request, watched)
    if (
        opened.mistakes
        or request.deferred
        or not environment.secrets <= secrets_of(environment.env)
    ):
        return opened
    if edited is not None and cached is not None:
        seen = cached.seen.and_then(seen)
    asked = frozenset(opened.scope.library.asked)
    stored = store(request, environment.env, seen, opened.memory(), asked)
    return replace(opened, mark=stored.mark, since=stored.since) if stored else opened


def _check_options(request: Request, root: Path) -> None:
    """Raises UsageError for an option that would publish a part of the rows as if it were all."""
    if request.narrows and not is_dbt_project(root):
        raise UsageError(
            f"`{request.narrows[0]}` is for dbt projects: here a build from some of the rows would"
            " replace the file that is published",
            hint="`transform plan` checks every query without reading any rows; nothing was built",
        )


def _from_cache(request: Request, environment: Environment, known: CachedProject) -> Opened:
    """The cached project."""
    return Opened(
        known.project,
        known.graph,
        places_of(request.root.resolve(), known.project.allowed_paths),
        cache(lambda: _compiled(request, environment).scope),
        texts=known.texts,
        mark=known.mark,
        since=known.since,
    )


def _partly_compiled(
    request: Request, environment: Environment, nearly: StaleProject
) -> Opened | None:
    """The cached project with its changed models compiled again."""
    from transformer.workspace.partial import partly_compiled

    result = partly_compiled(request, environment, nearly)
    if result is None:
        return None
    cached, scope = result
    return replace(_from_cache(request, environment, cached), rendering=lambda: scope, known=cached)


def _compiled(request: Request, environment: Environment) -> Opened:
    """The project, read and compiled."""
    from transformer.workspace.compile import compiled

    project, compiled_project = compiled(request, environment)
    places = places_of(request.root.resolve(), project.allowed_paths)
    mistakes = compiled_project.mistakes or dangling(project, compiled_project.graph)
    return Opened(
        project,
        compiled_project.graph,
        places,
        lambda: compiled_project.scope,
        mistakes,
        compiled_project.texts,
    )


def selected_ids(opened: Opened, request: Request, environment: Environment) -> frozenset[str]:
    """The ids of the selected nodes. Raises UsageError."""

    def now() -> dict[str, Any]:
        from transformer.artifacts.documents import call_of, manifest_now

        return manifest_now(opened.graph, opened.project, call_of(request, environment))

    if opened.whole is not None:
        return frozenset(opened.graph.nodes) - opened.context
    return chosen(opened.graph, opened.project, request.selection, now=now, say=environment.say)


def published_relations(opened: Opened) -> list[RelationName]:
    """The relations in the published file, if the target publishes only some."""
    graph, target = opened.graph, opened.publication.target
    wanted = target.publish.models
    try:
        nodes = [graph[i] for i in choose(graph, wanted, ())] if wanted else []
    except UsageError as error:  # they are written in the project, not in the command
        where, hint = target.places.get("publish"), error.hint
        raise ConfigError(f"`publish.models`: {error.what}", where, hint) from None
    return sorted(n.relation for n in nodes if n.relation and n.solid)


def refuse_mistakes(*groups: Any) -> None:
    """Raises all mistakes at once, if there are any."""
    errors = [error for group in groups for error in group]
    if errors:
        raise Mistakes(errors)
