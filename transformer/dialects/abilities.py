"""Capabilities of an engine as data: sqlglot's name for its SQL, and at most eight abilities."""

from __future__ import annotations

from msgspec import Struct


class Dialect(Struct, frozen=True):
    """An engine's SQL dialect. The planner tests abilities, never names.

    `transactional_ddl`: a table replacement can be rolled back, so checks run before anyone sees
    the table. `merge`: supports MERGE INTO. `one_file`: the warehouse is a single file that can be
    copied, and replaced by a rename.
    """

    name: str
    transactional_ddl: bool = True
    merge: bool = True
    one_file: bool = True
