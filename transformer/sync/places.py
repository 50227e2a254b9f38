"""Where each activation goes, as the sync ledger knows it."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path

import duckdb


def places_of(ledger: Path) -> dict[str, str]:
    """The mark of each activation's place; nothing while another process syncs."""
    try:
        with duckdb.connect(str(ledger), read_only=True) as con:
            return dict(con.execute("select activation, place from places").fetchall())
    except duckdb.Error:
        return {}


def mark(place: str) -> str:
    """What the ledger keeps of a place."""
    return md5(place.encode(), usedforsecurity=False).hexdigest()
