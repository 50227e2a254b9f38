"""Takes classes of the suite over, as adapters do: each is subclassed, some in other words."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

HOME = "dbt.tests.adapter"


def take(
    folder: str,
    module: str,
    *names: str,
    over: Mapping[str, Any] | None = None,
) -> dict[str, type]:
    """Subclasses of the named classes of a module, by names that pytest collects."""
    found = import_module(f"{HOME}.{folder}.{module}")
    return {
        each.__name__: each
        for name in names
        for each in [_subclass(getattr(found, name), over or {})]
    }


def _subclass(base: type, over: Mapping[str, Any]) -> type:
    name = "Test" + base.__name__.removeprefix("Test").removeprefix("Base")
    return type(name, (base,), {"__module__": base.__module__, **over})


def without_zone(sql: str) -> str:
    """The SQL without the time zone that DuckDB's TIMESTAMP does not take."""
    return sql.replace("-0'", "'")
