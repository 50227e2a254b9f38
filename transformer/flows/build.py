"""`transform build` and its parts (`run`, `load`, `seed`, `test` …): plan, do, publish."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from transformer import __version__, ledger
from transformer.compile.bind import Bound
from transformer.errors import Mistakes, TransformError
from transformer.names import quoted
from transformer.opening import (
    Ask,
    Opened,
    Outside,
    bound,
    open_project,
    read_state,
    refuse_mistakes,
    state_of,
)
from transformer.plan.choice import choose
from transformer.plan.planner import EVERYTHING, Facts, Wish, plan
from transformer.run.activating import activate, lost
from transformer.run.building import build as build_step
from transformer.run.checking import check
from transformer.run.freshness import freshness
from transformer.run.loading import load, probe, touch
from transformer.run.schedule import follow
from transformer.run.tools import Event, Tools
from transformer.steps import Action, Plan, Results, State
from transformer.warehouse import (
    Warehouse,
    base_is_current,
    building,
    copy,
    discard,
    publish,
    recover,
    replace_file,
)

PERFORM: Mapping[Action, Callable[..., Any]] = {
    "load": load,
    "freshness": freshness,
    "seed": build_step,
    "build": build_step,
    "snapshot": build_step,
    "check": check,
    "activate": activate,
}


@dataclass(frozen=True, slots=True)
class How:
    """How a build is done, beside what is asked for."""

    actions: frozenset[Action] = EVERYTHING
    always: bool = False
    threads: int | None = None
    fail_fast: bool = False
    keep_failed: bool = False
    retry_rejected: bool = False
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Published:
    """What was put in place: the file, its size in bytes, its models and their rows."""

    path: str
    size: int
    models: int
    rows: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a build came to. Without `published` the file is the one from before (`since`)."""

    plan: Plan
    results: Results
    published: Published | None = None
    resumed: bool = False
    since: datetime | None = None
    quarantine: Mapping[str, int] = field(default_factory=dict)
    path: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.results.bad


def build(ask: Ask, how: How, outside: Outside, on_event: Callable[[Event], None]) -> Report:
    """Builds what is asked for. Raises Mistakes before anything is touched."""
    opened = open_project(ask, outside)
    _no_mistakes(opened, outside)
    warehouse = Warehouse(opened.full_path)
    with building(warehouse, f"transform {ask.command}", outside.clock(), how.wait):
        return _Build(opened, ask, how, outside, on_event, warehouse).run()


def preview(ask: Ask, outside: Outside) -> tuple[Opened, Plan]:
    """The plan of a build, and nothing done. Raises Mistakes."""
    opened = open_project(ask, outside)
    _no_mistakes(opened, outside)
    warehouse = Warehouse(opened.full_path)
    made = _Build(opened, ask, How(), outside, lambda _: None, warehouse)
    return opened, made.whole_plan(read_state(opened, made.reading()))


def _no_mistakes(opened: Opened, outside: Outside) -> None:
    """Refuses a project with mistakes; what binding finds comes with them."""
    del outside
    if not opened.mistakes:
        return
    found: list[TransformError] = list(opened.mistakes)
    if opened.graph.nodes:
        with suppress(TransformError):
            state = read_state(opened, opened.full_path)
            found += bound(opened, state).mistakes
    places = {(str(e.where), e.what) for e in opened.mistakes}
    extra = [e for e in found[len(opened.mistakes) :] if (str(e.where), e.what) not in places]
    raise Mistakes([*opened.mistakes, *extra])


@dataclass(slots=True)
class _Build:
    opened: Opened
    ask: Ask
    how: How
    outside: Outside
    on_event: Callable[[Event], None]
    warehouse: Warehouse
    started: datetime = field(init=False)
    run_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.outside.clock()
        stamp = self.started.strftime("%Y%m%dT%H%M%S")
        self.run_id = f"{stamp}-{secrets.token_hex(3)}"

    @property
    def in_place(self) -> bool:
        return self.opened.project.target.publish.mode == "in_place"

    @property
    def synced(self) -> Path:
        return Warehouse(self.opened.path).synced

    def reading(self) -> Path:
        """The file that tells the state: the copy of a build that did not end, or the live one."""
        resumes = not self.in_place and base_is_current(self.warehouse)
        return self.warehouse.private if resumes else self.warehouse.live

    def run(self) -> Report:
        recover(self.warehouse, self.opened.engine)
        reading = self.reading()
        state = read_state(self.opened, reading)
        made = self.whole_plan(state)
        resumed = reading == self.warehouse.private
        if not made.steps and not resumed and self.warehouse.live.exists():
            return Report(made, Results(), path=self.opened.project.target.path)
        return self.do(made)

    def wish(self, actions: frozenset[Action], state: State) -> Wish:
        del state
        chosen = choose(self.opened.graph, self.ask.select, self.ask.exclude)
        return Wish(chosen, self.started, actions, self.ask.full_refresh, self.how.always)

    def whole_plan(self, state: State) -> Plan:
        """The plan of everything, loads too, from the state as it is."""
        columns = bound(self.opened, state)
        refuse_mistakes(columns.mistakes)
        wish = self.wish(self.how.actions, state)
        made, mistakes = plan(self.opened.graph, state, wish, self.facts(columns, wish))
        refuse_mistakes(mistakes)
        return made

    def facts(self, columns: Bound, wish: Wish) -> Facts:
        """Columns, what is new at the sources, and what time has undone."""
        path = self.reading()
        if not path.exists():
            return Facts(columns.columns)
        engine = self.opened.engine.connect(path, read_only=True)
        try:
            with engine.session() as session:
                probes, mistakes = probe(
                    session,
                    self.opened.graph,
                    wish.chosen if "load" in wish.actions else (),
                    self.opened.places,
                    self.opened.engine.load_extension,
                )
                expired = ledger.expired(session, self.started.timestamp())
        finally:
            engine.close()
        refuse_mistakes(mistakes)
        probes |= lost(self.opened.graph, self.opened.places, self.synced)
        return Facts(columns.columns, probes, frozenset(expired))

    def do(self, made: Plan) -> Report:
        """Works on the private copy, and publishes it when it may."""
        resumed = False if self.in_place else copy(self.warehouse, self.opened.engine)
        path = self.warehouse.live if self.in_place else self.warehouse.private
        settings = self.opened.project.target.settings
        engine = self.opened.engine.connect(path, settings)
        try:
            report = self.work(engine, made)
            if self.may_publish(report.results):
                report = replace(report, published=self.counted(engine))
                self.narrow(engine)
        except BaseException:
            with suppress(TransformError):
                engine.close()
            raise
        engine.close()
        return self.ended(replace(report, resumed=resumed), path)

    def may_publish(self, results: Results) -> bool:
        return self.opened.project.target.publish.mode != "gated" or not results.bad

    def ended(self, report: Report, path: Path) -> Report:
        if report.published is None:
            return replace(report, since=self.last_good())
        if not self.in_place:
            self.opened.engine.compact_if_bloated(path)
            publish(self.warehouse, self.opened.engine)
        if self.opened.project.target.publish.models:
            replace_file(self.narrowed_path, self.opened.path)
        return replace(
            report, published=replace(report.published, size=self.opened.path.stat().st_size)
        )

    @property
    def narrowed_path(self) -> Path:
        return self.warehouse.room / "narrowed" / self.opened.path.name

    def narrow(self, engine: Any) -> None:
        """Writes the file that shows only some models, where the target asks for one."""
        shown = self.opened.project.target.publish.models
        if not shown:
            return
        graph = self.opened.graph
        chosen = choose(graph, shown, ())
        names = [graph[i].relation for i in chosen if graph[i].relation and not graph[i].ephemeral]
        self.narrowed_path.parent.mkdir(parents=True, exist_ok=True)
        engine.export(self.narrowed_path, sorted(n for n in names if n))

    def last_good(self) -> datetime | None:
        if not self.warehouse.live.exists():
            return None
        engine = self.opened.engine.connect(self.warehouse.live, read_only=True)
        try:
            with engine.session() as session:
                found = ledger.last_run(session)
                return found[0] if found else None
        finally:
            engine.close()

    def work(self, engine: Any, made: Plan) -> Report:
        """Loads first, since they may change types; then all the rest."""
        with engine.session() as session:
            with session.transaction():
                ledger.prepare(session)
                self.schemas(session)
            if "load" in self.how.actions:
                touch(
                    session,
                    self.opened.graph,
                    state_of(engine),
                    self.opened.places,
                    self.opened.engine.load_extension,
                )
        loads = Plan(made.of("load"))
        state = state_of(engine)
        tools = self.tools(engine, state)
        first = self.follow(loads, tools, Results())
        rest = made
        if loads.steps:
            rest = self.rest(engine, first)
        results = self.follow(rest, tools, first)
        return self.report(engine, Plan((*loads.steps, *rest.steps), made.skips), results)

    def schemas(self, session: Any) -> None:
        names = {n.relation.schema for n in self.opened.graph if n.relation}
        for name in sorted(names):
            session.run(f"create schema if not exists {quoted(name)}")

    def tools(self, engine: Any, state: State) -> Tools:
        versions = {i: known.version for i, known in state.nodes.items()}
        return Tools(
            engine=engine,
            project=self.opened.project,
            places=self.opened.places,
            run_id=self.run_id,
            clock=self.outside.clock,
            on_event=self.on_event,
            extension=self.opened.engine.load_extension,
            synced=self.synced,
            states=state.nodes,
            versions=versions,
            keep_failed=self.how.keep_failed,
            retry_rejected=self.how.retry_rejected,
        )

    def follow(self, made: Plan, tools: Tools, before: Results) -> Results:
        perform = {a: (lambda step, do=do: do(tools, step)) for a, do in PERFORM.items()}
        threads = self.how.threads or self.opened.project.target.threads
        return follow(
            made,
            perform,
            self.on_event,
            before=before,
            threads=threads,
            fail_fast=self.how.fail_fast,
        )

    def rest(self, engine: Any, first: Results) -> Plan:
        """The plan of what comes after the loads, with the types that they really made."""
        state = state_of(engine)
        columns = bound(self.opened, state)
        if columns.mistakes:
            loaded = first.count("load", "success")
            raise Mistakes(columns.mistakes, f"{loaded} sources were loaded, nothing was built")
        wish = self.wish(self.how.actions - {"load"}, state)
        facts = replace(
            self.facts_now(engine, columns), failed=frozenset(o.id for o in first.outcomes if o.bad)
        )
        made, mistakes = plan(self.opened.graph, state, wish, facts)
        refuse_mistakes(mistakes)
        return made

    def facts_now(self, engine: Any, columns: Bound) -> Facts:
        with engine.session() as session:
            expired = ledger.expired(session, self.started.timestamp())
        probes = lost(self.opened.graph, self.opened.places, self.synced)
        return Facts(columns.columns, probes, frozenset(expired))

    def report(self, engine: Any, made: Plan, results: Results) -> Report:
        now = self.outside.clock()
        bad = results.bad
        with engine.session() as session, session.transaction():
            ledger.record_run(
                session,
                ledger.Run(
                    self.run_id, self.ask.command, self.opened.project.target.name, self.started,
                    now, "failed" if bad else "ok", results.count("build", "success"),
                    results.count("check"), len(bad),
                    sum(o.rows or 0 for o in results.outcomes if o.action == "build"), __version__,
                ),
            )  # fmt: skip
            held = ledger.quarantined(session)
        seconds = (now - self.started).total_seconds()
        labels = {i: self.opened.graph[i].name for i in held if i in self.opened.graph.nodes}
        return Report(
            made,
            replace(results, seconds=seconds),
            quarantine={labels[i]: count for i, count in held.items() if i in labels},
            path=self.opened.project.target.path,
        )

    def counted(self, engine: Any) -> Published:
        models = [n for n in self.opened.graph if n.kind == "model" and not n.ephemeral]
        with engine.session() as session:
            known = ledger.nodes(session)
        rows = sum(known[n.id].rows or 0 for n in models if n.id in known)
        return Published(self.opened.project.target.path, 0, len(models), rows)


def clean(ask: Ask, outside: Outside) -> tuple[str, ...]:
    """Removes what builds leave beside the warehouse; the warehouse and the sync ledger stay."""
    opened = open_project(ask, outside)
    warehouse = Warehouse(opened.full_path)
    removed = []
    if warehouse.room.exists():
        with building(warehouse, "transform clean", outside.clock()):
            discard(warehouse)
        removed.append(str(warehouse.room))
    return tuple(removed)
