"""Reads seeds: the query of a CSV file, and what is wrong with a file that cannot be read."""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Mapping
from pathlib import Path

from transformer.compile.nodes import Node, SeedBody
from transformer.engines import Session
from transformer.errors import Fault, LoadError, Where
from transformer.names import literal, quoted

# The types that dbt gives the columns of seeds, where they are not those of the engine.
_MOMENT = (
    r"\d{4}-\d{2}-\d{2}(T\d{2}:?\d{2}(:?\d{2}([.,]\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)?"
    r"| \d{1,2}:\d{1,2}:\d{1,2})"
)
_PLAIN = {
    "BIGINT": "INTEGER",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIME": "VARCHAR",
    '"NULL"': "INTEGER",
}
# What else decides: whether the numbers are too large, whether there is no value at all.
_ASKED = {"BIGINT": "max(abs({}::hugeint)) > 2147483647", "VARCHAR": "count({}) = 0"}


def seed_query(session: Session, node: Node, body: SeedBody, path: Path) -> str:
    """The query that reads a seed's file; types are inferred from all rows, where not declared."""
    declared = body.seed.config.get("column_types") or {}
    if body.seed.plain_types:
        _written_well(session, body, path)
        return _plainly(session, body, path, declared)
    described = {c.name: c.data_type for c in node.described.columns if c.data_type}
    return _reading(body, path, described | declared)


def _written_well(session: Session, body: SeedBody, path: Path) -> None:
    """Refuses what dbt refuses. Raises LoadError."""
    where = Where(body.seed.path, 1)
    if body.seed.config.get("delimiter") == "":
        raise LoadError("`delimiter` is empty", where, hint="leave it out for a comma")
    if body.seed.config.get("quote_columns") is not False:
        return
    for name, _ in session.columns(_reading(body, path, {})):
        if not re.fullmatch(r"[^\W\d][\w$]*", name):
            raise LoadError(
                f"syntax error: the column name `{name[:60]}` cannot stand without quotes",
                where,
                hint="look at the `delimiter`, or set `quote_columns: true`",
            )


def _plainly(session: Session, body: SeedBody, path: Path, types: Mapping[str, str]) -> str:
    """The same with dbt's types: whole numbers are INTEGER as long as they fit, dates are ISO."""
    more = ", dateformat='%Y-%m-%d'"
    query = _reading(body, path, {}, more)
    columns = session.columns(query)
    names = {name.lower(): name for name, _ in columns}
    # Types may be declared of columns that this file does not have.
    types = {names[n.lower()]: kind for n, kind in types.items() if n.lower() in names}
    folded = {name.lower() for name in types}
    if types:
        query = _reading(body, path, types, more)
        columns = session.columns(query)
    asked = [(n, kind) for n, kind in columns if n.lower() not in folded and kind in _ASKED]
    figures = ", ".join(_ASKED[kind].format(quoted(n)) for n, kind in asked)
    found = session.rows(f"select {figures} from ({query})")[0] if asked else ()
    other = {n for (n, _), yes in zip(asked, found, strict=True) if yes}
    moments = [n for n, kind in columns if kind.startswith("TIMESTAMP") and n.lower() not in folded]
    if moments:
        types |= dict.fromkeys(_no_moments(session, body, path, moments), "VARCHAR")
        query = _reading(body, path, types, more)
        columns = session.columns(query)
    listed = ", ".join(
        f"{quoted(n)}::{_plain(n, kind, folded, other)} as {quoted(n)}" for n, kind in columns
    )
    return f"select {listed} from ({query})"


def _no_moments(session: Session, body: SeedBody, path: Path, names: list[str]) -> list[str]:
    """Of these columns those in which dbt sees text: it knows the ISO form with a `T`, and with a
    blank only whole seconds."""
    raw = _reading(body, path, {}, ", all_varchar=true")
    asked = ", ".join(
        f"bool_or(not regexp_full_match({quoted(n)}, {literal(_MOMENT)}))" for n in names
    )
    found = session.rows(f"select {asked} from ({raw})")[0]
    return [n for n, yes in zip(names, found, strict=True) if yes]


def _plain(name: str, kind: str, declared: Container[str], other: Container[str]) -> str:
    if name.lower() in declared:
        return kind
    if kind == "VARCHAR":
        return "INTEGER" if name in other else kind  # dbt tries whole numbers first
    return kind if name in other else _PLAIN.get(kind, kind)


def _reading(body: SeedBody, path: Path, types: Mapping[str, str], more: str = "") -> str:
    listed = ", ".join(f"{literal(n)}: {literal(str(kind))}" for n, kind in types.items())
    given = f", types={{{listed}}}" if listed else ""
    delimiter = literal(body.seed.config.get("delimiter", ","))
    return (
        f"select * from read_csv({literal(str(path))}, header=true, delim={delimiter},"
        f" sample_size=-1, null_padding=false{given}{more})"
    )


def seed_error(body: SeedBody, path: Path, fault: Fault) -> LoadError:
    """The error at the line of the file: a row of another length, or a value of another type."""
    shown = body.seed.path
    text = path.read_text(encoding="utf-8", errors="replace")
    cast = re.search(r'column "(?P<column>.+?)".*?string "(?P<value>.*?)" to (?P<kind>\S+)',
                     fault.message.replace("\\n", " "), re.DOTALL)  # fmt: skip
    at = re.search(r"on Line: (\d+)", fault.message)
    if cast and at:
        value, kind = cast["value"], cast["kind"].strip("'.\"")
        what = f"`{value}` is no {kind}, the type of `{cast['column']}`"
        return LoadError(what, _marked(shown, text, int(at.group(1)), value), hint=_TYPES)
    delimiter = body.seed.config.get("delimiter", ",")
    ragged = _ragged(text, delimiter)
    if ragged:
        line, count, wanted = ragged
        what = f"this row has {count} values, but the first line names {wanted} columns"
        hint = f"quote a value that holds `{delimiter}`, and keep the place of one that is missing"
        return LoadError(what, Where.in_text(shown, text, line), hint=hint)
    what = fault.message.splitlines()[0].replace(str(path), shown).rstrip(".")
    return LoadError(f"the seed cannot be read: {what}", Where(shown, 1), hint=_TYPES)


_TYPES = "mend the file, or change its `column_types` or `delimiter` in YAML"


def _marked(shown: str, text: str, line: int, value: str) -> Where:
    where = Where.in_text(shown, text, line)
    column = where.text.find(value) + 1 if value else 0
    return Where.in_text(shown, text, line, column, len(value))


def _ragged(text: str, delimiter: str) -> tuple[int, int, int] | None:
    """The first row that has not as many values as the header: line, values, columns."""
    rows = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    header = next(rows, [])
    for row in rows:
        if row and len(row) != len(header):
            return rows.line_num, len(row), len(header)
    return None
