"""The selectable resources: nodes of the graph, and artifact-only entries (exposures …).

Each has dbt's resource type, its fqn (package, folders, name) and its inputs. A unit test depends
on its model here, not on the inputs that it replaces.
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

# Resource types that are selected with their inputs.
TESTS = ("test", "unit_test", "freshness")
_ARTIFACT_ONLY = ("exposure", "metric", "semantic_model", "saved_query")
_CALL = re.compile(r"\b(ref|source)\s*\(([^)]*)\)")
_WORD = re.compile(r"""['"]([^'"]*)['"]""")
_VERSION = re.compile(r"\b(?:v|version)\s*=\s*['\"]?([\w.]+)")


class Resource(Struct, frozen=True):
    """A selectable resource. `fqn` begins with its package; `needs` are ids."""

    id: str
    kind: str
    name: str
    package: str
    path: str = ""
    fqn: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    node: Node | None = None
    version: str | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """Its configuration."""
        return _config(self.node, self.kind) if self.node else self.options

    @property
    def is_test(self) -> bool:
        """Whether it is selected with its inputs."""
        return self.kind in TESTS


class Resources(Struct, frozen=True):
    """All resources by id, with edges in both directions."""

    by_id: Mapping[str, Resource]
    children: Mapping[str, Sequence[str]]
    root: str = ""

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.by_id.values())

    def above(self, ids: Iterable[str], depth: int = -1) -> set[str]:
        """Everything upstream of these, at most `depth` edges away (-1: any)."""
        return self._reach({i: t.needs for i, t in self.by_id.items()}, ids, depth)

    def below(self, ids: Iterable[str], depth: int = -1) -> set[str]:
        """Everything downstream of these, at most `depth` edges away (-1: any)."""
        return self._reach(self.children, ids, depth)

    def _reach(
        self, edges: Mapping[str, Sequence[str]], start: Iterable[str], depth: int
    ) -> set[str]:
        reached: set[str] = set()
        front = set(start)
        while front and depth != 0:
            front = {
                n for node_id in front for n in edges.get(node_id, ()) if n in self.by_id
            } - reached
            reached |= front
            depth -= 1
        return reached


def listed_by_dbt(resources: Iterable[Resource], project: Project) -> list[Resource]:
    """The resources as dbt lists them: by id, with paths relative to their package."""
    sorted_resources = sorted(
        (resource for resource in resources if resource.kind != "freshness"),
        key=lambda resource: resource.id,
    )
    return [
        replace(resource, path=within(resource.path, resource.package, project))
        for resource in sorted_resources
    ]


def things(graph: Graph, project: Project | None = None) -> Resources:
    """The selectable resources of a graph and its project."""
    root = project.name if project else ""
    by_id = {node.id: _of_node(node, root) for node in graph}
    if project:
        for resource in _artifact_only(project, graph):
            by_id.setdefault(resource.id, resource)
    children: dict[str, list[str]] = {}
    for resource in by_id.values():
        for need in resource.needs:
            children.setdefault(need, []).append(resource.id)
    return Resources(by_id, children, root)


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
        options = {name: getattr(body.config, name) for name in body.config.__struct_fields__}
        return {**options, "materialized": kind, **node.options}
    if isinstance(body, ModelBody):
        return node.options
    defaults = {"enabled": True} if kind == "source" else {"materialized": kind, "enabled": True}
    return {**defaults, "tags": node.tags, "meta": node.described.meta, **node.options}


def _artifact_only(project: Project, graph: Graph) -> Iterator[Resource]:
    """Exposures, metrics, semantic models and saved queries, with their inputs."""
    entries = [entry for entry in project.artifact_only if entry.kind in _ARTIFACT_ONLY]
    if not entries:
        return  # building the names reads all nodes, which is slow
    names = _Names(project, graph)
    for entry in entries:
        yield artifact_only_resource(entry, project.name, names.needs(entry))


def artifact_only_id(entry: ArtifactOnly, root: str) -> str:
    """The id of an artifact-only entry."""
    name = f"{entry.content.get('model')}.{entry.name}" if entry.kind == "unit_test" else entry.name
    return f"{entry.kind}.{entry.package or root}.{name}"


def artifact_only_resource(entry: ArtifactOnly, root: str, needs: tuple[str, ...]) -> Resource:
    """An artifact-only entry as a selectable resource."""
    config = entry.content.get("config") or {}
    tags = config.get("tags") or entry.content.get("tags") or ()
    package = entry.package or root
    folders = tuple(entry.where.path.split("/")[1:-1])
    return Resource(
        id=artifact_only_id(entry, root),
        kind=entry.kind,
        name=entry.name,
        package=package,
        path=entry.where.path,
        fqn=(package, *folders, entry.name),
        tags=(tags,) if isinstance(tags, str) else tuple(map(str, tags)),
        options={**entry.content, **config},
        needs=needs,
    )


def artifact_only_needs(project: Project, graph: Graph) -> dict[str, tuple[str, ...]]:
    """The inputs of all artifact-only entries, by id."""
    names = _Names(project, graph)
    return {
        artifact_only_id(entry, project.name): names.needs(entry) for entry in project.artifact_only
    }


def dangling(project: Project, graph: Graph) -> tuple[GraphError, ...]:
    """A mistake for every `ref` and `source` of an exposure that does not resolve."""
    exposures = [exposure for exposure in project.artifact_only if exposure.kind == "exposure"]
    if not exposures:
        return ()
    names = _Names(project, graph)
    return tuple(
        GraphError(
            f"the exposure `{exposure.name}` depends on the unknown node `{dependency}`",
            exposure.where,
            hint="it may be disabled",
        )
        for exposure in exposures
        for dependency in exposure.content.get("depends_on") or ()
        if _CALL.search(str(dependency)) and not names.called(str(dependency))
    )


class _Names:
    """Resolves the names in artifact-only entries to ids."""

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
        self.artifact_only = {
            (entry.kind, entry.name): artifact_only_id(entry, project.name)
            for entry in project.artifact_only
        }
        self.measures = {
            str(measure.get("name")): artifact_only_id(entry, project.name)
            for entry in project.artifact_only
            if entry.kind == "semantic_model"
            for measure in _maps(entry.content.get("measures"))
        }

    def needs(self, entry: ArtifactOnly) -> tuple[str, ...]:
        """The ids of the entry's inputs."""
        content = entry.content
        if entry.kind == "exposure":
            ids = [self.called(str(reference)) for reference in content.get("depends_on") or ()]
        elif entry.kind in ("semantic_model", "unit_test"):
            model = str(content.get("model") or "")
            ids = [self.called(model) or self.refs.get(model, "")]
        elif entry.kind == "saved_query":
            query_params = content.get("query_params") or {}
            ids = [
                self.artifact_only.get(("metric", str(m)), "")
                for m in query_params.get("metrics") or ()
            ]
        else:
            ids = list(self.metric(content.get("type_params") or {}))
        return tuple(dict.fromkeys(reference for reference in ids if reference))

    def called(self, text: str) -> str:
        """The id of `ref('x')` or `source('a', 'b')`; "" if it does not resolve."""
        match = _CALL.search(text)
        if not match:
            return ""
        version = _VERSION.search(match[2])
        args = tuple(_WORD.findall(match[2][: version.start()] if version else match[2]))
        if match[1] == "source":
            return self.sources.get(args, "")
        if not args:
            return ""
        if len(args) == 1 and version is None:
            return self.refs.get(args[0], "")
        packages = args[:1] if len(args) > 1 else (self.project.name, *self.project.packages)
        chosen_version = version[1] if version else None
        ids = (self.exact.get((package, args[-1], chosen_version)) for package in packages)
        return next((node_id for node_id in ids if node_id), "")

    def metric(self, params: Mapping[str, Any]) -> Iterator[str]:
        """The inputs of a metric: semantic models by their measures, other metrics."""
        for key in ("measure", "numerator", "denominator", "base_measure", "conversion_measure"):
            for name in _names(params.get(key)):
                yield self.measures.get(name) or self.artifact_only.get(("metric", name), "")
        for key in ("metrics", "input_metrics"):
            for name in _names(params.get(key)):
                yield self.artifact_only.get(("metric", name), "")
        for key in ("conversion_type_params", "cumulative_type_params"):
            if isinstance(params.get(key), Mapping):
                yield from self.metric(params[key])


def _names(value: Any) -> list[str]:
    items = value if isinstance(value, list | tuple) else [value]
    return [str(v.get("name") if isinstance(v, Mapping) else v) for v in items if v is not None]


def _maps(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (item for item in value or () if isinstance(item, Mapping))
