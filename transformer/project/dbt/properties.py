"""The property files of a package: what they say of nodes, by kind, still as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from transformer.errors import TransformError, Where, did_you_mean
from transformer.project.dbt.files import File
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.words import Notes, child
from transformer.project.tree import Item, parse

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
_SILENT = ("version", "anchors")
_FILES = ("model", "seed", "snapshot", "analysis", "test")
_NAMELESS = ("saved_query", "metric", "semantic_model")


class Entry(Struct, frozen=True):
    """One entry of a property file: a kind, a name, and what is written below."""

    kind: str
    name: str
    item: Item
    where: Where
    file: File

    def get(self, *keys: str) -> Item | None:
        """What stands under the first of the keys that is there."""
        return child(self.item, *keys)


class Properties(Struct):
    """All entries of a package's property files, in the order of the files."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    named: dict[str, dict[str, Entry]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Entry]:
        """The entries of a kind."""
        return self.entries.get(kind, [])

    def by_name(self, kind: str) -> dict[str, Entry]:
        """The entries of a kind that belong to files, by name."""
        return self.named.get(kind, {})

    def take(self, entry: Entry, notes: Notes) -> None:
        """Takes in an entry; a file that is described twice is a mistake."""
        self.entries.setdefault(entry.kind, []).append(entry)
        first = self.named.setdefault(entry.kind, {}).setdefault(entry.name, entry)
        if first is not entry and entry.kind in _FILES:
            notes.mistake(
                f"the {entry.kind} `{entry.name}` is described twice",
                entry.where,
                hint=f"the first is at {first.where}",
            )


def read_properties(project: ProjectFile) -> Properties:
    """Everything in the property files of a project or package."""
    made = Properties()
    notes = project.home.notes
    for file in project.home.find(project.every_folder, ".yml", ".yaml"):
        try:
            tree = parse(project.home.read(file), file.shown, notes.twice)
        except TransformError as error:
            notes.mistakes.append(error)
            continue
        for entry in _entries(tree, file, notes):
            made.take(entry, notes)
    return made


def _entries(tree: Item, file: File, notes: Notes) -> Iterator[Entry]:
    if not tree.is_map:
        if tree.value is not None:
            notes.mistake("a property file is a mapping", tree.where, "begin with `models:`")
        return
    for key, where, listed in tree.entries():
        if key in KINDS:
            yield from _listed(KINDS[key], key, listed, file, notes)
        elif key not in _SILENT:
            near = did_you_mean(key, KINDS, otherwise="")
            said = f"`{key}:` means nothing in property files ({where})"
            notes.say(f"{said}; {near}" if near else said, about=key)


def _listed(kind: str, key: str, listed: Item, file: File, notes: Notes) -> Iterator[Entry]:
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
        yield Entry(kind, str(name.value), item, name.where, file)
