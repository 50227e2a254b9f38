"""The target of each activation, according to the sync ledger."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path

import duckdb
from msgspec import Struct


class KnownPlace(Struct, frozen=True):
    """A target in the ledger: the hash of its `place`, and whether it has any row."""

    mark: str
    holds: bool


def places_of(ledger: Path) -> dict[str, KnownPlace]:
    """The known target of each activation; empty while another process syncs."""
    stored_rows = "from rows r where r.activation = p.activation and hash is not null"
    try:
        with duckdb.connect(str(ledger), read_only=True) as con:
            rows = con.execute(f"select activation, place, exists ({stored_rows}) from places p")
            return {name: KnownPlace(*state) for name, *state in rows.fetchall()}
    except duckdb.Error:
        return {}


def mark(place: str) -> str:
    """The hash by which the ledger identifies a `place`."""
    return md5(place.encode(), usedforsecurity=False).hexdigest()
