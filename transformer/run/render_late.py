"""Late rendering during a build: models and checks whose templates query the warehouse, and hooks.

The warehouse must contain what they read, so they are rendered in their step, by the session that
then runs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.compile.assemble import LateRendering
from transformer.compile.contracts import contract
from transformer.compile.nodes import ModelBody, Node, SnapshotBody
from transformer.engines import EngineSession
from transformer.errors import BuildError, Fault, Where
from transformer.names import literal, quoted
from transformer.plan import batches
from transformer.plan.check_node import check_of, rows_of
from transformer.plan.materialize import DELTA, Statement, brings_new, statements
from transformer.plan.snapshots import snapshot
from transformer.plan.work import Work
from transformer.run.context import RunContext
from transformer.steps import Columns, State

# Queries that `describe` accepts; other statements return rows too.
_QUERY = re.compile(r"(\s|\(|--[^\n]*\n|/\*.*?\*/)*(select|with|from|values)\b", re.I | re.S)


class SessionWarehouse(Struct, frozen=True):
    """The warehouse for templates, through a session: reads and statements."""

    session: EngineSession

    def rows(self, sql: str) -> tuple[Sequence[str], Sequence[str], list[tuple[Any, ...]]]:
        """Names and types of the columns of a query, and its rows."""
        if not _QUERY.match(sql):
            names, rows = self.session.named_rows(sql)
            return names, ["VARCHAR"] * len(names), rows
        columns = self.session.columns(sql)
        return [n for n, _ in columns], [k for _, k in columns], self.session.rows(sql)

    def run(self, sql: str) -> None:
        """Runs statements for their effect."""
        self.session.run(sql)

    def relations(self, schema: str | None) -> Iterable[tuple[str, str, str, str]]:
        """(database, schema, identifier, "table" or "view")."""
        schema_filter = f" and lower(schema_name) = lower({literal(schema)})" if schema else ""
        rows = self.session.rows(
            "select database_name, schema_name, table_name, 'table' from duckdb_tables()"
            f" where not internal and not temporary{schema_filter} union all"
            " select database_name, schema_name, view_name, 'view' from duckdb_views()"
            f" where not internal and not temporary{schema_filter}"
        )
        return [(str(d), str(s), str(t), str(k)) for d, s, t, k in rows]

    def columns(
        self, database: str | None, schema: str | None, identifier: str
    ) -> list[tuple[str, str]] | None:
        """(name, type) of the columns of a relation; None when it does not exist."""
        parts = [quoted(part) for part in (database, schema, identifier) if part]
        exists = self.session.rows(
            "select 1 from duckdb_columns() where lower(table_name) ="
            f" lower({literal(identifier)})"
            + (f" and lower(schema_name) = lower({literal(schema)})" if schema else "")
            + (f" and lower(database_name) = lower({literal(database)})" if database else "")
            + " limit 1"
        )
        return list(self.session.columns(f"from {'.'.join(parts)}")) if exists else None


def renderer(context: RunContext) -> LateRendering:
    """The renderer of late templates."""
    if context.late is None:
        raise TypeError("this run has no late renderer")
    return context.late


def render_now(context: RunContext, session: EngineSession, work: Work) -> Work:
    """The work of a step, with its late query, statements and checks. Raises TransformError."""
    if work.refused:
        raise work.refused
    if work.node.late:
        work = _rendered(context, session, work)
    return _with_columns(session, work)


def _rendered(context: RunContext, session: EngineSession, work: Work) -> Work:
    if _in_batches(work):
        return _batched(context, session, work)
    late = renderer(context)
    incremental = work.material is not None and brings_new(work.material)
    node = late.made(work.node, SessionWarehouse(session), incremental=incremental)
    if work.node.kind == "check":
        graph = late.around(node, SessionWarehouse(session))
        return replace(work, node=node, checks=(check_of(node, graph),), rows=rows_of(node, graph))
    if isinstance(node.body, SnapshotBody):
        return replace(work, node=node)
    body = node.body
    if not isinstance(body, ModelBody) or body.query is None or work.material is None:
        raise TypeError(node.id)
    material = replace(work.material, query=body.query.text, increment=None)
    return replace(work, node=node, material=material, statements=())


def _in_batches(work: Work) -> bool:
    config = work.material.config if work.material else None
    return bool(
        config
        and config.materialized == "incremental"
        and config.incremental_strategy == "microbatch"
    )


def _batched(context: RunContext, session: EngineSession, work: Work) -> Work:
    """The work with the statements of a microbatch model, batch by batch in one transaction."""
    material, late = work.material, renderer(context)
    if material is None:
        raise TypeError(work.node.id)
    options, flags = material.config.written, late.scope.world.flags
    incremental = brings_new(material)
    sample = late.scope.sample
    request = batches.BatchRequest(
        context.clock(),
        incremental,
        flags.get("EVENT_TIME_START") or (sample.start if sample else None),
        flags.get("EVENT_TIME_END") or (sample.end if sample else None),
    )
    batch_statements: list[Statement] = []
    node = work.node
    for batch in batches.batches(options, request, node.where):
        follows = incremental or bool(batch_statements)
        node = late.batch(work.node, SessionWarehouse(session), batch, incremental=follows)
        body = node.body
        if not isinstance(body, ModelBody) or body.query is None:
            raise TypeError(node.id)
        text, column = body.query.text, str(options["event_time"])
        batch_statements += (
            batches.following(material.relation, text, batch, column)
            if follows
            else batches.first(material.relation, text)
        )
    return replace(work, node=node, statements=tuple(batch_statements))


def is_incremental(state: State, work: Work) -> bool:
    """Whether the model is built incrementally now."""
    body, existing = work.node.body, state.relation(work.node.relation)
    if not isinstance(body, ModelBody) or existing is None or existing.kind != "table":
        return False
    return body.config.materialized == "incremental" and not work.full_refresh


def _with_columns(session: EngineSession, work: Work) -> Work:
    """The work with the statements that need the columns of the query."""
    if work.record and isinstance(work.node.body, SnapshotBody):
        source_columns = session.columns(f"from {work.node.body.source}")
        return replace(work, statements=snapshot(work.record, work.node.body, source_columns))
    material = work.material
    if material is None or work.statements or material.query is None:
        return work
    columns = None
    has_contract = material.config.contract and bool(work.node.described.columns)
    if brings_new(material) or has_contract:
        columns = session.columns(material.increment or material.query)
    if has_contract:
        _enforce_contract(session, work.node, columns or ())
    return replace(work, statements=statements(replace(material, columns=columns)))


def _enforce_contract(session: EngineSession, node: Node, columns: Columns) -> None:
    """Raises BuildError for the first contract violation, with the others as details."""
    broken = contract(node, columns, session.columns)
    if broken:
        first, *rest = broken
        detail = [breach.what for breach in rest]
        raise BuildError(first.what, first.where, first.hint, detail)


def materialize_by_macro(context: RunContext, session: EngineSession, node: Node) -> None:
    """Builds a relation with a materialization macro of the project. Raises TransformError."""
    renderer(context).materialize(node, SessionWarehouse(session))


def is_gone(session: EngineSession, node: Node) -> bool:
    """Whether the relation does not exist after its step: a hook may have dropped it, and a macro
    of the project may not have created it."""
    free = isinstance(node.body, ModelBody) and node.body.config.custom
    if node.relation is None or not (free or node.options.get("post_hook")):
        return False
    return (
        SessionWarehouse(session).columns(None, node.relation.schema, node.relation.table) is None
    )


def apply_strategy(context: RunContext, session: EngineSession, work: Work) -> None:
    """Updates a table with an incremental strategy macro of the project; the new rows are in
    `DELTA`. Raises TransformError."""
    body, relation = work.node.body, work.node.relation
    if not isinstance(body, ModelBody) or not body.strategy or relation is None:
        return
    columns = session.columns(f"from {relation.sql()}")
    text = renderer(context).strategy(work.node, DELTA, columns, SessionWarehouse(session))
    run_statement(session, text, work.node.where, f"the macro `{body.strategy}` failed")


def run_node_hooks(
    context: RunContext, session: EngineSession, node: Node, texts: Iterable[str]
) -> None:
    """Runs a node's hooks, rendering each just before. Raises TransformError."""
    for text in texts:
        for statement in renderer(context).hook(node, text, SessionWarehouse(session)):
            run_statement(session, statement, node.where)


def run_statement(
    session: EngineSession, statement: str, where: Where | None, failed: str = "a hook failed"
) -> None:
    """Runs a statement from the project. Raises BuildError at its place."""
    try:
        session.run(statement)
    except Fault as fault:
        what, *rest = fault.message.strip().splitlines()
        raise BuildError(
            f"{failed}: {what}", where, detail=[statement.strip()[:200], *rest[:3]]
        ) from None
