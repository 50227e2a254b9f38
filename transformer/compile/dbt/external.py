"""Files written by models: their location, the options of `copy … to`, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from transformer.errors import RenderError
from transformer.names import literal, quoted

_FORMATS = ("csv", "json", "parquet")
_LITERAL = re.compile(r"\(.*\)|'.*'|\d+(\.\d+)?|true|false", re.IGNORECASE | re.DOTALL)
# Options whose value is a name or a list of names.
_NAMES = {"format", "codec", "compression", "partition_by", "header"}
# Options whose value is always a text.
_TEXTS = {"delimiter", "quote", "escape", "null"}
_COMPRESSED = {"gz": "gzip", "zst": "zstd"}


class ExternalFile(Struct, frozen=True):
    """The file of an external model: location, options of `copy`, and SQL that reads it back."""

    place: str
    options: str
    reading: str
    # Whether it could not be read back without rows.
    needs_a_row: bool = False


def file_of(written: Mapping[str, Any], name: str, root: str) -> ExternalFile:
    """The file of a model with this configuration. Raises RenderError for an unsupported
    format."""
    options = _copy_options(written)
    place = str(written.get("location") or _default_place(written, name, root))
    full = _complete(place, options)
    kind = _unquoted(full["format"]).lower()
    if kind not in _FORMATS:
        raise RenderError(
            f"`{kind}` is not a format of external models",
            hint="set `format` to parquet, csv or json",
        )
    read_options = written.get(f"{kind}_read_options") or {}
    if not isinstance(read_options, Mapping):
        raise RenderError(f"`{kind}_read_options` is not a mapping")
    reader_options = {str(key): value for key, value in read_options.items()}
    if kind != "parquet" and full.get("compression"):
        reader_options.setdefault("compression", _unquoted(full["compression"]))
    arguments = [literal(read_location(place, full))]
    arguments += [f"{quoted(key)}={_constant_sql(value)}" for key, value in reader_options.items()]
    reading = f"read_{kind}({', '.join(arguments)})"
    return ExternalFile(
        place, _options_sql(full), reading, kind == "json" or bool(full.get("partition_by"))
    )


def _copy_options(written: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `copy`, including those set at the top level."""
    options = written.get("options") or {}
    if not isinstance(options, Mapping):
        raise RenderError("`options` is not a mapping")
    top_level = {key: written[key] for key in ("format", "delimiter") if written.get(key)}
    return {**{str(key).lower(): value for key, value in options.items()}, **top_level}


def _default_place(written: Mapping[str, Any], name: str, root: str) -> str:
    partitions = (written.get("options") or {}).get("partition_by")
    extension = "" if partitions else f".{written.get('format') or 'parquet'}"
    return f"{root}/{name}{extension}"


def read_location(location: str, options: Mapping[str, Any]) -> str:
    """The file, or a pattern for the files, written to the location."""
    partitions = options.get("partition_by")
    if not partitions and not options.get("per_thread_output"):
        return location
    columns = (
        partitions
        if isinstance(partitions, list | tuple)
        else str(partitions or "").strip("() ").split(",")
    )
    depth = len([part for part in columns if str(part).strip()])
    return f"{location}{'/*' * depth}/*.{options.get('format', 'parquet')}"


def write_options(location: str, options: Mapping[str, Any]) -> str:
    """The options as `copy` takes them; the format defaults to the file's extension, else
    Parquet."""
    return _options_sql(_complete(location, {str(key).lower(): v for key, v in options.items()}))


def _complete(location: str, options: Mapping[str, Any]) -> dict[str, Any]:
    completed = dict(options)
    if "format" not in completed:
        kind, compression = _by_extension(location)
        completed = {
            "format": kind or ("csv" if "delimiter" in completed else "parquet"),
            **completed,
        }
        if compression:
            completed.setdefault("compression", compression)
    if _unquoted(completed["format"]).lower() == "csv":
        completed.setdefault("header", 1)
    return completed


def _by_extension(location: str) -> tuple[str, str]:
    """Format and compression by a file's extension; "" if it has none."""
    _, *extensions = location.rpartition("/")[2].lower().split(".")
    compression = _COMPRESSED.get(extensions[-1], "") if extensions else ""
    rest = extensions[:-1] if compression else extensions
    return (rest[-1] if rest else ""), compression


def _options_sql(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_value_sql(key, value)}" for key, value in options.items())


def _unquoted(value: Any) -> str:
    return str(value).strip("'\"")


def _value_sql(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"({', '.join(map(str, value))})"
    text = str(value)
    if key in _TEXTS:
        return text if len(text) > 1 and text[0] == text[-1] == "'" else literal(text)
    if key == "partition_by" and "," in text and not text.startswith("("):
        return f"({text})"
    is_name = key in _NAMES and re.fullmatch(r"\w+(\s*,\s*\w+)*", text)
    return text if is_name or _LITERAL.fullmatch(text) else literal(text)


def _constant_sql(value: Any) -> str:
    """The value of a reader's option as SQL."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_constant_sql, value))}]"
    if isinstance(value, Mapping):
        return (
            f"{{{', '.join(f'{literal(str(k))}: {_constant_sql(v)}' for k, v in value.items())}}}"
        )
    return literal(str(value))
