"""`transform.yml`: the project file. Every key has a default, and the file is optional."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from transformer.errors import ConfigError, Mistakes, UsageError, Where, did_you_mean, reason_of
from transformer.names import slug
from transformer.project.inputs import saw
from transformer.project.paths import is_remote, not_a_file, unusable
from transformer.project.reader import MappingBlock, YamlReader
from transformer.project.schema import PROJECT, Fields
from transformer.project.tree import YamlItem, parse
from transformer.project.values import Publish, Target

FILE = "transform.yml"


class Settings(Struct, frozen=True):
    """The parsed `transform.yml`. `block` holds the raw configuration trees."""

    name: str
    block: MappingBlock
    target: Target
    targets: tuple[str, ...]
    vars: Mapping[str, Any]

    def paths(self, key: str) -> tuple[str, ...]:
        """The folders under one of the `…-paths` keys."""
        return tuple(self.block[key])


def read_settings(
    root: Path, reader: YamlReader, target: str | None, overrides: Mapping[str, Any]
) -> Settings:
    """The settings of the project in `root`. Raises UsageError for an unknown target, Mistakes
    if the file cannot be read at all."""
    path = root / FILE
    try:
        saw(path)
        tree = parse(_text(root, path), FILE)
    except ConfigError as error:
        raise Mistakes([error]) from None
    block = reader.block(tree, PROJECT, f"`{FILE}`")
    targets: dict[str, MappingBlock] = block["targets"] or {}
    chosen = target or block["target"] or next(iter(targets), "dev")
    if targets and chosen not in targets:
        kind = UsageError if target else ConfigError
        raise kind(f"there is no target `{chosen}`", _targets(block), did_you_mean(chosen, targets))
    if target and not targets and target != "dev":
        raise UsageError(
            f"there is no target `{target}`",
            Where(FILE),
            hint="name it under `targets:` in transform.yml",
        )
    return Settings(
        name=slug(block["name"] or root.resolve().name),
        block=block,
        target=_target(chosen, targets.get(chosen), block["target"] or next(iter(targets), "dev")),
        targets=tuple(targets) or ("dev",),
        vars={**(block["vars"] or {}), **overrides},
    )


def _text(root: Path, path: Path) -> str:
    """The text of the project file, empty if there is none. Raises ConfigError."""
    if not path.exists() and not path.is_symlink():
        return ""
    if not path.resolve().is_relative_to(root.resolve()):
        raise ConfigError("this link points outside the project", Where(FILE, 1))
    if path.is_dir() or (reason := not_a_file(path)):
        raise ConfigError("this is a folder" if path.is_dir() else str(reason), Where(FILE, 1))
    return read_file(path, FILE)


def read_file(path: Path, shown: str) -> str:
    """The file's text. Raises ConfigError if it cannot be read or is not UTF-8."""
    saw(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"this file cannot be read: {reason_of(error)}",
            Where(shown, 1),
            hint="check its permissions",
        ) from None
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(
            "this file is not UTF-8 text", Where(shown, line), hint="save it as UTF-8"
        ) from None


def _target(name: str, block: MappingBlock | None, default: str) -> Target:
    if block is None:
        return Target(name)
    _is_local(block)
    publish: MappingBlock | None = block["publish"]
    return Target(
        name=name,
        type=block["type"],
        path=block["path"],
        schema=block["schema"],
        threads=block["threads"],
        activate=name == default if block["activate"] is None else block["activate"],
        publish=Publish(publish["mode"], publish["models"]) if publish else Publish(),
        settings=block["settings"] or {},
        places={key: block.value_place(key) for key in ("type", "path", "settings", "publish")},
    )


def _is_local(block: MappingBlock) -> None:
    """Raises Mistakes if DuckDB would not open the warehouse's path as a local file."""
    path = block["path"]
    reason = unusable(path) or ("it is not a local file" if is_remote(path) else None)
    if not reason and "?" in path:
        reason = "DuckDB reads everything after `?` as settings"
    if reason:
        what = f"the warehouse cannot be `{path[:80]}`: {reason}"
        raise Mistakes([ConfigError(what, block.value_place("path"))])


def _targets(block: MappingBlock) -> Where:
    """The place of `targets:`."""
    return block.place("targets")


class ConfigTree(Struct, frozen=True):
    """Configuration by folder: `models: {staging: {+materialized: view}}`.

    A key with `+` is configuration, and so is a known key whose value is not a mapping; any
    other key is a folder (dbt's rule). `reader` has noted its mistakes.
    """

    levels: Mapping[tuple[str, ...], Mapping[str, Any]]

    def options(self, project: str, fqn: tuple[str, ...]) -> dict[str, Any]:
        """The configuration of the node at `fqn` (folders, then name), outer levels first."""
        merged: dict[str, Any] = {}
        for start in ((), (project,)):
            for end in range(len(fqn) + 1):
                merged = merge(merged, self.levels.get((*start, *fqn[:end]), {}))
        return merged

    def folders(self) -> Iterator[tuple[str, ...]]:
        """All folder paths in the tree."""
        return (path for path in self.levels if path)


def read_tree(reader: YamlReader, item: YamlItem | None, fields: Fields, what: str) -> ConfigTree:
    """The tree below `models:`, `seeds:` …, every key checked."""
    levels: dict[tuple[str, ...], dict[str, Any]] = {}
    fields_by_name = {f.name: f for f in fields}

    def visit(node: YamlItem, path: tuple[str, ...]) -> None:
        options = levels.setdefault(path, {})
        for key, where, value in node.entries():
            name = key.removeprefix("+")
            spec = fields_by_name.get(name)
            if spec and (key != name or not value.is_map):
                options[name] = plain_option(reader.value(value, spec, name))
            elif key == name and value.is_map:
                visit(value, (*path, key))
            else:
                reader.mistake(
                    f"unknown key `{key}` in {what}", where, did_you_mean(name, fields_by_name)
                )

    if item is not None and item.is_map:
        visit(item, ())
    return ConfigTree(levels)


def plain_option(value: Any) -> Any:
    """A configuration value without places: a block becomes a dict of its written keys."""
    return value.written() if isinstance(value, MappingBlock) else value


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Two merged layers of configuration: tags and hooks are appended, meta is merged, everything
    else is replaced."""
    merged = {**lower, **upper}
    if lower.get("tags") and upper.get("tags"):
        merged["tags"] = tuple(dict.fromkeys((*_tuple(lower["tags"]), *_tuple(upper["tags"]))))
    if lower.get("meta") and upper.get("meta"):
        merged["meta"] = {**lower["meta"], **upper["meta"]}
    for hook in ("pre_hook", "post_hook"):
        if lower.get(hook) and upper.get(hook):
            merged[hook] = (*_tuple(lower[hook]), *_tuple(upper[hook]))
    return merged


def _tuple(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
