"""Reads seeds: the query of a CSV file, and the error for a file that cannot be read."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from transformer.compile.nodes import Node, SeedBody
from transformer.engines import EngineSession
from transformer.errors import Fault, LoadError, Where
from transformer.names import literal
from transformer.project.digests import dbt_digest, native_digest
from transformer.run.dbt_seeds import NO_COMMENT, dbt_column_names
from transformer.run.native_seeds import native_query
from transformer.run.seed_types import dbt_types


def seed_query(session: EngineSession, node: Node, body: SeedBody, path: Path) -> str:
    """The query that reads a seed's file; undeclared types are inferred from all rows. Raises
    LoadError and Fault."""
    declared = body.seed.config.get("column_types") or {}
    if body.seed.plain_types:
        _refuse_invalid_config(session, body, path)
        return _dbt_query(session, body, path, declared)
    return native_query(session, node, body, path)


def is_seed(body: SeedBody, path: Path) -> bool:
    """Whether the file is unchanged since the project was read."""
    digest = dbt_digest if body.seed.plain_types else native_digest
    return digest(path.read_bytes()) == body.seed.digest


def _refuse_invalid_config(session: EngineSession, body: SeedBody, path: Path) -> None:
    """Raises LoadError for configuration that dbt refuses too."""
    where = Where(body.seed.path, 1)
    delimiter = body.seed.config.get("delimiter", ",")
    if not isinstance(delimiter, str):
        raise LoadError("`delimiter` must be text", where, hint="remove it to use a comma")
    if not delimiter:
        raise LoadError("`delimiter` is empty", where, hint="remove it to use a comma")
    if len(delimiter) > 1:
        raise LoadError("`delimiter` must be one character", where, hint="change it in YAML")
    if body.seed.config.get("quote_columns") is not False:
        return
    for name, _ in session.columns(_reading(body, path, {})):
        if not re.fullmatch(r"[^\W\d][\w$]*", name):
            raise LoadError(
                f"syntax error: the column name `{name[:60]}` needs quotes",
                where,
                hint="check the `delimiter`, or set `quote_columns: true`",
            )


def _dbt_query(
    session: EngineSession, body: SeedBody, path: Path, declared: Mapping[str, str]
) -> str:
    """The query with dbt's types; declared types apply to columns with exactly that name."""
    read_names = dbt_column_names(path, str(body.seed.config.get("delimiter", ",")))
    raw = _as_text(session, body, path, read_names)
    names = read_names or [name for name, _ in session.columns(raw)]
    inferred = dbt_types(session, raw, [name for name in names if name not in declared])
    types = {name: declared.get(name) or inferred[name] for name in names}
    return _reading(body, path, {}, f", columns={_struct(types)}")


def _as_text(session: EngineSession, body: SeedBody, path: Path, names: Sequence[str]) -> str:
    """The query of all values as text. When dbt infers types, `'` is never a quote and `#` never
    starts a comment; the engine, which loads the rows, may detect `'` as a quote."""
    text = (
        f", columns={_struct(dict.fromkeys(names, 'VARCHAR'))}" if names else ", all_varchar=true"
    )
    sniffed = f"select quote from sniff_csv({_options(body, path)}, all_varchar=true{NO_COMMENT})"
    if session.rows(sniffed) == [("'",)]:
        text += """, quote='"'"""
    return _reading(body, path, {}, f"{text}{NO_COMMENT}")


def _reading(body: SeedBody, path: Path, types: Mapping[str, str], more: str = "") -> str:
    type_option = f", types={_struct(types)}" if types else ""
    return f"select * from read_csv({_options(body, path)}{type_option}{more})"


def _options(body: SeedBody, path: Path) -> str:
    delimiter = literal(body.seed.config.get("delimiter", ","))
    return (
        f"{literal(str(path))}, header=true, delim={delimiter}, sample_size=-1, null_padding=false"
    )


def _struct(types: Mapping[str, str]) -> str:
    listed = ", ".join(f"{literal(n)}: {literal(str(kind))}" for n, kind in types.items())
    return f"{{{listed}}}"


def seed_error(body: SeedBody, path: Path, fault: Fault) -> LoadError:
    """The error at the line of the file: a row of the wrong length, or a value of the wrong
    type."""
    shown_path = body.seed.path
    text = path.read_text(encoding="utf-8", errors="replace")
    cast = re.search(r'column "(?P<column>.+?)".*?string "(?P<value>.*?)" to (?P<kind>\S+)',
                     fault.message.replace("\\n", " "), re.DOTALL)  # fmt: skip
    line_match = re.search(r"on Line: (\d+)", fault.message)
    if cast and line_match:
        value, kind = cast["value"], cast["kind"].strip("'.\"")
        what = f"`{value}` is not a valid {kind}, the type of `{cast['column']}`"
        return LoadError(
            what, _marked(shown_path, text, int(line_match.group(1)), value), hint=_TYPES
        )
    delimiter = body.seed.config.get("delimiter", ",")
    ragged = _ragged(text, delimiter)
    if ragged:
        line, count, wanted = ragged
        what = f"this row has {count} values, but the header has {wanted} columns"
        hint = f"quote values that contain `{delimiter}`, and leave missing values empty"
        return LoadError(what, Where.in_text(shown_path, text, line), hint=hint)
    what = fault.message.splitlines()[0].replace(str(path), shown_path).rstrip(".")
    return LoadError(f"the seed cannot be read: {what}", Where(shown_path, 1), hint=_TYPES)


_TYPES = "fix the file, or change its `column_types` or `delimiter` in YAML"


def _marked(shown: str, text: str, line: int, value: str) -> Where:
    where = Where.in_text(shown, text, line)
    column = where.text.find(value) + 1 if value else 0
    return Where.in_text(shown, text, line, column, len(value))


def _ragged(text: str, delimiter: str) -> tuple[int, int, int] | None:
    """The first row whose number of values differs from the header's: line, values, columns."""
    rows = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    header = next(rows, [])
    for row in rows:
        if row and len(row) != len(header):
            return rows.line_num, len(row), len(header)
    return None
