"""Parquet: read in place with its own types. Values that DuckDB would truncate are refused.

DuckDB reads times and timestamps in microseconds, even if a file has nanoseconds, and decimals
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
from transformer.landing.staged import (
    PART,
    ROW,
    ReaderSession,
    Staged,
    constant_reading,
    renamed_columns,
)
from transformer.names import fold

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Only columns of these types can have more digits in the file.
_SHORTENED = re.compile(r"\b(TIMESTAMP|TIME|DOUBLE)\b")
_LONG_DECIMAL = re.compile(r"DecimalType\(.*precision=(39|[4-9][0-9]|[0-9]{3,})\)")
# Microseconds; nanoseconds reach until 2262.
_LAST_YEAR = 9_200_000_000_000_000
# DuckDB's virtual column, hidden by a column of the file with this name.
_NUMBER = "file_row_number"
_NANOSECONDS = "NANOS=NanoSeconds"


def parquet(session: ReaderSession, file: SourceFile) -> Staged:
    """The rows of a file with its own types. Raises LoadError if a value would lose digits."""
    file_columns = session.columns(f"select * from read_parquet({file.place})")
    listed, columns = renamed_columns(file_columns)
    if any(_SHORTENED.search(kind) for _, kind in columns):
        _refuse_loss(session, file)
    hidden = any(fold(name) == _NUMBER for name, _ in file_columns)
    number = "row_number() over ()" if hidden else f"{_NUMBER} + 1"
    rows = (
        f"select {listed}, {file.part} as {PART}, {number} as {ROW} from read_parquet({file.place})"
    )
    return Staged(constant_reading(file.bounded(rows)), columns)


def _refuse_loss(session: ReaderSession, file: SourceFile) -> None:
    leaves = _leaves(session, file)
    for root, logical in ((r, logical) for r, _, logical in leaves):
        if _LONG_DECIMAL.search(logical):
            raise LoadError(
                f"`{root}` of `{file.name}` has decimals of more than 38 digits",
                hint="write it as text, or as a decimal of up to 38 digits",
            )
    fine = {root for root, _, logical in leaves if _is_fine(logical)}
    old = {root for root, physical, _ in leaves if physical == "INT96"}
    if (fine or old) and not file.limit:
        _refuse_nanoseconds(session, file, fine, old)


def _is_fine(logical: str) -> bool:
    """Whether it has nanoseconds and DuckDB has no type for them: only one without a time zone."""
    zoned = not logical.startswith("TimestampType") or "isAdjustedToUTC=1" in logical
    return _NANOSECONDS in logical and zoned


def _leaves(session: ReaderSession, file: SourceFile) -> list[tuple[str, str, str]]:
    """The leaf columns of a file: the top-level column each belongs to, its physical and its
    logical type."""
    schema = session.rows(
        "select name, type, coalesce(logical_type, ''), coalesce(num_children, 0)"
        f" from parquet_schema({file.place})"
    )
    leaves: list[tuple[str, str, str]] = []
    left, root = 0, ""
    for name, physical, logical, children in schema[1:]:
        if not left:
            left, root = 1, name
        left += children - 1
        if not children:
            leaves.append((root, str(physical), logical))
    return leaves


def _refuse_nanoseconds(
    session: ReaderSession, file: SourceFile, fine: AbstractSet[str], old: AbstractSet[str]
) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy, and few files need it

    def opened(unit: str) -> pq.ParquetFile:
        content = None
        if file.remote:
            content = session.rows(f"select content from read_blob({file.place})")[0][0]
        source = file.path if content is None else io.BytesIO(content)
        return pq.ParquetFile(source, coerce_int96_timestamp_unit=unit)

    with opened("ns") as exact, opened("us") as short:
        for root in sorted(fine | old):
            pairs = zip(_leaf_arrays(exact, root), _leaf_arrays(short, root), strict=True)
            if any(_has_nanoseconds(*pair) for pair in pairs):
                raise LoadError(
                    f"`{root}` of `{file.name}` has nanoseconds, but only microseconds can be"
                    " loaded",
                    hint="write microseconds, a timestamp without a time zone (not INT96), or text",
                )


def _leaf_arrays(file: pq.ParquetFile, root: str) -> Iterator[pa.Array]:
    for batch in file.iter_batches(columns=[root]):
        yield from _arrays(batch.column(root))


def _arrays(array: pa.Array) -> Iterator[pa.Array]:
    """The value arrays inside an array of lists, structs or maps."""
    if array.type.num_fields == 0:
        yield array
    elif hasattr(array, "keys"):
        yield from (leaf for part in (array.keys, array.items) for leaf in _arrays(part))
    elif hasattr(array, "values"):
        yield from _arrays(array.values)
    else:
        yield from (leaf for part in array.flatten() for leaf in _arrays(part))


def _has_nanoseconds(array: pa.Array, short: pa.Array) -> bool:
    """Whether a value has more than microseconds. `short` are the same values, with INT96 read in
    microseconds: distant years overflow when they are read in nanoseconds."""
    import pyarrow.compute as pc  # noqa: PLC0415

    kind = str(array.type)
    if kind == "time64[ns]" or kind.startswith("timestamp[ns, tz"):
        nanos = array.cast("int64")
        micros = pc.multiply(pc.divide(nanos, 1000), 1000)
        return bool(pc.any(pc.not_equal(nanos, micros)).as_py())
    if str(short.type) == kind:
        return False
    micros = short.cast("int64")
    near = pc.less(pc.abs(micros), _LAST_YEAR)
    lost = pc.not_equal(array.cast("int64"), pc.multiply(micros, 1000))
    return bool(pc.any(pc.and_(near, lost)).as_py())
