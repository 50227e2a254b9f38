"""Dense integer keys, as most surrogate keys are: uniqueness is counted with one bit per number.
A hash table of twenty million keys would cost DuckDB more than many models.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from transformer.engines import EngineSession
from transformer.plan.check_kinds import KeyColumn, ReadyCheck

# With fewer rows, finding the range costs as much as it saves.
MANY = 500_000
# The maximum of bits per row. Every thread allocates all bits of the range, outside the memory
# limit; a hash table takes a few times as many.
_BITS = 32
# The widest range of DuckDB's `bitstring_agg`.
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
    """The checks of a table (`rows` follows FROM), with those of dense keys counting bits."""
    keys = dict.fromkeys(check.measure.key.column for check in checks if check.measure.key)
    if not keys or int(session.rows(f"select count(*) from {rows}")[0][0]) < MANY:
        return tuple(checks)
    ranges = _ranges(session, rows, tuple(keys))
    return tuple(_with_bits(check, ranges) for check in checks)


def _ranges(session: EngineSession, rows: str, keys: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The minimum and maximum of each dense key."""
    key_columns = session.columns(f"select {', '.join(keys)} from {rows}")
    whole = [key for key, (_, kind) in zip(keys, key_columns, strict=True) if kind in _WHOLE]
    if not whole:
        return {}
    aggregates = ", ".join(f"min({key}), max({key}), count({key})" for key in whole)
    threads, *figures = session.rows(
        f"select current_setting('threads'), {aggregates} from {rows}"
    )[0]
    bounds = {key: figures[3 * i : 3 * i + 3] for i, key in enumerate(whole)}
    return {
        key: (low, high)
        for key, (low, high, count) in bounds.items()
        if count and high - low < min(_BITS * count // threads, _WIDEST)
    }


def _with_bits(check: ReadyCheck, ranges: dict[str, tuple[int, int]]) -> ReadyCheck:
    key: KeyColumn | None = check.measure.key
    if key is None or key.column not in ranges:
        return check
    return replace(check, measure=replace(check.measure, figure=key.by_bits(*ranges[key.column])))
