"""`transform build` and its parts (`run`, `load`, `seed`, `test` …): plan, run, publish."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from msgspec.structs import replace

from transformer.artifacts.documents import Invocation
from transformer.artifacts.run_results import RunRecord, end_words
from transformer.flows import summary
from transformer.names import quoted
from transformer.plan.fingerprint import current_versions
from transformer.redaction import Secrets
from transformer.request import BuildOptions, Environment, Event, Report, Request
from transformer.run.actions import PERFORM
from transformer.run.arrivals import note_touched
from transformer.run.context import RunContext
from transformer.run.hooks import run_hooks
from transformer.run.raw_tables import follow_external
from transformer.run.schedule import ScheduleOptions, run_plan
from transformer.run.staging import drop_leftovers, leftover_tables
from transformer.run.transactions import SharedTransactions
from transformer.run.upkeep import Upkeep, apply_upkeep, superseded, upkeep, views_as_tables
from transformer.steps import EVERYTHING, Plan, Results, State
from transformer.warehouse import ledger, quarantine
from transformer.warehouse.file import FileIdentity
from transformer.warehouse.lock import building
from transformer.warehouse.publication import Publication
from transformer.warehouse.renaming import rename
from transformer.workspace.artifacts import write_artifacts
from transformer.workspace.bind import refuse_mistakes_of
from transformer.workspace.last_build import Left, inputs_before, only_changed, record_build
from transformer.workspace.open import Opened, open_project, published_relations
from transformer.workspace.planning import BuildPlanner, PlannedBuild
from transformer.workspace.renewal import left_artifacts


def execute(
    request: Request,
    options: BuildOptions,
    environment: Environment,
    on_event: Callable[[Event], None],
) -> Report:
    """Opens the project, builds what is requested and records what was left. Raises Mistakes before
    anything is changed."""
    opened = open_project(request, environment)
    refuse_mistakes_of(opened, environment.env)
    for text in filter(None, (opened.project.heading, *opened.project.notices)):
        on_event(Event("notice", text, ""))
    place, now = opened.publication, environment.clock()
    with building(place.warehouse, f"transform {request.command}", now, options.wait):
        place.recover()
        part = only_changed(request, options, opened, environment.clock().timestamp())
        begun = inputs_before(request, options, part)
        execution = _Execution(part, request, options, environment, on_event)
        report = execution.run()
        chosen = execution.planner.narrowed
        write_artifacts(part, request, environment, RunRecord(report.plan, report.results, chosen))
        if report.well and (report.published or not report.plan.steps):
            artifacts = left_artifacts(part, request, environment)
            record_build(request, part, begun, Left(execution.identity, report.expires, artifacts))
    return report


@dataclass
class _Execution:
    opened: Opened
    request: Request
    options: BuildOptions
    environment: Environment
    on_event: Callable[[Event], None]
    started: datetime = field(init=False)
    run_id: str = field(init=False)
    planner: BuildPlanner = field(init=False)
    # The warehouse file that the plan is based on, then the published one.
    identity: FileIdentity | None = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.environment.clock()
        self.identity = FileIdentity.of(self.place.warehouse.live)
        self.run_id = f"{self.started:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.planner = BuildPlanner(
            self.opened, self.request, self.options, self.environment, self.started
        )

    @property
    def place(self) -> Publication:
        return self.opened.publication

    def notice(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.on_event(Event("notice", text, ""))

    def run(self) -> Report:
        self.notice(filter(None, [self.planner.unsent]))
        if self.partial:
            # A partial build must not start from what a failed full build left.
            self.place.forget_unfinished()
        if self.opened.whole is not None and self.place.is_soon_copied:
            return self.build_on_copy()
        resumes = self.place.resumes
        with self.place.looking() as engine:
            planned = self.planner.of(engine)
            upkeep = self.upkeep(engine)
        settled = not (resumes or upkeep or leftover_tables(planned.state) or planned.plan.steps)
        shown = published_relations(self.opened)
        if settled and self.place.complete(shown) and not self.place.is_renamed:
            return self.no_op(planned)
        with self.place.working() as engine:
            self.place.refuse_other(self.identity)
            report = self.build_and_prepare(engine, planned)
        return self.publish(replace(report, resumed=resumes), bloated=engine.bloated)

    def build_on_copy(self) -> Report:
        """Plans on the working copy, since a project that has changed probably needs a build."""
        due = False
        try:
            with self.place.working() as engine:
                planned = self.planner.of(engine)
                due = bool(planned.plan.steps or self.upkeep(engine))
                report = self.build_and_prepare(engine, planned) if due else self.no_op(planned)
        finally:
            if not due:
                self.place.forget_unfinished()
        return self.publish(report, bloated=engine.bloated) if due else report

    def upkeep(self, engine: Any) -> Upkeep:
        """Maintenance beside the plan, in a build of everything."""
        if self.partial:
            return Upkeep()
        opened = self.opened
        return upkeep(engine, opened.project, opened.graph, opened.everything)

    def no_op(self, planned: PlannedBuild) -> Report:
        """The report of a build that has nothing to do."""
        return Report(
            planned.plan,
            Results(),
            path=self.place.target.path,
            expires=planned.expires,
            standing=summary.warnings(planned.state, self.opened.everything, self.warned),
            strict=self.options.strict,
        )

    @property
    def warned(self) -> Container[str]:
        """The nodes whose warning counts as a failure until they run again. In dbt projects only
        this run's nodes count."""
        strict = self.options.strict and not self.opened.project.open
        return self.planner.chosen if strict else ()

    def build_and_prepare(self, engine: Any, planned: PlannedBuild) -> Report:
        """Runs the plan and prepares what is published."""
        report = self.run_steps(engine, planned)
        standing = summary.still_failing(engine, self.opened.everything, self.warned)
        clean = summary.is_clean(report.results, strict=self.options.strict) and not standing
        if self.place.may_publish(failed=not clean):
            counted = summary.published(engine, self.opened.everything, self.place.target.path)
            report = replace(report, published=counted)
            self.place.extract(
                engine, [n for n in published_relations(self.opened) if engine.relation(n)]
            )
        return replace(report, standing=standing)

    @property
    def partial(self) -> bool:
        return not self.request.selection.everything or self.options.actions != EVERYTHING

    def publish(self, report: Report, *, bloated: bool) -> Report:
        if report.published is None:
            return replace(report, since=self.place.last_good())
        self.identity = self.place.publish(bloated=bloated)
        size = self.place.shown.stat().st_size
        return replace(report, published=replace(report.published, size=size))

    def run_steps(self, engine: Any, planned: PlannedBuild) -> Report:
        """Runs loads first, since they may change types, then everything else."""
        self.prepare(engine, planned)
        plan = planned.plan
        self.notice(views_as_tables(plan))
        loads, context = Plan(plan.of("load")), self.context(engine, planned.state)
        follow_external(context, self.opened.graph, plan)
        project = self.opened.project
        first = self.follow_plan(loads, context, Results(run_hooks(context, project.on_run_start)))
        rest = self.planner.after(engine, first, planned) if loads.steps else plan
        self.notice(rest.notices)
        results = self.follow_plan(rest, context, first)
        apply_upkeep(engine, self.upkeep(engine))
        full_plan = Plan((*loads.steps, *rest.steps), plan.skips, rest.notices)
        call = Invocation(self.request.command, self.started, self.environment.invocation)
        done = RunRecord(full_plan, results, self.planner.narrowed)
        variables = partial(end_words, done, self.opened.graph, project, call)
        after = run_hooks(context, project.on_run_end, variables)
        return self.report(engine, full_plan, Results((*results.outcomes, *after)))

    def prepare(self, engine: Any, planned: PlannedBuild) -> None:
        with engine.session() as session:
            with session.transaction():
                ledger.prepare(session)
                if self.place.project:
                    rename(session, self.place.project, self.place.packages)
                drop_leftovers(session, planned.state)
                ledger.forget(session, superseded(self.opened.graph, ledger.relations(session)))
                for name in sorted(self.opened.graph.schemas()):
                    session.run(f"create schema if not exists {quoted(name)}")
            if "load" in self.options.actions:
                note_touched(session, planned.arrivals)

    def context(self, engine: Any, state: State) -> RunContext:
        rows = {i: node_state.rows for i, node_state in state.nodes.items()}
        return RunContext(
            engine=SharedTransactions(engine, rows) if self.threads == 1 else engine,
            sizes=rows,
            project=self.opened.project,
            places=self.opened.places,
            run_id=self.run_id,
            clock=self.environment.clock,
            on_event=self.on_event,
            sources=self.planner.sources,
            synced=self.place.synced,
            shown=self.place.shown,
            state=state,
            versions=current_versions(self.opened.graph, state),
            late=self.opened.late.of(self.planner.chosen),
            keep_failed=self.options.keep_failed or self.place.target.publish.keep_failed,
            retry_rejected=self.options.retry_rejected,
            secrets=Secrets(known=self.environment.secrets),
        )

    def follow_plan(self, plan: Plan, context: RunContext, earlier: Results) -> Results:
        fail_fast = self.options.fail_fast
        return run_plan(
            plan,
            {action: partial(action_runner, context) for action, action_runner in PERFORM.items()},
            self.on_event,
            earlier,
            ScheduleOptions(self.threads, fail_fast, context.together, context.sparing),
        )

    @property
    def threads(self) -> int:
        """The number of parallel steps; a dbt profile's is ignored: each query uses all cores."""
        is_dbt = self.opened.project.open
        return max(1, self.options.threads or (1 if is_dbt else self.place.target.threads))

    def report(self, engine: Any, plan: Plan, results: Results) -> Report:
        now, command = self.environment.clock(), self.request.command
        start = summary.RunStart(self.run_id, command, self.place.target.name, self.started)
        with engine.session() as session, session.transaction():
            ledger.record_run(session, summary.run_entry(results, start, now))
            quarantined = quarantine.counts(session)
            expires = ledger.expires(session)
            if not (self.partial or results.bad):
                ledger.note_engine(session, engine.version)
        graph, seconds = self.opened.everything, (now - self.started).total_seconds()
        return Report(
            plan,
            replace(results, seconds=seconds),
            quarantine={graph[i].name: n for i, n in quarantined.items() if i in graph.nodes},
            path=self.place.target.path,
            left_over=summary.orphaned(engine, graph),
            expires=expires,
            strict=self.options.strict,
        )
