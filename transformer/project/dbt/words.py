"""Renders Jinja in YAML as dbt does: a string that is a single expression becomes its value."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from transformer.errors import (
    ConfigError,
    RenderError,
    TransformError,
    Where,
    did_you_mean,
)
from transformer.project.tree import YamlItem

# Renders the Jinja of one string: (text, place, names available besides `env_var`) -> text.
Render = Callable[[str, Where, Mapping[str, Any]], str]

# Rendered later, when more of the context is available.
HOOKS = frozenset(("pre_hook", "post_hook", "pre-hook", "post-hook"))
LATER = HOOKS | {"description", "tests", "data_tests", "loaded_at_query", "sql_header", "where"}
# Its keys are column names, whatever they look like.
_BY_COLUMN = "column_types"
# Configuration that must be a mapping everywhere.
_MAPPINGS = frozenset(("column_types", "docs", "meta", "snapshot_meta_column_names"))
_LISTS = frozenset(("depends_on", "extensions"))
_MISSING: Any = object()
_WHOLE = re.compile(r"\s*\{\{-?((?:(?!\{\{|\}\}|\{%|%\}).)+?)-?\}\}\s*\Z", re.DOTALL)
_JINJA = re.compile(r"\{\{|\{%|\{#")
_PLAIN = (bool, int, float, str, list, tuple, dict, type(None))


class ReadingNotes(Struct):
    """Findings while reading: mistakes, notices, and unreadable files."""

    mistakes: list[TransformError] = []
    notices: dict[str, str] = {}
    unread: set[str] = set()

    def mistake(self, what: str, where: Where, hint: str = "") -> None:
        """Notes a mistake; reading goes on."""
        self.mistakes.append(ConfigError(what, where, hint))

    def duplicate_key(self, error: ConfigError) -> None:
        """Notes a duplicate key: as in dbt, its last value counts."""
        place = f" ({error.where.path}:{error.where.line})" if error.where else ""
        self.say(f"{error.what}{place}: the last one counts")

    def unique_mistakes(self) -> tuple[TransformError, ...]:
        """The mistakes without duplicates: a value may have been read several times."""
        return tuple(
            {(str(mistake.where), mistake.what): mistake for mistake in self.mistakes}.values()
        )

    def say(self, text: str, about: str = "") -> None:
        """Notes a message for the user, once per text, or once per `about`."""
        self.notices.setdefault(about or text, text)


class VarLookup:
    """`var('name', default)` over the variables that a package sees."""

    def __init__(self, values: Mapping[str, Any], fill: Callable[[str], str] | None = None) -> None:
        self.values, self._fill = values, fill
        self._filling: list[str] = []

    def __call__(self, name: str, default: Any = _MISSING) -> Any:
        """The variable's value, or the default. Raises RenderError if there is neither."""
        if name not in self.values and default is _MISSING:
            raise RenderError(
                f"the variable `{name}` has no value",
                hint=did_you_mean(name, self.values, otherwise="") or "set it under `vars:`",
            )
        value = self.values.get(name, default)
        if self._fill and name in self.values and isinstance(value, str) and "{" in value:
            return self._filled(name, value, self._fill)
        return value

    def _filled(self, name: str, value: str, fill: Callable[[str], str]) -> str:
        if name in self._filling:
            raise RenderError(f"the variable `{name}` refers to itself", hint="check `--vars`")
        self._filling.append(name)
        try:
            return fill(value)
        finally:
            self._filling.pop()

    def has_var(self, name: str) -> bool:
        """Whether the variable has a value."""
        return name in self.values


@dataclass(frozen=True, slots=True)
class YamlRenderer:
    """Renders the Jinja of YAML values with `var`, `target` and the caller's names."""

    render: Render
    notes: ReadingNotes
    values: Mapping[str, Any] = field(default_factory=dict)
    # Renders values that may hold a secret.
    connecting: Render | None = None
    # Rendered texts: many are repeated across files.
    cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def for_secrets(self) -> YamlRenderer:
        """The same for values that may hold a secret, which enter neither SQL nor names."""
        return dataclasses.replace(self, render=self.connecting or self.render, cache={})

    def knowing(self, **more: Any) -> YamlRenderer:
        """The same with further names."""
        return dataclasses.replace(self, values={**self.values, **more}, cache={})

    def with_filled(self, variables: Mapping[str, Any], **more: Any) -> YamlRenderer:
        """The same with further names and with variables whose own Jinja is rendered: as in dbt,
        for the project file and the profile, not for other YAML."""
        values = {**self.values, **more}
        renderer = dataclasses.replace(self, values=values, cache={})
        values["var"] = VarLookup(variables, lambda text: renderer.text(text, Where("--vars")))
        return renderer

    def value(self, item: YamlItem, later: Iterable[str] = LATER) -> Any:
        """The plain value, rendered except under the keys of `later`."""
        if item.is_map:
            return {
                key: element.plain()
                if key.removeprefix("+") in later
                else self.under(key.removeprefix("+"), element, later)
                for key, _, element in item.entries()
            }
        if item.is_list:
            return [self.value(element, later) for element in item.value]
        return self.scalar(item)

    def under(self, key: str, item: YamlItem, later: Iterable[str] = LATER) -> Any:
        """The value of a key; a wrong type where a mapping or list is required is a mistake."""
        if key in _MAPPINGS and not item.is_map and item.value is not None:
            self.notes.mistake(f"`{key}` must be a mapping", item.where, "write `key: value`")
            return {}
        if key in _LISTS and not item.is_list and item.value is not None:
            self.notes.mistake(f"`{key}` must be a list", item.where, "write `[a, b]`")
            return []
        if key == "tags":
            return self._tags(item)
        if key == _BY_COLUMN and item.is_map:
            for column, _, type_item in item.entries():
                if type_item.is_map or type_item.is_list:
                    self.notes.mistake(f"the type of `{column}` must be a text", type_item.where)
                    return {}
        return self.value(item, () if key == _BY_COLUMN else later)

    def _tags(self, item: YamlItem) -> Any:
        tags = None if item.is_map else self.value(item)
        if item.is_map or not isinstance(tags, str | list | None):
            hint = "write `tags: nightly`, or `tags: [nightly, finance]`"
            self.notes.mistake("`tags` must be a text or a list of texts", item.where, hint)
            return []
        return tags

    def scalar(self, item: YamlItem) -> Any:
        """One value; None beside a noted mistake if it cannot be rendered."""
        if not isinstance(item.value, str):
            return item.value
        try:
            return self.fill(item.value, item.where)
        except TransformError as error:
            self.notes.mistakes.append(error.at(item.where))
            return None

    def fill(self, text: str, where: Where) -> Any:
        """The rendered text, or the native value if it is a single expression."""
        if not _JINJA.search(text):
            return text.removesuffix("\n")  # as Jinja does
        if text not in self.cache:
            whole = _WHOLE.match(text)
            value = self._native(whole[1], where) if whole else self.text(text, where)
            self.cache[text] = value
        return self.cache[text]

    def text(self, text: str, where: Where) -> str:
        """The rendered text."""
        return self.render(text, where, self.values)

    def _native(self, expression: str, where: Where) -> Any:
        values: list[Any] = []

        def keep(value: Any) -> str:
            shown = str(value)  # an undefined name raises here
            values.append(value if isinstance(value, _PLAIN) else shown)
            return shown

        shown = self.render(f"{{{{ keep_value({expression}) }}}}", where,
                            {**self.values, "keep_value": keep})  # fmt: skip
        return values[0] if values else shown


def as_flag(value: Any) -> bool:
    """A flag in any spelling of YAML or text; None is True."""
    if isinstance(value, str):
        return value.strip().lower() not in ("false", "no", "off", "0", "")
    return True if value is None else bool(value)


def texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them, as a tuple."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(str(text) for text in value if text is not None)
    return (str(value),)


def as_mapping(value: Any) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return dict(value) if isinstance(value, Mapping) else {}


def child(item: YamlItem | None, *keys: str) -> YamlItem | None:
    """The value of the first of the keys that is present."""
    if item is None or not item.is_map:
        return None
    return next((item.value[key][1] for key in keys if key in item.value), None)
