"""Reads YAML by the tables in `schema`: unknown keys and wrong values become mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from transformer.errors import ConfigError, TransformError, Where, did_you_mean, nearest
from transformer.project.schema import Field, Fields
from transformer.project.tree import YamlItem
from transformer.project.values import COMPARISON

Renderer = Callable[[str, Where], str]

_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_ARTICLES = {
    "text": "text",
    "flag": "`true` or `false`",
    "integer": "a whole number",
    "number": "a number",
    "share": "a share: `20 %` or `0.2`",
    "map": "a mapping",
    "options": "a mapping",
    "block": "a mapping",
    "blocks": "a list of mappings",
    "named": "a mapping",
    "tree": "a mapping",
    "checks": "a list",
    "interval": "`{count: 12, period: hour}`",
}


_EXAMPLES = {
    "block": "write `key: value`, one line per key",
    "map": "write `key: value`, one line per key",
    "options": "write `kind: …` and the keys of that kind, one per line",
    "named": "write a name with a colon, and its keys below",
    "blocks": "write a list: each entry begins with `- name: …`",
    "checks": "write a list: `- not_null`, `- unique` …",
}


class YamlReader(Struct):
    """Collects mistakes while reading. `render` renders Jinja in strings, `connecting` in values
    that may hold a secret."""

    render: Renderer
    connecting: Renderer
    mistakes: list[TransformError] = field(default_factory=list)

    def mistake(self, what: str, where: Where, hint: str = "") -> None:
        """Notes a mistake; reading continues."""
        self.mistakes.append(ConfigError(what, where, hint))

    def block(self, item: YamlItem, fields: Fields, what: str) -> MappingBlock:
        """The mapping read by its fields; missing keys have their default."""
        by_name = {name: spec for spec in fields for name in (spec.name, *spec.aliases)}
        before = len(self.mistakes)
        block = MappingBlock(item.where, {spec.name: spec.default for spec in fields})
        if not item.is_map:
            if item.value is not None:
                self.mistake(f"{what} must be a mapping", item.where, _EXAMPLES["block"])
            return block
        for key, where, value in item.entries():
            spec = by_name.get(key)
            if spec is None:
                self.mistake(f"unknown key `{key}` in {what}", where, did_you_mean(key, by_name))
            elif value.value is not None:
                block.items[spec.name] = value
                block.places[spec.name] = where
                block.values[spec.name] = self.value(value, spec, key)
        missing = [
            spec for spec in fields if spec.required and block.values[spec.name] in (None, (), "")
        ]
        misspelt = {nearest(key, by_name) for key, _, _ in item.entries() if key not in by_name}
        for spec in missing:
            wrong = spec.name in block.places and len(self.mistakes) > before
            if not wrong and spec.name not in misspelt:
                hint = f"add `{spec.name}:` – {_meaning(spec)}"
                self.mistake(f"{what} has no `{spec.name}`", item.where, hint)
        return block

    def value(self, item: YamlItem, spec: Field, key: str) -> Any:
        """One value of the field's kind, or the default beside a noted mistake."""
        try:
            return _READERS[spec.kind](self._for(spec), item, spec, key)
        except _WrongError as wrong:
            hint = _EXAMPLES.get(spec.kind) or f"`{key}` – {_meaning(spec)}"
            self.mistake(f"`{key}` must be {wrong}", item.where, hint)
            return spec.default

    def _for(self, spec: Field) -> YamlReader:
        return YamlReader(self.connecting, self.connecting, self.mistakes) if spec.secret else self

    def word(self, item: YamlItem, key: str) -> str:
        """A text, or an empty one beside a noted mistake."""
        return str(self.value(item, Field(key, "text", f"the {key}"), key) or "")

    def text(self, item: YamlItem) -> Any:
        """A scalar; strings are rendered."""
        value = item.value
        if isinstance(value, str) and ("{{" in value or "{%" in value):
            try:
                return self.render(value, item.where)
            except TransformError as error:
                self.mistakes.append(error.at(item.where))
                return ""
        return value

    def plain(self, item: YamlItem) -> Any:
        """The plain value, rendered."""
        if item.is_map:
            return {key: self.plain(value) for key, _, value in item.entries()}
        if item.is_list:
            return [self.plain(value) for value in item.value]
        return self.text(item)


class MappingBlock(Struct):
    """A parsed mapping: values by field, the places of keys, and the raw items."""

    where: Where
    values: dict[str, Any]
    places: dict[str, Where] = field(default_factory=dict)
    items: dict[str, YamlItem] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def place(self, name: str) -> Where:
        """The place of the key, or of the mapping if the key is absent."""
        return self.places.get(name, self.where)

    def value_place(self, name: str) -> Where:
        """The place of the key's value, or of the mapping if the key is absent."""
        return self.items[name].where if name in self.items else self.where

    def written(self) -> dict[str, Any]:
        """Only the values that are written, without defaults."""
        return {name: self.values[name] for name in self.places}


class _WrongError(Exception):
    pass


def _meaning(spec: Field) -> str:
    """A field's description, in lower case for the middle of a sentence."""
    return spec.doc[:1].lower() + spec.doc[1:]


def _scalar(reader: YamlReader, item: YamlItem) -> Any:
    if item.is_map or item.is_list:
        return None
    return reader.text(item)


def _text(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> str:
    # A description may contain `{{ doc('…') }}`, which cannot be rendered yet.
    raw = item.value if key == "description" else _scalar(reader, item)
    if raw is None or isinstance(raw, dict | tuple):
        raise _WrongError(_ARTICLES[spec.kind if spec.kind in _ARTICLES else "text"])
    return str(raw).lower() if isinstance(raw, bool) else str(raw)


def _condition(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> str:
    value = _text(reader, item, spec, key)
    if not COMPARISON.match(value):
        raise _WrongError("a comparison with a number, such as `> 10` or `!= 0`")
    return value


def _texts(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> tuple[str, ...]:
    if item.is_list:
        return tuple(_text(reader, element, spec, key) for element in item.value)
    return (_text(reader, item, spec, key),)


def _flag(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> bool:
    value = _scalar(reader, item)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise _WrongError(_ARTICLES["flag"])
    return value


def _integer(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> int:
    value = _number(reader, item, spec, key)
    if value != int(value):
        raise _WrongError(_ARTICLES["integer"])
    return int(value)


def _number(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> float:
    value = _scalar(reader, item)
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        raise _WrongError(_ARTICLES[spec.kind]) from None
    if not spec.least <= number <= spec.most:  # nor is it NaN
        raise _WrongError(f"{_ARTICLES[spec.kind]}{_range(spec)}")
    return number


def _range(spec: Field) -> str:
    plain = Field("", "number", "")
    least = f" of {spec.least:,} or more" if spec.least > plain.least else ""
    most = f", at most {spec.most:,}" if spec.most < plain.most else ""
    return f"{least}{most}" or " in the usual range"


def _share(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> float:
    """A share between 0 and 1. A plain `20` is ambiguous and rejected."""
    text = str(_scalar(reader, item)).strip()
    percent = text.endswith("%")
    try:
        share = float(text.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        raise _WrongError(_ARTICLES["share"]) from None
    if not 0 <= share <= 1:
        raise _WrongError(_ARTICLES["share"])
    return share


def _choice(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> str:
    value = _text(reader, item, spec, key).strip()
    if value not in spec.choices:
        choices = ", ".join(f"`{choice}`" for choice in spec.choices)
        reader.mistake(
            f"`{key}` cannot be `{value}`; allowed: {choices}",
            item.where,
            did_you_mean(value, spec.choices, otherwise=""),
        )
        return str(spec.default or spec.choices[0])
    return value


def _map(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> dict[str, Any]:
    if not item.is_map:
        raise _WrongError(_ARTICLES[spec.kind])
    return dict(reader.plain(item))


def _options(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> dict[str, Any]:
    if not item.is_map:
        raise _WrongError(_ARTICLES[spec.kind])
    return {}


def _any(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> Any:
    return reader.plain(item)


def _block(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> MappingBlock:
    return reader.block(item, spec.fields, f"`{key}`")


def _blocks(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> tuple[MappingBlock, ...]:
    if not item.is_list:
        raise _WrongError(_ARTICLES["blocks"])
    return tuple(reader.block(entry, spec.fields, f"an entry of `{key}`") for entry in item.value)


def _named(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> dict[str, MappingBlock]:
    if not item.is_map:
        raise _WrongError(_ARTICLES["named"])
    return {
        name: reader.block(value, spec.fields, f"`{key}.{name}`")
        for name, _, value in item.entries()
    }


def _raw(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> YamlItem:
    wants_list = spec.kind == "checks"
    if not (item.is_list if wants_list else item.is_map):
        raise _WrongError(_ARTICLES[spec.kind])
    return item


def _interval(reader: YamlReader, item: YamlItem, spec: Field, key: str) -> int:
    value = reader.plain(item)
    if not isinstance(value, Mapping) or set(value) != {"count", "period"}:
        raise _WrongError(_ARTICLES["interval"])
    period = str(value["period"]).removesuffix("s")
    if period not in _PERIODS or not isinstance(value["count"], int):
        raise _WrongError("`{count: 12, period: hour}`, with second, minute, hour, day or week")
    return int(value["count"]) * _PERIODS[period]


_READERS: dict[str, Callable[[YamlReader, YamlItem, Field, str], Any]] = {
    "text": _text,
    "condition": _condition,
    "texts": _texts,
    "flag": _flag,
    "integer": _integer,
    "number": _number,
    "share": _share,
    "choice": _choice,
    "map": _map,
    "options": _options,
    "any": _any,
    "block": _block,
    "blocks": _blocks,
    "named": _named,
    "checks": _raw,
    "interval": _interval,
    "tree": _raw,
}
