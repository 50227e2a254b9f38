"""What a target adds to DuckDB: extensions, secrets, attached databases, as statements."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from transformer.errors import WarehouseError
from transformer.names import literal, quoted

# Extensions that DuckDB's wheel holds itself.
BUILT_IN = frozenset({"parquet", "json", "icu", "core_functions", "autocomplete"})


def loading(name: str) -> str:
    plain, _, place = name.partition(" from ")
    if not re.fullmatch(r"\w+", plain) or not re.fullmatch(r"[\w./:'-]*", place):
        raise WarehouseError(f"`{name}` is no extension", hint="look at `extensions:`")
    wheel = wheel_of(plain)
    if wheel:
        return f"load {literal(wheel)}"
    return f"install {plain}{f' from {place}' if place else ''}; load {plain}"


def attach(given: Mapping[str, Any]) -> str:
    """The statement that attaches a database: path, alias, type, read_only, options."""
    kind = str(given.get("type") or "")
    options = [f"type {kind}"] if re.fullmatch(r"\w+", kind) else []
    options += ["read_only"] if given.get("read_only") else []
    options += [f"{key} {literal(str(v))}" for key, v in (given.get("options") or {}).items()]
    alias = f" as {quoted(str(given['alias']))}" if given.get("alias") else ""
    listed = f" ({', '.join(options)})" if options else ""
    return f"attach if not exists {literal(str(given.get('path') or ''))}{alias}{listed}"


def secret(given: Mapping[str, Any]) -> str:
    """The statement that makes a secret; `type` and the keys of its type."""
    name = f" {quoted(str(given['name']))}" if given.get("name") else ""
    kept = {k: v for k, v in given.items() if k not in ("name", "persistent", "secret_provider")}
    parts = []
    for key, value in kept.items():
        if not re.fullmatch(r"\w+", str(key)):
            raise WarehouseError(f"`{key}` is no key of a secret", hint="look at `secrets:`")
        plain = key in ("type", "provider")
        parts.append(f"{key} {value if plain else literal(str(value))}")
    return f"create or replace secret{name} ({', '.join(parts)})"


def wheel_of(name: str) -> str | None:
    """The file of an extension that is installed as a wheel."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    for home in list(spec.submodule_search_locations or ()) if spec else []:
        found = Path(home) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if found.is_file():
            return str(found)
    return None
