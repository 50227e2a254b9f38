"""Checks as they stand in YAML: `- unique`, or `- accepted_values: {values: […]}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transformer.errors import Where, did_you_mean
from transformer.project.reader import YamlReader
from transformer.project.schema import CHECK_CONFIG, Field, Fields
from transformer.project.tree import YamlItem
from transformer.project.values import CheckConfig, CheckSpec, MacroFile

_TEST_BLOCK = re.compile(r"{%-?\s*test\s+(\w+)\s*\(")
_RESERVED: Fields = (
    Field("name", "text", "A name of its own for the check"),
    Field("description", "text", "What it guards"),
    Field("config", "block", "How its result counts", fields=CHECK_CONFIG),
    Field("arguments", "map", "Its arguments, when you like them apart"),
)
_CONFIG_NAMES = frozenset(CheckConfig.__struct_fields__)


def custom_tests(files: tuple[MacroFile, ...]) -> frozenset[str]:
    """The names of the project's own `{% test %}` blocks."""
    return frozenset(name for file in files for name in _TEST_BLOCK.findall(file.text))


class CheckReader:
    """Reads check lists, knowing the built-in kinds and the project's own."""

    def __init__(
        self, reader: YamlReader, kinds: Mapping[str, Fields], custom: frozenset[str]
    ) -> None:
        self.reader, self.kinds, self.custom = reader, kinds, custom
        self.defaults: Mapping[str, Any] = {}

    def read(self, item: YamlItem | None, column: str | None = None) -> tuple[CheckSpec, ...]:
        """The checks of a node or a column; disabled ones are left out."""
        if item is None or not item.is_list:
            return ()
        found = (self._one(each, column) for each in item.value)
        return tuple(check for check in found if check and check.config.enabled)

    def _one(self, item: YamlItem, column: str | None) -> CheckSpec | None:
        kind, where, body = self._named(item)
        if kind is None:
            self.reader.mistake(
                "a check is a name, or a name with its arguments",
                item.where,
                hint="write `- unique` or `- accepted_values: {values: [a, b]}`",
            )
            return None
        if kind not in self.kinds and kind not in self.custom:
            known = (*self.kinds, *self.custom)
            self.reader.mistake(f"unknown check `{kind}`", where, did_you_mean(kind, known))
            return None
        args, reserved, config = self._parts(kind, body, where)
        return CheckSpec(kind, args, self._config(config), where, reserved.get("name"), column)

    def _named(self, item: YamlItem) -> tuple[str | None, Where, YamlItem | None]:
        if isinstance(item.value, str):
            return item.value, item.where, None
        if item.is_map and item.value:
            entries = list(item.entries())
            kind, where, body = entries[0]
            if len(entries) == 1:
                return kind, where, body if body.value is not None else None
            if body.value is None:  # `- unique:` with its keys on the same level
                rest = {key: item.value[key] for key, _, _ in entries[1:]}
                return kind, where, YamlItem(rest, item.where)
        return None, item.where, None

    def _parts(
        self, kind: str, body: YamlItem | None, where: Where
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Arguments, reserved words, and configuration, which dbt lets stand side by side."""
        if body is None or not body.is_map:
            if body is not None:
                self.reader.mistake(f"the arguments of `{kind}` must be a mapping", body.where)
            body = YamlItem({}, where)
        config_fields = {f.name: f for f in CHECK_CONFIG}
        # A word that is an argument of this very check is not configuration.
        own = {f.name for f in self.kinds.get(kind, ())}
        reserved, config, args = {}, {}, {}
        for key, at, value in body.entries():
            if key in {f.name for f in _RESERVED}:
                reserved[key] = (at, value)
            elif key in config_fields and key not in own:
                config[key] = (at, value)
            else:
                args[key] = (at, value)
        words = self.reader.block(YamlItem(reserved, body.where), _RESERVED, f"`{kind}`")
        if "arguments" in words.items and words.items["arguments"].is_map:
            args |= words.items["arguments"].value
        options = self.reader.block(
            YamlItem(config, body.where), CHECK_CONFIG, f"`{kind}`"
        ).written()
        if words["config"]:
            options |= words["config"].written()
        return self._arguments(kind, YamlItem(args, body.where)), words.written(), options

    def _arguments(self, kind: str, item: YamlItem) -> dict[str, Any]:
        # Arguments may hold Jinja that means something only where the check is rendered.
        if kind not in self.kinds:
            return dict(item.plain())
        return self.reader.block(item, self.kinds[kind], f"`{kind}`").written()

    def _config(self, written: Mapping[str, Any]) -> CheckConfig:
        merged = {**self.defaults, **written}
        return CheckConfig(**{k: v for k, v in merged.items() if k in _CONFIG_NAMES})
