"""`transform build` and its parts (`run`, `load`, `seed`, `test` …): plan, do, publish."""

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
from transformer.request import BuildOptions, Environment, Report, Request
from transformer.run.actions import PERFORM
from transformer.run.arrivals import note_touched
from transformer.run.context import Event, RunContext
from transformer.run.hooks import run_hooks
from transformer.run.raw_tables import follow_external
from transformer.run.schedule import Pace, follow
from transformer.run.staging import sweep, unplaced
from transformer.run.transactions import SharedTransactions
from transformer.run.upkeep import Upkeep, keep_up, replaced, upkeep, views_as_tables
from transformer.steps import EVERYTHING, Plan, Results, State
from transformer.warehouse import ledger
from transformer.warehouse.file import FileIdentity
from transformer.warehouse.lock import building
from transformer.warehouse.publication import Publication
from transformer.warehouse.renaming import rename
from transformer.workspace.artifacts import leave
from transformer.workspace.bind import no_mistakes
from transformer.workspace.last_build import Left, beginning, narrowed, stands
from transformer.workspace.open import Opened, open_project, shown_of
from transformer.workspace.planning import BuildPlanner, PlannedBuild
from transformer.workspace.renewal import left_artifacts


def build(
    ask: Request, how: BuildOptions, outside: Environment, on_event: Callable[[Event], None]
) -> Report:
    """Builds what is asked for. Raises Mistakes before anything is touched."""
    opened = open_project(ask, outside)
    no_mistakes(opened, outside.env)
    for text in filter(None, (opened.project.heading, *opened.project.notices)):
        on_event(Event("notice", text, ""))
    place = opened.workplace
    with building(place.warehouse, f"transform {ask.command}", outside.clock(), how.wait):
        place.recover()
        part = narrowed(ask, how, opened, outside.clock().timestamp())
        begun, work = beginning(ask, how, part), _Build(part, ask, how, outside, on_event)
        report = work.run()
        leave(opened, ask, outside, RunRecord(report.plan, report.results, work.foresight.narrowed))
        if report.well and (report.published or not report.plan.steps):
            artifacts = left_artifacts(part, ask, outside)
            stands(ask, part, begun, Left(work.left, report.expires, artifacts))
    return report


@dataclass
class _Build:
    opened: Opened
    ask: Request
    how: BuildOptions
    outside: Environment
    on_event: Callable[[Event], None]
    started: datetime = field(init=False)
    run_id: str = field(init=False)
    foresight: BuildPlanner = field(init=False)
    # The warehouse as it is planned from, then as it was published.
    left: FileIdentity | None = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.outside.clock()
        self.left = FileIdentity.of(self.place.warehouse.live)
        self.run_id = f"{self.started:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.foresight = BuildPlanner(self.opened, self.ask, self.how, self.outside, self.started)

    @property
    def begun(self) -> summary.RunStart:
        return summary.RunStart(self.run_id, self.ask.command, self.place.target.name, self.started)

    @property
    def place(self) -> Publication:
        return self.opened.workplace

    def notice(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.on_event(Event("notice", text, ""))

    def run(self) -> Report:
        self.notice(filter(None, [self.foresight.unsent]))
        if self.partial:
            # What a build of everything left half done is no ground for a part of it.
            self.place.forget_unfinished()
        if self.opened.whole is not None and self.place.is_soon_copied:
            return self.at_once()
        resumes = self.place.resumes
        with self.place.looking() as engine:
            seen = self.foresight.of(engine)
            upkeep = self.upkeep(engine)
        settled = not (resumes or upkeep or unplaced(seen.state) or seen.plan.steps)
        if settled and self.place.complete(shown_of(self.opened)) and not self.place.is_renamed:
            return self.nothing(seen)
        with self.place.working() as engine:
            self.place.refuse_other(self.left)
            report = self.done(engine, seen)
        return self.ended(replace(report, resumed=resumes), bloated=engine.bloated)

    def at_once(self) -> Report:
        """Of a project that changed since it was built, so there is work most likely: it is planned
        on the copy in which it is then done."""
        due = False
        try:
            with self.place.working() as engine:
                seen = self.foresight.of(engine)
                due = bool(seen.plan.steps or self.upkeep(engine))
                report = self.done(engine, seen) if due else self.nothing(seen)
        finally:
            if not due:
                self.place.forget_unfinished()
        return self.ended(report, bloated=engine.bloated) if due else report

    def upkeep(self, engine: Any) -> Upkeep:
        """What there is to do beside the plan, where everything is looked at."""
        if self.partial:
            return Upkeep()
        opened = self.opened
        return upkeep(engine, opened.project, opened.graph, opened.everything)

    def nothing(self, seen: PlannedBuild) -> Report:
        """The report of a build that has nothing to do."""
        return Report(
            seen.plan,
            Results(),
            path=self.place.target.path,
            expires=seen.expires,
            standing=summary.warnings(seen.state, self.opened.everything, self.warned),
            strict=self.how.strict,
        )

    @property
    def warned(self) -> Container[str]:
        """The nodes whose warning is a failure until they are done again. dbt looks at what this
        run has done only."""
        strict = self.how.strict and not self.opened.project.open
        return self.foresight.chosen if strict else ()

    def done(self, engine: Any, seen: PlannedBuild) -> Report:
        """Does it, and gets ready what is shown."""
        report = self.work(engine, seen)
        standing = summary.standing(engine, self.opened.everything, self.warned)
        clean = summary.is_clean(report.results, strict=self.how.strict) and not standing
        if self.place.may_publish(failed=not clean):
            counted = summary.counted(engine, self.opened.everything, self.place.target.path)
            report = replace(report, published=counted)
            self.place.extract(engine, [n for n in shown_of(self.opened) if engine.relation(n)])
        return replace(report, standing=standing)

    @property
    def partial(self) -> bool:
        return not self.ask.selection.everything or self.how.actions != EVERYTHING

    def ended(self, report: Report, *, bloated: bool) -> Report:
        if report.published is None:
            return replace(report, since=self.place.last_good())
        self.left = self.place.publish(bloated=bloated)
        size = self.place.shown.stat().st_size
        return replace(report, published=replace(report.published, size=size))

    def work(self, engine: Any, seen: PlannedBuild) -> Report:
        """Loads first, since they may change types; then all the rest."""
        self.prepare(engine, seen)
        made = seen.plan
        self.notice(views_as_tables(made))
        loads, tools = Plan(made.of("load")), self.tools(engine, seen.state)
        follow_external(tools, self.opened.graph, made)
        project = self.opened.project
        first = self.follow(loads, tools, Results(run_hooks(tools, project.on_run_start)))
        rest = self.foresight.after(engine, first, seen) if loads.steps else made
        self.notice(rest.notices)
        results = self.follow(rest, tools, first)
        keep_up(engine, self.upkeep(engine))
        whole = Plan((*loads.steps, *rest.steps), made.skips, rest.notices)
        call = Invocation(self.ask.command, self.started, self.outside.invocation)
        done = RunRecord(whole, results, self.foresight.narrowed)
        words = partial(end_words, done, self.opened.graph, project, call)
        after = run_hooks(tools, project.on_run_end, words)
        return self.report(engine, whole, Results((*results.outcomes, *after)))

    def prepare(self, engine: Any, seen: PlannedBuild) -> None:
        with engine.session() as session:
            with session.transaction():
                ledger.prepare(session)
                if self.place.project:
                    rename(session, self.place.project, self.place.packages)
                sweep(session, seen.state)
                ledger.forget(session, replaced(self.opened.graph, ledger.relations(session)))
                for name in sorted(self.opened.graph.schemas()):
                    session.run(f"create schema if not exists {quoted(name)}")
            if "load" in self.how.actions:
                note_touched(session, seen.arrivals)

    def tools(self, engine: Any, state: State) -> RunContext:
        rows = {i: known.rows for i, known in state.nodes.items()}
        return RunContext(
            engine=SharedTransactions(engine, rows) if self.threads == 1 else engine,
            sizes=rows,
            project=self.opened.project,
            places=self.opened.places,
            run_id=self.run_id,
            clock=self.outside.clock,
            on_event=self.on_event,
            sources=self.foresight.sources,
            synced=self.place.synced,
            shown=self.place.shown,
            state=state,
            versions=current_versions(self.opened.graph, state),
            late=self.opened.late.of(self.foresight.chosen),
            keep_failed=self.how.keep_failed or self.place.target.publish.keep_failed,
            retry_rejected=self.how.retry_rejected,
            secrets=Secrets(known=self.outside.secrets),
        )

    def follow(self, made: Plan, tools: RunContext, before: Results) -> Results:
        return follow(
            made,
            {action: partial(do, tools) for action, do in PERFORM.items()},
            self.on_event,
            before,
            Pace(self.threads, self.how.fail_fast, tools.together, tools.sparing),
        )

    @property
    def threads(self) -> int:
        """Steps at the same time; a profile's are dbt's: here each query is on all cores."""
        is_dbt = self.opened.project.open
        return max(1, self.how.threads or (1 if is_dbt else self.place.target.threads))

    def report(self, engine: Any, made: Plan, results: Results) -> Report:
        now = self.outside.clock()
        with engine.session() as session, session.transaction():
            ledger.record_run(session, summary.entry(results, self.begun, now))
            held = ledger.quarantined(session)
            expires = ledger.expires(session)
            if not (self.partial or results.bad):
                ledger.note_engine(session, engine.version)
        graph, took = self.opened.everything, (now - self.started).total_seconds()
        return Report(
            made,
            replace(results, seconds=took),
            quarantine={graph[i].name: n for i, n in held.items() if i in graph.nodes},
            path=self.place.target.path,
            left_over=summary.left_over(engine, graph),
            expires=expires,
            strict=self.how.strict,
        )
