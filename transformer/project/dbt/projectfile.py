"""`dbt_project.yml` of the project or of a package."""

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
from transformer.project.dbt.words import (
    HOOKS,
    ReadingNotes,
    YamlRenderer,
    as_mapping,
    child,
    texts,
)
from transformer.project.inputs import saw
from transformer.project.paths import unusable
from transformer.project.settings import read_file
from transformer.project.tree import YamlItem, parse
from transformer.project.values import Hook

FILE = "dbt_project.yml"
VARS = "vars.yml"
# The dbt version whose projects are supported.
SUPPORTED_DBT = (1, 11)

# Folders by content: their keys, current spelling first, and the default.
_PATHS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "models": (("model-paths", "source-paths"), ("models",)),
    "seeds": (("seed-paths", "data-paths"), ("seeds",)),
    "tests": (("test-paths",), ("tests",)),
    "macros": (("macro-paths",), ("macros",)),
    "snapshots": (("snapshot-paths",), ("snapshots",)),
    "analyses": (("analysis-paths",), ("analyses",)),
    "functions": (("function-paths",), ("functions",)),
}
# Keys of the configuration trees, by kind of node.
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
_SPELLCHECKED = ("models", "seeds", "snapshots", "tests")


class ProjectFile(Struct, frozen=True):
    """A parsed `dbt_project.yml`. `package` is the name, empty for the root project."""

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
        """All folders that may contain property files."""
        return tuple(dict.fromkeys(path for paths in self.paths.values() for path in paths))

    def tree(self, kind: str) -> Mapping[str, Any]:
        """The configuration tree of a kind of node."""
        return self.trees.get(kind, {})


def read_raw(root: Path, shown: str) -> YamlItem:
    """The file as written. Raises Mistakes if it is not a YAML mapping."""
    try:
        item = parse(read_file(root / FILE, shown), shown, lambda _: None)
    except ConfigError as error:
        raise Mistakes([error]) from None
    if not item.is_map:
        raise Mistakes([ConfigError(f"`{FILE}` must be a mapping", item.where)])
    return item


def read_project(
    item: YamlItem, home: PackageHome, renderer: YamlRenderer, *, is_package: bool
) -> ProjectFile:
    """The project described by the file."""
    notes = renderer.notes
    name_item = child(item, "name")
    name = renderer.scalar(name_item) if name_item else None
    if not name:
        notes.mistake(f"`{FILE}` has no `name`", item.where, "add `name:`")
        name = slug(home.root.resolve().name)
    package = str(name) if is_package else ""
    _check_version(item, renderer, str(name))
    trees = {kind: _tree(item, keys, renderer) for kind, keys in _TREES.items()}
    if not is_package:
        for kind in _SPELLCHECKED:
            watch_spelling(list(tree_keys(trees[kind])), f"`{kind}` of `{FILE}`", notes)
    return ProjectFile(
        name=str(name),
        package=package,
        home=home,
        version=str(_value(item, renderer, "version") or ""),
        paths={kind: _folders(item, renderer, *spec) for kind, spec in _PATHS.items()},
        docs=_folders(item, renderer, ("docs-paths",), ()),
        vars=_vars(item, home, renderer),
        trees=trees,
        start=_hooks(item, "on-run-start", package),
        end=_hooks(item, "on-run-end", package),
        settings={
            key: _value(item, renderer, key)
            for key in ("target-path", "packages-install-path", "flags", "asset-paths")
        },
        dispatch=_dispatch(child(item, "dispatch"), renderer),
    )


def read_vars(root: Path, shown: str, notes: ReadingNotes) -> dict[str, Any]:
    """The variables of the optional `vars.yml` beside the project file."""
    saw(root / VARS)
    if not (root / VARS).is_file():
        return {}
    try:
        document = parse(read_file(root / VARS, shown), shown, notes.duplicate_key)
    except TransformError as error:
        notes.mistakes.append(error)
        return {}
    return as_mapping((child(document, "vars") or YamlItem({}, document.where)).plain())


def _value(item: YamlItem, renderer: YamlRenderer, key: str) -> Any:
    value_item = child(item, key)
    value = renderer.value(value_item) if value_item else None
    if value_item and key.endswith("path") and (reason := unusable(str(value or ""))):
        renderer.notes.mistake(f"`{key}` cannot be a folder: {reason}", value_item.where)
        return None
    return value


def _folders(
    item: YamlItem, renderer: YamlRenderer, keys: tuple[str, ...], default: tuple[str, ...]
) -> tuple[str, ...]:
    folders_item = child(item, *keys)
    return (
        texts(renderer.value(folders_item))
        if folders_item and folders_item.value is not None
        else default
    )


def _tree(item: YamlItem, keys: tuple[str, ...], renderer: YamlRenderer) -> Mapping[str, Any]:
    trees = [child(item, key) for key in keys]
    merged: dict[str, Any] = {}
    for tree in reversed(trees):
        if tree is not None and tree.is_map:
            merged |= renderer.value(tree, HOOKS)
    return merged


def _vars(item: YamlItem, home: PackageHome, renderer: YamlRenderer) -> dict[str, Any]:
    vars_item = child(item, "vars")
    return {
        **read_vars(home.root, home.show(VARS), renderer.notes),
        **as_mapping(vars_item.plain() if vars_item else None),
    }


def _hooks(item: YamlItem, moment: str, package: str) -> tuple[Hook, ...]:
    hooks = child(item, moment)
    if hooks is None or hooks.value is None:
        return ()
    entries = hooks.value if hooks.is_list else (hooks,)
    sqls = ((child(sql, "sql") or sql) for sql in entries)
    return tuple(
        Hook(str(sql.value), sql.where, package, moment, position)
        for position, sql in enumerate(sqls)
        if sql.value
    )


def _dispatch(item: YamlItem | None, renderer: YamlRenderer) -> dict[str, tuple[str, ...]]:
    entries = renderer.value(item) if item is not None and item.is_list else []
    return {
        str(entry["macro_namespace"]): texts(entry.get("search_order"))
        for entry in entries
        if isinstance(entry, dict) and entry.get("macro_namespace")
    }


def _check_version(item: YamlItem, renderer: YamlRenderer, name: str) -> None:
    specs = texts(_value(item, renderer, "require-dbt-version"))
    parts = [part.strip() for text in specs for part in text.split(",") if part.strip()]
    if not all(_allows(part) for part in parts):
        supported = ".".join(map(str, SUPPORTED_DBT))
        renderer.notes.say(
            f"`{name}` requires dbt {', '.join(parts)}; it is read as dbt {supported} would read it"
        )


def _allows(spec: str) -> bool:
    match = re.match(r"(>=|<=|>|<|==|=|!=)?\s*v?(\d+)(?:\.(\d+))?", spec)
    if match is None:
        return True
    sign, version = match[1] or "=", (int(match[2]), int(match[3] or 0))
    # Any patch release of the supported minor version will do.
    if sign == "<":
        return version > SUPPORTED_DBT or (version == SUPPORTED_DBT and _patch(spec) > 0)
    return {
        ">=": version <= SUPPORTED_DBT,
        ">": version <= SUPPORTED_DBT,
        "<=": version >= SUPPORTED_DBT,
    }.get(sign, sign == "!=" or version == SUPPORTED_DBT)


def _patch(spec: str) -> int:
    match = re.search(r"\d+\.\d+\.(\d+)", spec)
    return int(match[1]) if match else 0


def visible_vars(
    project: ProjectFile, root: ProjectFile, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """The variables visible in a package: command line over root project over its own."""
    layers = [project] if project.package else []
    merged: dict[str, Any] = {}
    for layer in (*layers, root):
        merged |= {**layer.vars, **as_mapping(layer.vars.get(project.name))}
    return merged | dict(overrides)
