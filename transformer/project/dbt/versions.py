"""Models that have several versions: which file is which, and what is said of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from transformer.project.dbt.properties import PropertyEntry
from transformer.project.dbt.words import child
from transformer.project.tree import YamlItem

_OWN = ("description", "data_tests", "tests", "constraints", "docs", "access")


class ModelVersion(Struct, frozen=True):
    """One version of a model: its entry as it holds for this version, and its file's name."""

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
    """The versions that an entry lists; none where it lists none."""
    listed = entry.get("versions")
    items = [each for each in (listed.value if listed and listed.is_list else ()) if each.is_map]
    named = [(str(each.value["v"][1].value), each) for each in items if "v" in each.value]
    if not named:
        return
    written = entry.get("latest_version")
    latest = str(written.value) if written else max((v for v, _ in named), key=_order)
    for version, item in named:
        yield ModelVersion(
            name=entry.name,
            version=version,
            latest=version == latest,
            entry=_entry(entry, item, _written(named, latest)),
            stems=_stems(entry.name, version, item, latest=version == latest),
        )


def by_stem(entries: Mapping[str, PropertyEntry], stems: frozenset[str]) -> dict[str, ModelVersion]:
    """Which of the files, by their names, hold a version of a model."""
    found: dict[str, ModelVersion] = {}
    for entry in entries.values():
        for version in versions(entry):
            stem = next((each for each in version.stems if each in stems), None)
            if stem is not None:
                found.setdefault(stem, version)
    return found


def _stems(name: str, version: str, item: YamlItem, *, latest: bool) -> tuple[str, ...]:
    written = child(item, "defined_in")
    defined = str(written.value) if written else ""
    stems = (defined, defined.removesuffix(".sql").removesuffix(".py"))
    plain = (f"{name}_v{version}", f"{name}.v{version}")
    return tuple(filter(None, (*stems, *plain, name if latest else "")))


def _order(version: str) -> tuple[int, float, str]:
    try:
        return (1, float(version), "")
    except ValueError:
        return (0, 0.0, version)


def _written(named: Sequence[tuple[str, YamlItem]], version: str) -> YamlItem | None:
    """A version's number as it is written: a number, or text."""
    return next((each.value["v"][1] for name, each in named if name == version), None)


def _entry(entry: PropertyEntry, item: YamlItem, latest: YamlItem | None) -> PropertyEntry:
    """The entry with what the version says of itself laid over it."""
    merged = {key: each for key, each in entry.item.value.items() if key != "versions"}
    merged["version"] = item.value["v"]
    if latest is not None:
        merged["latest_version"] = (latest.where, latest)
    merged.pop("deprecation_date", None)  # each version has its own, or none
    for key in (*_OWN, "deprecation_date"):
        if key in item.value:
            for same in ("data_tests", "tests") if key.endswith("tests") else (key,):
                merged.pop(same, None)
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
    """The version's columns: `include` takes in the model's, without those of `exclude`."""
    named = [each for each in own.value if each.is_map and "include" not in each.value]
    rule = next((each for each in own.value if each.is_map and "include" in each.value), None)
    if rule is None:
        return YamlItem(tuple(named), own.where)
    include, exclude = (child(rule, key) for key in ("include", "exclude"))
    wanted = include.plain() if include else []
    left = {str(each) for each in (exclude.plain() if exclude else None) or ()}
    left |= {str(each.value["name"][1].value) for each in named if "name" in each.value}
    taken = [
        each
        for each in (shared.value if shared is not None and shared.is_list else ())
        if each.is_map and "name" in each.value
        and (wanted in ("all", "*") or str(each.value["name"][1].value) in wanted)
        and str(each.value["name"][1].value) not in left
    ]  # fmt: skip
    return YamlItem((*taken, *named), own.where)
