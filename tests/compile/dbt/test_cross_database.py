"""The macros that are the same in every database: what DuckDB says of the SQL they write."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

import pytest

from tests.compile.dbt.harness import BUILTIN, MACROS, Database, Rendering
from transformer.compile.dbt.words import local_md5
from transformer.errors import RenderError

ANY = Rendering()


@pytest.fixture(scope="module")
def database() -> Database:
    return Database()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("string", "TEXT"),
        ("timestamp", "timestamp"),
        ("float", "float"),
        ("numeric", "numeric(28,6)"),
        ("bigint", "bigint"),
        ("int", "integer"),
        ("boolean", "boolean"),
    ],
)
def test_types_have_the_names_that_dbt_gives_them(name: str, text: str, database: Database) -> None:
    written = getattr(ANY, f"type_{name}")()
    assert written == text
    assert database.one(f"cast(null as {written})") is None


@pytest.mark.parametrize(
    ("part", "number", "wanted"),
    [
        ("year", 1, "2025-02-28"),
        ("quarter", 1, "2024-05-29"),
        ("quarter", -1, "2023-11-29"),
        ("month", "2", "2024-04-29"),
        ("week", -2, "2024-02-15"),
        ("day", 1, "2024-03-01"),
        ("DAY", 1, "2024-03-01"),
        ("hour", 36, "2024-03-01 12:00:00"),
        ("second", "-(1 + 1)", "2024-02-28 23:59:58"),
        ("millisecond", 500, "2024-02-29 00:00:00.5"),
        ("day", "length('ab')", "2024-03-02"),
    ],
)
def test_dateadd_adds_parts_of_any_expression(
    part: str, number: Any, wanted: str, database: Database
) -> None:
    written = ANY.dateadd(part, number, "date '2024-02-29'")
    assert database.one(written) == datetime.fromisoformat(wanted)


@pytest.mark.parametrize(
    ("part", "first", "second", "wanted"),
    [
        ("year", "2019-12-31", "2020-01-01", 1),
        ("quarter", "2020-03-31", "2020-04-01", 1),
        ("month", "2020-01-31", "2020-02-01", 1),
        ("month", "2020-02-01", "2020-01-31", -1),
        ("week", "2024-01-06", "2024-01-07", 1),  # from Saturday to Sunday
        ("week", "2024-01-07", "2024-01-08", 0),  # from Sunday to Monday
        ("week", "2024-01-07", "2024-01-06", -1),
        ("week", "2024-01-10", "2024-01-08", 0),
        ("week", "2024-01-01", "2024-01-31", 4),
        ("week", "2024-01-31", "2024-01-01", -4),
        ("week", "2024-01-01", "2024-01-01", 0),
        ("day", "2024-03-01", "2024-02-28", -2),
        ("hour", "2024-01-01 00:59:59", "2024-01-01 01:00:00", 1),
        ("minute", "2024-01-01 00:00:59", "2024-01-01 00:02:00", 2),
        ("second", "2024-01-01", "2024-01-02", 86400),
        ("millisecond", "2024-01-01", "2024-01-01 00:00:01", 1000),
        ("microsecond", "2024-01-01", "2024-01-01 00:00:01", 1000000),
    ],
)
def test_datediff_counts_the_borders_between_parts(
    part: str, first: str, second: str, wanted: int, database: Database
) -> None:
    assert database.one(ANY.datediff(f"'{first}'", f"'{second}'", part)) == wanted


def test_weeks_between_every_two_days_are_the_sundays_between(database: Database) -> None:
    days = "unnest(range(date '2023-12-20', date '2024-01-20', interval 1 day))"
    rows = database.all(
        f"select a, b, {ANY.datediff('a', 'b', 'week')}"
        f" from (select {days} as a) x, (select {days} as b) y"
    )
    for one, other, weeks in rows:
        sundays = other.toordinal() // 7 - one.toordinal() // 7
        # Back by whole weeks it counts one too many, as dbt does.
        back = one > other and (one - other).days % 7 == 0
        assert weeks == sundays - back, (one, other)


def test_a_difference_with_nothing_is_nothing(database: Database) -> None:
    for part in ("week", "day"):
        assert database.one(ANY.datediff("null", "'2024-01-01'", part)) is None


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ("year", date(2024, 12, 31)),
        ("quarter", date(2024, 6, 30)),
        ("month", date(2024, 5, 31)),
        ("week", date(2024, 5, 19)),
    ],
)
def test_last_day_is_the_day_before_the_next_part(
    part: str, wanted: date, database: Database
) -> None:
    assert database.one(ANY.last_day("date '2024-05-14'", part)) == wanted


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (ANY.date_trunc("month", "timestamp '2024-05-14'"), datetime(2024, 5, 1)),  # noqa: DTZ001
        (ANY.date(2024, 2, 29), date(2024, 2, 29)),
        (ANY.cast("'1'", ANY.type_int()), 1),
        (ANY.safe_cast("'1.5'", "float"), 1.5),
        (ANY.cast_bool_to_text("1 = 1"), "true"),
        (ANY.concat(["'a'", "'b'", "'c'"]), "abc"),
        (ANY.equals("1", "1"), True),
        (ANY.equals("null", "null"), None),
        (ANY.string_literal(ANY.escape_single_quotes("it's")), "it's"),
        (ANY.hash("1"), "c4ca4238a0b923820dcc509a6f75849b"),
        (ANY.length("'abc'"), 3),
        (ANY.position("'b'", "'abc'"), 2),
        (ANY.replace("'abc'", "'b'", "'x'"), "axc"),
        (ANY.right("'abc'", 2), "bc"),
        (ANY.split_part("'a|b|c'", "'|'", 1), "a"),
        (ANY.split_part("'a|b|c'", "'|'", -1), "c"),
        (ANY.split_part("'a|b|c'", "'|'", 9), None),
        (ANY.array_construct([1, 2]), [1, 2]),
        (ANY.array_construct(), []),
        (ANY.array_append(ANY.array_construct([1]), 2), [1, 2]),
        (ANY.array_concat("[1]", "[2]"), [1, 2]),
        (ANY.snapshot_hash_arguments(["1", "null"]), local_md5("1|")),
    ],
)
def test_expressions_give_what_they_say(written: str, wanted: Any, database: Database) -> None:
    assert database.one(written) == wanted


def test_a_value_that_does_not_fit_is_an_error_of_safe_cast(database: Database) -> None:
    with pytest.raises(Exception, match="Could not convert"):
        database.one(ANY.safe_cast("'x'", "integer"))


def test_set_operations_are_words_between_queries(database: Database) -> None:
    both = "select 1 as x union all select 2"
    for word, wanted in (("except", [(1,)]), ("intersect", [(2,)])):
        assert database.all(f"({both}) {ANY.macros[word]()} (select 2)") == wanted


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("x",), "b,a,c"),
        (("x", "'-'", "order by x"), "a-b-c"),
        (("x", "'-'", "order by n desc", 2), "c-a"),
        (("x", "'-'", None, 1), "b"),
    ],
)
def test_listagg_orders_and_limits(
    arguments: tuple[Any, ...], wanted: str, database: Database
) -> None:
    reading = "from (values (1, 'b'), (2, 'a'), (3, 'c')) as t(n, x)"
    assert database.one(ANY.listagg(*arguments), reading) == wanted


def test_any_value_is_the_first_value_even_if_it_is_nothing(database: Database) -> None:
    reading = "from (values (null, false), (1, true)) as t(x, b)"
    assert database.one(ANY.any_value("x"), reading) is None
    assert database.one(ANY.bool_or("b"), reading) is True


def test_now_is_a_timestamp_and_a_snapshot_has_no_zone(database: Database) -> None:
    kinds = {
        "TIMESTAMP WITH TIME ZONE": ANY.current_timestamp(),
        "TIMESTAMP": ANY.snapshot_get_time(),
    }
    for kind, written in kinds.items():
        assert database.one(f"typeof({written})") == kind
    for name in ("current_timestamp_backcompat", "current_timestamp_in_utc_backcompat"):
        assert database.one(f"typeof({ANY.macros[name]()})") == "TIMESTAMP"
    assert database.one(ANY.snapshot_string_as_time("2024-01-01")) == datetime(2024, 1, 1)  # noqa: DTZ001


# ---------------------------------------------------------------- series
def test_a_series_counts_from_one(database: Database) -> None:
    rows = database.all(ANY.generate_series(3))
    assert rows == [(1,), (2,), (3,)]
    assert database.all(f"with s as ({ANY.generate_series(0)}) select * from s") == []


@pytest.mark.parametrize(("bound", "power"), [(1, 1), (2, 1), (3, 2), (8, 3), (9, 4)])
def test_powers_of_two_reach_the_bound(bound: int, power: int) -> None:
    assert ANY.get_powers_of_two(bound) == power


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(RenderError, match="positive"):
        ANY.get_powers_of_two(0)


@pytest.mark.parametrize(
    ("part", "start", "end", "count", "last"),
    [
        ("day", "2024-01-01", "2024-02-01", 31, "2024-01-31"),
        ("month", "2024-01-01", "2025-01-01", 12, "2024-12-01"),
        ("week", "2024-01-07", "2024-02-04", 4, "2024-01-28"),
        ("hour", "2024-01-01", "2024-01-02", 24, "2024-01-01 23:00:00"),
        ("day", "2024-01-01", "2024-01-01", 0, None),
        ("day", "2024-01-02", "2024-01-01", 0, None),
    ],
)
def test_a_spine_has_every_part_before_the_end(
    part: str, start: str, end: str, count: int, last: str | None
) -> None:
    spine = ANY.date_spine(part, f"cast('{start}' as date)", f"cast('{end}' as date)")
    rows = Database().all(f"with s as (\n{spine}\n) select count(*), max(date_{part}) from s")
    assert rows == [(count, datetime.fromisoformat(last) if last else None)]


def test_the_ends_of_a_spine_may_be_queries(database: Database) -> None:
    spine = ANY.date_spine("day", "(select date '2024-01-01')", "(select date '2024-01-03')")
    assert len(database.all(spine)) == 2


def test_intervals_are_counted_by_the_warehouse() -> None:
    asked = Rendering(Database())
    assert asked.get_intervals_between("'2024-01-01'", "'2024-01-04'", "day") == 3
    assert Rendering(execute=False).get_intervals_between("'x'", "'y'", "day") == 1


def test_dates_of_the_command_line_are_read_and_listed() -> None:
    assert ANY.partition_range("20240228,20240301") == ["20240228", "20240229", "20240301"]
    assert ANY.partition_range("20240228") == ["20240228"]
    assert ANY.dates_in_range("2024-01-01", in_fmt="%Y-%m-%d", out_fmt=None) == [
        datetime(2024, 1, 1)  # noqa: DTZ001
    ]
    assert re.fullmatch(r"\d{20}", ANY.py_current_timestring())
    for wrong, said in (("x", "format"), ("20240102,20240101", "after"), ("1,2,3", "two")):
        with pytest.raises(RenderError, match=said):
            ANY.partition_range(wrong)


# ---------------------------------------------------------------- all of them
def test_every_macro_that_dispatches_has_an_implementation() -> None:
    text = "\n".join(path.read_text() for path in BUILTIN.glob("*.sql"))
    asked = set(re.findall(r"adapter\.dispatch\('(\w+)'", text))
    implemented = {
        name.split("__", 1)[1] for name in MACROS if re.match("duckdb__|default__", name)
    }
    assert asked - implemented == set()
    assert implemented - asked == set()


def test_a_project_overrides_a_macro_by_the_name_of_its_engine() -> None:
    own = "{% macro duckdb__dateadd(part, number, since) %}mine({{ number }}){% endmacro %}"
    assert Rendering(own=own).dateadd("day", 1, "x") == "mine(1)"
