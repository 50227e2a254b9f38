"""Reads seeds of native projects with the CSV reader of sources, by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformer.compile.nodes import Node, SeedBody
from transformer.engines import EngineSession
from transformer.errors import Fault, LoadError, Where
from transformer.landing.delimited import csv
from transformer.landing.source_file import FRESH_REJECTS, SourceFile
from transformer.landing.staged import ROW, UNKNOWN, Staged
from transformer.landing.types import ColumnSlot, infer
from transformer.landing.union import united
from transformer.names import quoted

_TYPES = "fix the file, or change its `column_types` or `delimiter` in YAML"


def native_query(session: EngineSession, node: Node, body: SeedBody, path: Path) -> str:
    """The query of a seed's rows. Rows that sources would quarantine are errors here, since a seed
    is a project file. Raises LoadError."""
    session.run(FRESH_REJECTS)
    staged = _staged(session, body, path)
    _refuse_broken_lines(session, body, path, staged)
    declared = _declared(session, node, body)
    names = [name for name, _ in staged.columns]
    inferred = infer(session, staged.rows, [n for n in names if n.lower() not in declared])
    kinds = {n: declared.get(n.lower()) or inferred[n] for n in names}
    slots = {
        n: ColumnSlot(
            "VARCHAR" if k == UNKNOWN else k, UNKNOWN, True, declared=n.lower() in declared
        )
        for n, k in kinds.items()
    }
    _refuse_invalid_values(
        session, (body, path), staged, {n: slots[n] for n in names if n.lower() in declared}
    )
    values = ", ".join(f"{slot.value(quoted(n))} as {quoted(n)}" for n, slot in slots.items())
    return f"select {values} from ({staged.rows})"


def _staged(session: EngineSession, body: SeedBody, path: Path) -> Staged:
    config = body.seed.config
    options: Mapping[str, Any] = {
        "delimiter": config.get("delimiter") or ",",
        "encoding": config.get("encoding") or "utf-8",
    }
    try:
        return united(session, [csv(session, SourceFile(0, body.seed.path, str(path), options))])
    except LoadError as error:
        raise LoadError(error.what, Where(body.seed.path, 1), hint=error.hint) from None


def _declared(session: EngineSession, node: Node, body: SeedBody) -> dict[str, str]:
    """The declared types by case-folded name, as the engine spells them. Raises LoadError."""
    declared = {c.name: c.data_type for c in node.described.columns if c.data_type}
    declared |= body.seed.config.get("column_types") or {}
    types = {}
    for name, kind in declared.items():
        try:
            types[name.lower()] = session.columns(f"select null::{kind} as c")[0][1]
        except Fault:
            raise LoadError(
                f"`{kind}` is not a type", Where(body.seed.path, 1), hint=f"check `{name}` in YAML"
            ) from None
    return types


def _refuse_broken_lines(
    session: EngineSession, body: SeedBody, path: Path, staged: Staged
) -> None:
    """Raises LoadError at the first line that is not a row."""
    reading = staged.first or staged.reading
    session.rows(f"select count(*) from ({reading(staged.columns)})")
    rejected = session.rows(
        f"select row_number, record, reason from ({staged.broken}) order by row_number limit 1"
    )
    for number, record, reason in rejected:
        count = session.rows(f"select count(*) from ({staged.broken})")[0][0]
        more = f" ({count - 1} more)" if count > 1 else ""
        raise LoadError(
            f"this line is not a row: {reason}{more}",
            _line(body, path, number, record),
            hint=_TYPES,
        )


def _refuse_invalid_values(
    session: EngineSession,
    seed: tuple[SeedBody, Path],
    staged: Staged,
    slots: Mapping[str, ColumnSlot],
) -> None:
    for name, slot in slots.items():
        fits = slot.fits(quoted(name), f"({slot.value(quoted(name))})")
        if fits is None:
            continue
        misfits = session.rows(
            f"select {ROW}, {quoted(name)} from ({staged.rows}) where not {fits}"
            f" order by {ROW} limit 1"
        )
        for number, value in misfits:
            what = f"`{value}` is not a valid {slot.kind}, the type of `{name}`"
            raise LoadError(what, _line(*seed, number, str(value)), hint=_TYPES)


def _line(body: SeedBody, path: Path, number: int, shown: str) -> Where:
    """The place of a row: the first line, from its number on, that contains the shown text."""
    text = path.read_text(encoding="utf-8", errors="replace")
    first = shown.strip().splitlines()[0] if shown.strip() else ""
    lines = text.splitlines()
    index = next((n for n in range(number, len(lines)) if first in lines[n]), number)
    line = min(index + 1, max(len(lines), 1))
    column = lines[line - 1].find(first) + 1 if lines and first else 0
    return Where.in_text(body.seed.path, text, line, column, len(first))
