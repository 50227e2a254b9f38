"""The methods of selectors: `tag:`, `path:`, `source:`, `config.…:`, `state:` and the rest.

A method is called with what stands behind the colon, and answers whether a thing matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct, field

from transformer.compile.nodes import CheckBody, ModelBody
from transformer.errors import UsageError, did_you_mean
from transformer.plan.select.resources import Resource, Resources
from transformer.plan.select.selection import EarlierRun
from transformer.plan.select.state import ManifestChanges

Matches = Callable[[Resource], bool]
_GLOB = re.compile(r"[*?\[\]]")
# What goes by another name elsewhere.
_KINDS = {"check": "test", "tests": "test", "models": "model", "seeds": "seed"}
# What a plain name can mean in a dbt project: sources and exposures have methods of their own.
_NAMED = ("model", "seed", "snapshot", "test", "unit_test", "analysis")


class SelectionContext(Struct, frozen=True):
    """What methods look at. In an `open` project they mean what dbt means by them."""

    things: Resources
    earlier: EarlierRun = field(default_factory=EarlierRun)
    changes: Callable[[], ManifestChanges] | None = None
    open: bool = False
    latest: Mapping[tuple[str, str], str] = field(default_factory=dict)


def matcher(method: str, value: str, ground: SelectionContext) -> Matches:
    """What the method means. Raises UsageError when there is no such method."""
    if method.startswith("config."):
        keys = method.removeprefix("config.").split(".")
        return lambda thing: _configured(thing.config, keys, value)
    if method == "state" or method.startswith("state."):
        return _state(value, ground)
    if method not in _METHODS:
        hint = did_you_mean(method, [*_METHODS, "config.…", "state"])
        raise UsageError(f"there is no selector method `{method}:`", hint=hint)
    return _METHODS[method](value, ground)


def latest_versions(things: Resources) -> dict[tuple[str, str], str]:
    """The latest version of every model that has versions, by package and name."""
    return {
        (t.package, t.name): t.version
        for t in things
        if t.version and t.node and isinstance(t.node.body, ModelBody) and t.node.body.model.latest
    }


def _fqn(value: str, ground: SelectionContext) -> Matches:
    def matches(thing: Resource) -> bool:
        if ground.open and thing.kind not in _NAMED:
            return False
        if not ground.open and thing.node and fnmatchcase(thing.node.name, value):
            return True
        versioned = bool(thing.version)
        return any(_is_at(fqn, value, versioned) for fqn in (thing.fqn, thing.fqn[1:]))

    return matches


def _is_at(fqn: tuple[str, ...], value: str, versioned: bool) -> bool:
    """Whether the words lead to it: its name alone, or the folders above it from the first on."""
    words = value.split(".")
    if versioned and len(fqn) > 1:
        if fqn[-2] == value or "_".join(fqn[-2:]) in (value, "_".join(words[-2:])):
            return True
    elif fqn and fqn[-1] == value:
        return True
    flat = [part for each in fqn for part in each.split(".")]
    if len(flat) < len(words):
        return False
    for at, word in enumerate(words):
        if _GLOB.search(word):
            return fnmatchcase(".".join(flat[at:]), ".".join(words[at:]))
        if flat[at] != word:
            return False
    return True


def _tag(value: str, _: SelectionContext) -> Matches:
    return lambda thing: any(fnmatchcase(tag, value) for tag in thing.tags)


def _path(value: str, _: SelectionContext) -> Matches:
    pattern = re.compile(_path_pattern(value.removeprefix("./").rstrip("/")))

    def matches(thing: Resource) -> bool:
        path = PurePosixPath(thing.path)
        return any(pattern.fullmatch(str(each)) for each in (path, *path.parents))

    return matches


def _path_pattern(glob: str) -> str:
    """A glob in which `*` stays in one folder and `**` does not."""
    made, at = "", 0
    for found in re.finditer(r"\*\*/?|\*|\?|\[[^\]]*\]", glob):
        made += re.escape(glob[at : found.start()])
        text = found[0]
        stands = {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        made += stands.get(text, text)
        at = found.end()
    return made + re.escape(glob[at:])


def _file(value: str, _: SelectionContext) -> Matches:
    def matches(thing: Resource) -> bool:
        path = PurePosixPath(thing.path)
        return fnmatchcase(path.name, value) or fnmatchcase(path.stem, value)

    return matches


def _package(value: str, ground: SelectionContext) -> Matches:
    wanted = ground.things.root if value == "this" else value
    return lambda thing: fnmatchcase(thing.package, wanted)


def _source(value: str, _: SelectionContext) -> Matches:
    parts = value.split(".", 2)
    forms = {1: ["*", *parts, "*"], 2: ["*", *parts], 3: parts}
    package, source, table = forms[len(parts)]

    def matches(thing: Resource) -> bool:
        if thing.kind != "source" or thing.node is None:
            return False
        own = thing.node.name.partition(".")[0]
        found = ((thing.package, package), (own, source), (thing.name, table))
        return all(fnmatchcase(each, pattern) for each, pattern in found)

    return matches


def _of_kind(kind: str) -> Callable[[str, SelectionContext], Matches]:
    """`exposure:name` or `exposure:package.name`."""

    def method(value: str, _: SelectionContext) -> Matches:
        package, name = value.split(".", 1) if "." in value else ("*", value)
        return lambda t: (
            t.kind == kind and fnmatchcase(t.package, package) and fnmatchcase(t.name, name)
        )

    return method


def _resource_type(value: str, _: SelectionContext) -> Matches:
    wanted = _KINDS.get(value, value)
    return lambda thing: thing.kind == wanted


def _check_body(thing: Resource) -> CheckBody | None:
    body = thing.node.body if thing.node else None
    return body if isinstance(body, CheckBody) else None


def _test_type(value: str, ground: SelectionContext) -> Matches:
    means = {
        "generic": {"generic"},
        "schema": {"generic"},
        "singular": {"singular"},
        "data": {"generic", "singular"},
        "unit": {"unit"},
    }

    def matches(thing: Resource) -> bool:
        body = _check_body(thing)
        if body is None:
            return False
        kind = "unit" if thing.kind == "unit_test" else "generic" if body.on else "singular"
        return kind in means.get(value, ()) or (not ground.open and body.kind == value)

    return matches


def _test_name(value: str, ground: SelectionContext) -> Matches:
    def matches(thing: Resource) -> bool:
        body = _check_body(thing)
        if thing.kind == "unit_test" and ground.open:
            return fnmatchcase(thing.name, value)
        if body is None or (body.on is None and ground.open):
            return False
        if not ground.open and value == ("singular" if body.on is None else "generic"):
            return True
        return fnmatchcase(body.kind.rpartition(".")[2], value)

    return matches


def _group(value: str, _: SelectionContext) -> Matches:
    return lambda thing: str(thing.config.get("group") or "") == value


def _access(value: str, _: SelectionContext) -> Matches:
    return lambda thing: (
        thing.kind == "model" and str(thing.config.get("access") or "protected") == value
    )


def _version(value: str, ground: SelectionContext) -> Matches:
    if value not in ("latest", "old", "prerelease", "none"):
        raise UsageError(f"`version:{value}` means nothing", hint="latest, old, prerelease or none")

    def matches(thing: Resource) -> bool:
        if thing.kind != "model":
            return False
        latest = ground.latest.get((thing.package, thing.name))
        if thing.version is None or latest is None:
            return value == "none" and thing.version is None
        order = _compared(thing.version, latest)
        return value == {0: "latest", -1: "old", 1: "prerelease"}[order]

    return matches


def _compared(one: str, other: str) -> int:
    numbers = [float(each) if re.fullmatch(r"\d+(\.\d+)?", each) else None for each in (one, other)]
    left, right = (one, other) if None in numbers else numbers
    return (left > right) - (left < right)  # type: ignore[operator]


def _configured(held: Any, keys: list[str], value: str) -> bool:
    for key in keys:
        if not isinstance(held, Mapping):
            return False
        held = held.get(key)
    wanted = value.lower()
    if isinstance(held, list | tuple | set | frozenset):
        return any(str(each).lower() == wanted for each in held)
    if isinstance(held, Mapping):
        return value in held
    return str(held).lower() == wanted


def _result(value: str, ground: SelectionContext) -> Matches:
    results = ground.earlier.results
    if results is None:
        raise _missing("run_results.json", f"result:{value}")
    found = {r["unique_id"] for r in results.get("results", ()) if r.get("status") == value}
    return lambda thing: thing.id in found


def _source_status(value: str, ground: SelectionContext) -> Matches:
    before, now = ground.earlier.sources, ground.earlier.present
    if before is None:
        raise _missing("sources.json", f"source_status:{value}")
    if now is None:
        raise UsageError(
            "there is no `sources.json` of now", hint="run `transform source freshness` first"
        )
    if value != "fresher":
        raise UsageError(f"`source_status:{value}` means nothing", hint="write `fresher`")
    known = {r["unique_id"]: str(r.get("max_loaded_at") or "") for r in before.get("results", ())}
    fresher = {
        r["unique_id"]
        for r in now.get("results", ())
        if r.get("max_loaded_at") and str(r["max_loaded_at"]) > known.get(r["unique_id"], "")
    }
    return lambda thing: thing.id in fresher


def _state(value: str, ground: SelectionContext) -> Matches:
    if ground.earlier.manifest is None or ground.changes is None:
        raise _missing("manifest.json", f"state:{value}")
    changes = ground.changes()
    return lambda thing: changes.are(thing.id, value)


def _missing(name: str, word: str) -> UsageError:
    return UsageError(
        f"`{word}` needs the `{name}` of an earlier run",
        hint="say where it lies with `--state FOLDER`",
    )


_METHODS: Mapping[str, Callable[[str, SelectionContext], Matches]] = {
    "fqn": _fqn,
    "name": _fqn,
    "tag": _tag,
    "path": _path,
    "file": _file,
    "package": _package,
    "source": _source,
    "exposure": _of_kind("exposure"),
    "metric": _of_kind("metric"),
    "semantic_model": _of_kind("semantic_model"),
    "saved_query": _of_kind("saved_query"),
    "unit_test": _of_kind("unit_test"),
    "activation": _of_kind("activation"),
    "resource_type": _resource_type,
    "test_type": _test_type,
    "test_name": _test_name,
    "group": _group,
    "access": _access,
    "version": _version,
    "result": _result,
    "source_status": _source_status,
}
