"""The Jinja of YAML as dbt fills it in: a string that is one expression becomes its value."""

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

# Fills in the Jinja of one string: (text, place, words it may use beside `env_var`) -> text.
Render = Callable[[str, Where, Mapping[str, Any]], str]

# Filled in later, where more is known than when YAML is read.
HOOKS = frozenset(("pre_hook", "post_hook", "pre-hook", "post-hook"))
LATER = HOOKS | {"description", "tests", "data_tests", "loaded_at_query", "sql_header", "where"}
# Whose keys are names of columns, whatever they look like.
_BY_COLUMN = "column_types"
# Configuration that is a mapping wherever it stands.
_MAPPINGS = frozenset(("column_types", "docs", "meta", "snapshot_meta_column_names"))
_LISTS = frozenset(("depends_on", "extensions"))
_MISSING: Any = object()
_WHOLE = re.compile(r"\s*\{\{-?((?:(?!\{\{|\}\}|\{%|%\}).)+?)-?\}\}\s*\Z", re.DOTALL)
_JINJA = re.compile(r"\{\{|\{%|\{#")
_PLAIN = (bool, int, float, str, list, tuple, dict, type(None))


class ReadingNotes(Struct):
    """What reading comes upon: mistakes, things to be said once, files that cannot be read."""

    mistakes: list[TransformError] = []
    said: dict[str, str] = {}
    unread: set[str] = set()

    def mistake(self, what: str, where: Where, hint: str = "") -> None:
        """Notes a mistake; reading goes on."""
        self.mistakes.append(ConfigError(what, where, hint))

    def twice(self, error: ConfigError) -> None:
        """Notes a key that stands twice: with dbt its last value counts."""
        at = f" ({error.where.path}:{error.where.line})" if error.where else ""
        self.say(f"{error.what}{at}: the last one counts")

    def once(self) -> tuple[TransformError, ...]:
        """The mistakes, each once: a value may have been read for several reasons."""
        return tuple({(str(each.where), each.what): each for each in self.mistakes}.values())

    def say(self, text: str, about: str = "") -> None:
        """Notes what is to be told to the user, once; once about one thing where it is named."""
        self.said.setdefault(about or text, text)


class VarLookup:
    """`var('name', default)` over the variables that a package sees."""

    def __init__(self, known: Mapping[str, Any], fill: Callable[[str], str] | None = None) -> None:
        self.known, self._fill = known, fill
        self._filling: list[str] = []

    def __call__(self, name: str, default: Any = _MISSING) -> Any:
        """The variable's value, or the default. Raises RenderError when it has neither."""
        if name not in self.known and default is _MISSING:
            raise RenderError(
                f"the variable `{name}` has no value",
                hint=did_you_mean(name, self.known, otherwise="") or "set it under `vars:`",
            )
        value = self.known.get(name, default)
        if self._fill and name in self.known and isinstance(value, str) and "{" in value:
            return self._filled(name, value, self._fill)
        return value

    def _filled(self, name: str, value: str, fill: Callable[[str], str]) -> str:
        if name in self._filling:
            raise RenderError(f"the variable `{name}` holds itself", hint="look at `--vars`")
        self._filling.append(name)
        try:
            return fill(value)
        finally:
            self._filling.pop()

    def has_var(self, name: str) -> bool:
        """Whether the variable has a value."""
        return name in self.known


@dataclass(frozen=True, slots=True)
class YamlRenderer:
    """Fills in the Jinja of YAML values with `var`, `target` and what the caller adds."""

    render: Render
    notes: ReadingNotes
    known: Mapping[str, Any] = field(default_factory=dict)
    # What renders values that may hold a secret.
    connecting: Render | None = None
    # What texts came to: the same ones stand in many files.
    held: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def for_secrets(self) -> YamlRenderer:
        """The same for values that may hold a secret: they enter no SQL and no name."""
        return dataclasses.replace(self, render=self.connecting or self.render, held={})

    def knowing(self, **more: Any) -> YamlRenderer:
        """The same with further words."""
        return dataclasses.replace(self, known={**self.known, **more}, held={})

    def with_filled(self, variables: Mapping[str, Any], **more: Any) -> YamlRenderer:
        """The same with further words and with variables whose own Jinja is filled in: the
        command line's are, where the project file asks for them; where other YAML does, not."""
        known = {**self.known, **more}
        made = dataclasses.replace(self, known=known, held={})
        known["var"] = VarLookup(variables, lambda text: made.text(text, Where("--vars")))
        return made

    def value(self, item: YamlItem, later: Iterable[str] = LATER) -> Any:
        """The value without places, Jinja filled in except under the keys of `later`."""
        if item.is_map:
            return {
                key: each.plain()
                if key.removeprefix("+") in later
                else self.under(key.removeprefix("+"), each, later)
                for key, _, each in item.entries()
            }
        if item.is_list:
            return [self.value(each, later) for each in item.value]
        return self.scalar(item)

    def under(self, key: str, item: YamlItem, later: Iterable[str] = LATER) -> Any:
        """The value of a key; one that has to be a mapping or a list and is none is a mistake."""
        if key in _MAPPINGS and not item.is_map and item.value is not None:
            self.notes.mistake(f"`{key}` must be a mapping", item.where, "write `key: value`")
            return {}
        if key in _LISTS and not item.is_list and item.value is not None:
            self.notes.mistake(f"`{key}` must be a list", item.where, "write `[a, b]`")
            return []
        if key == "tags":
            return self._tags(item)
        if key == _BY_COLUMN and item.is_map:
            for column, _, each in item.entries():
                if each.is_map or each.is_list:
                    self.notes.mistake(f"the type of `{column}` must be a text", each.where)
                    return {}
        return self.value(item, () if key == _BY_COLUMN else later)

    def _tags(self, item: YamlItem) -> Any:
        tags = None if item.is_map else self.value(item)
        if item.is_map or not isinstance(tags, str | list | None):
            hint = "write `tags: nightly`, or `tags: [nightly, finance]`"
            self.notes.mistake("`tags` must be a text, or a list of them", item.where, hint)
            return []
        return tags

    def scalar(self, item: YamlItem) -> Any:
        """One value; what cannot be filled in is a mistake, and None."""
        if not isinstance(item.value, str):
            return item.value
        try:
            return self.fill(item.value, item.where)
        except TransformError as error:
            self.notes.mistakes.append(error.at(item.where))
            return None

    def fill(self, text: str, where: Where) -> Any:
        """The text with its Jinja filled in, the value itself where it is one expression."""
        if not _JINJA.search(text):
            return text.removesuffix("\n")  # as Jinja does
        if text not in self.held:
            whole = _WHOLE.match(text)
            made = self._native(whole[1], where) if whole else self.text(text, where)
            self.held[text] = made
        return self.held[text]

    def text(self, text: str, where: Where) -> str:
        """The text with its Jinja filled in."""
        return self.render(text, where, self.known)

    def _native(self, expression: str, where: Where) -> Any:
        held: list[Any] = []

        def keep(value: Any) -> str:
            shown = str(value)  # an undefined name complains here
            held.append(value if isinstance(value, _PLAIN) else shown)
            return shown

        shown = self.render(f"{{{{ keep_value({expression}) }}}}", where,
                            {**self.known, "keep_value": keep})  # fmt: skip
        return held[0] if held else shown


def truth(value: Any) -> bool:
    """A switch as people write it: `false` in any dress is false, nothing is true."""
    if isinstance(value, str):
        return value.strip().lower() not in ("false", "no", "off", "0", "")
    return True if value is None else bool(value)


def texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them, as a tuple."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(str(each) for each in value if each is not None)
    return (str(value),)


def mapping(value: Any) -> dict[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return dict(value) if isinstance(value, Mapping) else {}


def child(item: YamlItem | None, *keys: str) -> YamlItem | None:
    """What stands under the first of the keys that is there."""
    if item is None or not item.is_map:
        return None
    return next((item.value[key][1] for key in keys if key in item.value), None)
