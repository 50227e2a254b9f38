"""How each file format is read: a function that stages one file, and the table of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from csv import QUOTE_NONE
from csv import reader as csv_reader
from dataclasses import dataclass
from typing import Any

from transformer.errors import LoadError
from transformer.landing.staged import PART, ROW, UNKNOWN, Session, Staged
from transformer.names import literal, quoted

_DELIMITERS = (",", ";", "\t", "|")
# A line longer than this is refused; the default of 2 MB is too small for nested JSON.
_LONGEST_LINE = 16 * 1024 * 1024
_LAST_EXCEL_ROW = 1_048_576


@dataclass(frozen=True, slots=True)
class Given:
    """One file to stage: its number among the files, its name in messages, its path, options.

    `declared` are column names from YAML, for files without a header. `limit` bounds the rows
    when only the types are wanted.
    """

    number: int
    name: str
    path: str
    options: Mapping[str, Any]
    declared: tuple[str, ...] = ()
    limit: int | None = None

    def table(self, what: str) -> str:
        """The name of a temporary table of this file's own."""
        return quoted(f"__stage_{self.number}_{what}")

    def bounded(self, query: str) -> str:
        """The query, bounded when only a look is wanted."""
        return f"{query} limit {self.limit}" if self.limit else query


def csv(session: Session, given: Given) -> Staged:
    """Delimited text: every value as text; lines that are no rows are told apart."""
    options = given.options
    reading = _text_options(options)
    first = _first_line(session, given, reading)
    delimiter = options.get("delimiter") or _delimiter(first)
    _sane_delimiter(given, delimiter, first)
    quote = options.get("quote", '"')
    shape = (
        f"delim={literal(delimiter)}, quote={literal(quote)}, escape={literal(quote)}, {reading}"
    )
    names = _csv_names(given, first, delimiter, quote)
    listed = ", ".join(f"{literal(n)}: 'VARCHAR'" for n in names)
    nulls = ", ".join(literal(v) for v in ("", *options.get("null_values", ())))
    stage, errors, scans = (
        given.table("rows"),
        f"__rejects_{given.number}",
        f"__scans_{given.number}",
    )
    header = options.get("header", True)
    for table in (errors, scans):
        session.run(f"drop table if exists {table}")
    session.run(
        f"create or replace temp table {stage} as "
        + given.bounded(
            f"select *, {literal(given.name)} as {PART}, row_number() over () as {ROW}"
            f" from read_csv({literal(given.path)}, auto_detect=false, header={header}, {shape},"
            f" columns={{{listed}}}, nullstr=[{nulls}], store_rejects=true,"
            f" rejects_table={literal(errors)}, rejects_scan={literal(scans)})"
        )
    )
    _renumber(session, stage, errors, 1 if header else 0)
    bad = (
        f"select {literal(given.name)} as part, line - {1 if header else 0} as row_number,"
        f" any_value(column_name) as column_name, any_value(csv_line) as record,"
        f" lower(any_value(error_type::varchar)) || ': ' || any_value(error_message) as reason"
        f" from {errors} group by line"
    )
    columns = tuple((name, UNKNOWN) for name in names)
    return Staged(f"from {stage}", columns, text=True, bad=bad)


def tsv(session: Session, given: Given) -> Staged:
    """Tab-separated text."""
    options = {**given.options, "delimiter": given.options.get("delimiter") or "\t"}
    return csv(session, _with(given, options))


def _with(given: Given, options: Mapping[str, Any]) -> Given:
    return Given(given.number, given.name, given.path, options, given.declared, given.limit)


def _text_options(options: Mapping[str, Any]) -> str:
    made = [
        f"encoding={literal(options.get('encoding', 'utf-8'))}",
        f"max_line_size={_LONGEST_LINE}",
    ]
    if options.get("compression"):
        made.append(f"compression={literal(options['compression'])}")
    return ", ".join(made)


def _lines(given: Given, reading: str) -> str:
    """The file as lines of text: no delimiter, no quote."""
    return (
        f"select line from read_csv({literal(given.path)}, auto_detect=false, header=false,"
        f" delim={literal(chr(1))}, quote='', escape='', columns={{'line': 'VARCHAR'}}, {reading})"
    )


def _first_line(session: Session, given: Given, reading: str) -> str:
    lenient = reading + ", ignore_errors=true"
    found = session.rows(f"{_lines(given, lenient)} limit 1")
    return str(found[0][0] or "") if found else ""


def _delimiter(line: str) -> str:
    bare = re.sub(r'"[^"]*"', "", line)
    return max(_DELIMITERS, key=lambda d: (bare.count(d), d == ","))


def _sane_delimiter(given: Given, delimiter: str, first: str) -> None:
    other = _delimiter(first)
    if delimiter not in first and other in first:
        shown = {"\t": "tab"}.get(other, other)
        raise LoadError(
            f"the first line of `{given.name}` has no `{delimiter}`, but it has `{shown}`",
            hint=f"set `delimiter: {json.dumps(other)}`",
        )


def _csv_names(given: Given, first: str, delimiter: str, quote: str) -> tuple[str, ...]:
    """The names of the columns: the header's, else those declared in YAML, else numbers."""
    quoting = {"quotechar": quote} if quote else {"quoting": QUOTE_NONE}
    cells = next(iter(csv_reader([first], delimiter=delimiter, **quoting)), [])
    if not given.options.get("header", True):
        declared = given.declared
        count = len(declared) or len(cells)
        return _distinct([declared[i] if i < len(declared) else "" for i in range(count)])
    if not any(cell.strip() for cell in cells):
        raise LoadError(f"`{given.name}` has no header", hint="set `header: false` if it has none")
    return _distinct(cells)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names that can stand in one table: none empty, none twice (case folded)."""
    made: list[str] = []
    for number, raw in enumerate(names, 1):
        base = name = raw.strip().lstrip("\ufeff") or f"column_{number}"
        count = 1
        while name.lower() in {other.lower() for other in made}:
            count += 1
            name = f"{base}_{count}"
        made.append(name)
    return tuple(made)


def _renumber(session: Session, stage: str, errors: str, header: int) -> None:
    """Counts the rows that were rejected too, so that a row's number is its place in the file."""
    if not session.rows(f"select 1 from {errors} limit 1"):
        return
    session.run(
        f"update {stage} set {ROW} = {ROW} + (select count(*) from"
        f" (select line - {header} - row_number() over (order by line) as before"
        f" from (select distinct line from {errors})) e where e.before < {stage}.{ROW})"
    )


def ndjson(session: Session, given: Given) -> Staged:
    """One JSON object a line. Each top-level key is a column; what is nested stays JSON."""
    lines = given.table("lines")
    reading = _text_options(given.options)
    session.run(
        f"create or replace temp table {lines} as "
        + given.bounded(
            f"select row_number() over () as {ROW}, line from ({_lines(given, reading)})"
        )
    )
    session.run(f"delete from {lines} where line is null or trim(line) = ''")
    is_object = "coalesce(json_type(try_cast(line as json)) = 'OBJECT', false)"
    bad = (
        f"select {literal(given.name)} as part, {ROW} as row_number, null as column_name,"
        f" line as record,"
        f" case when json_valid(line) then 'not a JSON object' else 'not JSON' end as reason"
        f" from {lines} where not {is_object}"
    )
    good = f"select {ROW}, try_cast(line as json) as object from {lines} where {is_object}"
    return _objects(session, given, good, bad)


def json_array(session: Session, given: Given) -> Staged:
    """A JSON array of objects, or objects one after the other."""
    objects = given.table("objects")
    compression = given.options.get("compression")
    packed = f", compression={literal(compression)}" if compression else ""
    session.run(
        f"create or replace temp table {objects} as "
        + given.bounded(
            f"select row_number() over () as {ROW}, json as object from read_json_objects("
            f"{literal(given.path)}, format='auto', maximum_object_size={_LONGEST_LINE}{packed})"
        )
    )
    bad = (
        f"select {literal(given.name)} as part, {ROW} as row_number, null as column_name,"
        f" object::varchar as record, 'not a JSON object' as reason"
        f" from {objects} where json_type(object) <> 'OBJECT'"
    )
    good = f"select {ROW}, object from {objects} where json_type(object) = 'OBJECT'"
    return _objects(session, given, good, bad)


def _objects(session: Session, given: Given, good: str, bad: str) -> Staged:
    structure = session.rows(f"select json_group_structure(object) from ({good})")[0][0]
    shape = json.loads(structure) if structure else {}
    # Names that differ in case only are one column in SQL; the first spelling stands for all.
    names = {name: kind for name, kind in shape.items() if name}
    stage = given.table("rows")
    wanted = literal(json.dumps(dict.fromkeys(names, "VARCHAR")))
    taken = _distinct(list(names))
    picked = "".join(
        f"struct_extract(o, {literal(name)}) as {quoted(column)}, "
        for name, column in zip(names, taken, strict=True)
    )
    source = f"select json_transform(object, {wanted}) as o, {ROW} from ({good})" if names else good
    session.run(
        f"create or replace temp table {stage} as"
        f" select {picked}{literal(given.name)} as {PART}, {ROW} from ({source})"
    )
    columns = tuple(
        (column, _json_type(names[name])) for name, column in zip(names, taken, strict=True)
    )
    return Staged(f"from {stage}", columns, text=True, bad=bad)


def _json_type(kind: Any) -> str:
    """The column type for what DuckDB says of a key's values; nested and mixed ones stay JSON."""
    if not isinstance(kind, str) or kind == "JSON":
        return "JSON"
    if kind == "NULL":
        return UNKNOWN
    return {"UBIGINT": "BIGINT"}.get(kind, kind)


def parquet(session: Session, given: Given) -> Staged:
    """Parquet: its types are its own, nothing is staged."""
    rows = (
        f"select *, {literal(given.name)} as {PART}, row_number() over () as {ROW}"
        f" from read_parquet({literal(given.path)})"
    )
    columns = session.columns(f"select * from read_parquet({literal(given.path)})")
    return Staged(given.bounded(rows), columns)


def excel(session: Session, given: Given) -> Staged:
    """A sheet: cells as text, from the header row down; rows that are wholly blank are none."""
    options = given.options
    sheet = f", sheet={literal(options['sheet'])}" if options.get("sheet") else ""
    cells = (
        f"read_xlsx({literal(given.path)}{sheet}, header=false, all_varchar=true,"
        f" stop_at_empty=false, range="
    )
    top, area = _excel_area(session, given, cells)
    raw = given.table("cells")
    session.run(
        f"create or replace temp table {raw} as "
        + given.bounded(f"select *, row_number() over () - 1 as {ROW} from {cells}{literal(area)})")
    )
    letters = [name for name, _ in session.columns(f"from {raw}") if name != ROW]
    head = session.rows(f"select * exclude ({ROW}) from {raw} where {ROW} = 0")
    if not head or not any(head[0]):
        raise LoadError(
            f"`{given.name}` has no names in row {top}",
            hint="set `header_row` to the row that has them",
        )
    filled = " , ".join(f"count({quoted(c)})" for c in letters)
    used = session.rows(f"select {filled} from {raw}")[0]
    kept = [(c, str(n or "")) for c, n, count in zip(letters, head[0], used, strict=True) if count]
    names = _distinct([name for _, name in kept])
    picked = ", ".join(
        f"{quoted(c)} as {quoted(name)}" for (c, _), name in zip(kept, names, strict=True)
    )
    some = " or ".join(f"{quoted(c)} is not null" for c, _ in kept)
    stage = given.table("rows")
    session.run(
        f"create or replace temp table {stage} as select {picked},"
        f" {literal(given.name)} as {PART}, {ROW} from {raw} where {ROW} > 0 and ({some})"
    )
    return Staged(f"from {stage}", tuple((n, UNKNOWN) for n in names), text=True)


def _excel_area(session: Session, given: Given, cells: str) -> tuple[int, str]:
    """The row of the names and the cells from there down.

    Without `range` the width is that of the first 200 rows: reading every possible column of a
    million rows costs minutes.
    """
    options = given.options
    if options.get("range"):
        found = re.match(r"\s*[A-Za-z]+(\d+)", options["range"])
        return int(found.group(1)) if found else 1, str(options["range"])
    top = max(1, int(options.get("header_row") or 1))
    look = f"{cells}{literal(f'A{top}:ZZ{top + 200}')})"
    names = [name for name, _ in session.columns(f"select * from {look}")]
    counts = session.rows(
        "select " + ", ".join(f"count({quoted(n)})" for n in names) + f" from {look}"
    )
    used = [name for name, count in zip(names, counts[0], strict=True) if count]
    return top, f"A{top}:{used[-1] if used else 'A'}{_LAST_EXCEL_ROW}"


FORMATS: dict[str, Callable[[Session, Given], Staged]] = {
    "csv": csv,
    "tsv": tsv,
    "ndjson": ndjson,
    "json": json_array,
    "parquet": parquet,
    "excel": excel,
}
