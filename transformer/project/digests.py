"""Digests of seed files: for native projects, and as in dbt's manifest."""

from __future__ import annotations

import hashlib


def native_digest(data: bytes) -> str:
    """A digest of the whole file."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def dbt_digest(data: bytes) -> str:
    """The checksum in dbt's manifest, which ignores leading and trailing whitespace."""
    return hashlib.sha256(data.strip()).hexdigest()
