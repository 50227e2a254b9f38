"""User-defined functions (`functions/` of dbt 1.11): their bodies are files, their arguments and
what they return stand in YAML. In DuckDB they are macros, so only those in SQL can be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformer.errors import ConfigError, TransformError, Where
from transformer.names import quoted
from transformer.project.dbt.files import PackageFile
from transformer.project.dbt.words import mapping
from transformer.project.tree import YamlItem

ENDINGS = (".sql", ".py", ".js")


def is_sql(file: PackageFile) -> bool:
    """Whether DuckDB can have the function."""
    return file.shown.endswith(".sql")


def mistake(file: PackageFile) -> TransformError:
    """What is said of a function that cannot be made."""
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
    """The arguments and the type of a function, as its macro is made of them."""
    written = mapping(item.plain())
    listed = [each for each in written.get("arguments") or () if isinstance(each, Mapping)]
    returns = mapping(written.get("returns")).get("data_type")
    return {
        "materialized": "function",
        "arguments": listed,
        "parameters": [_parameter(each) for each in listed],
        "returns": returns,
    }


def _parameter(written: Mapping[str, Any]) -> str:
    default = written.get("default_value")
    name = quoted(str(written.get("name")))
    return name if default is None else f"{name} := {default}"
