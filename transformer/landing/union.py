"""Several files as one set of rows: columns by name, each with a type that holds all of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from transformer.landing.counting import both
from transformer.landing.nested import is_nested
from transformer.landing.small import SmallFile, gathered
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
from transformer.landing.types import joined
from transformer.names import fold, quoted
from transformer.steps import Columns


def united(session: ReaderSession, offered: Sequence[Staged | SmallFile]) -> Staged:
    """Several files as one staging. Columns of text get the first kind that is known of them; typed
    ones a type that holds every value of all files, or else they are text, to be looked at."""
    staged = gathered(session, offered)
    if len(staged) == 1:
        return staged[0]
    text = all(each.text for each in staged)
    plain: set[str] = set()
    if len({each.again is None for each in staged}) > 1:
        plain = {fold(n) for each in staged if each.again is None for n, _ in each.columns}
        staged = [_slowly(session, number, each) for number, each in enumerate(staged)]
    columns = _merged(staged, text=text)
    if text:  # what stands in a file of plain text need not be JSON
        columns = tuple(
            (n, "VARCHAR" if kind == "JSON" and fold(n) in plain else kind) for n, kind in columns
        )
    sure = any(each.sure for each in staged)
    kept = tuple(dict.fromkeys(k for each in staged for k in each.kept))
    return Staged(
        reading=partial(_reading, staged, "reading", sure=sure, text=text),
        columns=columns,
        text=text,
        first=partial(_reading, staged, "first", sure=sure, text=text)
        if any(each.first for each in staged)
        else None,
        lines=tuple(line for each in staged for line in each.lines),
        bad=" union all ".join(each.bad for each in staged if each.bad) or None,
        sure=sure,
        kept=kept,
        again=_again(staged) if sure else None,
        notation=staged[0].notation,
        count=both([each.count for each in staged]),
    )


def _slowly(session: ReaderSession, number: int, staged: Staged) -> Staged:
    """Rows that are read exactly at once, to stand beside those of other formats."""
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
        (name, UNKNOWN if each.text and not text else kind)
        for each in staged
        for name, kind in each.columns
    )
    return folded(offered, text=text)


def folded(columns: Iterable[tuple[str, str]], *, text: bool) -> Columns:
    """The columns of several files by folded name, each with a type for all of them."""
    made: dict[str, tuple[str, str]] = {}
    for name, kind in columns:
        there, known = made.get(fold(name), (name, NOTHING))
        made[fold(name)] = (there, _both(known, kind, text=text))
    return tuple(made.values())


def _both(old: str, new: str, *, text: bool) -> str:
    if NOTHING in (old, new) or old == new:
        return new if old == NOTHING else old
    if not text:
        return joined(old, new) or ("JSON" if _nested(old) and _nested(new) else UNKNOWN)
    return "JSON"  # as numbers and texts under one key are in one file


def _nested(kind: str) -> bool:
    return is_nested(kind) or kind == "JSON"


def _reading(
    staged: Sequence[Staged], which: str, columns: Columns, *, sure: bool, text: bool
) -> str:
    queries = []
    for each in staged:
        reading = (each.first if which == "first" else None) or each.reading
        mine = {fold(n) for n, _ in each.columns}
        asked = tuple((n, k) for n, k in columns if each.again or fold(n) in mine)
        rows = reading(asked)
        if not text:
            rows = _shown(each, columns, rows)
        if sure and not each.sure:
            rows = f"select *, true as {SURE} from ({rows})"
        queries.append(f"({rows})")
    names = ", ".join(quoted(name) for name, _ in columns)
    kept = "".join(f", {k}" for k in dict.fromkeys(k for each in staged for k in each.kept))
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


def _shown(each: Staged, columns: Columns, rows: str) -> str:
    """The rows of a typed file, columns cast to what holds all files: exactly, or as text."""
    wanted = {fold(n): k for n, k in columns}
    picked = []
    for name, kind in each.columns:
        new, column = wanted[fold(name)], quoted(name)
        if new == UNKNOWN and not each.text:
            column = _as_text(column, kind)
        elif new == "JSON" and kind != "JSON":
            column = f"to_json({column})"
        elif new != kind and not each.text:
            column = f"{column}::{new}"
        picked.append(f"{column} as {quoted(name)}, ")
    return f"select {''.join(picked)}{PART}, {ROW} from ({rows})"


def _as_text(column: str, kind: str) -> str:
    """A typed value as the text that the strict patterns know: a whole DOUBLE without its point."""
    if kind in ("DOUBLE", "FLOAT"):
        whole = f"{column} = trunc({column}) and abs({column}) <= 9007199254740992"
        return f"case when {whole} then {column}::bigint::varchar else {column}::varchar end"
    return f"{column}::varchar"


def _again(staged: Sequence[Staged]) -> SecondReading:
    slow = [each.again for each in staged if each.again]

    def columns(session: ReaderSession, left: str) -> Columns:
        found = (column for each in slow for column in each.columns(session, left))
        return folded(found, text=True)

    def rows(left: str, known: Columns) -> str:
        queries = [each.rows(left, known) for each in slow]
        return " union all by name ".join(f"({q})" for q in queries)

    def broken(left: str) -> str:
        return " union all ".join(each.broken(left) for each in slow)

    return SecondReading(columns, rows, broken)
