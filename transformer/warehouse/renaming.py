"""The name of a project in the ids of its ledger: a project that has another name now, or lies in
a folder of another name, is the same project.

Ids begin with the kind and the project's name, as other tools read them from artifacts. Which name
they have in the ledger is noted in it; where an older version has noted none, the ids tell it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Protocol

from transformer.errors import Fault
from transformer.names import literal

_KINDS = (
    *("source", "freshness", "seed", "model", "snapshot", "test", "activation", "analysis"),
    *("function", "unit_test"),
)
# The tables of the ledger that contain node ids, and the column.
_TABLES = (("nodes", "id"), ("contents", "node"), ("loads", "node"), ("quarantine", "node"))


class RenamingSession(Protocol):
    """The part of a session that renaming needs."""

    def run(self, sql: str, parameters: Any = ()) -> None:
        """Runs a statement."""

    def rows(self, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """Rows of a small result."""


def former(session: RenamingSession, project: str, packages: Collection[str] = ()) -> str:
    """The project name in the ledger's ids, if it differs."""
    try:
        noted = session.rows("select value from _transform.meta where key = 'project'")
        known = str(noted[0][0]) if noted else _told(session, project)
    except Fault:  # there is no ledger yet
        return ""
    return "" if known == project or known in packages else known


def _told(session: RenamingSession, project: str) -> str:
    """The project name in ids that were written before it was recorded: the most common text
    between kind and relation name."""
    begins = " or ".join(f"starts_with(id, {literal(f'{kind}.{project}.')})" for kind in _KINDS)
    if session.rows(f"select 1 from _transform.nodes where {begins} limit 1"):
        return project
    rows = session.rows(
        "select substr(id, length(kind) + 2, length(id) - length(kind) - length(own) - 1) as name,"
        " count(*) as many from (select id, split_part(id, '.', 1) as kind,"
        " '.' || case when id like 'source.%' then relation_schema || '.' else '' end"
        " || relation_name as own from _transform.nodes where relation_name is not null)"
        " where ends_with(id, own) and length(name) > 0"
        " group by all order by many desc, name limit 1"
    )
    return str(rows[0][0]) if rows else project


def rename(session: RenamingSession, project: str, packages: Collection[str] = ()) -> None:
    """Renames the ids in the ledger. Rows that exist under both names are kept under the new
    one."""
    if is_noted(session, project):
        return
    before = former(session, project, packages)
    if before:
        _rename(session, before, project)
    session.run("delete from _transform.meta where key = 'project'")
    session.run(f"insert into _transform.meta values ('project', {literal(project)})")


def is_noted(session: RenamingSession, project: str) -> bool:
    """Whether this is the project name recorded in the ledger."""
    noted = session.rows("select value from _transform.meta where key = 'project'")
    return bool(noted) and noted[0][0] == project


def _rename(session: RenamingSession, before: str, project: str) -> None:
    for kind in _KINDS:
        old, new = f"{kind}.{before}.", f"{kind}.{project}."
        shown = f"{literal(new)} || substr({{0}}, {len(old) + 1})"
        for table, column in _TABLES:
            ours = f"starts_with({column}, {literal(old)})"
            named = shown.format(column)
            session.run(
                f"delete from _transform.{table} where {ours}"
                f" and {named} in (select {column} from _transform.{table})"
            )
            session.run(f"update _transform.{table} set {column} = {named} where {ours}")
        said, says = json.dumps(old)[:-1], json.dumps(new)[:-1]
        session.run(
            "update _transform.nodes set inputs ="
            f" replace(inputs, {literal(said)}, {literal(says)})"
            f" where contains(inputs, {literal(said)})"
        )
