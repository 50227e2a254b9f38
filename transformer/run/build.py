"""Builds models, seeds and snapshots. Checks run before the new table is committed: a failure rolls
it back and keeps the old one."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.compile.config import not_for_python
from transformer.compile.dbt.relation import Relation
from transformer.compile.engine_errors import is_about_sql
from transformer.compile.engine_errors import placed as sql_error_of
from transformer.compile.model_config import hook_texts
from transformer.compile.nodes import ModelBody, Node, SeedBody
from transformer.engines import EngineSession
from transformer.errors import (
    BUILD_AGAIN,
    BuildError,
    Fault,
    MemoryShortError,
    TransformError,
    Where,
)
from transformer.names import RelationName
from transformer.plan.fingerprint import view_version
from transformer.plan.materialize import DELTA, Statement
from transformer.plan.work import Work
from transformer.project.settings import read_file
from transformer.run import render_late
from transformer.run.as_compiled import unchanged_since_compile
from transformer.run.check import (
    MORE_MEMORY,
    NOTHING,
    MeasuredChecks,
    cannot_run,
    each_alone,
    keep_failures,
    measure,
    run_remaining,
)
from transformer.run.comments import write_comments
from transformer.run.content_diff import tell, unmoved
from transformer.run.context import RunContext, StepProduct
from transformer.run.foreign_keys import set_aside_referencing
from transformer.run.seeds import is_seed, seed_error, seed_query
from transformer.run.staging import staged
from transformer.run.transactions import mark, note
from transformer.steps import Columns, NodeState, Outcome, Status, Step

_DELTA = RelationName("temp", DELTA.strip('"'))


class _CheckCannotRun(Exception):  # noqa: N818 - a way out of a transaction, not an error
    """A check of the step cannot run."""


class _KeepOldTable(Exception):  # noqa: N818 - a way out of a transaction, not an error
    """Rolls the transaction back, to keep the old table."""


class _Attempt(Struct):
    """The results of one attempt at a step."""

    measured: MeasuredChecks = NOTHING
    product: StepProduct | None = None
    # The readers for which the new table has the same rows.
    unmoved: list[str] = field(default_factory=list)


def build(context: RunContext, step: Step) -> Outcome:
    """Performs a step that builds a model, seed or snapshot."""
    work: Work = step.work
    if context.unchanged(work):
        return run_remaining(context, step)
    attempt = _Attempt()
    with context.engine.session() as session:
        try:
            with (
                suppress(_KeepOldTable),
                staged(context, session, step, partial(_run, session, work.node)) as rest,
                session.transaction(),
            ):
                work = render_late.render_now(context, session, work)
                _build_relation(context, session, replace(work, statements=rest) if rest else work)
                _settle(context, session, work, attempt)
            if attempt.product is not None:
                tell(context, session, work.node.id, attempt.product.version, attempt.unmoved)
        except _CheckCannotRun:
            return _build_then_check(context, step, work)
        except Fault as fault:
            _mark_failed(session, work)
            error = placed(work.node, fault)
            outcome = Outcome(step.id, step.action, step.label, "error", error=error)
            return _with_sql(outcome, work)
        except TransformError:
            _mark_failed(session, work)
            raise
        if attempt.measured.failed:
            with session.transaction():
                mark(session, work.node.id, "fail")
                note(session, attempt.measured.entries)
                keep_failures(session, attempt.measured)
    return _with_sql(_outcome(step, attempt, context.state.nodes.get(step.id)), work)


def _build_then_check(context: RunContext, step: Step, work: Work) -> Outcome:
    """Runs the step again without its checks, then each check on its own."""
    with context.alone():
        outcome = build(context, replace(step, work=replace(step.work, checks=())))
        if outcome.bad:
            return outcome
        measured = each_alone(context, work)
        with context.engine.session() as session, session.transaction():
            mark(session, work.node.id, "fail")
    return replace(outcome, status="fail", parts=measured.outcomes)


def _outcome(step: Step, attempt: _Attempt, before: NodeState | None) -> Outcome:
    failed = attempt.measured.failed
    kept_state = before if attempt.product is None and before and before.version else None
    rows = attempt.product.rows if attempt.product else None
    return Outcome(
        step.id,
        step.action,
        step.label,
        "fail" if failed else "success",
        rows=kept_state.rows if kept_state else rows,
        message="kept" if kept_state else "",
        parts=attempt.measured.outcomes,
    )


def _with_sql(outcome: Outcome, work: Work) -> Outcome:
    """The outcome with the compiled query and the statements that ran."""
    statements = ";\n\n".join(statement.sql for statement in work.statements)
    return replace(outcome, compiled=work.node.code, ran=statements)


def _mark_failed(session: EngineSession, work: Work) -> None:
    with suppress(Fault), session.transaction():
        mark(session, work.node.id, "error")


def _settle(context: RunContext, session: EngineSession, work: Work, attempt: _Attempt) -> None:
    """Runs the checks on the new relation, and writes the ledger in the same transaction."""
    node = work.node
    if node.relation is None:
        return
    if render_late.is_gone(session, node):
        attempt.product = StepProduct("")
        note(session, [context.entry(work, attempt.product)])
        return
    columns = _columns(session, work)
    # The checks' entries refer to the version that the relation is about to get.
    version = view_version(work.fingerprint) if node.view else context.version()
    previous = context.versions.get(node.id)
    context.settle(node.id, version)
    if work.checks:
        attempt.measured = _measured(context, session, work)
        if attempt.measured.failed and not context.keep_failed:
            with context.guard:
                context.versions.pop(node.id, None)
                if previous is not None:
                    context.versions[node.id] = previous
            raise _KeepOldTable
    rows = None if node.view else _rows(session, node.relation, attempt.measured)
    context.settle(node.id, version, rows)
    attempt.unmoved = unmoved(context, session, work, columns)
    write_comments(context, session, node, columns)
    attempt.product = StepProduct(version, columns=columns, rows=rows)
    status: Status = "fail" if attempt.measured.failed else "success"
    entry = context.entry(work, replace(attempt.product, status=status))
    note(session, [entry, *attempt.measured.entries])


def _columns(session: EngineSession, work: Work) -> Columns:
    """The columns of the new relation, queried if binding is not certain."""
    if work.node.callable or work.node.relation is None:
        return ()
    if work.certain and work.columns is not None:
        return work.columns
    return session.columns(f"from {work.node.relation.sql()}")


def _rows(session: EngineSession, relation: RelationName, measured: MeasuredChecks) -> int:
    if measured.rows is not None:
        return measured.rows
    return int(session.rows(f"select count(*) from {relation.sql()}")[0][0])


def _measured(context: RunContext, session: EngineSession, work: Work) -> MeasuredChecks:
    """The step's checks. One that cannot run fails the step, since its table is not known to be
    good. In an open project it is only a failed check, as in dbt."""
    try:
        return measure(context, session, work)
    except Fault as fault:
        if context.project.open:
            raise _CheckCannotRun from None
        if len(work.checks) == 1 or fault.short_of_memory:
            raise cannot_run(work.checks[0], fault) from None
        names = ", ".join(f"`{check.label}`" for check in work.checks)
        raise BuildError(
            f"a check of `{work.node.name}` cannot run: {fault.message.splitlines()[0]}",
            work.checks[0].where,
            hint=f"one of these cannot run: {names}",
        ) from None


def _build_relation(context: RunContext, session: EngineSession, work: Work) -> None:
    node = work.node
    if isinstance(node.body, ModelBody) and node.body.config.custom:
        render_late.materialize_by_macro(context, session, node)  # the macro runs the hooks itself
        return
    render_late.run_node_hooks(context, session, node, hook_texts(node.options.get("pre_hook")))
    if isinstance(node.body, SeedBody):
        _seed(context, session, node, node.body)
    if isinstance(node.body, ModelBody) and node.body.model.language == "python":
        _python(context, session, work, node.body)
    with set_aside_referencing(context, session, work) if work.keyed else nullcontext():
        for statement in work.statements:
            _run(session, node, statement)
    if render_late.is_incremental(context.state, work):
        render_late.apply_strategy(context, session, work)
    render_late.run_node_hooks(context, session, node, hook_texts(node.options.get("post_hook")))
    if _leaves_rows(work):
        session.run(f"drop table if exists temp.{DELTA}")


def _leaves_rows(work: Work) -> bool:
    """Whether the new rows were in a temporary table before they reached the relation."""
    body = work.node.body
    is_python = isinstance(body, ModelBody) and body.model.language == "python"
    return is_python or any(DELTA in statement.sql for statement in work.statements)


def _run(session: EngineSession, node: Node, statement: Statement) -> int:
    """Runs the statement; returns the number of rows that it reports."""
    if statement.when and session.rows(statement.when) != [(True,)]:
        return 0
    try:
        rows = session.rows(statement.sql)
    except Fault as fault:
        if fault.position is None or statement.own is None:
            raise placed(node, Fault(fault.message, None, fault.kind)) from None
        position = fault.position - statement.own
        own_fault = Fault(fault.message, position, fault.kind, fault.name, fault.candidates)
        raise placed(node, own_fault) from None
    return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else 0


def placed(node: Node, fault: Fault) -> BuildError:
    """The engine's error in the node's query, at the user's line."""
    where = node.where
    related: tuple[Where, ...] = ()
    body = node.body
    if fault.position is not None and isinstance(body, ModelBody) and body.query:
        if is_about_sql(fault):
            sql_error = sql_error_of(body.query, fault, {})
            return BuildError(
                sql_error.what, sql_error.where, sql_error.hint, sql_error.detail, sql_error.beside
            )
        position = max(0, fault.position)
        where, related = body.query.locate(position), body.query.beside(position)
    what, *rest = fault.message.strip().splitlines()
    error_class = MemoryShortError if fault.short_of_memory else BuildError
    return error_class(
        what.rstrip(".!"),
        where,
        hint=MORE_MEMORY if fault.short_of_memory else _hint(what),
        detail=[line.strip() for line in rest if line.strip()][:6],
        beside=related,
    )


def _hint(what: str) -> str:
    if "onver" in what and "cast" in what:
        return "fix the value, or use `try_cast`, which returns NULL for values it cannot cast"
    if "File too large" in what or "No space left" in what:
        return "free disk space and run `transform build`"
    return BUILD_AGAIN


def _seed(context: RunContext, session: EngineSession, node: Node, body: SeedBody) -> None:
    path = Path(context.project.root) / body.seed.path
    if node.relation is None:
        return
    existing = context.state.relation(node.relation)
    if existing and existing.kind == "view":
        session.run(f"drop view {node.relation.sql()}")
    with unchanged_since_compile(path, body.seed.path, lambda: is_seed(body, path)):
        try:
            query = seed_query(session, node, body, path)
            session.run(f"create or replace table {node.relation.sql()} as {query}")
        except Fault as fault:
            raise seed_error(body, path, fault) from None


def _python(context: RunContext, session: EngineSession, work: Work, body: ModelBody) -> None:
    """Calls the model and stores its rows where the materialization expects them. Raises
    BuildError."""
    from transformer.run.python_model import Config, DbtProject, ModelCall, PythonProject, call

    if refused := not_for_python(body.model, body.config):
        raise refused
    config = Config({**body.config.written, "materialized": body.config.materialized})
    package = context.project.packages.get(body.model.package)
    project = replace(context.project, vars=package.vars) if package else context.project
    model_call = ModelCall(
        PythonProject(project, work.reads, session.frame, config),
        DbtProject(
            project,
            work.reads,
            session.lazy,
            config,
            this=Relation(project.target.catalog, work.node.relation.schema, work.node.name)
            if work.node.relation
            else None,
            is_incremental=render_late.is_incremental(context.state, work),
        ),
        session.connection,
    )
    path, shown = Path(context.project.root) / body.model.path, body.model.path
    with unchanged_since_compile(path, shown, lambda: read_file(path, shown) == body.model.text):
        session.create_table(_DELTA, call(model_call, body.model, path))
