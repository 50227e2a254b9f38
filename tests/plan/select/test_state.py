"""What `state:` calls new and modified: two manifests beside each other."""

from __future__ import annotations

from typing import Any

import pytest

from transformer.errors import UsageError
from transformer.plan.select.state import ManifestChanges

ORDERS: dict[str, Any] = {
    "resource_type": "model",
    "raw_code": "select 1 as id",
    "config": {"materialized": "table", "tags": [], "schema": None},
    "columns": {"id": {"name": "id", "description": "", "data_type": "int"}},
    "depends_on": {"macros": ["macro.shop.outer"], "nodes": []},
}
OUTER = {"macro_sql": "{{ inner() }}", "depends_on": {"macros": ["macro.shop.inner"]}}
MACROS = {
    "macro.shop.outer": OUTER,
    "macro.shop.inner": {"macro_sql": "1", "depends_on": {"macros": []}},
}


def manifest(macros: Any = MACROS, **changed: Any) -> dict[str, Any]:
    return {"nodes": {"orders": {**ORDERS, **changed}}, "macros": macros}


def config(**changed: Any) -> dict[str, Any]:
    return {"config": {**ORDERS["config"], **changed}}


INNER = {**MACROS, "macro.shop.inner": {"macro_sql": "2", "depends_on": {"macros": []}}}
KEPT = config(persist_docs={"relation": True})
HELD = config(contract={"enforced": True})


@pytest.mark.parametrize(
    ("before", "now", "parts"),
    [
        (manifest(), manifest(), set()),
        (manifest(), manifest(raw_code="select 2 as id"), {"body"}),
        (manifest(), manifest(raw_code=" select 1 as id\n"), set()),
        (manifest(), manifest(**config(materialized="view")), {"configs"}),
        (manifest(**config(tags=["a"])), manifest(), {"configs"}),
        # What dbt writes out and nobody has said is no difference.
        (manifest(**config(on_schema_change="ignore", grants={}, lookback=1)), manifest(), set()),
        (manifest(), manifest(**config(schema="other")), {"relation"}),
        (manifest(), manifest(macros=INNER), {"macros"}),
        (manifest(), manifest(description="x"), set()),
        (manifest(**KEPT), manifest(**KEPT, description="x"), {"persisted_descriptions"}),
        (manifest(), manifest(columns={}), set()),
        (manifest(**HELD), manifest(**HELD, columns={}), {"contract"}),
        (manifest(**HELD), manifest(), {"contract", "configs"}),
    ],
)
def test_a_part_that_changed(before: Any, now: Any, parts: set[str]) -> None:
    changes = ManifestChanges(before, now)
    every = ("body", "configs", "relation", "persisted_descriptions", "macros", "contract")
    assert {p for p in every if changes.are("orders", f"modified.{p}")} == parts
    assert changes.are("orders", "modified") == bool(parts)
    assert changes.are("orders", "unmodified") == (not parts)


def test_what_was_not_there_is_new_and_modified() -> None:
    changes = ManifestChanges({"nodes": {}}, manifest())
    assert [changes.are("orders", w) for w in ("new", "old", "modified")] == [True, False, True]
    assert not ManifestChanges(manifest(), manifest()).are("orders", "new")
    assert not changes.are("gone", "old")


@pytest.mark.parametrize("checksums", [("a", "b"), ("a", "a")])
def test_a_seed_is_told_by_its_checksum(checksums: tuple[str, str]) -> None:
    one, other = (
        {"nodes": {"s": {"resource_type": "seed", "checksum": {"name": "x", "checksum": c}}}}
        for c in checksums
    )
    assert ManifestChanges(one, other).are("s", "modified") == (checksums[0] != checksums[1])


def test_a_word_that_means_nothing() -> None:
    with pytest.raises(UsageError, match="unknown selector value"):
        ManifestChanges(manifest(), manifest()).are("orders", "altered")
