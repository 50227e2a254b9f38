"""The nodes of one package: files, configuration trees and property files combined."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from transformer.errors import Where
from transformer.project.dbt import functions
from transformer.project.dbt.blocks import JinjaBlock, blocks, may_call, sets_enabled
from transformer.project.dbt.checks import check_config, model_subject
from transformer.project.dbt.configs import merge_layers, options, watch_spelling
from transformer.project.dbt.described import DescriptionReader
from transformer.project.dbt.files import PackageFile, digest
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.properties import PackageProperties, PropertyEntry
from transformer.project.dbt.versions import ModelVersion, by_stem
from transformer.project.dbt.words import ReadingNotes, as_flag
from transformer.project.values import (
    NOTHING,
    Described,
    MacroFile,
    Model,
    Seed,
    Snapshot,
    SqlCheck,
)

_OTHER_FOLDERS = ("generic", "fixtures")


class PackageNodes(Struct):
    """The nodes of a package. `disabled` are (kind, name) of disabled nodes."""

    models: list[Model] = field(default_factory=list)
    seeds: list[Seed] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    analyses: list[Model] = field(default_factory=list)
    sql_checks: list[SqlCheck] = field(default_factory=list)
    disabled: list[tuple[str, str]] = field(default_factory=list)

    def enabled(self, kind: str) -> set[str]:
        """The names of the enabled nodes of a kind."""
        nodes: dict[str, list[Any]] = {
            "model": self.models,
            "seed": self.seeds,
            "snapshot": self.snapshots,
        }
        return {node.name for node in nodes[kind]}


class _NodePatch(Struct, frozen=True):
    """A node's configuration and description apart from its own text. `stays`: it is enabled, or
    its text may enable it."""

    config: Mapping[str, Any]
    over: Mapping[str, Any]
    described: Described
    stays: bool


def macro_files(project: ProjectFile) -> Iterator[MacroFile]:
    """The macro files, generic tests included."""
    generic = tuple(f"{path}/generic" for path in project.paths["tests"])
    for file in project.home.find((*project.paths["macros"], *generic), ".sql"):
        yield MacroFile(file.shown, project.home.read(file), project.package)


class NodeReader(Struct, frozen=True):
    """Reads the nodes of one package."""

    project: ProjectFile
    root: ProjectFile
    describer: DescriptionReader
    properties: PackageProperties
    # Macros that may enable or disable a node.
    switches: frozenset[str] = frozenset()

    @property
    def notes(self) -> ReadingNotes:
        """Collects mistakes and notices."""
        return self.project.home.notes

    def read(self) -> PackageNodes:
        """Every node of the package."""
        nodes = PackageNodes()
        self._models(nodes)
        self._functions(nodes)
        self._seeds(nodes)
        self._snapshots(nodes)
        self._sql_checks(nodes)
        self._analyses(nodes)
        return nodes

    def _models(self, nodes: PackageNodes) -> None:
        entries = self.properties.by_name("model")
        files = self._find("models", ".sql", ".py")
        versioned = by_stem(entries, frozenset(file.stem for file in files))
        for file in files:
            text = self.project.home.read(file)
            version = versioned.get(file.stem)
            if text.strip() and not self._blocks(nodes, file, text):
                entry = version.entry if version else entries.get(file.stem)
                self._model(nodes, (file, text), entry, version)

    def _model(
        self,
        nodes: PackageNodes,
        source: tuple[PackageFile, str],
        entry: PropertyEntry | None,
        version: ModelVersion | None = None,
    ) -> None:
        file, text = source
        name = version.name if version else file.stem
        fqn = (*file.folders, name, *([f"v{version.version}"] if version else ()))
        is_python = file.shown.endswith(".py")
        patch = self._patch("models", fqn, entry, text, version)
        if not patch.stays:
            nodes.disabled.append(("model", name))
            return
        language: Literal["sql", "python"] = "python" if is_python else "sql"
        nodes.models.append(
            Model(
                name=name,
                path=file.shown,
                text=text,
                language=language,
                config=self._python_config(patch.config, entry) if is_python else patch.config,
                described=patch.described,
                package=self.project.package,
                fqn=fqn,
                version=version.version if version else None,
                latest=version.latest if version else True,
                over=patch.over,
            )
        )

    def _python_config(
        self, config: Mapping[str, Any], entry: PropertyEntry | None
    ) -> Mapping[str, Any]:
        """The configuration of a Python model, whose materialization ignores folders."""
        written = self.describer.config(entry.item) if entry else {}
        return {**config, "materialized": written.get("materialized") or "table"}

    def _functions(self, nodes: PackageNodes) -> None:
        entries = self.properties.by_name("function")
        for file in self._find("functions", *functions.ENDINGS):
            entry = entries.get(file.stem)
            if entry is None or not functions.is_sql(file):
                self.notes.mistakes.append(functions.mistake(file))
                continue
            fqn = (*file.folders, file.stem)
            text = self.project.home.read(file)
            patch = self._patch("functions", fqn, entry, text)
            if patch.stays:
                nodes.models.append(
                    Model(
                        name=file.stem,
                        path=file.shown,
                        text=text,
                        config={**patch.config, **functions.signature(entry.item)},
                        described=patch.described,
                        package=self.project.package,
                        fqn=fqn,
                        over=patch.over,
                        resource="function",
                    )
                )

    def _patch(
        self,
        tree: str,
        fqn: tuple[str, ...],
        entry: PropertyEntry | None,
        text: str = "",
        version: ModelVersion | None = None,
    ) -> _NodePatch:
        """Configuration by folder, then by property file; the root project's overrides both.

        A disabled node stays if its own text may enable it again.
        """
        path = (self.project.name, *fqn)
        config = options(self.project.tree(tree), path)
        over = options(self.root.tree(tree), path) if self.project.package else {}
        if entry is not None:
            config_in_yaml = self.describer.config(entry.item)
            self._watch(config_in_yaml, entry)
            config = merge_layers(config, config_in_yaml)
        if version is not None:
            config.setdefault("alias", version.alias)
        stays = as_flag({**config, **over}.get("enabled")) or (
            self._may_switch(text) and "enabled" not in over
        )
        described = NOTHING
        if entry is not None and stays:
            subject = model_subject(entry.name, version.version if version else None)
            described = self.describer.described(entry.item, subject, entry.file)
        return _NodePatch(config, over, described, stays)

    def _may_switch(self, text: str) -> bool:
        return sets_enabled(text) or may_call(text, self.switches)

    def _watch(self, config: Mapping[str, Any], entry: PropertyEntry) -> None:
        if not self.project.package:
            watch_spelling(list(config), f"`{entry.file.shown}`", self.notes)

    def _seeds(self, nodes: PackageNodes) -> None:
        entries = self.properties.by_name("seed")
        for file in self._find("seeds", ".csv"):
            fqn = (*file.folders, file.stem)
            patch = self._patch("seeds", fqn, entries.get(file.stem))
            if not patch.stays:
                nodes.disabled.append(("seed", file.stem))
                continue
            config = merge_layers(patch.config, patch.over)
            nodes.seeds.append(
                Seed(
                    file.stem,
                    file.shown,
                    digest(file, self.notes),
                    config,
                    patch.described,
                    self.project.package,
                    fqn,
                    plain_types=True,
                )
            )

    def _snapshots(self, nodes: PackageNodes) -> None:
        for file in self._find("snapshots", ".sql"):
            self._blocks(nodes, file, self.project.home.read(file))
        for entry in self.properties.of("snapshot"):
            relation = entry.get("relation")
            if relation is not None:
                fqn = (*entry.file.folders, entry.name)
                fields = {"relation": str(relation.value), "where": entry.where, "fqn": fqn}
                self._snapshot(nodes, entry.name, self._patch("snapshots", fqn, entry), fields)

    def _blocks(self, nodes: PackageNodes, file: PackageFile, text: str) -> bool:
        """Adds the snapshot blocks of a file; returns whether there are any."""
        snapshot_blocks = list(blocks(text, "snapshot"))
        entries = self.properties.by_name("snapshot")
        for block in snapshot_blocks:
            fqn = (*file.folders, file.stem, block.name)
            patch = self._patch("snapshots", fqn, entries.get(block.name), block.body)
            where = _block_place(file, text, block)
            fields = {"relation": "", "where": where, "fqn": fqn, "text": block.placed}
            self._snapshot(nodes, block.name, patch, fields)
        return bool(snapshot_blocks)

    def _snapshot(
        self, nodes: PackageNodes, name: str, patch: _NodePatch, fields: Mapping[str, Any]
    ) -> None:
        if not patch.stays:
            nodes.disabled.append(("snapshot", name))
            return
        nodes.snapshots.append(
            Snapshot(
                name=name,
                config=patch.config,
                described=patch.described,
                package=self.project.package,
                over=patch.over,
                **fields,
            )
        )

    def _sql_checks(self, nodes: PackageNodes) -> None:
        entries = self.properties.by_name("test")
        for file in self._find("tests", ".sql"):
            if file.folders[:1] and file.folders[0] in _OTHER_FOLDERS:
                continue
            fqn = (*file.folders, file.stem)
            entry = entries.get(file.stem)
            text = self.project.home.read(file)
            patch = self._patch("tests", fqn, entry, text)
            if not text.strip() or not patch.stays:
                continue
            nodes.sql_checks.append(
                SqlCheck(
                    file.stem,
                    file.shown,
                    text,
                    check_config(merge_layers(patch.config, patch.over)),
                    self.project.package,
                    fqn,
                    patch.described,
                    frozenset(patch.over),
                )
            )

    def _analyses(self, nodes: PackageNodes) -> None:
        entries = self.properties.by_name("analysis")
        for file in self._find("analyses", ".sql"):
            fqn = ("analysis", *file.folders, file.stem)
            patch = self._patch("analyses", fqn, entries.get(file.stem))
            if patch.stays:
                nodes.analyses.append(
                    Model(
                        name=file.stem,
                        path=file.shown,
                        text=self.project.home.read(file),
                        config=patch.config,
                        described=patch.described,
                        package=self.project.package,
                        fqn=fqn,
                        resource="analysis",
                    )
                )

    def _find(self, kind: str, *endings: str) -> list[PackageFile]:
        return self.project.home.find(self.project.paths[kind], *endings)


def _block_place(file: PackageFile, text: str, block: JinjaBlock) -> Where:
    match = re.search(rf"snapshot\s+({re.escape(block.name)})\b", text)
    if match is None:
        return Where(file.shown, block.line)
    start = match.start(1)
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    return Where.in_text(file.shown, text, line, column, len(block.name))
