"""Reads a dbt project – `dbt_project.yml`, profile, packages, files – as a project of our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.errors import TransformError, UsageError
from transformer.project.dbt import profile, projectfile
from transformer.project.dbt.blocks import macros_that, sets_enabled
from transformer.project.dbt.checks import DbtCheckReader, model_subject
from transformer.project.dbt.configs import merge_layers, normalized_config, options
from transformer.project.dbt.described import DescriptionReader, every_check, with_checks
from transformer.project.dbt.docs import DocBlocks
from transformer.project.dbt.files import PackageHome, read_text
from transformer.project.dbt.fixtures import misshapen, with_fixtures
from transformer.project.dbt.nodes import NodeReader, PackageNodes, macro_files
from transformer.project.dbt.packages import INSTALLED, find_packages
from transformer.project.dbt.projectfile import FILE, ProjectFile, read_project, visible_vars
from transformer.project.dbt.properties import PackageProperties, PropertyEntry, read_properties
from transformer.project.dbt.sources import SourceReader
from transformer.project.dbt.words import (
    LATER,
    ReadingNotes,
    Render,
    VarLookup,
    YamlRenderer,
    as_flag,
    as_mapping,
    child,
    texts,
)
from transformer.project.inputs import saw
from transformer.project.tree import YamlItem, parse
from transformer.project.values import (
    NOTHING,
    ArtifactOnly,
    Described,
    MacroFile,
    Package,
    Project,
    SourceTable,
    Target,
)

SELECTORS = "selectors.yml"
BUILTIN = Path(__file__).parent / "builtin"
_ARTIFACT_ONLY = (
    *("macro", "exposure", "group", "metric", "semantic_model"),
    *("saved_query", "unit_test"),
)
# Keys with Jinja that MetricFlow renders.
_METRICFLOW_KEYS = frozenset(("filter", "where"))
_TREES_BY_KIND = {
    "exposure": "exposures",
    "metric": "metrics",
    "semantic_model": "semantic_models",
    "saved_query": "saved_queries",
    "unit_test": "unit_tests",
}


@dataclass(frozen=True, slots=True)
class DbtRequest:
    """The project options from the command line and the environment."""

    root: Path
    target: str | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    profiles_dir: Path | None = None
    profile: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    threads: int | None = None


def load_dbt_project(request: DbtRequest, render: Render, connecting: Render) -> Project:
    """The dbt project in `request.root`, with its mistakes as values rather than raised.
    `connecting` renders values that may hold a secret, `render` all others, as in dbt.

    Raises UsageError for an unknown profile, target or adapter, and Mistakes if
    `dbt_project.yml` cannot be read at all.
    """
    notes = ReadingNotes()
    root = request.root
    raw = projectfile.read_raw(root, FILE)
    variables = {**projectfile.read_vars(root, projectfile.VARS, notes), **request.vars}
    renderer = YamlRenderer(render, notes, connecting=connecting).with_filled(variables)
    target = _target(request, raw, renderer)
    renderer = renderer.with_filled(variables, target=dict(target.words))
    project = read_project(raw, PackageHome(root, "", notes), renderer, is_package=False)
    install_path = str(project.settings["packages-install-path"] or INSTALLED)
    packages = [
        read_project(item, home, renderer, is_package=True)
        for home, item in find_packages(root, install_path, renderer)
    ]
    by_name = {package.name: package for package in packages if package.name != project.name}
    return _Assembly(request, target, project, tuple(by_name.values()), renderer).project()


def _target(request: DbtRequest, raw: YamlItem, renderer: YamlRenderer) -> Target:
    env = request.env
    profile_item = child(raw, "profile")
    name = (
        request.profile
        or env.get("DBT_PROFILE")
        or (renderer.scalar(profile_item) if profile_item else None)
    )
    if not name:
        raise UsageError(
            f"`{FILE}` names no `profile`", raw.where, hint="add `profile:`, or use --profile"
        )
    folders = profile.folders(request.root, request.profiles_dir, env)
    target = request.target or env.get("DBT_TARGET") or None
    profile_request = profile.ProfileRequest(
        folders, str(name), target, request.threads, _target_path(env, raw)
    )
    return profile.read_target(profile_request, renderer)


def _target_path(env: Mapping[str, str], raw: YamlItem) -> str:
    path_item = child(raw, "target-path")
    path = str(path_item.value) if path_item and path_item.value else "target"
    return env.get("DBT_TARGET_PATH") or (path if "{" not in path else "target")


class _Part(Struct):
    """A package while it is read."""

    file: ProjectFile
    renderer: YamlRenderer
    describer: DescriptionReader
    properties: PackageProperties
    reader: NodeReader
    nodes: PackageNodes


class _Assembly(Struct):
    """Combines the project and its packages into one value."""

    request: DbtRequest
    target: Target
    root: ProjectFile
    packages: tuple[ProjectFile, ...]
    renderer: YamlRenderer
    disabled: list[str] = []

    def project(self) -> Project:
        docs = DocBlocks(self.root.name)
        for project_file in (self.root, *self.packages):
            docs.read(project_file)
        files = (self.root, *self.packages)
        macros = tuple(file for project_file in files for file in macro_files(project_file))
        switches = macros_that({file.path: file.text for file in macros}, sets_enabled)
        parts = [self._part(project_file, docs, switches) for project_file in files]
        _attach(parts)
        notes = self.renderer.notes
        sources = tuple(table for part in parts for table in self._sources(part, parts))
        disabled = [disabled_name for part in parts for _, disabled_name in part.nodes.disabled]
        project = self._value(parts, sources, (*macros, *_builtin()))
        return replace(
            project,
            disabled=tuple(dict.fromkeys((*disabled, *self.disabled))),
            selectors=_selectors(self.request.root, notes),
            mistakes=notes.unique_mistakes(),
            unread=frozenset(notes.unread),
            notices=tuple(notes.notices.values()),
        )

    def _value(
        self,
        parts: list[_Part],
        sources: tuple[SourceTable, ...],
        macros: tuple[MacroFile, ...],
    ) -> Project:
        return Project(
            root=str(self.request.root),
            name=self.root.name,
            target=self.target,
            models=tuple(node for part in parts for node in part.nodes.models),
            seeds=tuple(node for part in parts for node in part.nodes.seeds),
            snapshots=tuple(node for part in parts for node in part.nodes.snapshots),
            sources=sources,
            sql_checks=tuple(node for part in parts for node in part.nodes.sql_checks),
            macros=macros,
            allowed_paths=(self.request.root.resolve().anchor,),
            vars=visible_vars(self.root, self.root, self._variables),
            packages={package.name: self._package(package) for package in self.packages},
            dispatch=self.root.dispatch,
            on_run_start=tuple(hook for package in self._root_last for hook in package.start),
            on_run_end=tuple(hook for package in self._root_last for hook in package.end),
            analyses=tuple(node for part in parts for node in part.nodes.analyses),
            artifact_only=tuple(kept for part in parts for kept in _artifact_only(part)),
            open=True,
            heading=self._heading,
            target_path=str(
                self.request.env.get("DBT_TARGET_PATH")
                or self.root.settings["target-path"]
                or "target"
            ),
            asset_paths=texts(self.root.settings["asset-paths"]),
            flags=as_mapping(self.root.settings["flags"]),
        )

    @property
    def _heading(self) -> str:
        count = len(self.packages)
        packages = f", {count} package{'s' if count > 1 else ''}" if count else ""
        target = self.target
        profile = f"profile {target.profile}, target {target.name}"
        return f"dbt project `{self.root.name}` ({profile}){packages}"

    @property
    def _root_last(self) -> tuple[ProjectFile, ...]:
        return (*sorted(self.packages, key=lambda package: package.name), self.root)

    @property
    def _variables(self) -> Mapping[str, Any]:
        return self.request.vars

    def _package(self, file: ProjectFile) -> Package:
        return Package(
            file.name, file.home.shown, file.version, visible_vars(file, self.root, self._variables)
        )

    def _part(self, file: ProjectFile, docs: DocBlocks, switches: frozenset[str]) -> _Part:
        renderer = self.renderer.knowing(
            var=VarLookup(visible_vars(file, self.root, self._variables))
        )
        descriptions = DescriptionReader(
            renderer, docs, DbtCheckReader(file, self.root, renderer), file.name
        )
        properties = read_properties(file)
        reader = NodeReader(file, self.root, descriptions, properties, switches)
        return _Part(file, renderer, descriptions, properties, reader, reader.read())

    def _sources(self, part: _Part, parts: list[_Part]) -> Iterator[SourceTable]:
        reader = SourceReader(part.file, self.root, part.describer, self.target.catalog)
        patches = {
            entry.name: entry
            for other in reversed(parts)
            for entry in other.properties.of("source")
            if _overrides(entry) == part.file.name
        }
        for entry in part.properties.of("source"):
            if _overrides(entry):
                continue
            for table, enabled in reader.read(entry, patches.get(entry.name)):
                if enabled:
                    yield table
                else:
                    self.disabled.append(f"{table.source}.{table.name}")


def _overrides(entry: PropertyEntry) -> str:
    overridden = entry.get("overrides")
    return str(overridden.value) if overridden else ""


class _Patch(Struct, frozen=True):
    """Properties of a node in another package, or of another kind."""

    kind: str
    config: Mapping[str, Any]
    described: Described
    source: ProjectFile


_Patches = dict[tuple[str, str], list[_Patch]]


def _attach(parts: list[_Part]) -> None:
    """Attaches properties whose node is in another package to that node."""
    patches: _Patches = {}
    for part in parts:
        for kind in ("model", "seed", "snapshot"):
            names = part.nodes.enabled(kind)
            for entry in part.properties.of(kind):
                if entry.name not in names:
                    _attach_entry(part, entry, parts, patches)
    for part in parts:
        nodes = part.nodes
        nodes.models[:] = _patched("model", nodes.models, part, parts[0], patches)
        nodes.seeds[:] = _patched("seed", nodes.seeds, part, parts[0], patches)
        nodes.snapshots[:] = _patched("snapshot", nodes.snapshots, part, parts[0], patches)


def _patched(
    kind: str, nodes: Iterable[Any], part: _Part, root: _Part, patches: _Patches
) -> Iterator[Any]:
    """The nodes of a package with properties from elsewhere. A node that its own package
    describes, or that is described as another kind, gets only the tests."""
    for node in list(nodes):
        patched = node
        for patch in patches.get((part.file.name, node.name), ()):
            if patch.kind != kind or patched.described != NOTHING:
                checks = tuple(every_check(patch.described))
                patched = replace(patched, described=with_checks(patched.described, checks))
                continue
            patched = _configured(kind, patched, patch, (part.file, root.file))
        # Models and snapshots may enable themselves in their text, which is rendered later.
        if kind != "seed" or as_flag(patched.config.get("enabled")):
            yield patched
        else:
            part.nodes.disabled.append((kind, node.name))


def _configured(kind: str, node: Any, patch: _Patch, files: tuple[ProjectFile, ProjectFile]) -> Any:
    """The node with the configuration of a patch. As in dbt, folder configuration comes from the
    patching project, then from the root project."""
    home, root = files
    tree, path = f"{kind}s", (home.name, *node.fqn)
    config = merge_layers(options(patch.source.tree(tree), path), patch.config)
    root_options = options(root.tree(tree), path) if patch.source is not root else {}
    if kind == "seed":
        return replace(node, config=merge_layers(config, root_options), described=patch.described)
    return replace(node, config=config, over=root_options, described=patch.described)


def _attach_entry(part: _Part, entry: PropertyEntry, parts: list[_Part], patches: _Patches) -> None:
    other_parts = (other for other in parts if other is not part)
    owner = next((other for other in (part, *other_parts) if _holds(other.nodes, entry.name)), None)
    if owner is None:
        disabled = any(entry.name == name for other in parts for _, name in other.nodes.disabled)
        enabled = as_flag(part.describer.config(entry.item).get("enabled"))
        if not disabled and enabled:
            part.renderer.notes.say(
                f"there is no {entry.kind} `{entry.name}`, but it has properties ({entry.where})"
            )
        return
    config = part.describer.config(entry.item)
    described = part.describer.described(entry.item, model_subject(entry.name), entry.file)
    patch = _Patch(entry.kind, config, described, part.file)
    patches.setdefault((owner.file.name, entry.name), []).append(patch)


def _holds(package: PackageNodes, name: str) -> bool:
    return any(node.name == name for nodes in (package.models, package.seeds, package.snapshots)
               for node in nodes)  # fmt: skip


_UNIT_TEST = "write `given: [{input: ref('x'), rows: [{column: value}]}]`, and `expect: {rows: …}`"


def _artifact_only(part: _Part) -> Iterator[ArtifactOnly]:
    for kind in _ARTIFACT_ONLY:
        for entry in part.properties.of(kind):
            fqn = (part.file.name, *entry.file.folders, entry.name)
            tree = options(part.file.tree(_TREES_BY_KIND.get(kind, "")), fqn)
            block = child(entry.item, "config")
            enabled = child(block, "enabled")
            switch = {"enabled": part.renderer.scalar(enabled)} if enabled else {}
            if as_flag(merge_layers(tree, normalized_config(switch)).get("enabled")):
                if kind == "unit_test" and (mistakes := list(misshapen(entry.item))):
                    for what, where in mistakes:
                        part.renderer.notes.mistake(what, where, _UNIT_TEST)
                    continue
                content = _content(kind, entry.item, part.renderer)
                if kind == "unit_test":
                    content = with_fixtures(content, part.file, entry.where)
                yield ArtifactOnly(kind, entry.name, content, entry.where, part.file.package)


def _content(kind: str, item: YamlItem, renderer: YamlRenderer) -> dict[str, Any]:
    """The content of an artifact-only entry, rendered where dbt renders it. In a unit test that is
    all but the description: any other key may be a column name."""
    if kind != "unit_test":
        return as_mapping(renderer.value(item, LATER | _METRICFLOW_KEYS))
    return {
        key: value.plain() if key == "description" else renderer.value(value, ())
        for key, _, value in item.entries()
    }


def _builtin() -> Iterator[MacroFile]:
    """Our versions of dbt's built-in macros."""
    for path in sorted(BUILTIN.glob("*.sql")):
        yield MacroFile(f"dbt/{path.name}", path.read_text("utf-8"), "dbt")


def _selectors(root: Path, notes: ReadingNotes) -> dict[str, Any]:
    path = root / SELECTORS
    saw(path)
    if not path.is_file():
        return {}
    try:
        tree = parse(read_text(path, SELECTORS, notes), SELECTORS, notes.duplicate_key)
    except TransformError as error:
        notes.mistakes.append(error)
        return {}
    selectors = child(tree, "selectors")
    entries = selectors.plain() if selectors is not None and selectors.is_list else []
    return {
        str(entry["name"]): entry
        for entry in entries
        if isinstance(entry, dict) and entry.get("name")
    }
