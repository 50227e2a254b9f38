"""Tables of other databases, value for value: what landed, or waits, against another reader."""

from __future__ import annotations

import tempfile
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.postgres import new_database
from tests.sources.lab import Lab, lab

QUICK = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True,
    phases=[Phase.generate],
)  # fmt: skip
LONG = settings(
    max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
)  # fmt: skip

DIGITS = st.decimals(allow_nan=False, allow_infinity=False, places=9).map(lambda d: f"{d:f}")
WIDE = st.one_of(
    st.sampled_from(
        ["NaN", "0", "-0.00", "1e-30", "12345678901234567890123456789.0123456789",
         "99999999999999999999999999999999999999999", "0.1234567890123456789012345678901234567",
         "9007199254740993", "1.10", "2.3333333333333333"]
    ),
    st.decimals(-(10**12), 10**12, allow_nan=False).map(lambda d: f"{d:f}"),
)  # fmt: skip
CENTS = st.one_of(
    st.just("NaN"), st.integers(-(10**9), 10**9).map(lambda n: f"{Decimal(n) / 100:.2f}")
)
MOMENT = st.one_of(
    st.sampled_from(
        ["infinity", "-infinity", "294276-12-31 23:59:59.999999", "294247-01-10 04:00:54.775807",
         "294246-12-31 23:59:59.999999", "4713-01-02 00:00:00 BC", "0044-03-15 12:00:00.5 BC",
         "0001-01-01 00:00:00", "10000-01-01 00:00:00", "1582-10-10 00:00:00"]
    ),
    st.datetimes().map(lambda t: f"{t.year:04}{t:-%m-%d %H:%M:%S.%f}"),
)  # fmt: skip
# Not the last days of DuckDB: its text has no way to say them.
DAY = st.one_of(
    st.sampled_from(["infinity", "-infinity", "5874897-12-31", "4713-01-02 BC", "0001-01-01"]),
    st.dates().map(lambda d: f"{d.year:04}{d:-%m-%d}"),
)
SPAN = st.sampled_from(
    ["1 year 2 mons", "-3 days 04:05:06.789", "100:00:00", "1 mon -1 day 00:00:00.000001",
     "00:00:00", "infinity"]
)  # fmt: skip
CLOCK = st.sampled_from(["24:00:00", "00:00:00", "23:59:59.999999", "12:00:00.5"])
ZONED = st.sampled_from(["24:00:00+00", "12:00:00+05:30", "00:00:00.1-15:59", "23:59:59+15:59:59"])
MONEY = st.sampled_from(["-92233720368547758.08", "0.01", "1234567.89"])
LIST = st.sampled_from(
    ["{1.10,NULL,-2.55}", "{}", "{NaN}", "{12345678901234567890.12}", "{{1,2},{3,4}}", "{0.10}"]
)
BOUND_LIST = st.sampled_from(["{1.10,NULL}", "{NaN}", "{99999999.99}", "{}"])
FLOAT = st.sampled_from(["NaN", "Infinity", "-0", "0.1", "1e308", "5e-324"])
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5)

POSTGRES: dict[str, tuple[str, st.SearchStrategy[str]]] = {
    "wide": ("numeric", WIDE),
    "fine": ("numeric(45,30)", st.one_of(st.just("NaN"), DIGITS.filter(lambda t: len(t) < 22))),
    "cents": ("numeric(12,2)", CENTS),
    "coarse": ("numeric(5,-2)", st.sampled_from(["12345", "-9949999", "NaN", "0"])),
    "seen": ("timestamp", MOMENT),
    "zoned": ("timestamptz", MOMENT.map(lambda t: t.replace(" BC", "+00 BC"))),
    "day": ("date", DAY),
    "span": ("interval", SPAN),
    "clock": ("time", CLOCK),
    "there": ("timetz", ZONED),
    "paid": ("money", MONEY),
    "many": ("numeric[]", LIST),
    "bound_many": ("numeric(10,2)[]", BOUND_LIST),
    "ratio": ("float8", FLOAT),
    "big": ("bigint", st.sampled_from(["9223372036854775807", "-9223372036854775808", "0"])),
    "note": ("text", TEXT),
}
ROW = st.fixed_dictionaries({n: st.none() | values for n, (_, values) in POSTGRES.items()})


def decimal(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def shown(name: str, value: Any) -> Any:
    """A value in a form that two readers share."""
    kind = POSTGRES[name][0]
    if value is None:
        return None
    if kind.startswith("numeric") and not kind.endswith("]"):
        return "NaN" if value.lower() == "nan" else decimal(value)
    if kind.endswith("[]"):
        bare = value.translate(str.maketrans("[]{}", "    ")).replace('"', "")
        items = [item.strip() for item in bare.split(",")]
        return [None if i.lower() == "null" else i if i == "NaN" else decimal(i) for i in items]
    if " (BC)" in value:
        return f"{value.replace(' (BC)', '')} BC"
    if kind == "float8":
        return str(float(value))
    return value


def intervals(text: str) -> str:
    """The months, days and microseconds of an interval: the two write it differently."""
    return (
        f"case when not {text} then null else (extract(year from span) * 12"
        " + extract(month from span))::int || ' ' || extract(day from span)::int || ' ' ||"
        " (extract(hour from span) * 3600000000 + extract(minute from span) * 60000000"
        " + extract(microseconds from span))::bigint end"
    )


def differs(here: Lab, truth: dict[int, dict[str, Any]]) -> None:
    """Every row landed with these values, or waits with the true text of what did not fit."""
    kinds = here.columns()
    assert len(kinds) == len(POSTGRES) + 1
    # With a zone, DuckDB writes the microseconds of far years wrongly, though it has them right.
    utc = "make_timestamp(epoch_us(zoned))::varchar || '+00'"
    ways = {
        "INTERVAL": intervals("span is not null"),
        "TIMESTAMP WITH TIME ZONE": f"if(isfinite(zoned), {utc}, zoned::varchar)",
    }
    casts = ", ".join(ways.get(kinds[n], f'"{n}"::varchar') for n in POSTGRES)
    landed = {row[0]: row[1:] for row in here.ask(f"select id, {casts} from raw.things")}
    waiting: dict[int, list[tuple[str, str]]] = {}
    for number, column, value in here.ask(
        "select json_extract_string(record, '$.id')::int, column_name, value"
        " from _transform.quarantine"
    ):
        waiting.setdefault(number, []).append((column, value))
    assert landed.keys() | waiting.keys() == truth.keys()
    assert not landed.keys() & waiting.keys()
    for number, values in landed.items():
        for name, value in zip(POSTGRES, values, strict=True):
            assert shown(name, value) == shown(name, truth[number][name]), (name, kinds[name])
    for number, refused in waiting.items():
        for name, value in refused:
            assert shown(name, value) == shown(name, truth[number][name]), name


def compared(rows: list[dict[str, str | None]], style: str) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as there, tempfile.TemporaryDirectory() as folder:
        listed = ", ".join(f"{n} {kind}" for n, (kind, _) in POSTGRES.items())
        name = there.info.dbname
        there.execute(f"create table t (id int, {listed})".encode())
        there.execute("set timezone = 'UTC'")
        places = ", ".join(f"%s::text::{kind}" for kind, _ in POSTGRES.values())
        for number, row in enumerate(rows):
            values = [number, *(row[n] for n in POSTGRES)]
            there.execute(f"insert into t values (%s, {places})".encode(), values)
        texts = ", ".join(
            f"{intervals('isfinite(span)')}" if n == "span" else f"{n}::text" for n in POSTGRES
        )
        found = there.execute(f"select id, {texts} from t".encode()).fetchall()
        truth = {r[0]: dict(zip(POSTGRES, r[1:], strict=True)) for r in found}
        for number, row in enumerate(rows):
            if row["span"] == "infinity":
                truth[number]["span"] = "infinity"
        # What the server's owner likes to see changes no value.
        there.execute(f"alter database {name} set {style}".encode())
        with lab(Path(folder), "database", url=url, table="t") as here:
            here.load()
            differs(here, truth)


STYLES = st.sampled_from(
    ["datestyle = 'German'", "timezone = 'Asia/Kolkata'", "intervalstyle = 'sql_standard'"]
)


@QUICK
@given(rows=st.lists(ROW, min_size=1, max_size=12), style=STYLES)
def test_postgres_values_are_exact_or_wait(rows: list[dict[str, str | None]], style: str) -> None:
    compared(rows, style)


@pytest.mark.soak
@LONG
@given(rows=st.lists(ROW, min_size=1, max_size=12), style=STYLES)
def test_many_postgres_tables(rows: list[dict[str, str | None]], style: str) -> None:
    compared(rows, style)
