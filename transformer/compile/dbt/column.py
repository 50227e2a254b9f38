"""Columns in templates, with DuckDB's type names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from transformer.errors import RenderError

_STRINGS = frozenset({"text", "character varying", "character", "varchar"})
_NUMERICS = frozenset({"numeric", "decimal"})
_FLOATS = frozenset({"real", "float", "float4", "float8", "double"})
_SIGNED = {"tinyint", "smallint", "integer", "bigint", "hugeint"}
_UNSIGNED = {"utinyint", "usmallint", "uinteger", "ubigint"}
_INTEGERS = frozenset(
    {*_SIGNED, *_UNSIGNED, "int1", "int2", "int4", "int8", "short", "int", "signed", "long"}
)
_STRING_SIZE = 256  # of a string without an explicit size
_FIELD = re.compile(r'\s*(?:"((?:[^"]|"")*)"|(\S+))\s+(.+)\Z', re.DOTALL)


@dataclass(frozen=True, slots=True)
class AdapterColumn:
    """A column: `dtype` is the type as the engine reports it, `data_type` the form for `cast`.

    Types are classified as in dbt-duckdb, where `DECIMAL(18,3)` is neither a number nor a string:
    macros generate SQL by these answers.
    """

    column: str
    dtype: str
    char_size: int | None = None
    numeric_precision: Any = None
    numeric_scale: Any = None

    TYPE_LABELS: ClassVar[dict[str, str]] = {"STRING": "TEXT"}

    # ------------------------------------------------------------ of the class
    @classmethod
    def translate_type(cls, dtype: str) -> str:
        """The engine's name of a type: `string` is `TEXT`, others are unchanged."""
        return cls.TYPE_LABELS.get(dtype.upper(), dtype)

    @classmethod
    def create(cls, name: str, label_or_dtype: str) -> AdapterColumn:
        """A column whose type may be given as `string`."""
        return cls(name, cls.translate_type(label_or_dtype))

    @classmethod
    def from_description(cls, name: str, raw_data_type: str) -> AdapterColumn:
        """A column from a type with a size: `varchar(3)`, `decimal(18,3)`."""
        match = re.match(r"([^(]+)(?:\(([^)]*)\))?", raw_data_type)
        if not match:
            raise RenderError(f"`{raw_data_type}` is not a data type")
        sizes = [part.strip() for part in (match[2] or "").split(",") if part.strip()]
        if not all(size.isdigit() for size in sizes):
            raise RenderError(f"the size of the data type `{raw_data_type}` is not a number")
        numbers = [int(size) for size in sizes]
        if len(numbers) == 2:
            return cls(name, match[1], None, *numbers)
        return cls(name, match[1], *numbers[:1])

    @staticmethod
    def string_type(size: int) -> str:
        """A string type of this length."""
        return f"character varying({size})"

    @staticmethod
    def numeric_type(dtype: str, precision: Any, scale: Any) -> str:
        """A decimal type, with precision and scale if both are known."""
        has_digits = precision is not None and scale is not None
        return f"{dtype}({precision},{scale})" if has_digits else dtype

    # ------------------------------------------------------------ of the column
    @property
    def name(self) -> str:
        """The column's name."""
        return self.column

    @property
    def quoted(self) -> str:
        """The name in quotes."""
        return '"' + self.column.replace('"', '""') + '"'

    @property
    def data_type(self) -> str:
        """The type as SQL; strings have a size."""
        if self.is_string():
            return self.string_type(self.string_size())
        if self.is_numeric():
            return self.numeric_type(self.dtype, self.numeric_precision, self.numeric_scale)
        return self.dtype

    @property
    def expanded_data_type(self) -> str:
        """The type used to compare a table's columns."""
        return self.data_type

    def is_string(self) -> bool:
        """Whether it is a string type."""
        return self.dtype.lower() in _STRINGS

    def is_number(self) -> bool:
        """Whether it is an integer, a decimal without precision, or a float."""
        return self.is_integer() or self.is_numeric() or self.is_float()

    def is_integer(self) -> bool:
        """Whether it is an integer type."""
        return self.dtype.lower() in _INTEGERS

    def is_float(self) -> bool:
        """Whether it is a float type."""
        return self.dtype.lower() in _FLOATS

    def is_numeric(self) -> bool:
        """Whether it is a decimal without precision in `dtype`."""
        return self.dtype.lower() in _NUMERICS

    def is_struct(self) -> bool:
        """Whether it is a struct."""
        return self.dtype.lower().startswith("struct")

    def string_size(self) -> int:
        """Its maximum length. Raises RenderError if it is not a string."""
        if not self.is_string():
            raise RenderError(f"`string_size` of `{self.column}`, which is {self.dtype}")
        return _STRING_SIZE if self.char_size is None else int(self.char_size)

    def can_expand_to(self, other_column: AdapterColumn) -> bool:
        """Whether both are strings, and the other one is longer."""
        are_strings = self.is_string() and other_column.is_string()
        return are_strings and other_column.string_size() > self.string_size()

    def literal(self, value: Any) -> str:
        """The value, cast to its type."""
        return f"{value}::{self.data_type}"

    @property
    def fields(self) -> list[AdapterColumn]:
        """The fields of a struct."""
        return list(_fields(self.dtype)) if self.is_struct() else []

    def flatten(self) -> list[AdapterColumn]:
        """Its innermost fields named by their path (`a.b`); itself if it has none."""
        if not self.is_struct() or not self.fields:
            return [self]
        return [
            AdapterColumn(f"{self.column}.{inner.column}", inner.dtype)
            for part in self.fields
            for inner in part.flatten()
        ]


def _fields(dtype: str) -> Iterator[AdapterColumn]:
    body = re.match(r"struct\s*\((.*)\)\Z", dtype, re.IGNORECASE | re.DOTALL)
    for part in _split(body[1]) if body else ():
        match = _FIELD.match(part)
        if match:
            name = match[2] if match[1] is None else match[1].replace('""', '"')
            yield AdapterColumn(name, match[3].strip())


def _split(text: str) -> Iterator[str]:
    """The text split at top-level commas, outside brackets and quotes."""
    depth, in_quotes, start = 0, False, 0
    for index, char in enumerate(text):
        if char == '"':
            in_quotes = not in_quotes
        elif not in_quotes and char in "()":
            depth += 1 if char == "(" else -1
        elif char == "," and not in_quotes and depth == 0:
            yield text[start:index]
            start = index + 1
    yield text[start:]
