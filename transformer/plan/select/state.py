"""What has changed since an earlier manifest: the method `state:`.

Both sides are manifests, so one that dbt itself wrote can be compared with as well: what one
side does not say, and dbt takes for granted, is no difference.
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
# What a node's configuration says when nobody says anything.
_USUAL: Facts = {
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
# What stands elsewhere in a node too, or says where it lies.
_APART = ("database", "schema", "alias", "enabled")


class ManifestChanges(Struct, frozen=True):
    """Two manifests, before and now. A thing is modified when it is new, or any of its parts is:
    `body`, `configs`, `relation`, `persisted_descriptions`, `macros`, `contract`."""

    before: Facts
    now: Facts

    def are(self, node_id: str, word: str) -> bool:
        """Whether `state:word` is true of the thing. Raises UsageError for another word."""
        old, new = _found(self.before, node_id), _found(self.now, node_id)
        if new is None:
            return False
        if word in ("new", "old"):
            return (old is None) == (word == "new")
        what, _, part = word.partition(".")
        if what not in ("modified", "unmodified") or (part and part not in _PARTS):
            known = ("new", "old", "modified", "unmodified", *(f"modified.{p}" for p in _PARTS))
            raise UsageError(f"`state:{word}` means nothing", hint=", ".join(known))
        changed = old is None or any(
            check(self, old, new) for name, check in _PARTS.items() if part in ("", name)
        )
        return changed == (what == "modified")

    def macro(self, side: Facts, macro_id: str, seen: tuple[str, ...] = ()) -> Iterator[Any]:
        """The text of a macro, and of those that it calls."""
        found = side.get("macros", {}).get(macro_id)
        if found is None or macro_id in seen:
            return
        yield _text(found.get("macro_sql"))
        for each in sorted(found.get("depends_on", {}).get("macros", ())):
            yield from self.macro(side, each, (*seen, macro_id))


def _found(side: Facts, node_id: str) -> Facts | None:
    return next((side[k][node_id] for k in _KINDS if node_id in (side.get(k) or {})), None)


def _body(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    if old.get("resource_type") == "seed":
        sums = [(each.get("checksum") or {}) for each in (old, new)]
        alike = sums[0].get("name") == sums[1].get("name")
        return alike and sums[0].get("checksum") != sums[1].get("checksum")
    keys = ("raw_code", "label", "type", "owner", "url", "type_params", "given", "expect")
    return any(_text(old.get(k)) != _text(new.get(k)) for k in keys if k in new or k == "raw_code")


def _configs(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    one, other = _said(old), _said(new)
    return any(one.get(key) != other.get(key) for key in {*one, *other})


def _said(node: Facts) -> dict[str, Any]:
    """What a node's configuration says, without what goes without saying."""
    written = {str(k).replace("-", "_"): _plain(v) for k, v in (node.get("config") or {}).items()}
    return {
        key: value
        for key, value in written.items()
        if key not in _APART and value not in (None, [], {}, "", _USUAL.get(key))
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    return value


def _relation(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    """Whether its configuration leads elsewhere; the target's own schema is no difference."""
    for key in ("database", "schema", "alias"):
        one, other = ((each.get("config") or {}).get(key) for each in (old, new))
        if (one or None) != (other or None):
            return True
    return False


def _descriptions(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    kept = (new.get("config") or {}).get("persist_docs") or {}
    if kept.get("relation") and _text(old.get("description")) != _text(new.get("description")):
        return True
    if not kept.get("columns"):
        return False
    one, other = (
        {k: _text(c.get("description")) for k, c in (each.get("columns") or {}).items()}
        for each in (old, new)
    )
    return one != other


def _macros(changes: ManifestChanges, old: Facts, new: Facts) -> bool:
    used = [set((each.get("depends_on") or {}).get("macros") or ()) for each in (old, new)]
    return any(
        list(changes.macro(changes.before, each)) != list(changes.macro(changes.now, each))
        for each in sorted(used[0] & used[1] | (used[1] - used[0]))
        if each in changes.now.get("macros", {})
    )


def _contract(_: ManifestChanges, old: Facts, new: Facts) -> bool:
    if not ((new.get("config") or {}).get("contract") or {}).get("enforced"):
        return bool(((old.get("config") or {}).get("contract") or {}).get("enforced"))
    one, other = (
        [(k, c.get("data_type"), _plain(c.get("constraints"))) for k, c in _columns(each)]
        for each in (old, new)
    )
    return one != other


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
