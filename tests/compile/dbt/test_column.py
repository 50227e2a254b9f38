"""Columns: what their types are taken for, and how they are written."""

from __future__ import annotations

import pytest

from transformer.compile.dbt.column import AdapterColumn
from transformer.errors import RenderError


@pytest.mark.parametrize(
    ("dtype", "kinds", "data_type"),
    [
        ("VARCHAR", "string", "character varying(256)"),
        ("TEXT", "string", "character varying(256)"),
        ("INTEGER", "integer number", "INTEGER"),
        ("UBIGINT", "integer number", "UBIGINT"),
        ("HUGEINT", "integer number", "HUGEINT"),
        ("DOUBLE", "float number", "DOUBLE"),
        ("numeric", "numeric number", "numeric"),
        ("DECIMAL(18,3)", "", "DECIMAL(18,3)"),
        ("BOOLEAN", "", "BOOLEAN"),
        ("TIMESTAMP WITH TIME ZONE", "", "TIMESTAMP WITH TIME ZONE"),
        ("INTEGER[]", "", "INTEGER[]"),
        ("STRUCT(a INTEGER)", "struct", "STRUCT(a INTEGER)"),
    ],
)
def test_types_are_taken_for_what_dbt_takes_them_for(
    dtype: str, kinds: str, data_type: str
) -> None:
    column = AdapterColumn("c", dtype)
    asked = {
        "string": column.is_string(),
        "integer": column.is_integer(),
        "float": column.is_float(),
        "numeric": column.is_numeric(),
        "number": column.is_number(),
        "struct": column.is_struct(),
    }
    assert {kind for kind, is_it in asked.items() if is_it} == set(kinds.split())
    assert column.data_type == column.expanded_data_type == data_type


def test_sizes_are_part_of_the_type() -> None:
    assert AdapterColumn("c", "varchar", 3).data_type == "character varying(3)"
    assert AdapterColumn("c", "numeric", None, 18, 3).data_type == "numeric(18,3)"
    assert AdapterColumn("c", "varchar", 3).can_expand_to(AdapterColumn("d", "text"))
    assert not AdapterColumn("c", "text").can_expand_to(AdapterColumn("d", "integer"))
    with pytest.raises(RenderError, match="string_size"):
        AdapterColumn("c", "integer").string_size()


def test_the_class_translates_types() -> None:
    assert AdapterColumn.translate_type("string") == "TEXT"
    assert AdapterColumn.translate_type("timestamp") == "timestamp"
    assert AdapterColumn.string_type(3) == "character varying(3)"
    assert AdapterColumn.numeric_type("numeric", 28, 6) == "numeric(28,6)"
    assert AdapterColumn.create("c", "string") == AdapterColumn("c", "TEXT")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("integer", AdapterColumn("c", "integer")),
        ("varchar(3)", AdapterColumn("c", "varchar", 3)),
        ("decimal(18, 3)", AdapterColumn("c", "decimal", None, 18, 3)),
    ],
)
def test_a_described_type_is_taken_apart(text: str, wanted: AdapterColumn) -> None:
    assert AdapterColumn.from_description("c", text) == wanted


def test_a_size_that_is_no_number_is_refused() -> None:
    for text in ("varchar(x)", ""):
        with pytest.raises(RenderError):
            AdapterColumn.from_description("c", text)


def test_a_name_is_quoted_and_a_value_cast() -> None:
    column = AdapterColumn('a"b', "INTEGER")
    assert (column.name, column.quoted) == ('a"b', '"a""b"')
    assert column.literal(1) == "1::INTEGER"


def test_a_struct_is_flattened_to_its_innermost_fields() -> None:
    dtype = 'STRUCT(a INTEGER, "b, c" STRUCT(d DECIMAL(5,1), e VARCHAR[]))'
    flat = AdapterColumn("s", dtype).flatten()
    assert [(c.name, c.dtype) for c in flat] == [
        ("s.a", "INTEGER"),
        ("s.b, c.d", "DECIMAL(5,1)"),
        ("s.b, c.e", "VARCHAR[]"),
    ]
    assert AdapterColumn("i", "INTEGER").flatten() == [AdapterColumn("i", "INTEGER")]
    assert AdapterColumn("l", "STRUCT(a INTEGER)[]").flatten() == [
        AdapterColumn("l", "STRUCT(a INTEGER)[]")
    ]
