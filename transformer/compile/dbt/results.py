"""Query results in templates: rows and columns, by number and by name.

Values are Python's: integers are `int` (`{{ value }}` prints `1`), floats and decimals are
`Decimal` (`0.1` prints `0.1`), booleans, dates and timestamps keep their types. Lists and structs
become JSON text, everything else (times, intervals, UUIDs) text.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from msgspec import Struct

from transformer.errors import RenderError, did_you_mean


class ColumnKind(Struct, frozen=True):
    """The type of a column's values: Integer, Number, Boolean, Date, DateTime or Text."""

    name: str

    def __str__(self) -> str:
        return self.name


INTEGER, NUMBER, BOOLEAN = ColumnKind("Integer"), ColumnKind("Number"), ColumnKind("Boolean")
DATE, DATETIME, TEXT = ColumnKind("Date"), ColumnKind("DateTime"), ColumnKind("Text")


class Series:
    """Ordered values, optionally with keys. `series[0]` and `series['key']` return a value."""

    def __init__(self, values: Iterable[Any], keys: Sequence[str] | None = None) -> None:
        self._values, self._keys = tuple(values), None if keys is None else tuple(keys)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | slice):
            return self._values[key]
        if self._keys is None or key not in self._keys:
            raise KeyError(key)
        return self._values[self._keys.index(key)]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Series):
            return self._values == other._values
        return isinstance(other, tuple | list) and self._values == tuple(other)

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._values}>"

    def values(self) -> tuple[Any, ...]:
        """The values."""
        return self._values

    def keys(self) -> tuple[str, ...] | None:
        """The keys, or None."""
        return self._keys

    def items(self) -> list[tuple[str, Any]]:
        """Keys and values."""
        return list(zip(self._keys or (), self._values, strict=False))

    def get(self, key: Any, default: Any = None) -> Any:
        """A value, or the default."""
        try:
            return self[key]
        except (KeyError, IndexError):
            return default

    def dict(self) -> dict[str, Any]:
        """Keys and values as a dictionary."""
        return dict(self.items())


class ResultRow(Series):
    """One row: its values by column."""


class ResultColumn(Series):
    """One column: its values by row."""

    def __init__(self, index: int, name: str, kind: ColumnKind, values: Iterable[Any]) -> None:
        super().__init__(values)
        self.index, self.name, self.data_type = index, name, kind

    def values_without_nulls(self) -> tuple[Any, ...]:
        """The values that are not null."""
        return tuple(value for value in self if value is not None)

    def values_distinct(self) -> tuple[Any, ...]:
        """The distinct values, in order of appearance."""
        return tuple(dict.fromkeys(self))

    def values_sorted(self) -> tuple[Any, ...]:
        """The sorted values, nulls last."""
        present = sorted(self.values_without_nulls())
        return (*present, *(None for _ in range(len(self) - len(present))))


@dataclass(frozen=True, slots=True, eq=False)
class ResultTable:
    """The result of a query. `tell` prints the output of `print_table`."""

    column_names: tuple[str, ...]
    column_types: tuple[ColumnKind, ...]
    rows: Series
    tell: Callable[[str], object] = field(default=str, repr=False)

    @staticmethod
    def of(
        names: Sequence[str],
        rows: Iterable[Sequence[Any]],
        tell: Callable[[str], object] = str,
    ) -> ResultTable:
        """The table for an engine's result."""
        unique = _unique(names)
        tuples = [tuple(row) for row in rows]
        columns = [_column([row[index] for row in tuples]) for index in range(len(unique))]
        values = [tuple(column[n] for _, column in columns) for n in range(len(tuples))]
        kinds = tuple(kind for kind, _ in columns)
        return ResultTable(unique, kinds, Series([ResultRow(row, unique) for row in values]), tell)

    @property
    def columns(self) -> Series:
        """The columns, by number and by name."""
        columns = [
            ResultColumn(index, name, self.column_types[index], [row[index] for row in self.rows])
            for index, name in enumerate(self.column_names)
        ]
        return Series(columns, self.column_names)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ResultRow]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> ResultRow:
        row: ResultRow = self.rows[index]
        return row

    def matrix(self) -> list[tuple[Any, ...]]:
        """The rows as plain tuples, as in `load_result(…)['data']`."""
        return [row.values() for row in self.rows]

    # ------------------------------------------------------------ variants
    def select(self, key: str | Sequence[str]) -> ResultTable:
        """Only these columns."""
        names = [key] if isinstance(key, str) else list(key)
        indexes = [self._index(name) for name in names]
        return self._of_columns(indexes)

    def exclude(self, key: str | Sequence[str]) -> ResultTable:
        """All columns except these."""
        excluded = {key} if isinstance(key, str) else set(key)
        return self._of_columns(
            [i for i, name in enumerate(self.column_names) if name not in excluded]
        )

    def rename(
        self, column_names: Mapping[str, str] | Sequence[str] | None = None, **_: Any
    ) -> ResultTable:
        """The same with other names, given as a mapping or a list."""
        if isinstance(column_names, Mapping):
            names = tuple(column_names.get(name, name) for name in self.column_names)
        else:
            names = tuple(column_names or self.column_names)
        rows = Series([ResultRow(row.values(), names) for row in self.rows])
        return ResultTable(names, self.column_types, rows, self.tell)

    def where(self, test: Callable[[ResultRow], Any]) -> ResultTable:
        """Only the rows for which the test is true."""
        return self._of_rows([row for row in self.rows if test(row)])

    def limit(
        self, start_or_stop: int | None = None, stop: int | None = None, step: int | None = None
    ) -> ResultTable:
        """A slice of the rows."""
        if stop is None and step is None:
            return self._of_rows(self.rows[:start_or_stop])
        return self._of_rows(self.rows[slice(start_or_stop, stop, step)])

    def order_by(self, key: str, reverse: bool = False) -> ResultTable:
        """The rows sorted by a column, nulls last."""
        index = self._index(key)
        with_value = sorted(
            (row for row in self.rows if row[index] is not None),
            key=lambda row: row[index],
            reverse=reverse,
        )
        return self._of_rows([*with_value, *(row for row in self.rows if row[index] is None)])

    def distinct(self, key: str | None = None) -> ResultTable:
        """The first row of each value of a column, or all distinct rows."""
        index = None if key is None else self._index(key)
        first_rows = {
            (row.values() if index is None else row[index]): row for row in reversed(self.rows)
        }
        return self._of_rows(
            [row for row in self.rows if any(row is first for first in first_rows.values())]
        )

    def _index(self, name: str) -> int:
        if name not in self.column_names:
            hint = did_you_mean(name, self.column_names)
            raise RenderError(f"the result has no column `{name}`", hint=hint)
        return self.column_names.index(name)

    def _of_columns(self, indexes: Sequence[int]) -> ResultTable:
        names = tuple(self.column_names[index] for index in indexes)
        kinds = tuple(self.column_types[index] for index in indexes)
        rows = Series([ResultRow([row[index] for index in indexes], names) for row in self.rows])
        return ResultTable(names, kinds, rows, self.tell)

    def _of_rows(self, rows: Iterable[ResultRow]) -> ResultTable:
        return ResultTable(self.column_names, self.column_types, Series(rows), self.tell)

    # ------------------------------------------------------------ output
    def print_table(self, max_rows: int | None = 20, max_columns: int | None = 6, **_: Any) -> str:
        """Prints the first rows and columns; returns "", which adds nothing to the SQL."""
        names = list(self.column_names[:max_columns])
        cells = [["" if v is None else str(v) for v in row[:max_columns]] for row in self.rows]
        lines = [names, *cells[:max_rows]]
        widths = [max(len(line[index]) for line in lines) for index in range(len(names))]
        formatted = [
            "| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |"
            for line in lines
        ]
        rule = "| " + " | ".join("-" * width for width in widths) + " |"
        self.tell("\n".join([formatted[0], rule, *formatted[1:]]))
        return ""

    def print_csv(self, **_: Any) -> str:
        """Prints all rows as CSV; returns "", which adds nothing to the SQL."""
        lines = [self.column_names, *self.matrix()]
        self.tell("\n".join(",".join("" if v is None else str(v) for v in line) for line in lines))
        return ""

    def print_json(self, **_: Any) -> str:
        """Prints all rows as JSON; returns "", which adds nothing to the SQL."""
        self.tell(self.to_json())
        return ""

    def to_json(self, *_: Any, **__: Any) -> str:
        """The rows as a JSON list of objects."""
        return json.dumps([row.dict() for row in self.rows], default=_plain)


def empty_table() -> ResultTable:
    """A table without columns and rows: the result when there is none."""
    return ResultTable.of((), ())


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names made unique: a second `x` becomes `x_2`."""
    unique: list[str] = []
    for name in names:
        count, candidate = 1, name
        while candidate in unique:
            count += 1
            candidate = f"{name}_{count}"
        unique.append(candidate)
    return tuple(unique)


def _column(values: Sequence[Any]) -> tuple[ColumnKind, list[Any]]:
    non_null = [value for value in values if value is not None]
    for kind, fits, convert in _KINDS:
        if all(fits(value) for value in non_null):
            return kind, [None if value is None else convert(value) for value in values]
    return TEXT, [None if value is None else _text(value) for value in values]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)


def _decimal(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _moment(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    return datetime.datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no time zone


def _same(value: Any) -> Any:
    return value


_KINDS: tuple[tuple[ColumnKind, Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (INTEGER, _is_whole, _same),
    (NUMBER, _is_number, _decimal),
    (DATE, _is_date, _same),
    (DATETIME, lambda value: isinstance(value, datetime.date), _moment),
    (BOOLEAN, lambda value: isinstance(value, bool), _same),
)


def _text(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=_plain)
    return str(value)


def _plain(value: Any) -> Any:
    """A JSON value for types that JSON does not have."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)
