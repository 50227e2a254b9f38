"""Builds models, seeds and snapshots. Checks run before the new table is anyone's: a failure
rolls it back, and the old one stays."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.compile.config import not_for_python
from transformer.compile.dbt.relation import Relation
from transformer.compile.engine_errors import is_about_sql
from transformer.compile.engine_errors import placed as in_words
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
from transformer.run.as_compiled import as_compiled
from transformer.run.check import (
    MORE_MEMORY,
    NOTHING,
    MeasuredChecks,
    cannot_run,
    keep_failures,
    left,
    measure,
    one_by_one,
)
from transformer.run.comments import describe
from transformer.run.content_diff import tell, unmoved
from transformer.run.context import RunContext, StepProduct
from transformer.run.foreign_keys import put_aside
from transformer.run.seeds import is_seed, seed_error, seed_query
from transformer.run.staging import beside
from transformer.run.transactions import mark, note
from transformer.steps import Columns, NodeState, Outcome, Status, Step

_DELTA = RelationName("temp", DELTA.strip('"'))


class _Unmeasured(Exception):  # noqa: N818 - a way out of a transaction, not an error
    """A check inside the step cannot run."""


class _Kept(Exception):  # noqa: N818 - a way out of a transaction, not an error
    """Leaves the transaction so that the old table stays."""


class _Attempt(Struct):
    """What one attempt at a step has come to."""

    measured: MeasuredChecks = NOTHING
    made: StepProduct | None = None
    # The readers of what was made, for whom nothing moved.
    unmoved: list[str] = field(default_factory=list)


def build(tools: RunContext, step: Step) -> Outcome:
    """Performs a model, a seed or a snapshot."""
    work: Work = step.work
    if tools.unchanged(work):
        return left(tools, step)
    attempt = _Attempt()
    with tools.engine.session() as session:
        try:
            with (
                suppress(_Kept),
                beside(tools, session, step, partial(_run, session, work.node)) as rest,
                session.transaction(),
            ):
                work = render_late.now(tools, session, work)
                _make(tools, session, replace(work, statements=rest) if rest else work)
                _settle(tools, session, work, attempt)
            if attempt.made is not None:
                tell(tools, session, work.node.id, attempt.made.version, attempt.unmoved)
        except _Unmeasured:
            return _apart(tools, step, work)
        except Fault as fault:
            _remember(session, work)
            error = placed(work.node, fault)
            failed = Outcome(step.id, step.action, step.label, "error", error=error)
            return _told(failed, work)
        except TransformError:
            _remember(session, work)
            raise
        if attempt.measured.failed:
            with session.transaction():
                mark(session, work.node.id, "fail")
                note(session, attempt.measured.entries)
                keep_failures(session, attempt.measured)
    return _told(_outcome(step, attempt, tools.state.nodes.get(step.id)), work)


def _apart(tools: RunContext, step: Step, work: Work) -> Outcome:
    """The step again without its checks, and then each of them by itself."""
    with tools.alone():
        made = build(tools, replace(step, work=replace(step.work, checks=())))
        if made.bad:
            return made
        measured = one_by_one(tools, work)
        with tools.engine.session() as session, session.transaction():
            mark(session, work.node.id, "fail")
    return replace(made, status="fail", parts=measured.outcomes)


def _outcome(step: Step, attempt: _Attempt, before: NodeState | None) -> Outcome:
    failed = attempt.measured.failed
    kept = before if attempt.made is None and before and before.version else None
    rows = attempt.made.rows if attempt.made else None
    return Outcome(
        step.id,
        step.action,
        step.label,
        "fail" if failed else "success",
        rows=kept.rows if kept else rows,
        message="kept" if kept else "",
        parts=attempt.measured.outcomes,
    )


def _told(outcome: Outcome, work: Work) -> Outcome:
    """The outcome with the query and the statements that it came of."""
    ran = ";\n\n".join(statement.sql for statement in work.statements)
    return replace(outcome, compiled=work.node.code, ran=ran)


def _remember(session: EngineSession, work: Work) -> None:
    with suppress(Fault), session.transaction():
        mark(session, work.node.id, "error")


def _settle(tools: RunContext, session: EngineSession, work: Work, attempt: _Attempt) -> None:
    """Checks what was made, and writes the ledger beside it."""
    node = work.node
    if node.relation is None:
        return
    if render_late.is_gone(session, node):
        attempt.made = StepProduct("")
        note(session, [tools.entry(work, attempt.made)])
        return
    columns = _columns(session, work)
    # The checks' entries name the version that the relation is about to have.
    version = view_version(work.fingerprint) if node.view else tools.version()
    before = tools.versions.get(node.id)
    tools.settle(node.id, version)
    if work.checks:
        attempt.measured = _measured(tools, session, work)
        if attempt.measured.failed and not tools.keep_failed:
            with tools.guard:
                tools.versions.pop(node.id, None)
                if before is not None:
                    tools.versions[node.id] = before
            raise _Kept
    rows = None if node.view else _rows(session, node.relation, attempt.measured)
    tools.settle(node.id, version, rows)
    attempt.unmoved = unmoved(tools, session, work, columns)
    describe(tools, session, node, columns)
    attempt.made = StepProduct(version, columns=columns, rows=rows)
    status: Status = "fail" if attempt.measured.failed else "success"
    entry = tools.entry(work, replace(attempt.made, status=status))
    note(session, [entry, *attempt.measured.entries])


def _columns(session: EngineSession, work: Work) -> Columns:
    """The columns of what was made: asked for where binding cannot be sure of them."""
    if work.node.callable or work.node.relation is None:
        return ()
    if work.certain and work.columns is not None:
        return work.columns
    return session.columns(f"from {work.node.relation.sql()}")


def _rows(session: EngineSession, relation: RelationName, measured: MeasuredChecks) -> int:
    if measured.rows is not None:
        return measured.rows
    return int(session.rows(f"select count(*) from {relation.sql()}")[0][0])


def _measured(tools: RunContext, session: EngineSession, work: Work) -> MeasuredChecks:
    """The checks inside the step. One that cannot run ends the step: its table is not known to
    be good. In an open project it is a failed check, as with dbt."""
    try:
        return measure(tools, session, work)
    except Fault as fault:
        if tools.project.open:
            raise _Unmeasured from None
        if len(work.checks) == 1 or fault.short_of_memory:
            raise cannot_run(work.checks[0], fault) from None
        names = ", ".join(f"`{each.label}`" for each in work.checks)
        raise BuildError(
            f"a check of `{work.node.name}` cannot run: {fault.message.splitlines()[0]}",
            work.checks[0].where,
            hint=f"it is one of {names}",
        ) from None


def _make(tools: RunContext, session: EngineSession, work: Work) -> None:
    node = work.node
    if isinstance(node.body, ModelBody) and node.body.config.custom:
        render_late.by_macro(tools, session, node)  # which runs the hooks itself
        return
    render_late.hooks(tools, session, node, hook_texts(node.options.get("pre_hook")))
    if isinstance(node.body, SeedBody):
        _seed(tools, session, node, node.body)
    if isinstance(node.body, ModelBody) and node.body.model.language == "python":
        _python(tools, session, work, node.body)
    with put_aside(tools, session, work) if work.keyed else nullcontext():
        for statement in work.statements:
            _run(session, node, statement)
    if render_late.is_incremental(tools.state, work):
        render_late.by_strategy(tools, session, work)
    render_late.hooks(tools, session, node, hook_texts(node.options.get("post_hook")))
    if _leaves_rows(work):
        session.run(f"drop table if exists temp.{DELTA}")


def _leaves_rows(work: Work) -> bool:
    """Whether the rows of this run stood somewhere before they reached the table."""
    body = work.node.body
    is_python = isinstance(body, ModelBody) and body.model.language == "python"
    return is_python or any(DELTA in statement.sql for statement in work.statements)


def _run(session: EngineSession, node: Node, statement: Statement) -> int:
    """Runs the statement; the number of rows it tells of."""
    if statement.when and session.rows(statement.when) != [(True,)]:
        return 0
    try:
        found = session.rows(statement.sql)
    except Fault as fault:
        if fault.position is None or statement.own is None:
            raise placed(node, Fault(fault.message, None, fault.kind)) from None
        at = fault.position - statement.own
        own = Fault(fault.message, at, fault.kind, fault.name, fault.candidates)
        raise placed(node, own) from None
    return int(found[0][0]) if found and isinstance(found[0][0], int) else 0


def placed(node: Node, fault: Fault) -> BuildError:
    """The engine's complaint about the node's query, at the user's line."""
    where = node.where
    beside: tuple[Where, ...] = ()
    body = node.body
    if fault.position is not None and isinstance(body, ModelBody) and body.query:
        if is_about_sql(fault):
            said = in_words(body.query, fault, {})
            return BuildError(said.what, said.where, said.hint, said.detail, said.beside)
        at = max(0, fault.position)
        where, beside = body.query.locate(at), body.query.beside(at)
    what, *rest = fault.message.strip().splitlines()
    made = MemoryShortError if fault.short_of_memory else BuildError
    return made(
        what.rstrip(".!"),
        where,
        hint=MORE_MEMORY if fault.short_of_memory else _way_out(what),
        detail=[line.strip() for line in rest if line.strip()][:6],
        beside=beside,
    )


def _way_out(what: str) -> str:
    if "onver" in what and "cast" in what:
        return "mend the value, or write `try_cast`, which gives NULL where it cannot"
    if "File too large" in what or "No space left" in what:
        return "make room and build again"
    return BUILD_AGAIN


def _seed(tools: RunContext, session: EngineSession, node: Node, body: SeedBody) -> None:
    path = Path(tools.project.root) / body.seed.path
    if node.relation is None:
        return
    existing = tools.state.relation(node.relation)
    if existing and existing.kind == "view":
        session.run(f"drop view {node.relation.sql()}")
    with as_compiled(path, body.seed.path, lambda: is_seed(body, path)):
        try:
            query = seed_query(session, node, body, path)
            session.run(f"create or replace table {node.relation.sql()} as {query}")
        except Fault as fault:
            raise seed_error(body, path, fault) from None


def _python(tools: RunContext, session: EngineSession, work: Work, body: ModelBody) -> None:
    """Calls the model and puts what it returns where its materialization expects rows. Raises
    BuildError."""
    from transformer.run.python_model import Config, DbtProject, ModelCall, PythonProject, call

    if refused := not_for_python(body.model, body.config):
        raise refused
    config = Config({**body.config.written, "materialized": body.config.materialized})
    known = tools.project.packages.get(body.model.package)
    project = replace(tools.project, vars=known.vars) if known else tools.project
    hands = ModelCall(
        PythonProject(project, work.reads, session.frame, config),
        DbtProject(
            project,
            work.reads,
            session.lazy,
            config,
            this=Relation(project.target.catalog, work.node.relation.schema, work.node.name)
            if work.node.relation
            else None,
            is_incremental=render_late.is_incremental(tools.state, work),
        ),
        session.connection,
    )
    path, shown = Path(tools.project.root) / body.model.path, body.model.path
    with as_compiled(path, shown, lambda: read_file(path, shown) == body.model.text):
        session.create_table(_DELTA, call(hands, body.model, path))
