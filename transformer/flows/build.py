"""`transform build` and its parts (`run`, `load`, `seed`, `test` …): plan, do, publish."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from msgspec.structs import replace

from transformer import ledger, reckoning
from transformer.artifacts import Call, end_words
from transformer.asking import Ask, How, Outside, Report
from transformer.binding import bound, bound_after, no_mistakes
from transformer.compile.bind import Bound
from transformer.compile.nodes import CheckBody
from transformer.errors import Mistakes
from transformer.leaving import leave
from transformer.names import Name, quoted
from transformer.opening import Opened, chosen_of, open_project, refuse_mistakes
from transformer.plan.choice import choose
from transformer.plan.planner import plan
from transformer.plan.versions import current_versions
from transformer.plan.work import Facts, Wish
from transformer.run.actions import PERFORM
from transformer.run.beside import sweep
from transformer.run.facts import facts
from transformer.run.late import run_hooks
from transformer.run.loading import probe, touch, with_external
from transformer.run.schedule import Pace, follow
from transformer.run.together import Together
from transformer.run.tools import Event, Tools
from transformer.standing import narrowed, stands
from transformer.steps import EVERYTHING, Action, Plan, Results, State
from transformer.warehouse import building
from transformer.workplace import Workplace, state_of


def build(ask: Ask, how: How, outside: Outside, on_event: Callable[[Event], None]) -> Report:
    """Builds what is asked for. Raises Mistakes before anything is touched."""
    opened = open_project(ask, outside)
    no_mistakes(opened)
    for text in filter(None, (opened.project.heading, *opened.project.notices)):
        on_event(Event("notice", text, ""))
    warehouse = opened.workplace.warehouse
    with building(warehouse, f"transform {ask.command}", outside.clock(), how.wait):
        part = narrowed(ask, how, opened, outside.clock().timestamp())
        report = _Build(part, ask, how, outside, on_event).run()
    leave(opened, ask, outside, (report.plan, report.results))
    if report.well and (report.published or not report.plan.steps):
        stands(ask, how, part, report.expires)
    return report


def preview(ask: Ask, outside: Outside) -> tuple[Opened, Plan]:
    """The plan of a build, and nothing done. Raises Mistakes."""
    opened = open_project(ask, outside)
    no_mistakes(opened)
    return opened, _Build(opened, ask, How(), outside, lambda _: None).foreseen()[0]


@dataclass
class _Build:
    opened: Opened
    ask: Ask
    how: How
    outside: Outside
    on_event: Callable[[Event], None]
    started: datetime = field(init=False)
    run_id: str = field(init=False)
    # When a verdict changes because time passes.
    expires: float | None = None
    held: State = field(default_factory=State)

    def __post_init__(self) -> None:
        self.started = self.outside.clock()
        self.run_id = f"{self.started:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"

    @property
    def begun(self) -> reckoning.Begun:
        return reckoning.Begun(self.run_id, self.ask.command, self.place.target.name, self.started)

    @property
    def place(self) -> Workplace:
        return self.opened.workplace

    def run(self) -> Report:
        self.place.recover()
        if self.partial:
            # What a build of everything left half done is no ground for a part of it.
            self.place.forget_unfinished()
        resumes = self.place.resumes
        made, columns = self.foreseen()
        if not made.steps and not resumes and self.place.complete(self.shown_names):
            return Report(made, Results(), path=self.place.target.path, expires=self.expires)
        with self.place.working() as engine:
            report = self.work(engine, made, columns)
            standing = reckoning.standing(engine, self.opened.everything)
            if self.place.may_publish(failed=not report.ok or bool(standing)):
                counted = reckoning.counted(engine, self.opened.everything, self.place.target.path)
                report = replace(report, published=counted)
                self.place.extract(engine, [n for n in self.shown_names if engine.relation(n)])
        return self.ended(
            replace(report, resumed=resumes, standing=standing), bloated=engine.bloated
        )

    @property
    def partial(self) -> bool:
        return not self.ask.selection.everything or self.how.actions != EVERYTHING

    def ended(self, report: Report, *, bloated: bool) -> Report:
        if report.published is None:
            return replace(report, since=self.place.last_good())
        size = self.place.publish(bloated=bloated)
        return replace(report, published=replace(report.published, size=size))

    @property
    def shown_names(self) -> list[Name]:
        """The relations that the shown file holds, where the target asks for some only."""
        graph, wanted = self.opened.graph, self.place.target.publish.models
        chosen = [graph[i] for i in choose(graph, wanted, ())] if wanted else []
        return sorted(n.relation for n in chosen if n.relation and n.solid)

    def foreseen(self) -> tuple[Plan, Bound]:
        """The plan of everything, loads too, from the state as it is; and the columns in it."""
        with self.place.looking() as engine:
            self.held = state = self.state(engine) if engine else State()
            columns = bound(self.opened, state)
            refuse_mistakes(columns.mistakes)
            wish = self.wish(self.how.actions)
            known = self.facts(engine, columns)
            if engine and "load" in wish.actions:
                with engine.session() as session:
                    probes, mistakes = probe(session, self.opened.graph, wish.chosen, *self.way)
                refuse_mistakes(mistakes)
                known = replace(known, probes={**known.probes, **probes})
        return self.planned(state, wish, known), columns

    def state(self, engine: Any) -> State:
        with engine.session() as session:
            self.expires = ledger.expires(session)
            part = self.opened.whole is not None
            held = state_of(engine, self.opened.graph if part else None)
            return with_external(session, self.opened.graph, held, stood=part)

    @property
    def way(self) -> tuple[Any, Any]:
        return self.opened.places, self.opened.engine.load_extension

    def planned(self, state: State, wish: Wish, facts: Facts) -> Plan:
        made, mistakes = plan(self.opened.graph, state, wish, facts)
        refuse_mistakes(() if self.opened.project.open else mistakes)  # there each step fails alone
        return replace(made, skips=(*made.skips, *self.opened.left))

    @cached_property
    def chosen(self) -> frozenset[str]:
        return chosen_of(self.opened, self.ask, self.outside)

    def wish(self, actions: frozenset[Action]) -> Wish:
        if self.opened.project.open:
            actions -= {"freshness"}  # dbt looks at it by `source freshness` only
        return Wish(self.chosen, self.started, actions, self.ask.full_refresh, self.how.always)

    def facts(self, engine: Any, columns: Bound) -> Facts:
        at = self.opened.places, self.place.synced
        return facts(engine, self.opened.graph, columns, at, self.started)

    def work(self, engine: Any, made: Plan, columns: Bound) -> Report:
        """Loads first, since they may change types; then all the rest."""
        self.prepare(engine)
        loads = Plan(made.of("load"))
        tools = self.tools(engine, self.held)
        project = self.opened.project
        first = self.follow(loads, tools, Results(run_hooks(tools, project.on_run_start)))
        rest = self.rest(engine, first, columns) if loads.steps else made
        results = self.follow(rest, tools, first)
        whole = Plan((*loads.steps, *rest.steps), made.skips)
        call = Call(self.ask.command, self.started, self.outside.invocation)
        words = partial(end_words, (whole, results), self.opened.graph, project, call)
        after = run_hooks(tools, project.on_run_end, words)
        return self.report(engine, whole, Results((*results.outcomes, *after)))

    def prepare(self, engine: Any) -> None:
        names = {n.relation.schema for n in self.opened.graph if n.relation}
        bodies = [n.body for n in self.opened.graph if isinstance(n.body, CheckBody)]
        # Checks run side by side: none of them may have to make the schema of what is kept.
        names |= {b.stored.schema for b in bodies if b.stored and b.config.store_failures}
        with engine.session() as session:
            with session.transaction():
                ledger.prepare(session)
                sweep(session, self.held)
                ledger.forget(session, self.replaced(ledger.relations(session)))
                for name in sorted(names):
                    session.run(f"create schema if not exists {quoted(name)}")
            if "load" in self.how.actions:
                touch(session, self.opened.graph, *self.way)

    def replaced(self, known: Mapping[str, Name]) -> list[str]:
        """The nodes that are gone, and whose relations others make now: should they come back,
        these do not hold what they made."""
        nodes = self.opened.graph.nodes
        made = {n.relation.key() for n in self.opened.graph if n.relation}
        return [i for i, name in known.items() if i not in nodes and name.key() in made]

    def tools(self, engine: Any, state: State) -> Tools:
        sizes = {i: known.rows for i, known in state.nodes.items()}
        return Tools(
            engine=Together(engine, sizes) if self.threads == 1 else engine,
            sizes=sizes,
            project=self.opened.project,
            places=self.opened.places,
            run_id=self.run_id,
            clock=self.outside.clock,
            on_event=self.on_event,
            extension=self.opened.engine.load_extension,
            synced=self.place.synced,
            state=state,
            versions=current_versions(self.opened.graph, state),
            late=self.opened.late.of(self.chosen),
            keep_failed=self.how.keep_failed or self.place.target.publish.keep_failed,
            retry_rejected=self.how.retry_rejected,
        )

    def follow(self, made: Plan, tools: Tools, before: Results) -> Results:
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
        own = 1 if self.opened.project.open else self.place.target.threads
        return max(1, self.how.threads or own)

    def rest(self, engine: Any, first: Results, foreseen: Bound) -> Plan:
        """The plan of what comes after the loads, with the types that they really made."""
        state = self.state(engine)
        columns = bound_after(self.opened, state, foreseen)
        if columns.mistakes:
            loaded = first.count("load", "success")
            verb = "source was" if loaded == 1 else "sources were"
            raise Mistakes(columns.mistakes, f"{loaded} {verb} loaded, nothing was built")
        failed = frozenset(o.id for o in first.outcomes if o.bad)
        known = replace(self.facts(engine, columns), failed=failed)
        return self.planned(state, self.wish(self.how.actions - {"load"}), known)

    def report(self, engine: Any, made: Plan, results: Results) -> Report:
        now = self.outside.clock()
        with engine.session() as session, session.transaction():
            ledger.record_run(session, reckoning.entry(results, self.begun, now))
            held = ledger.quarantined(session)
            self.expires = ledger.expires(session)
            if not (self.partial or results.bad):
                ledger.note_engine(session, engine.version)
        graph = self.opened.everything
        return Report(
            made,
            replace(results, seconds=(now - self.started).total_seconds()),
            quarantine={graph[i].name: n for i, n in held.items() if i in graph.nodes},
            path=self.place.target.path,
            left_over=reckoning.left_over(engine, graph),
            expires=self.expires,
        )
