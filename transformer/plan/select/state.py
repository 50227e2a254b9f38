"""Changes since an earlier manifest: the method `state:`.

Both sides are manifests, so the earlier one may be written by dbt itself: options that are absent
on one side and dbt's default on the other are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from transformer.errors import UsageError

Facts = Mapping[str, Any]
_KINDS = (
    *("nodes", "sources", "exposures", "metrics"),
    *("semantic_models", "saved_queries", "unit_tests"),
)
# dbt's defaults of a node's configuration.
_CONFIG_DEFAULTS: Facts = {
    "access": "protected",
    "batch_size": None,
    "concurrent_batches": None,
    "contract": {"alias_types": True, "enforced": False},
    "delimiter": ",",
    "docs": {"node_color": None, "show": True},
    "enabled": True,
    "error_if": "!= 0",
    "fail_calc": "count(*)",
    "hard_deletes": "ignore",
    "lookback": 1,
    "on_configuration_change": "apply",
    "on_schema_change": "ignore",
    "severity": "error",
    "static_analysis": None,
    "store_failures": False,
    "strategy": None,
    "submission_method": None,
    "warn_if": "!= 0",
}
# Options that are compared elsewhere, or only determine the relation.
_IGNORED_OPTIONS = ("database", "schema", "alias", "enabled")


class ManifestChanges(Struct, frozen=True):
    """Two manifests, before and now. A resource is modified if it is new, or any part changed:
    `body`, `configs`, `relation`, `persisted_descriptions`, `macros`, `contract`."""

    before: Facts
    now: Facts

    def are(self, node_id: str, word: str) -> bool:
        """Whether the resource matches `state:word`. Raises UsageError for an unknown word."""
        old, new = _facts_of(self.before, node_id), _facts_of(self.now, node_id)
        if new is None:
            return False
        if word in ("new", "old"):
            return (old is None) == (word == "new")
        what, _, part = word.partition(".")
        if what not in ("modified", "unmodified") or (part and part not in _PARTS):
            allowed = ("new", "old", "modified", "unmodified", *(f"modified.{p}" for p in _PARTS))
            raise UsageError(f"unknown selector value `state:{word}`", hint=", ".join(allowed))
        changed = old is None or any(
            check(self, old, new) for name, check in _PARTS.items() if part in ("", name)
        )
        return changed == (what == "modified")

    def macro(self, side: Facts, macro_id: str, visited: tuple[str, ...] = ()) -> Iterator[Any]:
        """The texts of a macro and of those that it calls."""
        facts = side.get("macros", {}).get(macro_id)
        if facts is None or macro_id in visited:
            return
        yield _text(facts.get("macro_sql"))
        for called_id in sorted(facts.get("depends_on", {}).get("macros", ())):
            yield from self.macro(side, called_id, (*visited, macro_id))


def _facts_of(side: Facts, node_id: str) -> Facts | None:
    return next((side[k][node_id] for k in _KINDS if node_id in (side.get(k) or {})), None)


def _body(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    if old.get("resource_type") == "seed":
        checksums = [(side.get("checksum") or {}) for side in (old, new)]
        same_algorithm = checksums[0].get("name") == checksums[1].get("name")
        return same_algorithm and checksums[0].get("checksum") != checksums[1].get("checksum")
    keys = ("raw_code", "label", "type", "owner", "url", "type_params", "given", "expect")
    return any(_text(old.get(k)) != _text(new.get(k)) for k in keys if k in new or k == "raw_code")


def _configs(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    before, after = _explicit_config(old), _explicit_config(new)
    return any(before.get(key) != after.get(key) for key in {*before, *after})


def _explicit_config(node: Facts) -> dict[str, Any]:
    """A node's configuration without defaults."""
    written = {str(k).replace("-", "_"): _plain(v) for k, v in (node.get("config") or {}).items()}
    return {
        key: value
        for key, value in written.items()
        if key not in _IGNORED_OPTIONS
        and value not in (None, [], {}, "", _CONFIG_DEFAULTS.get(key))
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    return value


def _relation(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    """Whether its configured relation changed; the target's schema does not count."""
    for key in ("database", "schema", "alias"):
        before, after = ((side.get("config") or {}).get(key) for side in (old, new))
        if (before or None) != (after or None):
            return True
    return False


def _descriptions(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    persisted = (new.get("config") or {}).get("persist_docs") or {}
    if persisted.get("relation") and _text(old.get("description")) != _text(new.get("description")):
        return True
    if not persisted.get("columns"):
        return False
    before, after = (
        {k: _text(c.get("description")) for k, c in (side.get("columns") or {}).items()}
        for side in (old, new)
    )
    return before != after


def _macros(changes: ManifestChanges, old: Facts, new: Facts) -> bool:
    used = [set((macro_id.get("depends_on") or {}).get("macros") or ()) for macro_id in (old, new)]
    return any(
        list(changes.macro(changes.before, macro_id)) != list(changes.macro(changes.now, macro_id))
        for macro_id in sorted(used[0] & used[1] | (used[1] - used[0]))
        if macro_id in changes.now.get("macros", {})
    )


def _contract(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    if not ((new.get("config") or {}).get("contract") or {}).get("enforced"):
        return bool(((old.get("config") or {}).get("contract") or {}).get("enforced"))
    before, after = (
        [(k, c.get("data_type"), _plain(c.get("constraints"))) for k, c in _columns(side)]
        for side in (old, new)
    )
    return before != after


def _columns(node: Facts) -> list[tuple[str, Any]]:
    return sorted((node.get("columns") or {}).items())


def _text(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else _plain(value)


_PARTS: Mapping[str, Callable[[ManifestChanges, Facts, Facts], bool]] = {
    "body": _body,
    "configs": _configs,
    "relation": _relation,
    "persisted_descriptions": _descriptions,
    "macros": _macros,
    "contract": _contract,
}
