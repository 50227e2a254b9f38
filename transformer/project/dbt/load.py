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
from transformer.project.dbt.configs import cleaned, options, united
from transformer.project.dbt.described import DescriptionReader, every_check, with_checks
from transformer.project.dbt.docs import DocBlocks
from transformer.project.dbt.files import PackageHome, read_text
from transformer.project.dbt.fixtures import misshapen, with_fixtures
from transformer.project.dbt.nodes import NodeReader, PackageNodes, macro_files
from transformer.project.dbt.packages import INSTALLED, find_packages
from transformer.project.dbt.projectfile import FILE, ProjectFile, read_project, visible
from transformer.project.dbt.properties import PackageProperties, PropertyEntry, read_properties
from transformer.project.dbt.sources import SourceReader
from transformer.project.dbt.words import (
    LATER,
    ReadingNotes,
    Render,
    VarLookup,
    YamlRenderer,
    child,
    mapping,
    texts,
    truth,
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
_KEPT = (
    *("macro", "exposure", "group", "metric", "semantic_model"),
    *("saved_query", "unit_test"),
)
# What MetricFlow fills in.
_QUERIES = frozenset(("filter", "where"))
_SWITCHED = {
    "exposure": "exposures",
    "metric": "metrics",
    "semantic_model": "semantic_models",
    "saved_query": "saved_queries",
    "unit_test": "unit_tests",
}


@dataclass(frozen=True, slots=True)
class DbtRequest:
    """What the command line and the environment say of the project."""

    root: Path
    target: str | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    profiles_dir: Path | None = None
    profile: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    threads: int | None = None


def load_dbt_project(request: DbtRequest, render: Render, connecting: Render) -> Project:
    """The dbt project in `request.root`. Its mistakes are in the value; none of them is raised.
    `connecting` renders what may hold a secret, `render` all else, as with dbt.

    Raises UsageError when there is no such profile, target or adapter, Mistakes when
    `dbt_project.yml` cannot be read at all.
    """
    notes = ReadingNotes()
    root = request.root
    raw = projectfile.read_raw(root, FILE)
    given = {**projectfile.read_vars(root, projectfile.VARS, notes), **request.vars}
    words = YamlRenderer(render, notes, connecting=connecting).with_filled(given)
    target = _target(request, raw, words)
    words = words.with_filled(given, target=dict(target.words))
    project = read_project(raw, PackageHome(root, "", notes), words, is_package=False)
    folder = str(project.settings["packages-install-path"] or INSTALLED)
    packages = [
        read_project(item, home, words, is_package=True)
        for home, item in find_packages(root, folder, words)
    ]
    named = {each.name: each for each in packages if each.name != project.name}
    return _Assembly(request, target, project, tuple(named.values()), words).project()


def _target(request: DbtRequest, raw: YamlItem, words: YamlRenderer) -> Target:
    env = request.env
    written = child(raw, "profile")
    name = request.profile or env.get("DBT_PROFILE") or (words.scalar(written) if written else None)
    if not name:
        raise UsageError(
            f"`{FILE}` names no `profile`", raw.where, hint="add `profile:`, or use --profile"
        )
    folders = profile.folders(request.root, request.profiles_dir, env)
    target = request.target or env.get("DBT_TARGET") or None
    wanted = profile.ProfileRequest(
        folders, str(name), target, request.threads, _target_path(env, raw)
    )
    return profile.read_target(wanted, words)


def _target_path(env: Mapping[str, str], raw: YamlItem) -> str:
    written = child(raw, "target-path")
    plain = str(written.value) if written and written.value else "target"
    return env.get("DBT_TARGET_PATH") or (plain if "{" not in plain else "target")


class _Part(Struct):
    """A package while it is read."""

    file: ProjectFile
    words: YamlRenderer
    describer: DescriptionReader
    properties: PackageProperties
    nodes: NodeReader
    made: PackageNodes


class _Assembly(Struct):
    """Joins the project and its packages into one value."""

    request: DbtRequest
    target: Target
    root: ProjectFile
    packages: tuple[ProjectFile, ...]
    words: YamlRenderer
    off: list[str] = []

    def project(self) -> Project:
        docs = DocBlocks(self.root.name)
        for each in (self.root, *self.packages):
            docs.read(each)
        every = (self.root, *self.packages)
        macros = tuple(file for each in every for file in macro_files(each))
        switches = macros_that({file.path: file.text for file in macros}, sets_enabled)
        parts = [self._part(each, docs, switches) for each in every]
        _attach(parts)
        notes = self.words.notes
        sources = tuple(table for part in parts for table in self._sources(part, parts))
        off = [name for part in parts for _, name in part.made.off]
        made = self._value(parts, sources, (*macros, *_builtin()))
        return replace(
            made,
            disabled=tuple(dict.fromkeys((*off, *self.off))),
            selectors=_selectors(self.request.root, notes),
            mistakes=notes.once(),
            unread=frozenset(notes.unread),
            notices=tuple(notes.said.values()),
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
            models=tuple(node for part in parts for node in part.made.models),
            seeds=tuple(node for part in parts for node in part.made.seeds),
            snapshots=tuple(node for part in parts for node in part.made.snapshots),
            sources=sources,
            sql_checks=tuple(node for part in parts for node in part.made.sql_checks),
            macros=macros,
            allowed_paths=(self.request.root.resolve().anchor,),
            vars=visible(self.root, self.root, self._given),
            packages={each.name: self._package(each) for each in self.packages},
            dispatch=self.root.dispatch,
            on_run_start=tuple(hook for each in self._last_root for hook in each.start),
            on_run_end=tuple(hook for each in self._last_root for hook in each.end),
            analyses=tuple(node for part in parts for node in part.made.analyses),
            kept=tuple(kept for part in parts for kept in _kept(part)),
            open=True,
            heading=self._heading,
            target_path=str(
                self.request.env.get("DBT_TARGET_PATH")
                or self.root.settings["target-path"]
                or "target"
            ),
            asset_paths=texts(self.root.settings["asset-paths"]),
            flags=mapping(self.root.settings["flags"]),
        )

    @property
    def _heading(self) -> str:
        count = len(self.packages)
        many = f", {count} package{'s' if count > 1 else ''}" if count else ""
        target = self.target
        return (
            f"dbt project `{self.root.name}` (profile {target.profile}, target {target.name}){many}"
        )

    @property
    def _last_root(self) -> tuple[ProjectFile, ...]:
        return (*sorted(self.packages, key=lambda each: each.name), self.root)

    @property
    def _given(self) -> Mapping[str, Any]:
        return self.request.vars

    def _package(self, file: ProjectFile) -> Package:
        return Package(
            file.name, file.home.shown, file.version, visible(file, self.root, self._given)
        )

    def _part(self, file: ProjectFile, docs: DocBlocks, switches: frozenset[str]) -> _Part:
        words = self.words.knowing(var=VarLookup(visible(file, self.root, self._given)))
        describer = DescriptionReader(
            words, docs, DbtCheckReader(file, self.root, words), file.name
        )
        properties = read_properties(file)
        nodes = NodeReader(file, self.root, describer, properties, switches)
        return _Part(file, words, describer, properties, nodes, nodes.read())

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
                    self.off.append(f"{table.source}.{table.name}")


def _overrides(entry: PropertyEntry) -> str:
    found = entry.get("overrides")
    return str(found.value) if found else ""


class _Patch(Struct, frozen=True):
    """What a property file says of a node that lies in another package, or is of another kind."""

    kind: str
    config: Mapping[str, Any]
    described: Described
    source: ProjectFile


_Patches = dict[tuple[str, str], list[_Patch]]


def _attach(parts: list[_Part]) -> None:
    """What stands under a name whose file lies elsewhere goes to the node of that name."""
    more: _Patches = {}
    for part in parts:
        for kind in ("model", "seed", "snapshot"):
            known = part.made.enabled(kind)
            for entry in part.properties.of(kind):
                if entry.name not in known:
                    _attach_entry(part, entry, parts, more)
    for part in parts:
        made = part.made
        made.models[:] = _patched("model", made.models, part, parts[0], more)
        made.seeds[:] = _patched("seed", made.seeds, part, parts[0], more)
        made.snapshots[:] = _patched("snapshot", made.snapshots, part, parts[0], more)


def _patched(
    kind: str, nodes: Iterable[Any], part: _Part, root: _Part, more: _Patches
) -> Iterator[Any]:
    """The nodes of a package with what other files say of them; a node that its own package
    describes takes in tests only, and so does one that is described as of another kind."""
    for node in list(nodes):
        made = node
        for patch in more.get((part.file.name, node.name), ()):
            if patch.kind != kind or made.described != NOTHING:
                found = tuple(every_check(patch.described))
                made = replace(made, described=with_checks(made.described, found))
                continue
            made = _configured(kind, made, patch, (part.file, root.file))
        # What a model or a snapshot says of itself in its text counts more, and is known later.
        if kind != "seed" or truth(made.config.get("enabled")):
            yield made
        else:
            part.made.off.append((kind, node.name))


def _configured(kind: str, node: Any, patch: _Patch, files: tuple[ProjectFile, ProjectFile]) -> Any:
    """The node with the configuration of a patch. As in dbt, the folders that count are those of
    the project that says it, and then those of the root."""
    home, root = files
    tree, path = f"{kind}s", (home.name, *node.fqn)
    config = united(options(patch.source.tree(tree), path), patch.config)
    over = options(root.tree(tree), path) if patch.source is not root else {}
    if kind == "seed":
        return replace(node, config=united(config, over), described=patch.described)
    return replace(node, config=config, over=over, described=patch.described)


def _attach_entry(part: _Part, entry: PropertyEntry, parts: list[_Part], more: _Patches) -> None:
    others = (each for each in parts if each is not part)
    home = next((each for each in (part, *others) if _holds(each.made, entry.name)), None)
    if home is None:
        off = any(entry.name == name for each in parts for _, name in each.made.off)
        switched = truth(part.describer.config(entry.item).get("enabled"))
        if not off and switched:
            part.words.notes.say(
                f"there is no {entry.kind} `{entry.name}`, but it is described ({entry.where})"
            )
        return
    config = part.describer.config(entry.item)
    described = part.describer.described(entry.item, model_subject(entry.name), entry.file)
    patch = _Patch(entry.kind, config, described, part.file)
    more.setdefault((home.file.name, entry.name), []).append(patch)


def _holds(made: PackageNodes, name: str) -> bool:
    return any(node.name == name for nodes in (made.models, made.seeds, made.snapshots)
               for node in nodes)  # fmt: skip


_UNIT_TEST = "write `given: [{input: ref('x'), rows: [{column: value}]}]`, and `expect: {rows: …}`"


def _kept(part: _Part) -> Iterator[ArtifactOnly]:
    for kind in _KEPT:
        for entry in part.properties.of(kind):
            fqn = (part.file.name, *entry.file.folders, entry.name)
            tree = options(part.file.tree(_SWITCHED.get(kind, "")), fqn)
            block = child(entry.item, "config")
            enabled = child(block, "enabled")
            own = {"enabled": part.words.scalar(enabled)} if enabled else {}
            if truth(united(tree, cleaned(own)).get("enabled")):
                if kind == "unit_test" and (wrong := list(misshapen(entry.item))):
                    for what, where in wrong:
                        part.words.notes.mistake(what, where, _UNIT_TEST)
                    continue
                content = _content(kind, entry.item, part.words)
                if kind == "unit_test":
                    content = with_fixtures(content, part.file, entry.where)
                yield ArtifactOnly(kind, entry.name, content, entry.where, part.file.package)


def _content(kind: str, item: YamlItem, words: YamlRenderer) -> dict[str, Any]:
    """What is written of something that is kept, its Jinja filled in where dbt does so too. All
    of a unit test but its description is: any other key may be the name of a column."""
    if kind != "unit_test":
        return mapping(words.value(item, LATER | _QUERIES))
    return {
        key: each.plain() if key == "description" else words.value(each, ())
        for key, _, each in item.entries()
    }


def _builtin() -> Iterator[MacroFile]:
    """The macros that dbt brings along."""
    for path in sorted(BUILTIN.glob("*.sql")):
        yield MacroFile(f"dbt/{path.name}", path.read_text("utf-8"), "dbt")


def _selectors(root: Path, notes: ReadingNotes) -> dict[str, Any]:
    path = root / SELECTORS
    saw(path)
    if not path.is_file():
        return {}
    try:
        tree = parse(read_text(path, SELECTORS, notes), SELECTORS, notes.twice)
    except TransformError as error:
        notes.mistakes.append(error)
        return {}
    listed = child(tree, "selectors")
    entries = listed.plain() if listed is not None and listed.is_list else []
    return {str(e["name"]): e for e in entries if isinstance(e, dict) and e.get("name")}
