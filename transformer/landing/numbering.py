"""The number of a row is its place in the file, with the lines that are not rows.

A reader of text numbers the rows that it gives, and leaves out what is not a row. How many lines
it left out is known when it has read: its numbers are raised by then.
"""

from __future__ import annotations

from transformer.landing.fit import Landing
from transformer.landing.staged import PART, REJECTS, ROW, ReaderSession, Staged, rejected
from transformer.names import literal

# Of each line that was left out: its part, its number, and how many rows stand before it.
_SHIFTS = "__shifts"
_NOTHING = "select null::varchar as part, null::bigint as row_number limit 0"
# The blank lines of files with such lines. The reader counts them among the lines that it left out,
# but not among the rows.
_BLANKS = "__blanks"
_LOWERED = (
    f"(b.row_number - (select count(*) from {_BLANKS} k"
    " where k.part = b.part and k.row_number < b.row_number))"
)


def number_offered(session: ReaderSession, staged: Staged, table: str, mine: str) -> None:
    """Notes which lines were left out, and numbers the rows of the table that are `mine`."""
    if not _note(session, staged):
        return
    part, number = "regexp_replace(_source, '#[0-9]+$', '')", "split_part(_source, '#', -1)"
    raised = _raised(part, f"{number}::bigint")
    session.run(
        f"update {table} set _source = {part} || '#' || {raised}"
        f" where {mine} and {part} in (select part from {_SHIFTS})"
    )


def number_left(session: ReaderSession, table: str) -> None:
    """Numbers rows that are read once more."""
    if session.rows(f"select 1 from {_SHIFTS} limit 1"):
        session.run(f"update {table} set {ROW} = {_raised(PART, ROW)}")


def broken_of(staged: Staged) -> str:
    """The query of what is no row, numbered as the rows are. The lines that were left out have the
    numbers of the file already."""
    lines = [rejected(staged.lines)] if staged.lines else []
    number = _raised("b.part", "b.row_number")
    raised = f"select * replace ({number} as row_number) from ({staged.bad}) b"
    return " union all ".join([*lines, *([raised] if staged.bad else [])])


def without_blanks(session: ReaderSession, table: str) -> None:
    """Numbers lines that are no rows as rows are numbered: blank lines do not count."""
    if session.rows(f"select 1 from {_BLANKS} limit 1"):
        session.run(f"update {table} as b set row_number = {_LOWERED}")


def _note(session: ReaderSession, staged: Staged) -> bool:
    some = staged.lines and session.rows(f"select 1 from {REJECTS} limit 1")
    lines = rejected(staged.lines) if some else _NOTHING
    session.run(f"create or replace temp table {_BLANKS} (part varchar, row_number bigint)")
    found = {part for (part,) in session.rows(f"select distinct part from ({lines})")}
    for file in staged.lines:
        if file.blank and file.part in found:
            numbers = f"unnest({list(file.blank())}::bigint[])"
            session.run(f"insert into {_BLANKS} select {literal(file.part)}, {numbers}")
    session.run(
        f"create or replace temp table {_SHIFTS} as select part, row_number,"
        " row_number - row_number() over (partition by part order by row_number) as before from"
        f" (select distinct part, {_LOWERED} as row_number from ({lines}) b"
        " where row_number is not null)"
    )
    return bool(some)


def _raised(part: str, number: str) -> str:
    return (
        f"({number} + (select count(*) from {_SHIFTS} s"
        f" where s.part = {part} and s.before < {number}))"
    )


def note_retried(session: ReaderSession, landing: Landing, staged: Staged) -> None:
    """Notes which rows of the retried parts are in quarantine, by the numbers that their reader
    gives them, before they are taken out. For that the parts are read to the end first."""
    if not landing.retried:
        return
    if staged.first:
        session.rows(f"select bit_xor(hash(s)) from ({staged.first(staged.columns)}) s")
    _note(session, staged)
    parts = ", ".join(literal(p) for p in landing.retried)
    same = "s.part = q.source and s.row_number"
    session.run(
        "create or replace temp table __retried as select source, row_number -"
        f" (select count(*) from {_SHIFTS} s where {same} < q.row_number) as row_number"
        f" from _transform.quarantine q where node = ? and source in ({parts})"
        f" and not exists (from {_SHIFTS} s where {same} = q.row_number)",
        [landing.node],
    )


def only_retried(landing: Landing, rows: str) -> str:
    """Of retried parts only what was in quarantine; what is no row is told apart again."""
    if not landing.retried:
        return rows
    parts = ", ".join(literal(p) for p in landing.retried)
    return (
        f"select * from ({rows}) s where {PART} not in ({parts}) or exists (select 1 from"
        f" __retried q where q.source = s.{PART} and q.row_number = s.{ROW})"
    )
