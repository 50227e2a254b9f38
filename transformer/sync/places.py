"""Where each activation goes, as the sync ledger knows it."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path

import duckdb
from msgspec import Struct


class KnownPlace(Struct, frozen=True):
    """What the ledger knows of a place: its mark, and whether it holds any row."""

    mark: str
    holds: bool


def places_of(ledger: Path) -> dict[str, KnownPlace]:
    """What is known of each activation's place; nothing while another process syncs."""
    there = "from rows r where r.activation = p.activation and hash is not null"
    try:
        with duckdb.connect(str(ledger), read_only=True) as con:
            found = con.execute(f"select activation, place, exists ({there}) from places p")
            return {name: KnownPlace(*known) for name, *known in found.fetchall()}
    except duckdb.Error:
        return {}


def mark(place: str) -> str:
    """What the ledger keeps of a place."""
    return md5(place.encode(), usedforsecurity=False).hexdigest()
