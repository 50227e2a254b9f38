"""Several files as one set of rows: columns by name, each with a type that holds every value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from transformer.landing.counting import total_rows
from transformer.landing.nested import is_nested
from transformer.landing.small import SmallFile, stage_all
from transformer.landing.staged import (
    NOTHING,
    PART,
    ROW,
    SURE,
    UNKNOWN,
    ReaderSession,
    SecondReading,
    Staged,
)
from transformer.landing.types import common_type
from transformer.names import fold, quoted
from transformer.steps import Columns


def united(session: ReaderSession, offered: Sequence[Staged | SmallFile]) -> Staged:
    """Several files as one `Staged`. Text columns get the first known kind; typed ones a type that
    holds every value of all files, or else they become text whose type is inferred."""
    staged = stage_all(session, offered)
    if len(staged) == 1:
        return staged[0]
    text = all(part.text for part in staged)
    plain: set[str] = set()
    if len({part.again is None for part in staged}) > 1:
        plain = {fold(n) for part in staged if part.again is None for n, _ in part.columns}
        staged = [_read_exactly(session, number, part) for number, part in enumerate(staged)]
    columns = _merged(staged, text=text)
    if text:  # values of a plain text file need not be JSON
        columns = tuple(
            (n, "VARCHAR" if kind == "JSON" and fold(n) in plain else kind) for n, kind in columns
        )
    sure = any(part.sure for part in staged)
    kept = tuple(dict.fromkeys(k for part in staged for k in part.kept))
    return Staged(
        reading=partial(_reading, staged, "reading", sure=sure, text=text),
        columns=columns,
        text=text,
        first=partial(_reading, staged, "first", sure=sure, text=text)
        if any(part.first for part in staged)
        else None,
        lines=tuple(line for part in staged for line in part.lines),
        bad=" union all ".join(part.bad for part in staged if part.bad) or None,
        sure=sure,
        kept=kept,
        again=_again(staged) if sure else None,
        notation=staged[0].notation,
        count=total_rows([part.count for part in staged]),
    )


def _read_exactly(session: ReaderSession, number: int, staged: Staged) -> Staged:
    """Rows read exactly right away, so that they can be combined with those of other formats."""
    if staged.again is None:
        return staged
    table, slow = f"__slow_{number}", staged.again
    picked = ", ".join((*staged.kept, PART, ROW))
    rows = (staged.first or staged.reading)(staged.columns)
    session.run(f"create or replace temp table {table} as select {picked} from ({rows})")
    columns = slow.columns(session, table)
    return Staged(
        partial(slow.rows, table),
        columns,
        text=True,
        lines=staged.lines,
        bad=slow.broken(table),
        count=staged.count,
    )


def _merged(staged: Sequence[Staged], *, text: bool) -> Columns:
    offered = (
        (name, UNKNOWN if part.text and not text else kind)
        for part in staged
        for name, kind in part.columns
    )
    return merge_columns(offered, text=text)


def merge_columns(offered: Iterable[tuple[str, str]], *, text: bool) -> Columns:
    """The columns of several files, one per case-folded name, each with a type for all of them."""
    columns_by_name: dict[str, tuple[str, str]] = {}
    for name, kind in offered:
        first_name, known_kind = columns_by_name.get(fold(name), (name, NOTHING))
        columns_by_name[fold(name)] = (first_name, _both(known_kind, kind, text=text))
    return tuple(columns_by_name.values())


def _both(old: str, new: str, *, text: bool) -> str:
    if NOTHING in (old, new) or old == new:
        return new if old == NOTHING else old
    if not text:
        return common_type(old, new) or ("JSON" if _nested(old) and _nested(new) else UNKNOWN)
    return "JSON"  # as in one file whose key has both numbers and texts


def _nested(kind: str) -> bool:
    return is_nested(kind) or kind == "JSON"


def _reading(
    staged: Sequence[Staged], which: str, columns: Columns, *, sure: bool, text: bool
) -> str:
    queries = []
    for part in staged:
        reading = (part.first if which == "first" else None) or part.reading
        mine = {fold(n) for n, _ in part.columns}
        wanted = tuple((n, k) for n, k in columns if part.again or fold(n) in mine)
        rows = reading(wanted)
        if not text:
            rows = _shown(part, columns, rows)
        if sure and not part.sure:
            rows = f"select *, true as {SURE} from ({rows})"
        queries.append(f"({rows})")
    names = ", ".join(quoted(name) for name, _ in columns)
    kept = "".join(f", {k}" for k in dict.fromkeys(k for part in staged for k in part.kept))
    more = f", {SURE}" if sure else ""
    nothing = ", ".join(f"null::{_physical(k, text)} as {quoted(n)}" for n, k in columns)
    empty = f"(select {nothing}{', ' if nothing else ''}null::varchar as {PART} where false)"
    united_rows = " union all by name ".join([empty, *queries])
    listed = f"{names}, " if names else ""
    return f"select {listed}{PART}, {ROW}{more}{kept} from ({united_rows})"


def _physical(kind: str, text: bool) -> str:
    if text:
        return "JSON" if kind == "JSON" else "VARCHAR"
    return "VARCHAR" if kind in (UNKNOWN, NOTHING) else kind


def _shown(part: Staged, columns: Columns, rows: str) -> str:
    """The rows of a typed file with its columns cast to the common types: exactly, or as text."""
    wanted = {fold(n): k for n, k in columns}
    picked = []
    for name, kind in part.columns:
        new, column = wanted[fold(name)], quoted(name)
        if new == UNKNOWN and not part.text:
            column = _as_text(column, kind)
        elif new == "JSON" and kind != "JSON":
            column = f"to_json({column})"
        elif new != kind and not part.text:
            column = f"{column}::{new}"
        picked.append(f"{column} as {quoted(name)}, ")
    return f"select {''.join(picked)}{PART}, {ROW} from ({rows})"


def _as_text(column: str, kind: str) -> str:
    """A typed value as the strict patterns expect it: a whole DOUBLE without its decimal point."""
    if kind in ("DOUBLE", "FLOAT"):
        whole = f"{column} = trunc({column}) and abs({column}) <= 9007199254740992"
        return f"case when {whole} then {column}::bigint::varchar else {column}::varchar end"
    return f"{column}::varchar"


def _again(staged: Sequence[Staged]) -> SecondReading:
    slow = [reading.again for reading in staged if reading.again]

    def columns(session: ReaderSession, left: str) -> Columns:
        all_columns = (column for reading in slow for column in reading.columns(session, left))
        return merge_columns(all_columns, text=True)

    def rows(left: str, wanted: Columns) -> str:
        queries = [reading.rows(left, wanted) for reading in slow]
        return " union all by name ".join(f"({q})" for q in queries)

    def broken(left: str) -> str:
        return " union all ".join(reading.broken(left) for reading in slow)

    return SecondReading(columns, rows, broken)
