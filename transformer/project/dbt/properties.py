"""The property files of a package: unrendered entries by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from transformer.errors import TransformError, Where, did_you_mean
from transformer.project.dbt.files import PackageFile
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.words import ReadingNotes, child
from transformer.project.tree import YamlItem, parse

KINDS: Mapping[str, str] = {
    "models": "model",
    "seeds": "seed",
    "snapshots": "snapshot",
    "sources": "source",
    "macros": "macro",
    "analyses": "analysis",
    "exposures": "exposure",
    "groups": "group",
    "metrics": "metric",
    "semantic_models": "semantic_model",
    "saved_queries": "saved_query",
    "unit_tests": "unit_test",
    "functions": "function",
    "data_tests": "test",
    "tests": "test",
}
_IGNORED = ("version", "anchors")
_WITH_FILE = ("model", "seed", "snapshot", "analysis", "test")
_NAMELESS = ("saved_query", "metric", "semantic_model")


class PropertyEntry(Struct, frozen=True):
    """One entry of a property file: a kind, a name, and its content."""

    kind: str
    name: str
    item: YamlItem
    where: Where
    file: PackageFile

    def get(self, *keys: str) -> YamlItem | None:
        """The value of the first of the keys that is present."""
        return child(self.item, *keys)


class PackageProperties(Struct):
    """All entries of a package's property files, in the order of the files."""

    entries: dict[str, list[PropertyEntry]] = field(default_factory=dict)
    named: dict[str, dict[str, PropertyEntry]] = field(default_factory=dict)

    def of(self, kind: str) -> list[PropertyEntry]:
        """The entries of a kind."""
        return self.entries.get(kind, [])

    def by_name(self, kind: str) -> dict[str, PropertyEntry]:
        """The first entry of each name of a kind."""
        return self.named.get(kind, {})

    def take(self, entry: PropertyEntry, notes: ReadingNotes) -> None:
        """Adds an entry; a second entry for the same file is a mistake."""
        self.entries.setdefault(entry.kind, []).append(entry)
        first = self.named.setdefault(entry.kind, {}).setdefault(entry.name, entry)
        if first is not entry and entry.kind in _WITH_FILE:
            notes.mistake(
                f"the {entry.kind} `{entry.name}` is described twice",
                entry.where,
                hint=f"the first is at {first.where}",
            )


def read_properties(project: ProjectFile) -> PackageProperties:
    """All entries in the property files of a project or package."""
    properties = PackageProperties()
    notes = project.home.notes
    for file in project.home.find(project.every_folder, ".yml", ".yaml"):
        try:
            tree = parse(project.home.read(file), file.shown, notes.duplicate_key)
        except TransformError as error:
            notes.mistakes.append(error)
            continue
        for entry in _entries(tree, file, notes):
            properties.take(entry, notes)
    return properties


def _entries(tree: YamlItem, file: PackageFile, notes: ReadingNotes) -> Iterator[PropertyEntry]:
    if not tree.is_map:
        if tree.value is not None:
            notes.mistake("a property file must be a mapping", tree.where, "begin with `models:`")
        return
    for key, where, listed in tree.entries():
        if key in KINDS:
            yield from _listed(KINDS[key], key, listed, file, notes)
        elif key not in _IGNORED:
            hint = did_you_mean(key, KINDS, otherwise="")
            message = f"`{key}:` is not a known key of property files ({where})"
            notes.say(f"{message}; {hint}" if hint else message, about=key)


def _listed(
    kind: str, key: str, listed: YamlItem, file: PackageFile, notes: ReadingNotes
) -> Iterator[PropertyEntry]:
    if listed.value is None:
        return
    if not listed.is_list:
        notes.mistake(f"`{key}` must be a list", listed.where, "each entry begins with `- name: …`")
        return
    for item in listed.value:
        name = child(item, "name")
        if name is None or name.value is None:
            if item.value is not None and kind not in _NAMELESS:
                notes.mistake(f"an entry of `{key}` has no `name`", item.where, "add `name:`")
            continue
        yield PropertyEntry(kind, str(name.value), item, name.where, file)
