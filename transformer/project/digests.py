"""What a seed's file holds, as one short text: in a project of our own, and as dbt has it."""

from __future__ import annotations

import hashlib


def native_digest(data: bytes) -> str:
    """A digest of all of it."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def dbt_digest(data: bytes) -> str:
    """The checksum that stands in dbt's manifest, which leaves out blanks at both ends."""
    return hashlib.sha256(data.strip()).hexdigest()
