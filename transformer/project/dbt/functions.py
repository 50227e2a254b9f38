"""User-defined functions (`functions/` of dbt 1.11): bodies are files, arguments and return types
are in YAML. In DuckDB they become macros, so only SQL functions are supported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformer.errors import ConfigError, TransformError, Where
from transformer.names import quoted
from transformer.project.dbt.files import PackageFile
from transformer.project.dbt.words import as_mapping
from transformer.project.tree import YamlItem

ENDINGS = (".sql", ".py", ".js")


def is_sql(file: PackageFile) -> bool:
    """Whether DuckDB can run the function."""
    return file.shown.endswith(".sql")


def mistake(file: PackageFile) -> TransformError:
    """The error for a function that cannot be created."""
    if not is_sql(file):
        return ConfigError(
            f"the function `{file.stem}` is not written in SQL",
            Where(file.shown, 1),
            hint="DuckDB has macros only: write its body as one expression or query",
        )
    return ConfigError(
        f"the function `{file.stem}` is not described",
        Where(file.shown, 1),
        hint="name its `arguments:` and what it `returns:` under `functions:` in YAML",
    )


def signature(item: YamlItem) -> dict[str, Any]:
    """The configuration of a function: its arguments, macro parameters and return type."""
    written = as_mapping(item.plain())
    arguments = [
        argument for argument in written.get("arguments") or () if isinstance(argument, Mapping)
    ]
    returns = as_mapping(written.get("returns")).get("data_type")
    return {
        "materialized": "function",
        "arguments": arguments,
        "parameters": [_parameter(argument) for argument in arguments],
        "returns": returns,
    }


def _parameter(written: Mapping[str, Any]) -> str:
    default = written.get("default_value")
    name = quoted(str(written.get("name")))
    return name if default is None else f"{name} := {default}"
