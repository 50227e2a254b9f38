"""Columns as templates see them, with types as DuckDB names them."""

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
_STRING_SIZE = 256  # of a string that has no size of its own
_FIELD = re.compile(r'\s*(?:"((?:[^"]|"")*)"|(\S+))\s+(.+)\Z', re.DOTALL)


@dataclass(frozen=True, slots=True)
class AdapterColumn:
    """A column: `dtype` is the type as the engine says it, `data_type` as `cast` takes it.

    Which words are numbers and strings is what dbt-duckdb says, `DECIMAL(18,3)` included, which
    it takes for neither: macros decide by these answers what SQL they write.
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
        """The engine's word for a type: `string` is `TEXT`, every other one is itself."""
        return cls.TYPE_LABELS.get(dtype.upper(), dtype)

    @classmethod
    def create(cls, name: str, label_or_dtype: str) -> AdapterColumn:
        """A column of a type that may be `string`."""
        return cls(name, cls.translate_type(label_or_dtype))

    @classmethod
    def from_description(cls, name: str, raw_data_type: str) -> AdapterColumn:
        """A column of a type with its size taken apart: `varchar(3)`, `decimal(18,3)`."""
        match = re.match(r"([^(]+)(?:\(([^)]*)\))?", raw_data_type)
        if not match:
            raise RenderError(f"`{raw_data_type}` is no data type")
        sizes = [part.strip() for part in (match[2] or "").split(",") if part.strip()]
        if not all(size.isdigit() for size in sizes):
            raise RenderError(f"the size of the data type `{raw_data_type}` is no number")
        numbers = [int(size) for size in sizes]
        if len(numbers) == 2:
            return cls(name, match[1], None, *numbers)
        return cls(name, match[1], *numbers[:1])

    @staticmethod
    def string_type(size: int) -> str:
        """A string that is so long."""
        return f"character varying({size})"

    @staticmethod
    def numeric_type(dtype: str, precision: Any, scale: Any) -> str:
        """A decimal number with its digits, when both are known."""
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
        """The type as SQL: a string has a size."""
        if self.is_string():
            return self.string_type(self.string_size())
        if self.is_numeric():
            return self.numeric_type(self.dtype, self.numeric_precision, self.numeric_scale)
        return self.dtype

    @property
    def expanded_data_type(self) -> str:
        """The type as it is compared when a table's columns changed."""
        return self.data_type

    def is_string(self) -> bool:
        """Whether it holds text."""
        return self.dtype.lower() in _STRINGS

    def is_number(self) -> bool:
        """Whether it holds whole numbers, decimals without digits, or floats."""
        return self.is_integer() or self.is_numeric() or self.is_float()

    def is_integer(self) -> bool:
        """Whether it holds whole numbers."""
        return self.dtype.lower() in _INTEGERS

    def is_float(self) -> bool:
        """Whether it holds floats."""
        return self.dtype.lower() in _FLOATS

    def is_numeric(self) -> bool:
        """Whether it is a decimal whose digits are not part of `dtype`."""
        return self.dtype.lower() in _NUMERICS

    def is_struct(self) -> bool:
        """Whether it holds fields."""
        return self.dtype.lower().startswith("struct")

    def string_size(self) -> int:
        """How long its text may be. Raises RenderError when it holds no text."""
        if not self.is_string():
            raise RenderError(f"`string_size` of `{self.column}`, which is {self.dtype}")
        return _STRING_SIZE if self.char_size is None else int(self.char_size)

    def can_expand_to(self, other_column: AdapterColumn) -> bool:
        """Whether both hold text, and the other one longer text."""
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
        """Its innermost fields, each named by its way: `a.b`; itself when it has none."""
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
    """The text cut at commas that stand in no bracket and no quotes."""
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
