"""What each kind of check measures, as SQL. All aggregates share one scan of a relation.

`CHECKS` at the end is the table of kinds: a new check is a function and a line there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct, field

from transformer.errors import ConfigError, Where
from transformer.names import RelationName, expression, literal, quoted
from transformer.project.schema import Field, Fields
from transformer.project.values import COMPARISON, CheckConfig
from transformer.steps import Status

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800,
            "month": 2629800, "quarter": 7889400, "year": 31557600}  # fmt: skip


class CheckSubject(Struct, frozen=True):
    """What a check reads: `rows` is the FROM clause, `where` filters it."""

    rows: str
    column: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    where: str | None = None
    to: str | None = None
    query: str | None = None
    fail_calc: str = "count(*)"

    @property
    def checked(self) -> str:
        """The column, quoted."""
        return quoted(self.column or str(self.args.get("column_name") or ""))

    def narrowed(self, condition: str) -> str:
        """The condition combined with `where`."""
        return f"({condition}) and ({self.where}\n)" if self.where else condition

    def source(self) -> str:
        """FROM clause with `where`, for separate queries."""
        return f"{self.rows} where ({self.where}\n)" if self.where else self.rows


class KeyColumn(Struct, frozen=True):
    """The quoted column whose values must be unique, and the condition on the rows that count."""

    column: str
    condition: str

    def by_bits(self, low: int, high: int) -> str:
        """The figure from one bit per integer from `low` to `high` instead of a hash table. The
        result is the same if all values are integers in that range."""
        among = f"filter (where {self.condition})"
        bits = f"bitstring_agg({self.column}, {low}, {high}) {among}"
        return f"count({self.column}) {among} - coalesce(bit_count({bits}), 0)"


class Measure(Struct, frozen=True):
    """How a check is measured.

    `figure` is an expression over one scan of the rows; 0 means no failures. If it is not `exact`,
    `count` is the query for the number of failures once it is not 0. `failing` selects the rows to
    show. With `limits` (seconds until a warning, until an error) the figure is the newest time in
    epoch seconds instead. `kept` is the query for stored failures in dbt's form, if not the rows
    themselves. `key` is set if the figure counts the values of a single column.
    """

    failing: str
    figure: str
    exact: bool = True
    count: str | None = None
    limits: tuple[int | None, int | None] | None = None
    kept: str = ""
    key: KeyColumn | None = None


class CheckKind(Struct, frozen=True):
    """A kind of check: its arguments, its measure, and its docs (the docstring)."""

    measure: Callable[[CheckSubject], Measure]
    fields: Fields = ()

    @property
    def doc(self) -> str:
        """What it checks, and an example."""
        return self.measure.__doc__ or ""


class ReadyCheck(Struct, frozen=True):
    """A check ready to be measured. `shown` are the columns to show of failing rows: those that
    identify a row, then those that were checked."""

    id: str
    name: str
    label: str
    kind: str
    config: CheckConfig
    measure: Measure
    fingerprint: str
    needs: tuple[str, ...]
    where: Where
    shown: tuple[str, ...] = ()
    stored: RelationName | None = None
    # The files in its query, each with a digest of its state.
    files: Mapping[str, str] = field(default_factory=dict)
    # Changed inputs are the only reason to measure it.
    only_moved: bool = False


def not_null(subject: CheckSubject) -> Measure:
    """Values are not null.

    Example: `- not_null`. Every NULL in the column is a failure.
    """
    return _rows(subject, f"{subject.checked} is null")


def unique(subject: CheckSubject) -> Measure:
    """Values are unique.

    Example: `- unique`. The number of failures is the number of repeated values (as in dbt); all
    rows with such a value are shown. NULLs do not count.
    """
    return _unique(subject, [subject.column or ""], nulls=False)


def unique_combination_of_columns(subject: CheckSubject) -> Measure:
    """Combinations of values are unique.

    Example: `- unique_combination_of_columns: {combination_of_columns: [day, campaign]}`.
    NULLs are values here, as in `dbt_utils`.
    """
    return _unique(subject, list(subject.args.get("combination_of_columns") or ()), nulls=True)


def accepted_values(subject: CheckSubject) -> Measure:
    """Values are in a list.

    Example: `- accepted_values: {values: [placed, shipped]}`; `quote: false` for numbers.
    The number of failures is the number of distinct wrong values (as in dbt).
    """
    quote = subject.args.get("quote", True)
    values = [literal(str(v)) if quote else str(v) for v in subject.args.get("values") or ()]
    condition = f"{subject.checked} not in ({', '.join(values) or 'null'})"
    figure = f"count(distinct {subject.checked}) filter (where {subject.narrowed(condition)})"
    stored_rows = (
        f"select {subject.checked} as value_field, count(*) as n_records from {subject.rows}"
        f" where {subject.narrowed(condition)} group by all"
    )
    return Measure(_failing(subject, condition), figure, kept=stored_rows)


def relationships(subject: CheckSubject) -> Measure:
    """Values exist in another relation.

    Example: `- relationships: {to: ref('customers'), field: customer_id}`. NULLs do not count.
    """
    parent = quoted(str(subject.args.get("field") or ""))
    condition = (
        f"{subject.checked} is not null and {subject.checked} not in"
        f" (select {parent} from {subject.to} where {parent} is not null)"
    )
    count = f"(select count(*) from {subject.rows} where {subject.narrowed(condition)})"
    stored_rows = (
        f"select {subject.checked} as from_field from {subject.rows}"
        f" where {subject.narrowed(condition)}"
    )
    return Measure(_failing(subject, condition), count, kept=stored_rows)


def expression_is_true(subject: CheckSubject) -> Measure:
    """A SQL condition is true for every row.

    Example: `- expression_is_true: {expression: "net <= gross"}`; under a column the expression
    starts after it: `{expression: ">= 0"}`. A NULL condition is not a failure, as in `dbt_utils`.
    """
    column = subject.checked + " " if subject.column else ""
    return _rows(subject, f"not ({column}{subject.args.get('expression')})")


def accepted_range(subject: CheckSubject) -> Measure:
    """Values are between two bounds, either of which is optional.

    Example: `- accepted_range: {min_value: 0, max_value: 1, inclusive: true}`.
    """
    equal = "=" if subject.args.get("inclusive", True) else ""
    bounds = {">": subject.args.get("min_value"), "<": subject.args.get("max_value")}
    conditions = [
        f"{subject.checked} {sign}{equal} {v}" for sign, v in bounds.items() if v is not None
    ]
    return _rows(subject, f"not ({' and '.join(conditions) or 'true'})")


def row_count(subject: CheckSubject) -> Measure:
    """The number of rows is within bounds.

    Example: `- row_count: {min: 1, max: 1000000}`. It fails once, and shows the number of rows.
    """
    bounds = [("<", subject.args.get("min")), (">", subject.args.get("max"))]
    violated = (
        " or ".join(f"count(*) {sign} {int(v)}" for sign, v in bounds if v is not None) or "false"
    )
    scan = f"select count(*) as row_count from {subject.source()} having {violated}"
    counted_rows = f"count(*) filter (where {subject.where})" if subject.where else "count(*)"
    figure = f"case when {violated.replace('count(*)', counted_rows)} then 1 else 0 end"
    return Measure(scan, figure)


def recency(subject: CheckSubject) -> Measure:
    """The newest row is recent enough.

    Example: `- recency: {datepart: day, field: ordered_at, interval: 3}`: it fails if the
    newest `ordered_at` is more than three days ago, or if there is none.
    """
    part = str(subject.args.get("datepart") or "day").removesuffix("s")
    limit = int(subject.args.get("interval") or 1) * _SECONDS.get(part, 86400)
    return _newest(subject, (None, limit))


def freshness(subject: CheckSubject) -> Measure:
    """The newest row is recent enough, with a warning before the error.

    Example: `- freshness: {field: ordered_at, warn_after: {count: 1, period: day}}`.
    """
    args = subject.args
    return _newest(subject, (args.get("warn_after"), args.get("error_after")))


def sql(subject: CheckSubject) -> Measure:
    """A query that returns the failing rows: a file under `test-paths`, or a `{% test %}` block."""
    failing = subject.query or ""
    return Measure(failing, f"(select {subject.fail_calc} from ({failing}\n))")


def _rows(subject: CheckSubject, condition: str) -> Measure:
    figure = f"count(*) filter (where {subject.narrowed(condition)})"
    return Measure(_failing(subject, condition), figure)


def _failing(subject: CheckSubject, condition: str) -> str:
    return f"select * from {subject.rows} where {subject.narrowed(condition)}"


def _unique(subject: CheckSubject, columns: list[str], *, nulls: bool) -> Measure:
    names = ", ".join(quoted(c) for c in columns)
    single = len(columns) == 1 and not nulls
    value = names if single else f"row({names})"
    having = "true" if nulls else " and ".join(f"{quoted(c)} is not null" for c in columns)
    narrowed = subject.narrowed(having)
    groups = (
        f"select {names} from {subject.rows} where {narrowed} group by {names} having count(*) > 1"
    )
    failing = (
        f"select * from {subject.rows} where {narrowed}"
        f" qualify count(*) over (partition by {names}) > 1 order by {names}"
    )
    row_total = f"count({value}) filter (where {narrowed})"
    figure = f"{row_total} - count(distinct {value}) filter (where {narrowed})"
    stored_rows = groups.replace(
        f"select {names} ", f"select {names} as unique_field, count(*) as n_records ", 1
    )
    return Measure(
        failing,
        figure,
        exact=False,
        count=f"select count(*) from ({groups})",
        kept=stored_rows if single else "",
        key=KeyColumn(names, narrowed) if single else None,
    )


def _newest(subject: CheckSubject, limits: tuple[int | None, int | None]) -> Measure:
    column = expression(str(subject.args.get("field") or ""))
    condition = f" filter (where {subject.where})" if subject.where else ""
    newest = f"max(({column})::timestamptz){condition}"
    failing = f"select max({column}) as newest from {subject.source()}"
    return Measure(failing, f"epoch({newest})", limits=limits)


def verdict(failures: int, config: CheckConfig) -> Status:
    """The status for a number of failures (dbt's rule): an error first, then a warning."""
    if config.severity == "error" and holds(failures, config.error_if):
        return "fail"
    return "warn" if holds(failures, config.warn_if) else "success"


def holds(failures: int, condition: str, where: Where | None = None) -> bool:
    """Whether `> 10`, `!= 0` … is true for the number. Raises ConfigError for other text."""
    try:
        compare, bound = _condition(condition)
    except ValueError:
        raise ConfigError(
            f"`{condition}` is not a condition on a number", where, hint="write `> 10`, `!= 0` …"
        ) from None
    return bool(compare(failures, bound))


_COMPARED: Mapping[str, Callable[[int, int], bool]] = {
    "!=": operator.ne,
    "<>": operator.ne,
    "=": operator.eq,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


@cache
def _condition(text: str) -> tuple[Callable[[int, int], bool], int]:
    match = COMPARISON.match(text)
    if not match:
        raise ValueError(text)
    return _COMPARED[match.group(1)], int(match.group(2))


def aged(newest: float | None, now: float, limits: tuple[int | None, int | None]) -> Status:
    """The status for the age of the newest row; no rows count as too old."""
    warn, error = limits
    age = float("inf") if newest is None else now - newest
    if error is not None and age > error:
        return "fail"
    return "warn" if warn is not None and age > warn else "success"


def expires(
    newest: float | None, now: float, limits: tuple[int | None, int | None]
) -> float | None:
    """The time at which the result of `aged` changes; None if never."""
    if newest is None:
        return None
    moments = [newest + limit for limit in limits if limit is not None]
    return min((m for m in moments if m >= now), default=None)


def measure(kind: str, subject: CheckSubject) -> Measure:
    """The measure of a check; kinds that are not built in are queries."""
    check_kind = CHECKS.get(kind)
    return check_kind.measure(subject) if check_kind and not subject.query else sql(subject)


def scan(rows: str, checks: tuple[ReadyCheck, ...]) -> str:
    """One query over the rows: a column per check, in order, then the row count."""
    figures = [f"{check.measure.figure} as f{i}" for i, check in enumerate(checks)]
    return f"select {', '.join([*figures, 'count(*) as n'])} from {rows}"


_FIELD = Field("field", "text", "Column or expression with the time", required=True)
_COLUMN = Field("column_name", "text", "The column, if the check is under the node")

CHECKS: dict[str, CheckKind] = {
    "not_null": CheckKind(not_null, (_COLUMN,)),
    "unique": CheckKind(unique, (_COLUMN,)),
    "accepted_values": CheckKind(
        accepted_values,
        (
            Field("values", "texts", "The allowed values", required=True),
            Field("quote", "flag", "`false`: the values are numbers or SQL", True),
            _COLUMN,
        ),
    ),
    "relationships": CheckKind(
        relationships,
        (
            Field("to", "text", "The other relation: `ref('x')`, or its name", required=True),
            Field("field", "text", "Its column", required=True),
            _COLUMN,
        ),
    ),
    "expression_is_true": CheckKind(
        expression_is_true, (Field("expression", "text", "The condition", required=True),)
    ),
    "accepted_range": CheckKind(
        accepted_range,
        (
            Field("min_value", "any", "The smallest allowed value, or SQL for it"),
            Field("max_value", "any", "The greatest allowed value, or SQL for it"),
            Field("inclusive", "flag", "Whether the bounds are included", True),
            _COLUMN,
        ),
    ),
    "row_count": CheckKind(
        row_count, (Field("min", "integer", "The minimum"), Field("max", "integer", "The maximum"))
    ),
    "recency": CheckKind(
        recency,
        (
            _FIELD,
            Field("datepart", "choice", "The unit of `interval`", "day", choices=tuple(_SECONDS)),
            Field("interval", "integer", "The maximum age in these units", 1, required=True),
        ),
    ),
    "freshness": CheckKind(
        freshness,
        (
            _FIELD,
            Field("warn_after", "interval", "Older than this is a warning"),
            Field("error_after", "interval", "Older than this is an error"),
        ),
    ),
    "unique_combination_of_columns": CheckKind(
        unique_combination_of_columns,
        (Field("combination_of_columns", "texts", "The columns", required=True),),
    ),
}
