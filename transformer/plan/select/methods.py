"""The methods of selectors: `tag:`, `path:`, `source:`, `config.…:`, `state:` and the rest.

A method is called with the text after the colon, and returns a predicate on resources.
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
# Alternative names of resource types.
_KINDS = {"check": "test", "tests": "test", "models": "model", "seeds": "seed"}
# Resource types that plain names match in a dbt project; sources and exposures have their methods.
_PLAIN_KINDS = ("model", "seed", "snapshot", "test", "unit_test", "analysis")


class SelectionContext(Struct, frozen=True):
    """The input of methods. In an `open` project they follow dbt exactly."""

    things: Resources
    earlier: EarlierRun = field(default_factory=EarlierRun)
    changes: Callable[[], ManifestChanges] | None = None
    open: bool = False
    latest: Mapping[tuple[str, str], str] = field(default_factory=dict)


def matcher(method: str, value: str, context: SelectionContext) -> Matches:
    """The predicate of a method. Raises UsageError for an unknown method."""
    if method.startswith("config."):
        keys = method.removeprefix("config.").split(".")
        return lambda resource: _configured(resource.config, keys, value)
    if method == "state" or method.startswith("state."):
        return _state(value, context)
    if method not in _METHODS:
        hint = did_you_mean(method, [*_METHODS, "config.…", "state"])
        raise UsageError(f"there is no selector method `{method}:`", hint=hint)
    return _METHODS[method](value, context)


def latest_versions(things: Resources) -> dict[tuple[str, str], str]:
    """The latest version of every versioned model, by package and name."""
    return {
        (t.package, t.name): t.version
        for t in things
        if t.version and t.node and isinstance(t.node.body, ModelBody) and t.node.body.model.latest
    }


def _fqn(value: str, context: SelectionContext) -> Matches:
    def matches(resource: Resource) -> bool:
        if context.open and resource.kind not in _PLAIN_KINDS:
            return False
        if not context.open and resource.node and fnmatchcase(resource.node.name, value):
            return True
        versioned = bool(resource.version)
        return any(_is_at(fqn, value, versioned) for fqn in (resource.fqn, resource.fqn[1:]))

    return matches


def _is_at(fqn: tuple[str, ...], value: str, versioned: bool) -> bool:
    """Whether the value is its name, or a path of folders from the top, perhaps with its name."""
    value_parts = value.split(".")
    if versioned and len(fqn) > 1:
        if fqn[-2] == value or "_".join(fqn[-2:]) in (value, "_".join(value_parts[-2:])):
            return True
    elif fqn and fqn[-1] == value:
        return True
    parts = [part for folder in fqn for part in folder.split(".")]
    if len(parts) < len(value_parts):
        return False
    for index, part in enumerate(value_parts):
        if _GLOB.search(part):
            return fnmatchcase(".".join(parts[index:]), ".".join(value_parts[index:]))
        if parts[index] != part:
            return False
    return True


def _tag(value: str, _: SelectionContext) -> Matches:
    return lambda resource: any(fnmatchcase(tag, value) for tag in resource.tags)


def _path(value: str, _: SelectionContext) -> Matches:
    pattern = re.compile(_path_pattern(value.removeprefix("./").rstrip("/")))

    def matches(resource: Resource) -> bool:
        path = PurePosixPath(resource.path)
        return any(pattern.fullmatch(str(candidate)) for candidate in (path, *path.parents))

    return matches


def _path_pattern(glob: str) -> str:
    """The regex of a glob in which `*` stays within a folder and `**` does not."""
    pattern, position = "", 0
    for match in re.finditer(r"\*\*/?|\*|\?|\[[^\]]*\]", glob):
        pattern += re.escape(glob[position : match.start()])
        text = match[0]
        translations = {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        pattern += translations.get(text, text)
        position = match.end()
    return pattern + re.escape(glob[position:])


def _file(value: str, _: SelectionContext) -> Matches:
    def matches(resource: Resource) -> bool:
        path = PurePosixPath(resource.path)
        return fnmatchcase(path.name, value) or fnmatchcase(path.stem, value)

    return matches


def _package(value: str, context: SelectionContext) -> Matches:
    package = context.things.root if value == "this" else value
    return lambda resource: fnmatchcase(resource.package, package)


def _source(value: str, _: SelectionContext) -> Matches:
    parts = value.split(".", 2)
    forms = {1: ["*", *parts, "*"], 2: ["*", *parts], 3: parts}
    package, source, table = forms[len(parts)]

    def matches(resource: Resource) -> bool:
        if resource.kind != "source" or resource.node is None:
            return False
        source_name = resource.node.name.partition(".")[0]
        pairs = ((resource.package, package), (source_name, source), (resource.name, table))
        return all(fnmatchcase(name, pattern) for name, pattern in pairs)

    return matches


def _of_kind(kind: str) -> Callable[[str, SelectionContext], Matches]:
    """`exposure:name` or `exposure:package.name`."""

    def method(value: str, _: SelectionContext) -> Matches:
        package, name = value.split(".", 1) if "." in value else ("*", value)
        return lambda resource: (
            resource.kind == kind
            and fnmatchcase(resource.package, package)
            and fnmatchcase(resource.name, name)
        )

    return method


def _resource_type(value: str, _: SelectionContext) -> Matches:
    kind = _KINDS.get(value, value)
    return lambda resource: resource.kind == kind


def _check_body(resource: Resource) -> CheckBody | None:
    body = resource.node.body if resource.node else None
    return body if isinstance(body, CheckBody) else None


def _test_type(value: str, context: SelectionContext) -> Matches:
    kinds_by_type = {
        "generic": {"generic"},
        "schema": {"generic"},
        "singular": {"singular"},
        "data": {"generic", "singular"},
        "unit": {"unit"},
    }

    def matches(resource: Resource) -> bool:
        body = _check_body(resource)
        if body is None:
            return False
        kind = "unit" if resource.kind == "unit_test" else "generic" if body.on else "singular"
        return kind in kinds_by_type.get(value, ()) or (not context.open and body.kind == value)

    return matches


def _test_name(value: str, context: SelectionContext) -> Matches:
    def matches(resource: Resource) -> bool:
        body = _check_body(resource)
        if resource.kind == "unit_test" and context.open:
            return fnmatchcase(resource.name, value)
        if body is None or (body.on is None and context.open):
            return False
        if not context.open and value == ("singular" if body.on is None else "generic"):
            return True
        return fnmatchcase(body.kind.rpartition(".")[2], value)

    return matches


def _group(value: str, _: SelectionContext) -> Matches:
    return lambda resource: str(resource.config.get("group") or "") == value


def _access(value: str, _: SelectionContext) -> Matches:
    return lambda resource: (
        resource.kind == "model" and str(resource.config.get("access") or "protected") == value
    )


def _version(value: str, context: SelectionContext) -> Matches:
    if value not in ("latest", "old", "prerelease", "none"):
        raise UsageError(
            f"unknown selector value `version:{value}`", hint="latest, old, prerelease or none"
        )

    def matches(resource: Resource) -> bool:
        if resource.kind != "model":
            return False
        latest = context.latest.get((resource.package, resource.name))
        if resource.version is None or latest is None:
            return value == "none" and resource.version is None
        order = _compared(resource.version, latest)
        return value == {0: "latest", -1: "old", 1: "prerelease"}[order]

    return matches


def _compared(version: str, other: str) -> int:
    numbers = [
        float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None for text in (version, other)
    ]
    left, right = (version, other) if None in numbers else numbers
    return (left > right) - (left < right)  # type: ignore[operator]


def _configured(config: Any, keys: list[str], value: str) -> bool:
    for key in keys:
        if not isinstance(config, Mapping):
            return False
        config = config.get(key)
    folded = value.lower()
    if isinstance(config, list | tuple | set | frozenset):
        return any(str(element).lower() == folded for element in config)
    if isinstance(config, Mapping):
        return value in config
    return str(config).lower() == folded


def _result(value: str, context: SelectionContext) -> Matches:
    results = context.earlier.results
    if results is None:
        raise _missing("run_results.json", f"result:{value}")
    ids = {r["unique_id"] for r in results.get("results", ()) if r.get("status") == value}
    return lambda resource: resource.id in ids


def _source_status(value: str, context: SelectionContext) -> Matches:
    before, now = context.earlier.sources, context.earlier.present
    if before is None:
        raise _missing("sources.json", f"source_status:{value}")
    if now is None:
        raise UsageError(
            "there is no current `sources.json`", hint="run `transform source freshness` first"
        )
    if value != "fresher":
        raise UsageError(f"unknown selector value `source_status:{value}`", hint="write `fresher`")
    loaded_before = {
        r["unique_id"]: str(r.get("max_loaded_at") or "") for r in before.get("results", ())
    }
    fresher = {
        r["unique_id"]
        for r in now.get("results", ())
        if r.get("max_loaded_at")
        and str(r["max_loaded_at"]) > loaded_before.get(r["unique_id"], "")
    }
    return lambda resource: resource.id in fresher


def _state(value: str, context: SelectionContext) -> Matches:
    if context.earlier.manifest is None or context.changes is None:
        raise _missing("manifest.json", f"state:{value}")
    changes = context.changes()
    return lambda resource: changes.are(resource.id, value)


def _missing(name: str, word: str) -> UsageError:
    return UsageError(
        f"`{word}` needs the `{name}` of an earlier run",
        hint="pass its folder with `--state FOLDER`",
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
