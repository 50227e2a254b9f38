"""A node's configuration, typed: folder tree, then YAML, then `config()` in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transformer.errors import ConfigError, TransformError, Where
from transformer.names import Name
from transformer.project.reader import Reader
from transformer.project.schema import MODEL_CONFIG
from transformer.project.settings import merge, plain_option
from transformer.project.tree import Item
from transformer.project.values import Model, Options, Target


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """How a model becomes a relation; the fields are those of `schema.MODEL_CONFIG`."""

    materialized: str = "view"
    enabled: bool = True
    schema: str | None = None
    alias: str | None = None
    tags: tuple[str, ...] = ()
    meta: Options = field(default_factory=dict)
    unique_key: tuple[str, ...] = ()
    incremental_strategy: str | None = None
    on_schema_change: str = "ignore"
    full_refresh: bool | None = None
    contract: bool = False

    @property
    def strategy(self) -> str:
        """The incremental strategy: with a key rows are replaced, without one they are added."""
        if self.incremental_strategy:
            return self.incremental_strategy
        return "delete+insert" if self.unique_key else "append"


def model_config(
    model: Model, written: Mapping[str, Any]
) -> tuple[ModelConfig, list[TransformError]]:
    """The model's configuration and what is wrong with it."""
    reader = Reader(lambda text, _: text)
    items = {
        key: (option_place(model, key), item_of(model, key, value))
        for key, value in written.items()
    }
    block = reader.block(Item(items, Where(model.path)), MODEL_CONFIG, "`config()`")
    in_file = {key: plain_option(value) for key, value in block.written().items()}
    merged = merge(model.config, in_file)
    contract = merged.pop("contract", None) or {}
    config = ModelConfig(**merged, contract=bool(contract.get("enforced", False)))
    return config, reader.mistakes + _senseless(model, config)


def _senseless(model: Model, config: ModelConfig) -> list[TransformError]:
    found: list[TransformError] = []
    if (
        config.materialized == "incremental"
        and config.strategy == "merge"
        and not config.unique_key
    ):
        found.append(
            ConfigError(
                "the strategy `merge` needs a `unique_key`",
                option_place(model, "incremental_strategy"),
                hint="name the columns that tell rows apart",
            )
        )
    if config.contract and not model.described.columns:
        found.append(
            ConfigError(
                "the contract is enforced, but no columns are declared",
                option_place(model, "contract"),
                hint="declare `columns:` with `data_type:` in YAML",
            )
        )
    return found


def item_of(model: Model, key: str, value: Any) -> Item:
    """A native value as if it had stood in YAML."""
    where = option_place(model, key)
    return _item(value, where)


def _item(value: Any, where: Where) -> Item:
    if isinstance(value, Mapping):
        return Item({str(k): (where, _item(v, where)) for k, v in value.items()}, where)
    if isinstance(value, list | tuple | set):
        return Item(tuple(_item(v, where) for v in value), where)
    return Item(value, where)


def option_place(model: Model, key: str) -> Where:
    """Where `key = …` stands in the file, or the file."""
    for number, line in enumerate(model.text.splitlines(), 1):
        found = re.search(rf"\b{re.escape(key)}\s*=(?!=)", line)
        if found:
            return Where(model.path, number, found.start() + 1, len(key), line)
    return model.described.where or Where(model.path, 1)


def relation_name(target: Target, name: str, options: Mapping[str, Any]) -> Name:
    """Schema and name of a node's relation: a schema of its own is appended to the target's.

    dbt's rule, except where the target's schema is DuckDB's default `main`: then the node's
    schema stands alone, since `main_marts` says nothing that `marts` does not.
    """
    own = options.get("schema")
    if not own:
        schema = target.schema
    else:
        schema = own if target.schema == "main" else f"{target.schema}_{own}"
    return Name(str(schema), str(options.get("alias") or name))
