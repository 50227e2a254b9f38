"""Model versions: their files, and their properties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from transformer.project.dbt.properties import PropertyEntry
from transformer.project.dbt.words import child
from transformer.project.tree import YamlItem

_PER_VERSION = ("description", "data_tests", "tests", "constraints", "docs", "access")


class ModelVersion(Struct, frozen=True):
    """One version of a model: its merged entry, and the possible names of its file."""

    name: str
    version: str
    latest: bool
    entry: PropertyEntry
    stems: tuple[str, ...]

    @property
    def alias(self) -> str:
        """The name of its table."""
        return f"{self.name}_v{self.version.replace('.', '_')}"


def versions(entry: PropertyEntry) -> Iterator[ModelVersion]:
    """The versions listed in an entry, if any."""
    versions_item = entry.get("versions")
    items = [
        item
        for item in (versions_item.value if versions_item and versions_item.is_list else ())
        if item.is_map
    ]
    by_version = [(str(item.value["v"][1].value), item) for item in items if "v" in item.value]
    if not by_version:
        return
    written = entry.get("latest_version")
    latest = (
        str(written.value) if written else max((version for version, _ in by_version), key=_order)
    )
    for version, item in by_version:
        yield ModelVersion(
            name=entry.name,
            version=version,
            latest=version == latest,
            entry=_entry(entry, item, _number_item(by_version, latest)),
            stems=_stems(entry.name, version, item, latest=version == latest),
        )


def by_stem(entries: Mapping[str, PropertyEntry], stems: frozenset[str]) -> dict[str, ModelVersion]:
    """The model version of each file that holds one, by the file's stem."""
    versions_by_stem: dict[str, ModelVersion] = {}
    for entry in entries.values():
        for version in versions(entry):
            stem = next((stem for stem in version.stems if stem in stems), None)
            if stem is not None:
                versions_by_stem.setdefault(stem, version)
    return versions_by_stem


def _stems(name: str, version: str, item: YamlItem, *, latest: bool) -> tuple[str, ...]:
    file_item = child(item, "defined_in")
    file_name = str(file_item.value) if file_item else ""
    stems = (file_name, file_name.removesuffix(".sql").removesuffix(".py"))
    default_stems = (f"{name}_v{version}", f"{name}.v{version}")
    return tuple(filter(None, (*stems, *default_stems, name if latest else "")))


def _order(version: str) -> tuple[int, float, str]:
    try:
        return (1, float(version), "")
    except ValueError:
        return (0, 0.0, version)


def _number_item(by_version: Sequence[tuple[str, YamlItem]], version: str) -> YamlItem | None:
    """A version's number as written: a number, or text."""
    return next((item.value["v"][1] for number, item in by_version if number == version), None)


def _entry(entry: PropertyEntry, item: YamlItem, latest: YamlItem | None) -> PropertyEntry:
    """The entry with the version's own keys merged over it."""
    merged = {key: value for key, value in entry.item.value.items() if key != "versions"}
    merged["version"] = item.value["v"]
    if latest is not None:
        merged["latest_version"] = (latest.where, latest)
    merged.pop("deprecation_date", None)  # each version has its own, or none
    for key in (*_PER_VERSION, "deprecation_date"):
        if key in item.value:
            for synonym in ("data_tests", "tests") if key.endswith("tests") else (key,):
                merged.pop(synonym, None)
            merged[key] = item.value[key]
    config = _united(child(entry.item, "config"), child(item, "config"))
    if config is not None:
        merged["config"] = (config.where, config)
    columns = child(item, "columns")
    if columns is not None and columns.is_list:
        merged["columns"] = (columns.where, _columns(child(entry.item, "columns"), columns))
    return PropertyEntry(
        entry.kind, entry.name, YamlItem(merged, entry.item.where), entry.where, entry.file
    )


def _united(lower: YamlItem | None, upper: YamlItem | None) -> YamlItem | None:
    if lower is None or upper is None or not lower.is_map or not upper.is_map:
        return upper or lower
    return YamlItem({**lower.value, **upper.value}, upper.where)


def _columns(shared: YamlItem | None, own: YamlItem) -> YamlItem:
    """The version's columns: `include` adds the model's, except those in `exclude`."""
    columns = [column for column in own.value if column.is_map and "include" not in column.value]
    rule = next(
        (column for column in own.value if column.is_map and "include" in column.value), None
    )
    if rule is None:
        return YamlItem(tuple(columns), own.where)
    include, exclude = (child(rule, key) for key in ("include", "exclude"))
    included = include.plain() if include else []
    excluded = {str(column) for column in (exclude.plain() if exclude else None) or ()}
    excluded |= {str(column.value["name"][1].value) for column in columns if "name" in column.value}
    inherited = [
        column
        for column in (shared.value if shared is not None and shared.is_list else ())
        if column.is_map and "name" in column.value
        and (included in ("all", "*") or str(column.value["name"][1].value) in included)
        and str(column.value["name"][1].value) not in excluded
    ]  # fmt: skip
    return YamlItem((*inherited, *columns), own.where)
