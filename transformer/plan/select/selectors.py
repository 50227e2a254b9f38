"""Selectors as values: those on the command line, and the definitions in `selectors.yml`.

`orders+`, `2+orders`, `@orders`, `tag:nightly,path:models/marts`: spaces mean union, commas
intersection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from transformer.errors import UsageError, did_you_mean

_WORD = re.compile(
    r"(?P<around>@)?(?P<above>(?P<above_depth>\d*)\+)?"
    r"(?:(?P<method>[\w.]+):)?(?P<value>.*?)(?P<below>\+(?P<below_depth>\d*))?\Z",
    re.DOTALL,
)
_FILES = (".sql", ".py", ".csv", ".yml", ".yaml")
INDIRECT = ("eager", "cautious", "buildable", "empty")
_KEYS = (
    *("method", "value", "exclude", "indirect_selection", "childrens_parents"),
    *("parents", "parents_depth", "children", "children_depth", "name", "description", "default"),
)


class Criterion(Struct, frozen=True):
    """One criterion: what it matches, and how many levels upstream and downstream (-1: all).

    `written` is its text, for messages. `around` is `@`: everything downstream, with everything
    upstream of that.
    """

    method: str
    value: str
    written: str
    above: int = 0
    below: int = 0
    around: bool = False
    indirect: str = "eager"


class Group(Struct, frozen=True):
    """Several selectors combined: union, intersection, or the first minus the rest."""

    how: Literal["union", "intersection", "difference"]
    parts: tuple[Spec, ...]
    indirect: str = "eager"


Spec = Criterion | Group


def from_words(words: Iterable[str], indirect: str = "eager") -> Group:
    """The selectors of `--select` or `--exclude`. Raises UsageError for an invalid one."""
    parts: list[Spec] = []
    for word in " ".join(words).split():
        criteria = [from_word(part, indirect) for part in word.split(",") if part]
        if criteria:
            parts.append(
                criteria[0]
                if len(criteria) == 1
                else Group("intersection", tuple(criteria), indirect)
            )
    return Group("union", tuple(parts), indirect)


def from_word(word: str, indirect: str = "eager") -> Criterion:
    """The criterion of a single word. Raises UsageError for an invalid one."""
    match = _WORD.match(word)
    if not match or not match["value"] or (match["around"] and match["below"]):
        raise UsageError(
            f"`{word}` is not a selector", hint="write `name`, `+name`, `name+`, `tag:x`, `path:x`"
        )
    value = match["value"]
    return Criterion(
        method=match["method"] or _default_method(value),
        value=value,
        written=word,
        above=int(match["above_depth"] or -1) if match["above"] else 0,
        below=int(match["below_depth"] or -1) if match["below"] else 0,
        around=bool(match["around"]),
        indirect=indirect,
    )


def _default_method(value: str) -> str:
    """The method of a word without an explicit one."""
    if "/" in value or "\\" in value:
        return "path"
    return "file" if value.lower().endswith(_FILES) else "fqn"


class Definitions(Struct, frozen=True):
    """The selectors of `selectors.yml`, by name, as written."""

    written: Mapping[str, Any]
    indirect: str = "eager"

    @property
    def default(self) -> str | None:
        """The name of the default selector, if any."""
        return next((n for n, e in self.written.items() if e.get("default") is True), None)

    def spec(self, name: str, chain: tuple[str, ...] = ()) -> Spec:
        """The selector of that name. Raises UsageError if it is missing or invalid."""
        if name not in self.written:
            hint = did_you_mean(name, self.written) or "define it in `selectors.yml`"
            raise UsageError(f"there is no selector `{name}`", hint=hint)
        if name in chain:
            raise UsageError(f"the selector `{name}` refers to itself")
        return self.read(self.written[name].get("definition"), (*chain, name))

    def read(self, written: Any, chain: tuple[str, ...]) -> Spec:
        """A definition: a text, a group, or a method and a value."""
        if isinstance(written, str):
            return from_words([written], self.indirect)
        if not isinstance(written, Mapping) or not written:
            raise UsageError(
                f"the selector `{chain[-1]}` cannot be read",
                hint="a definition is a text, `union:`, `intersection:`, or `method:` and `value:`",
            )
        for how in ("union", "intersection"):
            if how in written:
                return self.group(how, written[how], chain)
        return self.criterion(written, chain)

    def group(
        self, how: Literal["union", "intersection"], written: Any, chain: tuple[str, ...]
    ) -> Spec:
        """A list of definitions, optionally with an `exclude`."""
        entries = written if isinstance(written, list) else [written]
        excluded = [
            entry["exclude"]
            for entry in entries
            if isinstance(entry, Mapping) and set(entry) == {"exclude"}
        ]
        included = [
            entry
            for entry in entries
            if not (isinstance(entry, Mapping) and set(entry) == {"exclude"})
        ]
        group = Group(how, tuple(self.read(entry, chain) for entry in included), self.indirect)
        return self.without(
            group, [definition for exclusion in excluded for definition in _list(exclusion)], chain
        )

    def criterion(self, written: Mapping[str, Any], chain: tuple[str, ...]) -> Spec:
        """A method and a value, or `{tag: nightly}`."""
        if "method" not in written:
            rest = {k: v for k, v in written.items() if k not in _KEYS}
            if len(rest) != 1:
                raise UsageError(f"the selector `{chain[-1]}` cannot be read: {dict(written)}")
            (method, value), *_ = rest.items()
            written = {**written, "method": method, "value": value}
        method, value = str(written["method"]), str(written.get("value", ""))
        if method == "selector":
            return self.without(self.spec(value, chain), _list(written.get("exclude")), chain)
        result = Criterion(
            method=method,
            value=value,
            written=f"{method}:{value}",
            above=_depth(written, "parents"),
            below=_depth(written, "children"),
            around=bool(written.get("childrens_parents")),
            indirect=str(written.get("indirect_selection") or self.indirect),
        )
        return self.without(result, _list(written.get("exclude")), chain)

    def without(self, spec: Spec, excluded: list[Any], chain: tuple[str, ...]) -> Spec:
        """The same without what is excluded."""
        if not excluded:
            return spec
        eager = replace(self, indirect="eager")
        others = Group("union", tuple(eager.read(definition, chain) for definition in excluded))
        return Group("difference", (spec, others), spec.indirect)


def _depth(written: Mapping[str, Any], way: str) -> int:
    depth = written.get(f"{way}_depth")
    return (int(depth) if depth is not None else -1) if written.get(way) else 0


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
