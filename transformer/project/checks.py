"""Checks as written in YAML: `- unique`, or `- accepted_values: {values: […]}`."""

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
    Field("name", "text", "Name of the check, instead of the generated one"),
    Field("description", "text", "What it guards"),
    Field("config", "block", "How its result is rated", fields=CHECK_CONFIG),
    Field("arguments", "map", "Its arguments, if you prefer them as a separate block"),
)
_CONFIG_NAMES = frozenset(CheckConfig.__struct_fields__)


def custom_tests(files: tuple[MacroFile, ...]) -> frozenset[str]:
    """The names of the project's own `{% test %}` blocks."""
    return frozenset(name for file in files for name in _TEST_BLOCK.findall(file.text))


class CheckReader:
    """Reads check lists: built-in kinds and the project's own."""

    def __init__(
        self, reader: YamlReader, kinds: Mapping[str, Fields], custom: frozenset[str]
    ) -> None:
        self.reader, self.kinds, self.custom = reader, kinds, custom
        self.defaults: Mapping[str, Any] = {}

    def read(self, item: YamlItem | None, column: str | None = None) -> tuple[CheckSpec, ...]:
        """The checks of a node or a column; disabled ones are left out."""
        if item is None or not item.is_list:
            return ()
        checks = (self._check(entry, column) for entry in item.value)
        return tuple(check for check in checks if check and check.config.enabled)

    def _check(self, item: YamlItem, column: str | None) -> CheckSpec | None:
        kind, where, body = self._kind_and_body(item)
        if kind is None:
            self.reader.mistake(
                "a check must be a name, or a name with arguments",
                item.where,
                hint="write `- unique` or `- accepted_values: {values: [a, b]}`",
            )
            return None
        if kind not in self.kinds and kind not in self.custom:
            kinds = (*self.kinds, *self.custom)
            self.reader.mistake(f"unknown check `{kind}`", where, did_you_mean(kind, kinds))
            return None
        args, reserved, config = self._parts(kind, body, where)
        return CheckSpec(kind, args, self._config(config), where, reserved.get("name"), column)

    def _kind_and_body(self, item: YamlItem) -> tuple[str | None, Where, YamlItem | None]:
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
        """Arguments, reserved keys and configuration, which dbt allows side by side."""
        if body is None or not body.is_map:
            if body is not None:
                self.reader.mistake(f"the arguments of `{kind}` must be a mapping", body.where)
            body = YamlItem({}, where)
        config_fields = {f.name: f for f in CHECK_CONFIG}
        # An argument of this check takes precedence over a configuration key of the same name.
        arguments = {f.name for f in self.kinds.get(kind, ())}
        reserved, config, args = {}, {}, {}
        for key, key_place, value in body.entries():
            if key in {f.name for f in _RESERVED}:
                reserved[key] = (key_place, value)
            elif key in config_fields and key not in arguments:
                config[key] = (key_place, value)
            else:
                args[key] = (key_place, value)
        block = self.reader.block(YamlItem(reserved, body.where), _RESERVED, f"`{kind}`")
        if "arguments" in block.items and block.items["arguments"].is_map:
            args |= block.items["arguments"].value
        options = self.reader.block(
            YamlItem(config, body.where), CHECK_CONFIG, f"`{kind}`"
        ).written()
        if block["config"]:
            options |= block["config"].written()
        return self._arguments(kind, YamlItem(args, body.where)), block.written(), options

    def _arguments(self, kind: str, item: YamlItem) -> dict[str, Any]:
        # Arguments may hold Jinja that can only be rendered with the check.
        if kind not in self.kinds:
            return dict(item.plain())
        return self.reader.block(item, self.kinds[kind], f"`{kind}`").written()

    def _config(self, written: Mapping[str, Any]) -> CheckConfig:
        merged = {**self.defaults, **written}
        return CheckConfig(**{k: v for k, v in merged.items() if k in _CONFIG_NAMES})
