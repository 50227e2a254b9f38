"""Previews sources: their readers, and the columns that a load would create."""

from __future__ import annotations

from os import environ
from typing import Any

from msgspec.structs import replace

from transformer.engines import EngineSession
from transformer.errors import Fault, LoadError
from transformer.landing.fit import guess, merge_json_columns
from transformer.landing.staged import OWN, PART, UNTYPED, Staged
from transformer.landing.types import SAMPLE, widens
from transformer.names import fold
from transformer.project.paths import Places
from transformer.project.values import SourceTable
from transformer.sources import Reader, ReaderRequest, find
from transformer.steps import Columns

# Rows of each file that are previewed for the types, before the first load.
_LOOK = 500


def reader(table: SourceTable, places: Places, extension: Any) -> Reader:
    """The reader of a source table. Raises LoadError."""
    load = table.load
    if load is None:
        raise LoadError(f"`{table.source}.{table.name}` has no `load:`", table.where)
    source_reader: Reader = find(load.kind).connect(
        ReaderRequest(table, places, extension, environ)
    )
    return source_reader


def peek(session: EngineSession, table: SourceTable, way: Reader, *, whole: bool) -> Columns:
    """The columns that a first load would create, by the first rows, or by all of them if `whole`.
    Raises LoadError."""
    staged = way.stage(session, way.parts(session), None, None if whole else _LOOK)
    if whole:
        staged = _with_every_key(session, staged)
    declared = declared_types(session, table)
    unknown = [n for n, kind in staged.columns if kind in UNTYPED and fold(n) not in declared]
    guessed = guess(session, staged, unknown, None if whole else SAMPLE)[1]
    columns = tuple(
        (n, _shown(declared.get(fold(n)) or guessed.get(n) or kind)) for n, kind in staged.columns
    )
    return (*columns, *OWN)


def _with_every_key(session: EngineSession, staged: Staged) -> Staged:
    """The staging with the keys of all JSON objects, not only of the first ones."""
    if staged.again is None:
        return staged
    picked = ", ".join((*staged.kept, PART))
    session.run(f"create or replace temp table __every as select {picked} from ({staged.rows})")
    return replace(
        staged, columns=merge_json_columns(staged.columns, staged.again.columns(session, "__every"))
    )


def after_landing(table: SourceTable, existing: Columns, offered: Columns) -> Columns:
    """The columns of a table after a load of the offered ones: existing columns keep their type,
    unless another is declared or wider; a replaced table loses columns that are not offered."""
    declared = {fold(c.name) for c in table.described.columns if c.data_type}
    existing_by_name = {fold(name): (name, kind) for name, kind in existing}
    columns: dict[str, tuple[str, str]] = {}
    for name, kind in offered:
        first_name, old = existing_by_name.get(fold(name), (name, kind))
        new = kind if fold(name) in declared or widens(old, kind) else old
        columns[fold(name)] = (first_name, new)
    if table.load and table.load.mode != "replace":
        columns = {
            key: columns.get(key, column) for key, column in existing_by_name.items()
        } | columns
    own = {name for name, _ in OWN}
    return (*(column for key, column in columns.items() if key not in own), *OWN)


def _shown(kind: str) -> str:
    return "VARCHAR" if kind in UNTYPED or kind.startswith("ENUM(") else kind


def declared_types(session: EngineSession, table: SourceTable) -> dict[str, str]:
    """The declared types by column, as the engine spells them: `int` is `INTEGER`. Raises
    LoadError."""
    types = {}
    for column in table.described.columns:
        if not column.data_type:
            continue
        try:
            types[fold(column.name)] = session.columns(f"select null::{column.data_type} as c")[0][
                1
            ]
        except Fault:
            raise LoadError(
                f"`{column.data_type}` is not a type",
                column.where,
                hint=f"check `data_type:` of `{column.name}`",
            ) from None
    return types
