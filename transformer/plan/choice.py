"""Selectors: `orders+`, `tag:nightly,path:models/marts`, `source:crm`, `config.materialized:view`.

Words apart by blanks add up; words joined by commas must all be true. `+` before or after a word
takes in what stands above or below, `2+` at most two edges away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from transformer.compile.nodes import CheckBody, Graph, Node
from transformer.errors import UsageError, did_you_mean

_WORD = re.compile(
    r"(?P<above>(?P<above_depth>\d*)\+)?(?P<what>[^+]+?)(?P<below>\+(?P<below_depth>\d*))?\Z"
)


def choose(graph: Graph, select: Iterable[str], exclude: Iterable[str]) -> frozenset[str]:
    """The ids of the chosen nodes. Raises UsageError when a word means nothing.

    Nothing selected means everything. A check is chosen with any node that it reads.
    """
    chosen = _words(graph, select) if list(select) else set(graph.nodes)
    left_out = _words(graph, exclude)
    return frozenset(chosen - left_out)


def _words(graph: Graph, words: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for word in " ".join(words).split():
        sets = [_one(graph, part) for part in word.split(",") if part]
        if sets:
            found |= set.intersection(*sets)
    return found | _with_checks(graph, found)


def _with_checks(graph: Graph, found: set[str]) -> set[str]:
    return {n.id for n in graph if n.kind in ("check", "freshness") and found & set(n.needs)}


def _one(graph: Graph, word: str) -> set[str]:
    matched = _WORD.match(word)
    if not matched:
        raise UsageError(
            f"`{word}` is no selector", hint="write `name`, `+name`, `tag:x`, `path:x`"
        )
    what = matched["what"]
    hits = {node.id for node in graph if _method(what)(node)}
    if not hits:
        names = [node.name for node in graph if node.kind != "check"]
        raise UsageError(
            f"the selector `{what}` finds nothing", hint=did_you_mean(what, names, otherwise="")
        )
    found = set(hits)
    for hit in hits:
        if matched["above"]:
            found |= graph.above(hit, int(matched["above_depth"] or -1))
        if matched["below"]:
            found |= graph.below(hit, int(matched["below_depth"] or -1))
    return found


def _method(what: str) -> Callable[[Node], bool]:
    method, colon, value = what.partition(":")
    if not colon:
        return lambda node: _named(node, what)
    if method.startswith("config."):
        return lambda node: _configured(node, method.removeprefix("config."), value)
    if method not in _METHODS:
        hint = did_you_mean(method, [*_METHODS, "config.…"])
        raise UsageError(f"there is no selector method `{method}:`", hint=hint)
    return lambda node: _METHODS[method](node, value)


def _named(node: Node, pattern: str) -> bool:
    if "/" in pattern or pattern.endswith((".sql", ".py", ".csv")):
        return _path(node, pattern)
    return fnmatchcase(node.name, pattern)


def _path(node: Node, pattern: str) -> bool:
    path = PurePosixPath(node.path)
    wanted = pattern.rstrip("/")
    inside = wanted in {str(path), *(str(parent) for parent in path.parents)}
    return inside or fnmatchcase(str(path), wanted)


def _tag(node: Node, value: str) -> bool:
    return any(fnmatchcase(tag, value) for tag in node.tags)


def _source(node: Node, value: str) -> bool:
    wanted = value if "." in value else f"{value}.*"
    return node.kind == "source" and fnmatchcase(node.name, wanted)


def _kind(node: Node, value: str) -> bool:
    return node.kind == {"test": "check"}.get(value, value)


def _check_kind(node: Node, value: str) -> bool:
    body = node.body
    if not isinstance(body, CheckBody):
        return False
    return value in {body.kind, "singular" if body.on is None else "generic"}


def _activation(node: Node, value: str) -> bool:
    return node.kind == "activation" and fnmatchcase(node.name, value)


def _configured(node: Node, key: str, value: str) -> bool:
    held = node.options.get(key)
    values = held if isinstance(held, list | tuple) else [held]
    return any(_shown(each) == value.lower() for each in values)


def _shown(value: object) -> str:
    return str(value).lower()


_METHODS: dict[str, Callable[[Node, str], bool]] = {
    "tag": _tag,
    "path": _path,
    "source": _source,
    "name": _named,
    "resource_type": _kind,
    "test_type": _check_kind,
    "test_name": _check_kind,
    "activation": _activation,
}
