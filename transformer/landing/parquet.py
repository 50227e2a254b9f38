"""Parquet: its types are its own, nothing is staged. What DuckDB would cut off is refused.

DuckDB reads times and timestamps with microseconds, also where a file has nanoseconds, and decimals
of more than 38 digits as DOUBLEs.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from transformer.errors import LoadError
from transformer.landing.source_file import SourceFile
from transformer.landing.staged import PART, ROW, ReaderSession, Staged, fixed, picked
from transformer.names import fold

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Only these can be what the file has more digits of.
_SHORTENED = re.compile(r"\b(TIMESTAMP|TIME|DOUBLE)\b")
_LONG_DECIMAL = re.compile(r"DecimalType\(.*precision=(39|[4-9][0-9]|[0-9]{3,})\)")
# Microseconds; nanoseconds reach until 2262.
_LAST_YEAR = 9_200_000_000_000_000
# DuckDB's own column, which one of the file hides.
_NUMBER = "file_row_number"
_NANOSECONDS = "NANOS=NanoSeconds"


def parquet(session: ReaderSession, given: SourceFile) -> Staged:
    """The rows of a file with its types. Raises LoadError where a value would lose digits."""
    found = session.columns(f"select * from read_parquet({given.place})")
    listed, columns = picked(found)
    if any(_SHORTENED.search(kind) for _, kind in columns):
        _refuse_loss(session, given)
    taken = any(fold(name) == _NUMBER for name, _ in found)
    number = "row_number() over ()" if taken else f"{_NUMBER} + 1"
    rows = (
        f"select {listed}, {given.part} as {PART}, {number} as {ROW}"
        f" from read_parquet({given.place})"
    )
    return Staged(fixed(given.bounded(rows)), columns)


def _refuse_loss(session: ReaderSession, given: SourceFile) -> None:
    leaves = _leaves(session, given)
    for root, logical in ((r, logical) for r, _, logical in leaves):
        if _LONG_DECIMAL.search(logical):
            raise LoadError(
                f"`{root}` of `{given.name}` has decimals of more than 38 digits",
                hint="write it as text, or as a decimal of up to 38 digits",
            )
    fine = {root for root, _, logical in leaves if _is_fine(logical)}
    old = {root for root, physical, _ in leaves if physical == "INT96"}
    if (fine or old) and not given.limit:
        _refuse_nanoseconds(session, given, fine, old)


def _is_fine(logical: str) -> bool:
    """Whether DuckDB has no type with nanoseconds for it: it has one without a time zone."""
    zoned = not logical.startswith("TimestampType") or "isAdjustedToUTC=1" in logical
    return _NANOSECONDS in logical and zoned


def _leaves(session: ReaderSession, given: SourceFile) -> list[tuple[str, str, str]]:
    """The columns of a file, nested ones too: that of the table that each is in, its physical and
    its logical type."""
    found = session.rows(
        "select name, type, coalesce(logical_type, ''), coalesce(num_children, 0)"
        f" from parquet_schema({given.place})"
    )
    made: list[tuple[str, str, str]] = []
    left, root = 0, ""
    for name, physical, logical, children in found[1:]:
        if not left:
            left, root = 1, name
        left += children - 1
        if not children:
            made.append((root, str(physical), logical))
    return made


def _refuse_nanoseconds(
    session: ReaderSession, given: SourceFile, fine: AbstractSet[str], old: AbstractSet[str]
) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy, and few files need it

    def opened(unit: str) -> pq.ParquetFile:
        content = None
        if given.remote:
            content = session.rows(f"select content from read_blob({given.place})")[0][0]
        source = given.path if content is None else io.BytesIO(content)
        return pq.ParquetFile(source, coerce_int96_timestamp_unit=unit)

    with opened("ns") as file, opened("us") as short:
        for root in sorted(fine | old):
            pairs = zip(_leaf_arrays(file, root), _leaf_arrays(short, root), strict=True)
            if any(_has_nanoseconds(*pair) for pair in pairs):
                raise LoadError(
                    f"`{root}` of `{given.name}` has nanoseconds, of which only microseconds would"
                    " land",
                    hint="write microseconds, a timestamp without a time zone (not INT96), or text",
                )


def _leaf_arrays(file: pq.ParquetFile, root: str) -> Iterator[pa.Array]:
    for batch in file.iter_batches(columns=[root]):
        yield from _arrays(batch.column(root))


def _arrays(array: pa.Array) -> Iterator[pa.Array]:
    """The arrays of values in an array of lists, structs or maps."""
    if array.type.num_fields == 0:
        yield array
    elif hasattr(array, "keys"):
        yield from (leaf for part in (array.keys, array.items) for leaf in _arrays(part))
    elif hasattr(array, "values"):
        yield from _arrays(array.values)
    else:
        yield from (leaf for part in array.flatten() for leaf in _arrays(part))


def _has_nanoseconds(array: pa.Array, short: pa.Array) -> bool:
    """Whether a value has more than microseconds. `short` are the same values, those of INT96 with
    microseconds alone: far years have no nanoseconds there, and wrap round in the other."""
    import pyarrow.compute as pc  # noqa: PLC0415

    kind = str(array.type)
    if kind == "time64[ns]" or kind.startswith("timestamp[ns, tz"):
        whole = array.cast("int64")
        micros = pc.multiply(pc.divide(whole, 1000), 1000)
        return bool(pc.any(pc.not_equal(whole, micros)).as_py())
    if str(short.type) == kind:
        return False
    micros = short.cast("int64")
    near = pc.less(pc.abs(micros), _LAST_YEAR)
    lost = pc.not_equal(array.cast("int64"), pc.multiply(micros, 1000))
    return bool(pc.any(pc.and_(near, lost)).as_py())
