"""`dbt_project.yml`, of the project itself or of a package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from transformer.errors import ConfigError, Mistakes, TransformError
from transformer.names import slug
from transformer.project.dbt.configs import tree_keys, watch_spelling
from transformer.project.dbt.files import PackageHome
from transformer.project.dbt.words import HOOKS, ReadingNotes, YamlRenderer, child, mapping, texts
from transformer.project.inputs import saw
from transformer.project.paths import unusable
from transformer.project.settings import read_file
from transformer.project.tree import YamlItem, parse
from transformer.project.values import Hook

FILE = "dbt_project.yml"
VARS = "vars.yml"
# The version of dbt whose projects are understood here.
SPOKEN = (1, 11)

# Folders by what they hold: the keys that name them, today's spelling first, and the default.
_PATHS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "models": (("model-paths", "source-paths"), ("models",)),
    "seeds": (("seed-paths", "data-paths"), ("seeds",)),
    "tests": (("test-paths",), ("tests",)),
    "macros": (("macro-paths",), ("macros",)),
    "snapshots": (("snapshot-paths",), ("snapshots",)),
    "analyses": (("analysis-paths",), ("analyses",)),
    "functions": (("function-paths",), ("functions",)),
}
# Configuration by kind of node: the keys it stands under.
_TREES: Mapping[str, tuple[str, ...]] = {
    "models": ("models",),
    "seeds": ("seeds",),
    "snapshots": ("snapshots",),
    "sources": ("sources",),
    "tests": ("data_tests", "tests"),
    "exposures": ("exposures",),
    "metrics": ("metrics",),
    "semantic_models": ("semantic-models", "semantic_models"),
    "saved_queries": ("saved-queries", "saved_queries"),
    "unit_tests": ("unit_tests", "unit-tests"),
}
_WATCHED = ("models", "seeds", "snapshots", "tests")


class ProjectFile(Struct, frozen=True):
    """One `dbt_project.yml`, read. `package` is the name, empty for the project itself."""

    name: str
    package: str
    home: PackageHome
    version: str
    paths: Mapping[str, tuple[str, ...]]
    docs: tuple[str, ...]
    vars: Mapping[str, Any]
    trees: Mapping[str, Mapping[str, Any]]
    start: tuple[Hook, ...] = ()
    end: tuple[Hook, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    dispatch: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def every_folder(self) -> tuple[str, ...]:
        """All folders that property files may lie in."""
        return tuple(dict.fromkeys(each for paths in self.paths.values() for each in paths))

    def tree(self, kind: str) -> Mapping[str, Any]:
        """The configuration tree of a kind of node."""
        return self.trees.get(kind, {})


def read_raw(root: Path, shown: str) -> YamlItem:
    """The file as it is written. Raises Mistakes when it is no mapping in YAML."""
    try:
        item = parse(read_file(root / FILE, shown), shown, lambda _: None)
    except ConfigError as error:
        raise Mistakes([error]) from None
    if not item.is_map:
        raise Mistakes([ConfigError(f"`{FILE}` must be a mapping", item.where)])
    return item


def read_project(
    item: YamlItem, home: PackageHome, words: YamlRenderer, *, is_package: bool
) -> ProjectFile:
    """The project that the file describes."""
    notes = words.notes
    raw = child(item, "name")
    name = words.scalar(raw) if raw else None
    if not name:
        notes.mistake(f"`{FILE}` has no `name`", item.where, "add `name:`, a word of its own")
        name = slug(home.root.resolve().name)
    package = str(name) if is_package else ""
    _check_version(item, words, str(name))
    trees = {kind: _tree(item, keys, words) for kind, keys in _TREES.items()}
    if not is_package:
        for kind in _WATCHED:
            watch_spelling(list(tree_keys(trees[kind])), f"`{kind}` of `{FILE}`", notes)
    return ProjectFile(
        name=str(name),
        package=package,
        home=home,
        version=str(_value(item, words, "version") or ""),
        paths={kind: _folders(item, words, *spec) for kind, spec in _PATHS.items()},
        docs=_folders(item, words, ("docs-paths",), ()),
        vars=_vars(item, home, words),
        trees=trees,
        start=_hooks(item, "on-run-start", package),
        end=_hooks(item, "on-run-end", package),
        settings={
            key: _value(item, words, key)
            for key in ("target-path", "packages-install-path", "flags", "asset-paths")
        },
        dispatch=_dispatch(child(item, "dispatch"), words),
    )


def read_vars(root: Path, shown: str, notes: ReadingNotes) -> dict[str, Any]:
    """The variables of `vars.yml`, which may stand beside the project file."""
    saw(root / VARS)
    if not (root / VARS).is_file():
        return {}
    try:
        found = parse(read_file(root / VARS, shown), shown, notes.twice)
    except TransformError as error:
        notes.mistakes.append(error)
        return {}
    return mapping((child(found, "vars") or YamlItem({}, found.where)).plain())


def _value(item: YamlItem, words: YamlRenderer, key: str) -> Any:
    found = child(item, key)
    value = words.value(found) if found else None
    if found and key.endswith("path") and (why := unusable(str(value or ""))):
        words.notes.mistake(f"`{key}` cannot be a folder: {why}", found.where)
        return None
    return value


def _folders(
    item: YamlItem, words: YamlRenderer, keys: tuple[str, ...], default: tuple[str, ...]
) -> tuple[str, ...]:
    found = child(item, *keys)
    return texts(words.value(found)) if found and found.value is not None else default


def _tree(item: YamlItem, keys: tuple[str, ...], words: YamlRenderer) -> Mapping[str, Any]:
    found = [child(item, key) for key in keys]
    merged: dict[str, Any] = {}
    for each in reversed(found):
        if each is not None and each.is_map:
            merged |= words.value(each, HOOKS)
    return merged


def _vars(item: YamlItem, home: PackageHome, words: YamlRenderer) -> dict[str, Any]:
    found = child(item, "vars")
    return {
        **read_vars(home.root, home.show(VARS), words.notes),
        **mapping(found.plain() if found else None),
    }


def _hooks(item: YamlItem, moment: str, package: str) -> tuple[Hook, ...]:
    written = child(item, moment)
    if written is None or written.value is None:
        return ()
    entries = written.value if written.is_list else (written,)
    found = ((child(each, "sql") or each) for each in entries)
    return tuple(
        Hook(str(each.value), each.where, package, moment, place)
        for place, each in enumerate(found)
        if each.value
    )


def _dispatch(item: YamlItem | None, words: YamlRenderer) -> dict[str, tuple[str, ...]]:
    entries = words.value(item) if item is not None and item.is_list else []
    return {
        str(entry["macro_namespace"]): texts(entry.get("search_order"))
        for entry in entries
        if isinstance(entry, dict) and entry.get("macro_namespace")
    }


def _check_version(item: YamlItem, words: YamlRenderer, name: str) -> None:
    wanted = texts(_value(item, words, "require-dbt-version"))
    parts = [part.strip() for text in wanted for part in text.split(",") if part.strip()]
    if not all(_allows(part) for part in parts):
        spoken = ".".join(map(str, SPOKEN))
        words.notes.say(
            f"`{name}` asks for dbt {', '.join(parts)}; it is read here as dbt {spoken} would"
        )


def _allows(spec: str) -> bool:
    found = re.match(r"(>=|<=|>|<|==|=|!=)?\s*v?(\d+)(?:\.(\d+))?", spec)
    if found is None:
        return True
    sign, wanted = found[1] or "=", (int(found[2]), int(found[3] or 0))
    # A whole line of versions is meant: any patch of it will do.
    if sign == "<":
        return wanted > SPOKEN or (wanted == SPOKEN and _patch(spec) > 0)
    return {">=": wanted <= SPOKEN, ">": wanted <= SPOKEN, "<=": wanted >= SPOKEN}.get(
        sign, sign == "!=" or wanted == SPOKEN
    )


def _patch(spec: str) -> int:
    found = re.search(r"\d+\.\d+\.(\d+)", spec)
    return int(found[1]) if found else 0


def visible(project: ProjectFile, root: ProjectFile, given: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a package's files see: the command line's, the root's, its own."""
    layers = [project] if project.package else []
    merged: dict[str, Any] = {}
    for each in (*layers, root):
        merged |= {**each.vars, **mapping(each.vars.get(project.name))}
    return merged | dict(given)
