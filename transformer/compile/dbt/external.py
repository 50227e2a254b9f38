"""Files that models write: where to read them, and the options of `copy … to`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transformer.errors import RenderError
from transformer.names import literal

_FORMATS = {"csv", "json", "parquet"}
_AS_IT_IS = re.compile(r"\(.*\)|'.*'|\d+(\.\d+)?|true|false", re.IGNORECASE | re.DOTALL)
# Options whose value is a name or a list of names, not a text.
_NAMES = {"format", "codec", "compression", "partition_by", "header"}


def read_location(location: str, options: Mapping[str, Any]) -> str:
    """The file, or a pattern of the files, that was written there."""
    parts = options.get("partition_by")
    if not parts and not options.get("per_thread_output"):
        return location
    listed = parts if isinstance(parts, list | tuple) else str(parts or "").strip("() ").split(",")
    depth = len([part for part in listed if str(part).strip()])
    return f"{location}{'/*' * depth}/*.{options.get('format', 'parquet')}"


def write_options(location: str, options: Mapping[str, Any]) -> str:
    """The options as `copy` takes them; the format is the file's ending where none is given.
    Raises RenderError when neither says it."""
    made = {str(key).lower(): value for key, value in options.items()}
    if "format" not in made:
        made = {"format": _format(location, made), **made}
    if str(made["format"]).strip("'\"").lower() == "csv":
        made.setdefault("header", 1)
    return ", ".join(f"{key} {_value(key, value)}" for key, value in made.items())


def _format(location: str, options: Mapping[str, Any]) -> str:
    ending = location.rpartition("/")[2].rpartition(".")[2].lower()
    if ending in _FORMATS:
        return ending
    if "delimiter" in options:
        return "csv"
    raise RenderError(f"what format has `{location}`?", hint="set `format` to parquet, csv or json")


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"({', '.join(map(str, value))})"
    text = str(value)
    plain = key in _NAMES and re.fullmatch(r"\w+(\s*,\s*\w+)*", text)
    return text if plain or _AS_IT_IS.fullmatch(text) else literal(text)
