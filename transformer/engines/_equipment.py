"""Statements for a target's extensions, secrets and attached databases."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from transformer.errors import WarehouseError
from transformer.names import literal, quoted

# Extensions built into DuckDB's wheel.
BUILT_IN = frozenset({"parquet", "json", "icu", "core_functions", "autocomplete"})


def loading(name: str) -> str:
    plain, _, repository = name.partition(" from ")
    if not re.fullmatch(r"\w+", plain) or not re.fullmatch(r"[\w./:'-]*", repository):
        raise WarehouseError(f"`{name}` is not an extension", hint="check `extensions:`")
    wheel = wheel_of(plain)
    if wheel:
        return f"load {literal(wheel)}"
    return f"install {plain}{f' from {repository}' if repository else ''}; load {plain}"


def attach(entry: Mapping[str, Any]) -> str:
    """The statement that attaches a database: path, alias, type, read_only, options."""
    kind = str(entry.get("type") or "")
    options = [f"type {kind}"] if re.fullmatch(r"\w+", kind) else []
    options += ["read_only"] if entry.get("read_only") else []
    options += [f"{key} {literal(str(v))}" for key, v in (entry.get("options") or {}).items()]
    alias = f" as {quoted(str(entry['alias']))}" if entry.get("alias") else ""
    listed = f" ({', '.join(options)})" if options else ""
    return f"attach if not exists {literal(str(entry.get('path') or ''))}{alias}{listed}"


def secret(entry: Mapping[str, Any]) -> str:
    """The statement that creates a secret from `type` and its keys. Raises WarehouseError."""
    name = f" {quoted(str(entry['name']))}" if entry.get("name") else ""
    options = {k: v for k, v in entry.items() if k not in ("name", "persistent", "secret_provider")}
    parts = []
    for key, value in options.items():
        if not re.fullmatch(r"\w+", str(key)):
            raise WarehouseError(f"`{key}` is not a key of a secret", hint="check `secrets:`")
        plain = key in ("type", "provider")
        parts.append(f"{key} {value if plain else literal(str(value))}")
    return f"create or replace secret{name} ({', '.join(parts)})"


def wheel_of(name: str) -> str | None:
    """The path of an extension that is installed as a wheel; None if it is not."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    for home in list(spec.submodule_search_locations or ()) if spec else []:
        path = Path(home) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if path.is_file():
            return str(path)
    return None
