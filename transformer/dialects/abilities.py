"""What an engine can do, as data: sqlglot's name for its SQL, and at most eight abilities."""

from __future__ import annotations

from msgspec import Struct


class Dialect(Struct, frozen=True):
    """An engine's SQL. The planner asks abilities, never names.

    `transactional_ddl`: a table can be replaced and rolled back, so that checks run before
    anyone sees it. `merge`: has MERGE INTO. `one_file`: the warehouse is a file that can be
    copied and put in place by a rename.
    """

    name: str
    transactional_ddl: bool = True
    merge: bool = True
    one_file: bool = True
