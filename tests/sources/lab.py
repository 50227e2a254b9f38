"""One source table that is loaded into a real warehouse file, again and again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from transformer import sources
from transformer.compile.nodes import Graph, Node, SourceBody
from transformer.engines import duckdb as engine
from transformer.errors import Where
from transformer.names import RelationName, quoted
from transformer.plan.fingerprint import fingerprint
from transformer.plan.work import Work
from transformer.project.paths import Places
from transformer.project.values import Column, Described, Load, Project, SourceTable, Target
from transformer.run.arrivals import Sources, reader
from transformer.run.context import RunContext
from transformer.run.load import load
from transformer.run.probe import peek
from transformer.sources import ReaderRequest
from transformer.steps import Arrivals, Columns, Outcome, Step
from transformer.warehouse import ledger
from transformer.warehouse.publication import state_of

WHERE = Where("models/_raw.yml", 7, 5)
RULES = ("mode", "key", "cursor", "on_schema_change", "max_quarantined", "max_removed")


@dataclass
class Lab:
    """A project folder, its warehouse, and one source table `raw.things`."""

    folder: Path
    kind: str = "files"
    options: dict[str, Any] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    allowed: tuple[Path, ...] = ()
    runs: int = 0

    def __post_init__(self) -> None:
        self.opened = Sources(self.places, engine.load_extension, os.environ)
        self.engine = engine.connect(self.folder / "warehouse.duckdb")
        with self.engine.session() as session:
            ledger.prepare(session)
            session.run("create schema if not exists raw")

    @property
    def places(self) -> Places:
        return Places(self.folder.resolve(), self.allowed)

    @property
    def table(self) -> SourceTable:
        known = {f.name: f.default for f in sources.find(self.kind).FIELDS}
        # Files of three rows are all the tests need: what is refused is what they look at.
        rules = {"max_quarantined": 1.0} | {k: v for k, v in self.options.items() if k in RULES}
        given = known | {k: v for k, v in self.options.items() if k not in RULES}
        if isinstance(given.get("path"), str):
            given["path"] = (given["path"],)
        columns = tuple(Column(n, WHERE, data_type=k) for n, k in self.types.items())
        return SourceTable(
            source="raw",
            name="things",
            schema="raw",
            identifier="things",
            where=WHERE,
            described=Described(columns=columns),
            load=Load(self.kind, given, WHERE, **rules),
        )

    @property
    def request(self) -> ReaderRequest:
        return ReaderRequest(self.table, self.places, engine.load_extension, os.environ)

    @property
    def node(self) -> Node:
        body = SourceBody(self.table)
        relation = RelationName("raw", "things")
        made = Node("source.raw.things", "source", "raw.things", "", body, relation=relation)
        return made.having(described=body.table.described)

    def change(self, **options: Any) -> Lab:
        """Other options from now on."""
        self.options |= options
        return self

    def write(self, name: str, data: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def reason(self) -> str:
        """Why it would be loaded now, as far as the source itself says. Raises its mistakes."""
        load = self.table.load
        return self.arrivals().reason(mirrors=load is not None and load.mode == "replace")

    def arrivals(self) -> Arrivals:
        """What is there now, as a plan sees it. Raises the source's mistakes."""
        graph = Graph({self.node.id: self.node})
        self.opened = Sources(self.places, engine.load_extension, os.environ)
        with self.engine.session() as session:
            arrivals, mistakes = self.opened.probe(session, graph, [self.node.id])
        if mistakes:
            raise mistakes[0]
        return arrivals[self.node.id]

    def peek(self) -> Columns:
        made = reader(self.request)
        with engine.loose() as session, closing(made) as way:
            return peek(session, self.table, (way, way.parts(session)), whole=False)

    def load(
        self,
        *,
        full_refresh: bool = False,
        retry: bool = False,
        checks: Any = (),
        arrivals: Arrivals | None = None,
    ) -> Outcome:
        """Loads once, and looks whether every row is where it should be. Without `arrivals`, what
        is there now."""
        self.runs += 1
        state = state_of(self.engine)
        tools = RunContext(
            engine=self.engine,
            project=Project(str(self.folder), "lab", Target()),
            places=self.places,
            run_id=f"run{self.runs}",
            clock=lambda: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=self.runs),
            on_event=lambda _: None,
            sources=self.opened
            if arrivals
            else Sources(self.places, engine.load_extension, os.environ),
            synced=self.folder / "synced",
            shown=self.folder / "shown",
            state=state,
            versions={i: s.version for i, s in state.nodes.items()},
            retry_rejected=retry,
        )
        node = self.node
        work = Work(
            node, fingerprint(node), rows=RelationName("raw", "things").sql(), checks=checks
        )
        work = replace(work, full_refresh=full_refresh, arrivals=arrivals)
        outcome = load(tools, Step(node.id, "load", node.name, "", work))
        facts = outcome.facts
        assert facts["read"] == facts["landed"] + facts["quarantined"]
        return outcome

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.engine.session() as session:
            return session.rows(sql)

    def columns(self) -> dict[str, str]:
        """What the source brought, without what every landed row carries."""
        own = ("_loaded_at", "_batch", "_source")
        with self.engine.session() as session:
            return {n: k for n, k in session.columns("from raw.things") if n not in own}

    def rows(self) -> list[tuple[Any, ...]]:
        listed = ", ".join(quoted(n) for n in self.columns())
        return self.ask(f"select {listed} from raw.things order by all")

    def sources(self) -> list[str]:
        return [row[0] for row in self.ask("select _source from raw.things order by 1")]

    def quarantine(self) -> list[tuple[Any, ...]]:
        """Source, row number, column, value, reason."""
        return self.ask(
            "select source, row_number, column_name, value, reason from _transform.quarantine"
            " order by all"
        )

    def version(self) -> str:
        with self.engine.session() as session:
            return ledger.nodes(session)["source.raw.things"].version

    def parts(self) -> dict[str, Any]:
        with self.engine.session() as session:
            return ledger.landed(session, "source.raw.things")

    def everything(self) -> str:
        """All text that the warehouse holds of the source: for looking for secrets in it."""
        tables = ("raw.things", "_transform.quarantine", "_transform.loads", "_transform.nodes")
        return "".join(str(self.ask(f"select * from {t}")) for t in tables)


@contextmanager
def lab(folder: Path, kind: str = "files", **options: Any) -> Iterator[Lab]:
    """A laboratory; `types` are declared types, `allowed` folders outside."""
    special: Mapping[str, Any] = {k: options.pop(k) for k in ("types", "allowed") if k in options}
    made = Lab(folder, kind, dict(options), **special)
    try:
        yield made
    finally:
        made.engine.close()
