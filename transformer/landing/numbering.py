"""A row's number is its position in the file, counting rejected lines too.

A text reader numbers only the rows that it returns. Which lines it rejected is known after it has
read the file; then the numbers are raised accordingly.
"""

from __future__ import annotations

from transformer.landing.fit import Landing
from transformer.landing.staged import PART, REJECTS, ROW, ReaderSession, Staged, rejected_lines
from transformer.names import literal
from transformer.warehouse.quarantine import of_parts

# Of each rejected line: its part, its number, and how many rows come before it.
_SHIFTS = "__shifts"
_NOTHING = "select null::varchar as part, null::bigint as row_number limit 0"
# Blank lines of files with rejected lines. The reader counts them when it numbers rejected lines,
# but not when it numbers rows.
_BLANKS = "__blanks"
_LOWERED = (
    f"(b.row_number - (select count(*) from {_BLANKS} k"
    " where k.part = b.part and k.row_number < b.row_number))"
)


def number_offered(session: ReaderSession, staged: Staged, table: str, mine: str) -> None:
    """Records rejected lines, and renumbers the rows of the table that match `mine`."""
    if not _note(session, staged):
        return
    part, number = "regexp_replace(_source, '#[0-9]+$', '')", "split_part(_source, '#', -1)"
    raised = _raised(part, f"{number}::bigint")
    session.run(
        f"update {table} set _source = {part} || '#' || {raised}"
        f" where {mine} and {part} in (select part from {_SHIFTS})"
    )


def number_left(session: ReaderSession, table: str) -> None:
    """Renumbers rows that are read a second time."""
    if session.rows(f"select 1 from {_SHIFTS} limit 1"):
        session.run(f"update {table} set {ROW} = {_raised(PART, ROW)}")


def broken_of(staged: Staged) -> str:
    """The query of everything that is not a row, numbered like the rows. Rejected lines have the
    file's numbers already."""
    lines = [rejected_lines(staged.lines)] if staged.lines else []
    number = _raised("b.part", "b.row_number")
    raised = f"select * replace ({number} as row_number) from ({staged.bad}) b"
    return " union all ".join([*lines, *([raised] if staged.bad else [])])


def without_blanks(session: ReaderSession, table: str) -> None:
    """Renumbers rejected lines like rows: blank lines do not count."""
    if session.rows(f"select 1 from {_BLANKS} limit 1"):
        session.run(f"update {table} as b set row_number = {_LOWERED}")


def _note(session: ReaderSession, staged: Staged) -> bool:
    any_rejected = staged.lines and session.rows(f"select 1 from {REJECTS} limit 1")
    lines = rejected_lines(staged.lines) if any_rejected else _NOTHING
    session.run(f"create or replace temp table {_BLANKS} (part varchar, row_number bigint)")
    rejecting_parts = {part for (part,) in session.rows(f"select distinct part from ({lines})")}
    for file in staged.lines:
        if file.blank and file.part in rejecting_parts:
            numbers = f"unnest({list(file.blank())}::bigint[])"
            session.run(f"insert into {_BLANKS} select {literal(file.part)}, {numbers}")
    session.run(
        f"create or replace temp table {_SHIFTS} as select part, row_number,"
        " row_number - row_number() over (partition by part order by row_number) as before from"
        f" (select distinct part, {_LOWERED} as row_number from ({lines}) b"
        " where row_number is not null)"
    )
    return bool(any_rejected)


def _raised(part: str, number: str) -> str:
    return (
        f"({number} + (select count(*) from {_SHIFTS} s"
        f" where s.part = {part} and s.before < {number}))"
    )


def note_retried(session: ReaderSession, landing: Landing, staged: Staged) -> None:
    """Records which rows of the retried parts are in quarantine, by their reader's numbers, before
    they are deleted there. This reads the parts to the end first."""
    if not landing.retried:
        return
    if staged.first:
        session.rows(f"select bit_xor(hash(s)) from ({staged.first(staged.columns)}) s")
    _note(session, staged)
    rejected = of_parts(landing.node, landing.retried)
    same = "s.part = q.source and s.row_number"
    session.run(
        "create or replace temp table __retried as select source, row_number -"
        f" (select count(*) from {_SHIFTS} s where {same} < q.row_number) as row_number"
        f" from ({rejected}) q"
        f" where not exists (from {_SHIFTS} s where {same} = q.row_number)"
    )


def only_retried(landing: Landing, rows: str) -> str:
    """The rows without those of retried parts that were not in quarantine."""
    if not landing.retried:
        return rows
    parts = ", ".join(literal(p) for p in landing.retried)
    return (
        f"select * from ({rows}) s where {PART} not in ({parts}) or exists (select 1 from"
        f" __retried q where q.source = s.{PART} and q.row_number = s.{ROW})"
    )
