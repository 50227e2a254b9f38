"""`transform quarantine`: rows that were not loaded or not accepted by a target, and retries."""

from __future__ import annotations

from transformer.errors import UsageError, did_you_mean
from transformer.names import literal
from transformer.request import Environment, Request
from transformer.steps import Sample
from transformer.sync.sync import quarantined
from transformer.warehouse import ledger
from transformer.workspace.open import open_project, refuse_mistakes


def rows(request: Request, environment: Environment, name: str | None, limit: int) -> Sample:
    """Quarantined rows, newest first: of a source, of an activation, or of all. Includes those of
    an unpublished build, since its report lists them. Raises UsageError."""
    opened = open_project(request, environment)
    reading = opened.workplace.reading
    if not reading.exists():
        raise UsageError(
            f"there is no `{opened.project.target.path}`", hint="run `transform build`"
        )
    names = [n.name for n in opened.graph if n.kind in ("source", "activation")]
    if name and name not in names:
        raise UsageError(
            f"there is no source or activation `{name}`", hint=did_you_mean(name, names)
        )
    engine = opened.engine.connect(reading, read_only=True)
    synced = opened.workplace.synced
    try:
        with engine.session() as session:
            queries = []
            if ledger.exists(session):
                queries.append(
                    "select regexp_replace(node, '^[^.]*\\.[^.]*\\.', '') as of, source,"
                    " row_number, column_name, value, reason, record, noted_at"
                    " from _transform.quarantine"
                )
            if synced.exists():
                session.connection.register("__sent", quarantined(session.connection, synced))
                queries.append(
                    "select activation as of, null as source, null as row_number,"
                    " null as column_name, key as value, reason, answer, payload as record,"
                    " noted_at"
                    " from __sent"
                )
            if not queries:
                return Sample()
            name_filter = f" where of = {literal(name)}" if name else ""
            all_rows = " union all by name ".join(f"({q})" for q in queries)
            sample: Sample = session.sample(
                f"select * replace (strftime(noted_at, '%Y-%m-%d %H:%M UTC') as noted_at)"
                f" from ({all_rows}){name_filter} order by noted_at desc, source, row_number",
                limit,
            )
            return sample
    finally:
        engine.close()


def to_retry(request: Request, environment: Environment, name: str | None) -> tuple[str, ...]:
    """Selectors of the sources and activations with quarantined rows, or of the named one. Raises
    Mistakes and UsageError."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    quarantined_rows = rows(request, environment, name, 1_000_000)
    names = (
        {row[quarantined_rows.columns.index("of")] for row in quarantined_rows.rows}
        if quarantined_rows.rows
        else set()
    )
    return tuple(
        f"activation:{n.name}" if n.kind == "activation" else f"source:{n.name}"
        for n in opened.graph
        if n.name in names and n.kind in ("source", "activation")
    )
