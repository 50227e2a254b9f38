"""What can be selected: the nodes of the graph, and what a project only keeps (exposures …).

Each in dbt's own terms: its resource type, its folders and name behind its package, what it
stands on. A unit test stands on its model here, not on the inputs that it replaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.compile.dbt.facts import within
from transformer.compile.nodes import CheckBody, Graph, ModelBody, Node
from transformer.errors import GraphError
from transformer.project.values import ArtifactOnly, Project

# Resource types that are taken in with what they stand on.
TESTS = ("test", "unit_test", "freshness")
_KEPT = ("exposure", "metric", "semantic_model", "saved_query")
_CALL = re.compile(r"\b(ref|source)\s*\(([^)]*)\)")
_WORD = re.compile(r"""['"]([^'"]*)['"]""")
_VERSION = re.compile(r"\b(?:v|version)\s*=\s*['\"]?([\w.]+)")


class Resource(Struct, frozen=True):
    """One thing that can be selected. `fqn` begins with its package; `needs` are ids."""

    id: str
    kind: str
    name: str
    package: str
    path: str = ""
    fqn: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    node: Node | None = None
    version: str | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """Its configuration."""
        return _config(self.node, self.kind) if self.node else self.given

    @property
    def is_test(self) -> bool:
        """Whether it comes along with what it stands on."""
        return self.kind in TESTS


class Resources(Struct, frozen=True):
    """All of them by id, with their edges both ways."""

    by_id: Mapping[str, Resource]
    children: Mapping[str, Sequence[str]]
    root: str = ""

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.by_id.values())

    def above(self, ids: Iterable[str], depth: int = -1) -> set[str]:
        """Everything that these stand on, at most `depth` edges away (-1: any)."""
        return self._reach({i: t.needs for i, t in self.by_id.items()}, ids, depth)

    def below(self, ids: Iterable[str], depth: int = -1) -> set[str]:
        """Everything that stands on these."""
        return self._reach(self.children, ids, depth)

    def _reach(
        self, edges: Mapping[str, Sequence[str]], start: Iterable[str], depth: int
    ) -> set[str]:
        found: set[str] = set()
        front = set(start)
        while front and depth != 0:
            front = {n for at in front for n in edges.get(at, ()) if n in self.by_id} - found
            found |= front
            depth -= 1
        return found


def listed_by_dbt(found: Iterable[Resource], project: Project) -> list[Resource]:
    """The same as dbt lists them: by id, their files named from their package's own folder."""
    kept = sorted((t for t in found if t.kind != "freshness"), key=lambda t: t.id)
    return [replace(t, path=within(t.path, t.package, project)) for t in kept]


def things(graph: Graph, project: Project | None = None) -> Resources:
    """What can be selected of a graph, and of what its project keeps."""
    root = project.name if project else ""
    made = {node.id: _of_node(node, root) for node in graph}
    if project:
        for thing in _kept(project, graph):
            made.setdefault(thing.id, thing)
    children: dict[str, list[str]] = {}
    for thing in made.values():
        for need in thing.needs:
            children.setdefault(need, []).append(thing.id)
    return Resources(made, children, root)


def _of_node(node: Node, root: str) -> Resource:
    package = node.package or root
    kind = node.id.partition(".")[0] if node.kind in ("check", "model", "analysis") else node.kind
    needs, name = node.needs, node.name
    if node.kind == "check" and kind == "unit_test":
        body = node.body
        needs = (body.before,) if isinstance(body, CheckBody) and body.before else needs
    if kind == "source":
        name = node.name.partition(".")[2]
    return Resource(
        id=node.id,
        kind=kind,
        name=name,
        package=package,
        path=node.path,
        fqn=(package, *(node.fqn or (node.name,))),
        tags=node.tags,
        needs=needs,
        node=node,
        version=node.version,
    )


def _config(node: Node, kind: str) -> Mapping[str, Any]:
    body = node.body
    if isinstance(body, CheckBody):
        own = {name: getattr(body.config, name) for name in body.config.__struct_fields__}
        return {**own, "materialized": kind, **node.options}
    if isinstance(body, ModelBody):
        return node.options
    usual = {"enabled": True} if kind == "source" else {"materialized": kind, "enabled": True}
    return {**usual, "tags": node.tags, "meta": node.described.meta, **node.options}


def _kept(project: Project, graph: Graph) -> Iterator[Resource]:
    """Exposures, metrics, semantic models and saved queries, with what they stand on."""
    listed = [kept for kept in project.kept if kept.kind in _KEPT]
    if not listed:
        return  # which names there are is known only from what all nodes say
    names = _Names(project, graph)
    for kept in listed:
        yield kept_thing(kept, project.name, names.needs(kept))


def kept_id(kept: ArtifactOnly, root: str) -> str:
    """The id of something that is kept."""
    name = f"{kept.content.get('model')}.{kept.name}" if kept.kind == "unit_test" else kept.name
    return f"{kept.kind}.{kept.package or root}.{name}"


def kept_thing(kept: ArtifactOnly, root: str, needs: tuple[str, ...]) -> Resource:
    """Something that is kept, as it can be selected."""
    config = kept.content.get("config") or {}
    tags = config.get("tags") or kept.content.get("tags") or ()
    package = kept.package or root
    folders = tuple(kept.where.path.split("/")[1:-1])
    return Resource(
        id=kept_id(kept, root),
        kind=kept.kind,
        name=kept.name,
        package=package,
        path=kept.where.path,
        fqn=(package, *folders, kept.name),
        tags=(tags,) if isinstance(tags, str) else tuple(map(str, tags)),
        given={**kept.content, **config},
        needs=needs,
    )


def kept_needs(project: Project, graph: Graph) -> dict[str, tuple[str, ...]]:
    """What everything that is kept stands on, by id."""
    names = _Names(project, graph)
    return {kept_id(each, project.name): names.needs(each) for each in project.kept}


def dangling(project: Project, graph: Graph) -> tuple[GraphError, ...]:
    """A mistake for every `ref` and `source` of an exposure that leads to nothing."""
    exposures = [kept for kept in project.kept if kept.kind == "exposure"]
    if not exposures:
        return ()
    names = _Names(project, graph)
    return tuple(
        GraphError(
            f"the exposure `{kept.name}` depends on `{each}`, which is not in the project",
            kept.where,
            hint="a node that is disabled is not there either",
        )
        for kept in exposures
        for each in kept.content.get("depends_on") or ()
        if _CALL.search(str(each)) and not names.called(str(each))
    )


class _Names:
    """From the names that kept things use to ids."""

    def __init__(self, project: Project, graph: Graph) -> None:
        self.project = project
        self.refs: dict[str, str] = {}
        self.exact: dict[tuple[str, str, str | None], str] = {}
        self.sources: dict[tuple[str, ...], str] = {}
        for node in graph:
            if node.kind in ("model", "seed", "snapshot"):
                latest = not isinstance(node.body, ModelBody) or node.body.model.latest
                if latest or node.name not in self.refs:
                    self.refs[node.name] = node.id
                package = node.package or project.name
                for version in (node.version, None) if latest else (node.version,):
                    self.exact[package, node.name, version] = node.id
            elif node.kind == "source":
                self.sources[tuple(node.name.split(".", 1))] = node.id
        self.kept = {(k.kind, k.name): kept_id(k, project.name) for k in project.kept}
        self.measures = {
            str(measure.get("name")): kept_id(k, project.name)
            for k in project.kept
            if k.kind == "semantic_model"
            for measure in _maps(k.content.get("measures"))
        }

    def needs(self, kept: ArtifactOnly) -> tuple[str, ...]:
        """The ids of what it says that it stands on."""
        content = kept.content
        if kept.kind == "exposure":
            found = [self.called(str(each)) for each in content.get("depends_on") or ()]
        elif kept.kind in ("semantic_model", "unit_test"):
            model = str(content.get("model") or "")
            found = [self.called(model) or self.refs.get(model, "")]
        elif kept.kind == "saved_query":
            asked = content.get("query_params") or {}
            found = [self.kept.get(("metric", str(m)), "") for m in asked.get("metrics") or ()]
        else:
            found = list(self.metric(content.get("type_params") or {}))
        return tuple(dict.fromkeys(each for each in found if each))

    def called(self, text: str) -> str:
        """What `ref('x')` or `source('a', 'b')` means; nothing where it means nothing."""
        found = _CALL.search(text)
        if not found:
            return ""
        version = _VERSION.search(found[2])
        words = tuple(_WORD.findall(found[2][: version.start()] if version else found[2]))
        if found[1] == "source":
            return self.sources.get(words, "")
        if not words:
            return ""
        if len(words) == 1 and version is None:
            return self.refs.get(words[0], "")
        packages = words[:1] if len(words) > 1 else (self.project.name, *self.project.packages)
        wanted = version[1] if version else None
        each = (self.exact.get((package, words[-1], wanted)) for package in packages)
        return next((node_id for node_id in each if node_id), "")

    def metric(self, params: Mapping[str, Any]) -> Iterator[str]:
        """What a metric stands on: semantic models by their measures, other metrics."""
        for key in ("measure", "numerator", "denominator", "base_measure", "conversion_measure"):
            for name in _names(params.get(key)):
                yield self.measures.get(name) or self.kept.get(("metric", name), "")
        for key in ("metrics", "input_metrics"):
            for name in _names(params.get(key)):
                yield self.kept.get(("metric", name), "")
        for key in ("conversion_type_params", "cumulative_type_params"):
            if isinstance(params.get(key), Mapping):
                yield from self.metric(params[key])


def _names(value: Any) -> list[str]:
    each = value if isinstance(value, list | tuple) else [value]
    return [str(v.get("name") if isinstance(v, Mapping) else v) for v in each if v is not None]


def _maps(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in value or () if isinstance(each, Mapping))
