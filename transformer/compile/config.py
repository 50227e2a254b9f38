"""A node's configuration, typed: folder tree, then YAML, then `config()` in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transformer.compile.model_config import ModelConfig, hook_texts
from transformer.errors import ConfigError, TransformError, Where
from transformer.project.reader import YamlReader
from transformer.project.schema import MODEL_CONFIG
from transformer.project.settings import merge, plain_option
from transformer.project.tree import YamlItem
from transformer.project.values import Model

# Materializations that store a query rather than rows.
_QUERIES = ("view", "ephemeral", "table_function", "function")


def _unchanged(text: str, _: Where) -> str:
    return text


def model_config(
    model: Model, written: Mapping[str, Any]
) -> tuple[ModelConfig, list[TransformError]]:
    """The model's configuration, and the mistakes in it."""
    reader = YamlReader(_unchanged, _unchanged)
    items = {
        key: (option_place(model, key), item_of(model, key, value))
        for key, value in written.items()
    }
    block = reader.block(YamlItem(items, Where(model.path)), MODEL_CONFIG, "`config()`")
    in_file = {key: plain_option(value) for key, value in block.written().items()}
    merged = merge(model.config, in_file)
    contract = merged.pop("contract", None) or {}
    config = ModelConfig(**merged, contract=bool(contract.get("enforced", False)))
    return config, reader.mistakes + _contradictions(model, config)


def open_config(model: Model, written: Mapping[str, Any], files_root: str = ".") -> ModelConfig:
    """The configuration of a model in an open project. Unknown keys are allowed: they are for
    templates and other engines."""
    merged = merge(merge(model.config, normalized_hooks(written)), model.over)
    contract = merged.get("contract") or {}
    enforced = contract.get("enforced") if isinstance(contract, Mapping) else contract
    return ModelConfig(
        materialized=str(merged.get("materialized") or "view"),
        enabled=is_true(merged.get("enabled"), True),
        schema=_text(merged.get("schema")),
        alias=_text(merged.get("alias")),
        tags=_texts(merged.get("tags")),
        meta=merged.get("meta") or {},
        unique_key=tuple(k for k in _texts(merged.get("unique_key")) if k.strip()),
        incremental_strategy=_text(merged.get("incremental_strategy")),
        on_schema_change=str(merged.get("on_schema_change") or "ignore"),
        full_refresh=merged.get("full_refresh"),
        contract=bool(enforced),
        pre_hook=hook_texts(merged.get("pre_hook")),
        post_hook=hook_texts(merged.get("post_hook")),
        as_dbt=True,
        files_root=files_root,
        written=merged,
    )


def duplicate_hooks(model: Model, written: Mapping[str, Any]) -> list[TransformError]:
    """Hooks that a model sets under both of their spellings."""
    return [
        ConfigError(
            f"`{name}` and `{other}` are both set: they are the same option",
            option_place(model, name),
            hint="keep one of them; use a list for several hooks",
        )
        for name, other in (("pre_hook", "pre-hook"), ("post_hook", "post-hook"))
        if name in written and other in written
    ]


def normalized_hooks(written: Mapping[str, Any]) -> dict[str, Any]:
    """The options with hooks under one spelling, as lists."""
    options = {key.replace("-", "_"): value for key, value in written.items()}
    for key in ("pre_hook", "post_hook"):
        if key in options and not isinstance(options[key], list | tuple):
            options[key] = [options[key]]
    return options


def is_true(value: Any, default: bool) -> bool:
    """A flag in any spelling; the default if it is not set."""
    if isinstance(value, str):
        return value.strip().lower() not in ("false", "0", "no", "")
    return default if value is None else bool(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, list | tuple | set) else [value]
    return tuple(str(v) for v in values)


def not_for_python(model: Model, config: ModelConfig) -> ConfigError | None:
    """The mistake if a Python model's materialization does not store rows, else None."""
    if model.language != "python" or config.materialized not in _QUERIES:
        return None
    return ConfigError(
        f"a Python model cannot be materialized as `{config.materialized}`",
        option_place(model, "materialized"),
        hint="make it a `table` or `incremental`",
    )


def _contradictions(model: Model, config: ModelConfig) -> list[TransformError]:
    mistake = not_for_python(model, config)
    mistakes: list[TransformError] = [mistake] if mistake else []
    if (
        config.materialized == "incremental"
        and config.strategy == "merge"
        and not config.unique_key
    ):
        mistakes.append(
            ConfigError(
                "the strategy `merge` needs a `unique_key`",
                option_place(model, "incremental_strategy"),
                hint="name the columns that identify a row",
            )
        )
    if config.contract and not model.described.columns:
        mistakes.append(
            ConfigError(
                "the contract is enforced, but no columns are declared",
                option_place(model, "contract"),
                hint="declare `columns:` with `data_type:` in YAML",
            )
        )
    return mistakes


def item_of(model: Model, key: str, value: Any) -> YamlItem:
    """A native value as a YAML item."""
    where = option_place(model, key)
    return _item(value, where)


def _item(value: Any, where: Where) -> YamlItem:
    if isinstance(value, Mapping):
        return YamlItem({str(k): (where, _item(v, where)) for k, v in value.items()}, where)
    if isinstance(value, list | tuple | set):
        return YamlItem(tuple(_item(v, where) for v in value), where)
    return YamlItem(value, where)


def option_place(model: Model, key: str) -> Where:
    """The place of `key = …` in the file, or of the model's properties, or the file."""
    for number, line in enumerate(model.text.splitlines(), 1):
        match = re.search(rf"\b{re.escape(key)}\s*=(?!=)", line)
        if match:
            return Where(model.path, number, match.start() + 1, len(key), line)
    return model.described.where or Where(model.path, 1)
