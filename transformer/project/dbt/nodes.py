"""The nodes of one package: files, trees and property files joined into values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from transformer.errors import Where
from transformer.project.dbt import functions
from transformer.project.dbt.blocks import JinjaBlock, blocks, calls, sets_enabled
from transformer.project.dbt.checks import check_config, model_subject
from transformer.project.dbt.configs import options, united, watch_spelling
from transformer.project.dbt.described import DescriptionReader
from transformer.project.dbt.files import PackageFile, digest
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.properties import PackageProperties, PropertyEntry
from transformer.project.dbt.versions import ModelVersion, by_stem
from transformer.project.dbt.words import ReadingNotes, truth
from transformer.project.values import (
    NOTHING,
    Described,
    MacroFile,
    Model,
    Seed,
    Snapshot,
    SqlCheck,
)

_APART = ("generic", "fixtures")


class PackageNodes(Struct):
    """What a package holds. `off` are the names of nodes that are switched off, by kind."""

    models: list[Model] = field(default_factory=list)
    seeds: list[Seed] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    analyses: list[Model] = field(default_factory=list)
    sql_checks: list[SqlCheck] = field(default_factory=list)
    off: list[tuple[str, str]] = field(default_factory=list)

    def enabled(self, kind: str) -> set[str]:
        """The names of the nodes of a kind that are not switched off."""
        found: dict[str, list[Any]] = {
            "model": self.models,
            "seed": self.seeds,
            "snapshot": self.snapshots,
        }
        return {node.name for node in found[kind]}


class _Said(Struct, frozen=True):
    """What is known of a node before its own text: configuration and description, and whether it
    is switched on, or may be by its own text."""

    config: Mapping[str, Any]
    over: Mapping[str, Any]
    described: Described
    stays: bool


def macro_files(project: ProjectFile) -> Iterator[MacroFile]:
    """The files of macros, the tests that are written as macros among them."""
    generic = tuple(f"{path}/generic" for path in project.paths["tests"])
    for file in project.home.find((*project.paths["macros"], *generic), ".sql"):
        yield MacroFile(file.shown, project.home.read(file), project.package)


class NodeReader(Struct, frozen=True):
    """Reads the nodes of one package."""

    project: ProjectFile
    root: ProjectFile
    describer: DescriptionReader
    properties: PackageProperties
    # The macros that may switch a node on or off.
    switches: frozenset[str] = frozenset()

    @property
    def notes(self) -> ReadingNotes:
        """Where mistakes go."""
        return self.project.home.notes

    def read(self) -> PackageNodes:
        """Every node of the package."""
        made = PackageNodes()
        self._models(made)
        self._functions(made)
        self._seeds(made)
        self._snapshots(made)
        self._sql_checks(made)
        self._analyses(made)
        return made

    def _models(self, made: PackageNodes) -> None:
        entries = self.properties.by_name("model")
        files = self._find("models", ".sql", ".py")
        versioned = by_stem(entries, frozenset(file.stem for file in files))
        for file in files:
            text = self.project.home.read(file)
            version = versioned.get(file.stem)
            if text.strip() and not self._blocks(made, file, text):
                entry = version.entry if version else entries.get(file.stem)
                self._model(made, (file, text), entry, version)

    def _model(
        self,
        made: PackageNodes,
        found: tuple[PackageFile, str],
        entry: PropertyEntry | None,
        version: ModelVersion | None = None,
    ) -> None:
        file, text = found
        name = version.name if version else file.stem
        fqn = (*file.folders, name, *([f"v{version.version}"] if version else ()))
        python = file.shown.endswith(".py")
        said = self._said("models", fqn, entry, text, version)
        if not said.stays:
            made.off.append(("model", name))
            return
        language: Literal["sql", "python"] = "python" if python else "sql"
        made.models.append(
            Model(
                name=name,
                path=file.shown,
                text=text,
                language=language,
                config=self._of_python(said.config, entry) if python else said.config,
                described=said.described,
                package=self.project.package,
                fqn=fqn,
                version=version.version if version else None,
                latest=version.latest if version else True,
                over=said.over,
            )
        )

    def _of_python(
        self, config: Mapping[str, Any], entry: PropertyEntry | None
    ) -> Mapping[str, Any]:
        """The configuration of a Python model: folders do not say how it is materialized."""
        written = self.describer.config(entry.item) if entry else {}
        return {**config, "materialized": written.get("materialized") or "table"}

    def _functions(self, made: PackageNodes) -> None:
        entries = self.properties.by_name("function")
        for file in self._find("functions", *functions.ENDINGS):
            entry = entries.get(file.stem)
            if entry is None or not functions.is_sql(file):
                self.notes.mistakes.append(functions.mistake(file))
                continue
            fqn = (*file.folders, file.stem)
            text = self.project.home.read(file)
            said = self._said("functions", fqn, entry, text)
            if said.stays:
                made.models.append(
                    Model(
                        name=file.stem,
                        path=file.shown,
                        text=text,
                        config={**said.config, **functions.signature(entry.item)},
                        described=said.described,
                        package=self.project.package,
                        fqn=fqn,
                        over=said.over,
                        resource="function",
                    )
                )

    def _said(
        self,
        tree: str,
        fqn: tuple[str, ...],
        entry: PropertyEntry | None,
        text: str = "",
        version: ModelVersion | None = None,
    ) -> _Said:
        """Configuration by folder, then by property file; the root's own beats all of it.

        What is switched off stays when its own text may switch it on again.
        """
        path = (self.project.name, *fqn)
        config = options(self.project.tree(tree), path)
        over = options(self.root.tree(tree), path) if self.project.package else {}
        if entry is not None:
            written = self.describer.config(entry.item)
            self._watch(written, entry)
            config = united(config, written)
        if version is not None:
            config.setdefault("alias", version.alias)
        stays = truth({**config, **over}.get("enabled")) or (
            self._switches(text) and "enabled" not in over
        )
        described = NOTHING
        if entry is not None and stays:
            subject = model_subject(entry.name, version.version if version else None)
            described = self.describer.described(entry.item, subject, entry.file)
        return _Said(config, over, described, stays)

    def _switches(self, text: str) -> bool:
        return sets_enabled(text) or calls(text, self.switches)

    def _watch(self, config: Mapping[str, Any], entry: PropertyEntry) -> None:
        if not self.project.package:
            watch_spelling(list(config), f"`{entry.file.shown}`", self.notes)

    def _seeds(self, made: PackageNodes) -> None:
        entries = self.properties.by_name("seed")
        for file in self._find("seeds", ".csv"):
            fqn = (*file.folders, file.stem)
            said = self._said("seeds", fqn, entries.get(file.stem))
            if not said.stays:
                made.off.append(("seed", file.stem))
                continue
            config = united(said.config, said.over)
            made.seeds.append(
                Seed(
                    file.stem,
                    file.shown,
                    digest(file, self.notes),
                    config,
                    said.described,
                    self.project.package,
                    fqn,
                    plain_types=True,
                )
            )

    def _snapshots(self, made: PackageNodes) -> None:
        for file in self._find("snapshots", ".sql"):
            self._blocks(made, file, self.project.home.read(file))
        for entry in self.properties.of("snapshot"):
            relation = entry.get("relation")
            if relation is not None:
                fqn = (*entry.file.folders, entry.name)
                rest = {"relation": str(relation.value), "where": entry.where, "fqn": fqn}
                self._snapshot(made, entry.name, self._said("snapshots", fqn, entry), rest)

    def _blocks(self, made: PackageNodes, file: PackageFile, text: str) -> bool:
        """Takes in the snapshots of a file; whether there are any."""
        found = list(blocks(text, "snapshot"))
        entries = self.properties.by_name("snapshot")
        for block in found:
            fqn = (*file.folders, file.stem, block.name)
            said = self._said("snapshots", fqn, entries.get(block.name), block.body)
            where = _block_place(file, text, block)
            rest = {"relation": "", "where": where, "fqn": fqn, "text": block.placed}
            self._snapshot(made, block.name, said, rest)
        return bool(found)

    def _snapshot(
        self, made: PackageNodes, name: str, said: _Said, rest: Mapping[str, Any]
    ) -> None:
        if not said.stays:
            made.off.append(("snapshot", name))
            return
        made.snapshots.append(
            Snapshot(
                name=name,
                config=said.config,
                described=said.described,
                package=self.project.package,
                over=said.over,
                **rest,
            )
        )

    def _sql_checks(self, made: PackageNodes) -> None:
        entries = self.properties.by_name("test")
        for file in self._find("tests", ".sql"):
            if file.folders[:1] and file.folders[0] in _APART:
                continue
            fqn = (*file.folders, file.stem)
            entry = entries.get(file.stem)
            text = self.project.home.read(file)
            said = self._said("tests", fqn, entry, text)
            if not text.strip() or not said.stays:
                continue
            made.sql_checks.append(
                SqlCheck(
                    file.stem,
                    file.shown,
                    text,
                    check_config(united(said.config, said.over)),
                    self.project.package,
                    fqn,
                    said.described,
                    frozenset(said.over),
                )
            )

    def _analyses(self, made: PackageNodes) -> None:
        entries = self.properties.by_name("analysis")
        for file in self._find("analyses", ".sql"):
            fqn = ("analysis", *file.folders, file.stem)
            said = self._said("analyses", fqn, entries.get(file.stem))
            if said.stays:
                made.analyses.append(
                    Model(
                        name=file.stem,
                        path=file.shown,
                        text=self.project.home.read(file),
                        config=said.config,
                        described=said.described,
                        package=self.project.package,
                        fqn=fqn,
                        resource="analysis",
                    )
                )

    def _find(self, kind: str, *endings: str) -> list[PackageFile]:
        return self.project.home.find(self.project.paths[kind], *endings)


def _block_place(file: PackageFile, text: str, block: JinjaBlock) -> Where:
    found = re.search(rf"snapshot\s+({re.escape(block.name)})\b", text)
    if found is None:
        return Where(file.shown, block.line)
    start = found.start(1)
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    return Where.in_text(file.shown, text, line, column, len(block.name))
