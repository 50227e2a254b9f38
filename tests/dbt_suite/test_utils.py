"""Macros that are the same on every engine."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.utils import fixture_date_spine as date_spine
from dbt.tests.adapter.utils import fixture_get_intervals_between as between

from tests.dbt_suite.taking import take

KINDS = ("bigint", "boolean", "float", "int", "numeric", "string", "timestamp")
NAMED = {"int": "Int", "bigint": "BigInt"}
# fmt: off
PLAIN = (
    "any_value", "array_append", "array_concat", "array_construct", "bool_or", "cast",
    "cast_bool_to_text", "concat", "date", "date_trunc", "dateadd", "datediff", "equals", "except",
    "generate_series", "get_powers_of_two", "hash", "intersect", "last_day", "length", "listagg",
    "position", "replace", "right", "safe_cast", "split_part", "string_literal",
)
# fmt: on
WORDS = {"dateadd": "DateAdd", "datediff": "DateDiff"}

for _kind in KINDS:
    _named = NAMED.get(_kind, _kind.capitalize())
    globals().update(take("utils.data_types", f"test_type_{_kind}", f"BaseType{_named}"))
for _macro in PLAIN:
    _named = WORDS.get(_macro, "".join(map(str.capitalize, _macro.split("_"))))
    globals().update(take("utils", f"test_{_macro}", f"Base{_named}"))
globals().update(take("utils", "test_escape_single_quotes", "BaseEscapeSingleQuotesQuote"))
globals().update(take("utils", "test_null_compare", "BaseMixedNullCompare", "BaseNullCompare"))
globals().update(take("utils", "test_current_timestamp", "BaseCurrentTimestampAware"))

# Strings are no dates in DuckDB: what the suite writes for Postgres is right here too.
_AS_POSTGRES = ("target.type == 'postgres'", "target.type == 'duckdb'")
for _macro, _sql in (
    ("date_spine", date_spine.models__test_date_spine_sql),
    ("get_intervals_between", between.models__test_get_intervals_between_sql),
):
    _named = "".join(map(str.capitalize, _macro.split("_")))
    _yml = getattr(date_spine, f"models__test_{_macro}_yml", None) or getattr(
        between, f"models__test_{_macro}_yml"
    )
    _files = {
        f"test_{_macro}.yml": _yml,
        f"test_{_macro}.sql": _sql.replace(*_AS_POSTGRES)
        .replace("'09/01/2023'", "'2023-09-01'")
        .replace("'09/12/2023'", "'2023-09-12'"),
    }
    _models = pytest.fixture(scope="class", name="models")(lambda _, _files=_files: _files)
    globals().update(take("utils", f"test_{_macro}", f"Base{_named}", over={"models": _models}))


@pytest.fixture(scope="class")
def duckdb_types() -> dict[str, str]:
    return dict.fromkeys(("current_timestamp",), "TIMESTAMP WITH TIME ZONE") | dict.fromkeys(
        ("current_timestamp_in_utc_backcompat", "current_timestamp_backcompat"), "TIMESTAMP"
    )


globals().update(
    take(
        "utils",
        "test_timestamps",
        "BaseCurrentTimestamps",
        over={
            "expected_schema": pytest.fixture(scope="class")(lambda _, duckdb_types: duckdb_types),
            "expected_sql": pytest.fixture(scope="class")(lambda _: None),
        },
    )
)
