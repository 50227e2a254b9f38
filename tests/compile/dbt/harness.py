"""The built-in macros and a DuckDB in memory: enough of a rendering to try them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
from jinja2 import StrictUndefined, nodes
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from transformer.compile.dbt.adapter import Adapter, AdapterSettings
from transformer.compile.dbt.column import AdapterColumn
from transformer.compile.dbt.relation import Relation
from transformer.compile.dbt.words import WORDS, exceptions

BUILTIN = Path(__file__).parents[3] / "transformer" / "project" / "dbt" / "builtin"


class Returned(Exception):  # noqa: N818
    def __init__(self, value: Any) -> None:
        super().__init__("return")
        self.value = value


class _Context(Context):
    def resolve_or_missing(self, key: str) -> Any:
        found = super().resolve_or_missing(key)
        return self.parent["__macros"].get(key, missing) if found is missing else found


class Environment(SandboxedEnvironment):
    context_class = _Context


ENV = Environment(
    undefined=StrictUndefined, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"]
)


def compiled() -> dict[str, Any]:
    """Every built-in macro as a template of its own."""
    made: dict[str, Any] = {}
    for path in sorted(BUILTIN.glob("*.sql")):
        for node in ENV.parse(path.read_text()).find_all(nodes.Macro):
            assert node.name not in made, node.name
            tree = nodes.Template([node], lineno=1)
            tree.set_environment(ENV)
            code = ENV.compile(tree, path.name, path.name)
            made[node.name] = ENV.template_class.from_code(ENV, code, ENV.make_globals(None))
    return made


MACROS = compiled()


class Database:
    """A warehouse over a connection."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("set TimeZone = 'UTC'")

    def rows(self, sql: str) -> tuple[list[str], list[str], list[tuple[Any, ...]]]:
        ran = self.connection.execute(sql)
        described = ran.description or []
        return [d[0] for d in described], [str(d[1]) for d in described], ran.fetchall()

    def run(self, sql: str) -> None:
        self.connection.execute(sql)

    def relations(self, schema: str | None) -> Iterable[tuple[str, str, str, str]]:
        found = self.rows(
            "select table_catalog, table_schema, table_name,"
            " case table_type when 'VIEW' then 'view' else 'table' end"
            " from system.information_schema.tables"
        )[2]
        return [row for row in found if schema is None or row[1].lower() == schema]

    def columns(
        self, database: str | None, schema: str | None, identifier: str
    ) -> list[tuple[str, str]] | None:
        name = Relation(database, schema, identifier).render()
        try:
            return [(row[0], row[1]) for row in self.rows(f"describe {name}")[2]]
        except duckdb.CatalogException:
            return None

    def one(self, expression: str, reading: str = "") -> Any:
        """The value of an expression."""
        return self.rows(f"select {expression} {reading}")[2][0][0]

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        return self.rows(sql)[2]


class Rendering:
    """Calls macros as templates do; `own` are a project's macros, which win."""

    def __init__(
        self,
        database: Database | None = None,
        *,
        config: Mapping[str, Any] | None = None,
        own: str = "",
        execute: bool = True,
        **words: Any,
    ) -> None:
        self.warned: list[str] = []
        self.templates = {**MACROS, **self._templates(own)}
        self.adapter = Adapter(database, self.dispatch, AdapterSettings(warn=self.warned.append))
        self.results: dict[str, Any] = {}
        self.macros = {name: self._bound(name) for name in self.templates}
        self.execute = execute
        self.context: dict[str, Any] = {
            **WORDS,
            "__macros": self.macros,
            "adapter": self.adapter,
            "api": SimpleNamespace(Relation=Relation, Column=AdapterColumn),
            "config": dict(config or {}),
            "dbt": SimpleNamespace(**self.macros),
            "exceptions": exceptions(self.warned.append),
            "execute": execute,
            "flags": SimpleNamespace(FULL_REFRESH=False, STORE_FAILURES=False),
            "load_result": self.results.get,
            "log": self.warned.append,
            "model": {"name": "m", "columns": {}, "constraints": []},
            "render": lambda text: ENV.from_string(text).render(self.context),
            "return": self._return,
            "run_query": self._run_query,
            "statement": self._statement,
            "store_raw_result": self._store,
            "target": SimpleNamespace(
                name="dev", schema="main", database="memory", type=self.adapter.type()
            ),
            **words,
        }

    def _templates(self, text: str) -> dict[str, Any]:
        made = {}
        for node in ENV.parse(text).find_all(nodes.Macro):
            tree = nodes.Template([node], lineno=1)
            tree.set_environment(ENV)
            code = ENV.compile(tree, node.name, node.name)
            made[node.name] = ENV.template_class.from_code(ENV, code, ENV.make_globals(None))
        return made

    def _bound(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            template = self.templates[name]
            context = template.new_context(self.context)
            for _ in template.root_render_func(context):
                pass
            try:
                return context.vars[name](*args, **kwargs)
            except Returned as returned:
                return returned.value

        return call

    def dispatch(self, name: str, *_: str | None) -> Callable[..., Any]:
        for form in (f"duckdb__{name}", f"default__{name}"):
            if form in self.macros:
                return self.macros[form]
        raise LookupError(name)

    def _return(self, value: Any = None) -> None:
        raise Returned(value)

    def _run_query(self, sql: str) -> Any:
        return self.adapter.execute(sql, fetch=True)[1] if self.execute else None

    def _store(self, name: str, agate_table: Any = None, **_: Any) -> str:
        data = agate_table.matrix() if agate_table is not None else []
        self.results[name] = {"table": agate_table, "data": data}
        return ""

    def _statement(
        self, name: str | None = None, fetch_result: bool = False, caller: Any = None, **_: Any
    ) -> str:
        table = self.adapter.execute(caller(), fetch=fetch_result)[1] if self.execute else None
        if self.execute and name:
            self._store(name, table)
        return ""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self.macros:
            raise AttributeError(name)
        return self.macros[name]


T = Relation("memory", "main", "t", "table")
S = Relation("memory", "main", "s", "table")


def made(*statements: str) -> Database:
    """A database in which these statements were run."""
    database = Database()
    for sql in statements:
        database.run(sql)
    return database
