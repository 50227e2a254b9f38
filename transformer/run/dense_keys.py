"""Keys that are whole numbers close to each other, as most made keys are: that they differ is
counted with one bit for each number. A hash table of twenty million of them costs DuckDB more than
many a model does.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from transformer.engines import EngineSession
from transformer.plan.check_kinds import KeyColumn, ReadyCheck

# With fewer rows, asking for the range costs what it spares.
MANY = 500_000
# Bits that may be spent on each row. Every thread has all bits of the range, past the memory limit;
# a hash table takes a few times as many.
_BITS = 32
# DuckDB takes no wider range (`bitstring_agg`).
_WIDEST = 1_000_000_000
_WHOLE = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
)


def by_bits(
    session: EngineSession, rows: str, checks: Sequence[ReadyCheck]
) -> tuple[ReadyCheck, ...]:
    """The checks of a table (`rows` stands behind FROM); those of dense keys count bits."""
    keys = dict.fromkeys(check.measure.key.column for check in checks if check.measure.key)
    if not keys or int(session.rows(f"select count(*) from {rows}")[0][0]) < MANY:
        return tuple(checks)
    ranges = _ranges(session, rows, tuple(keys))
    return tuple(_counted(check, ranges) for check in checks)


def _ranges(session: EngineSession, rows: str, keys: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The least and the greatest of each dense key."""
    told = session.columns(f"select {', '.join(keys)} from {rows}")
    whole = [key for key, (_, kind) in zip(keys, told, strict=True) if kind in _WHOLE]
    if not whole:
        return {}
    asked = ", ".join(f"min({key}), max({key}), count({key})" for key in whole)
    threads, *found = session.rows(f"select current_setting('threads'), {asked} from {rows}")[0]
    bounds = {key: found[3 * i : 3 * i + 3] for i, key in enumerate(whole)}
    return {
        key: (low, high)
        for key, (low, high, count) in bounds.items()
        if count and high - low < min(_BITS * count // threads, _WIDEST)
    }


def _counted(check: ReadyCheck, ranges: dict[str, tuple[int, int]]) -> ReadyCheck:
    key: KeyColumn | None = check.measure.key
    if key is None or key.column not in ranges:
        return check
    return replace(check, measure=replace(check.measure, figure=key.by_bits(*ranges[key.column])))
