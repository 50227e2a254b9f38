"""Files that models write: where they stand, the options of `copy … to`, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from transformer.errors import RenderError
from transformer.names import literal, quoted

_FORMATS = ("csv", "json", "parquet")
_AS_IT_IS = re.compile(r"\(.*\)|'.*'|\d+(\.\d+)?|true|false", re.IGNORECASE | re.DOTALL)
# Options whose value is a name or a list of names, not a text.
_NAMES = {"format", "codec", "compression", "partition_by", "header"}
# Options whose value is a text, whatever it looks like.
_TEXTS = {"delimiter", "quote", "escape", "null"}
_COMPRESSED = {"gz": "gzip", "zst": "zstd"}


class ExternalFile(Struct, frozen=True):
    """What an external model writes: the place, the options of `copy`, and what reads it back."""

    place: str
    options: str
    reading: str
    # Whether nothing of it could be read if it had no rows.
    needs_a_row: bool = False


def file_of(written: Mapping[str, Any], name: str, root: str) -> ExternalFile:
    """The file of a model with this configuration. Raises RenderError for a format that cannot
    be read back."""
    options = _given(written)
    place = str(written.get("location") or _default_place(written, name, root))
    full = _complete(place, options)
    kind = _plain(full["format"]).lower()
    if kind not in _FORMATS:
        raise RenderError(
            f"`{kind}` is not a format of external models",
            hint="set `format` to parquet, csv or json",
        )
    asked = written.get(f"{kind}_read_options") or {}
    if not isinstance(asked, Mapping):
        raise RenderError(f"`{kind}_read_options` is not a mapping")
    found = {str(key): value for key, value in asked.items()}
    if kind != "parquet" and full.get("compression"):
        found.setdefault("compression", _plain(full["compression"]))
    arguments = [literal(read_location(place, full))]
    arguments += [f"{quoted(key)}={_constant(value)}" for key, value in found.items()]
    reading = f"read_{kind}({', '.join(arguments)})"
    return ExternalFile(
        place, _listed(full), reading, kind == "json" or bool(full.get("partition_by"))
    )


def _given(written: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `copy`, with those that may stand beside them."""
    options = written.get("options") or {}
    if not isinstance(options, Mapping):
        raise RenderError("`options` is not a mapping")
    beside = {key: written[key] for key in ("format", "delimiter") if written.get(key)}
    return {**{str(key).lower(): value for key, value in options.items()}, **beside}


def _default_place(written: Mapping[str, Any], name: str, root: str) -> str:
    cut = (written.get("options") or {}).get("partition_by")
    ending = "" if cut else f".{written.get('format') or 'parquet'}"
    return f"{root}/{name}{ending}"


def read_location(location: str, options: Mapping[str, Any]) -> str:
    """The file, or a pattern of the files, that was written there."""
    parts = options.get("partition_by")
    if not parts and not options.get("per_thread_output"):
        return location
    listed = parts if isinstance(parts, list | tuple) else str(parts or "").strip("() ").split(",")
    depth = len([part for part in listed if str(part).strip()])
    return f"{location}{'/*' * depth}/*.{options.get('format', 'parquet')}"


def write_options(location: str, options: Mapping[str, Any]) -> str:
    """The options as `copy` takes them; the format is the file's ending where none is given, and
    Parquet where it has none."""
    return _listed(_complete(location, {str(key).lower(): v for key, v in options.items()}))


def _complete(location: str, options: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(options)
    if "format" not in made:
        kind, compression = _by_ending(location)
        made = {"format": kind or ("csv" if "delimiter" in made else "parquet"), **made}
        if compression:
            made.setdefault("compression", compression)
    if _plain(made["format"]).lower() == "csv":
        made.setdefault("header", 1)
    return made


def _by_ending(location: str) -> tuple[str, str]:
    """The format that a file's name tells, and its compression; each "" where it tells none."""
    _, *endings = location.rpartition("/")[2].lower().split(".")
    compression = _COMPRESSED.get(endings[-1], "") if endings else ""
    rest = endings[:-1] if compression else endings
    return (rest[-1] if rest else ""), compression


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_value(key, value)}" for key, value in options.items())


def _plain(value: Any) -> str:
    return str(value).strip("'\"")


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"({', '.join(map(str, value))})"
    text = str(value)
    if key in _TEXTS:
        return text if len(text) > 1 and text[0] == text[-1] == "'" else literal(text)
    if key == "partition_by" and "," in text and not text.startswith("("):
        return f"({text})"
    plain = key in _NAMES and re.fullmatch(r"\w+(\s*,\s*\w+)*", text)
    return text if plain or _AS_IT_IS.fullmatch(text) else literal(text)


def _constant(value: Any) -> str:
    """The value of an option of a reader as SQL."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_constant, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{literal(str(k))}: {_constant(v)}' for k, v in value.items())}}}"
    return literal(str(value))
