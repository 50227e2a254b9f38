"""SQL per engine, pure: what the compiler has to know of an engine before it is open."""

from __future__ import annotations

from msgspec import Struct


class Dialect(Struct, frozen=True):
    """An engine's SQL: sqlglot's name for it."""

    name: str
