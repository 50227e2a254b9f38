"""`transform quarantine`: the rows that were not landed or not accepted by a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from transformer.errors import UsageError, did_you_mean
from transformer.names import literal
from transformer.request import Environment, Request
from transformer.steps import Sample
from transformer.sync.sync import quarantined
from transformer.warehouse import ledger, quarantine
from transformer.workspace.open import Opened, open_project, refuse_mistakes

_T = TypeVar("_T")
_REFUSED_BY_TARGETS = (
    "select activation as of, null as source, null as row_number, null as column_name,"
    " key as value, reason, answer, payload as record, noted_at from __sent"
)


def rows(request: Request, environment: Environment, name: str | None, limit: int) -> Sample:
    """Quarantined rows, newest first: of a source, of an activation, or of all. Those of a build
    that was not published are there too: its report has named them. Raises Mistakes and
    UsageError."""
    opened = open_project(request, environment)
    names = [n.name for n in opened.graph if n.kind in ("source", "activation")]
    if name and name not in names:
        raise UsageError(
            f"there is no source or activation `{name}`", hint=did_you_mean(name, names)
        )
    name_filter = f" where of = {literal(name)}" if name else ""

    def sample(session: Any, query: str) -> Sample:
        shown: Sample = session.sample(
            "select * replace (strftime(noted_at, '%Y-%m-%d %H:%M UTC') as noted_at)"
            f" from ({query}){name_filter} order by noted_at desc, source, row_number",
            limit,
        )
        return shown

    return _read(opened, sample) or Sample()


def to_retry(request: Request, environment: Environment, name: str | None) -> tuple[str, ...]:
    """Selectors of the sources and activations with quarantined rows, or of the named one. Raises
    Mistakes and UsageError."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)

    def names(session: Any, query: str) -> set[str]:
        return {row[0] for row in session.rows(f"select distinct of from ({query})")}

    waiting = _read(opened, names) or set()
    return tuple(
        f"{node.kind}:{node.name}"
        for node in opened.graph
        if node.kind in ("source", "activation")
        and node.name in waiting
        and name in (None, node.name)
    )


def _read(opened: Opened, answer: Callable[[Any, str], _T]) -> _T | None:
    """What the function makes of a session and a query of all quarantined rows; None where nothing
    was ever built or sent."""
    synced = opened.publication.synced
    with opened.publication.looking() as engine:
        if engine is None:
            raise UsageError(
                f"there is no `{opened.project.target.path}`", hint="run `transform build`"
            )
        with engine.session() as session:
            queries = [quarantine.SHOWN] if ledger.exists(session) else []
            if synced.exists():
                session.connection.register("__sent", quarantined(session.connection, synced))
                queries.append(_REFUSED_BY_TARGETS)
            union = " union all by name ".join(f"({query})" for query in queries)
            return answer(session, union) if queries else None
