"""dbt's names in templates beyond the tool's own: `adapter`, `api`, `graph`, `run_query` …

One table of names. Functions that need the warehouse raise NeedsWarehouse if it is not open: the
template is then rendered again with an open warehouse, just before its result is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec import Struct, field

from transformer.compile.dbt import words
from transformer.compile.dbt.adapter import (
    Adapter,
    AdapterSettings,
    NeedsWarehouse,
    WarehouseConnection,
)
from transformer.compile.dbt.column import AdapterColumn
from transformer.compile.dbt.relation import Relation
from transformer.compile.dbt.results import ResultTable
from transformer.compile.dbt.runtime import AttributeRecord, Builtin, invocation, run_settings
from transformer.compile.world import RenderWorld

# The keys of `graph`, as in dbt.
GRAPH = (
    *("nodes", "sources", "exposures", "groups", "metrics", "semantic_models"),
    *("saved_queries", "functions"),
)


class SurfaceInputs(Struct, frozen=True):
    """The inputs of `surface` for one rendering. `own` are the functions in `builtins`; `node` is
    the value of `model`."""

    target: Mapping[str, Any]
    world: RenderWorld
    node: Mapping[str, Any]
    execute: bool
    warehouse: WarehouseConnection | None
    graph: Callable[[], dict[str, Any]] | None
    dispatch: Callable[..., Any]
    say: Callable[[str], str]
    own: Mapping[str, Any] = field(default_factory=dict)
    config: Callable[[], AttributeRecord] = AttributeRecord


def surface(inputs: SurfaceInputs) -> dict[str, Any]:
    """The names with their values in this rendering."""
    root = str(inputs.target.get("external_root") or ".")
    settings = AdapterSettings(
        external_root=root,
        tell=inputs.say,
        warn=inputs.say,
        config=partial(run_settings, inputs.target, inputs.config),
    )
    adapter = Adapter(inputs.warehouse if inputs.execute else None, inputs.dispatch, settings)
    queries = _Queries(adapter, inputs.execute)
    world = inputs.world
    return {
        **words.WORDS,
        "adapter": adapter if inputs.execute else _Idle(adapter),
        "api": _Api(),
        "builtins": {
            name: Builtin(function, inputs.config) for name, function in inputs.own.items()
        },
        "context": _Context(inputs.dispatch, inputs.own),
        "database": inputs.target.get("database"),
        "dbt_metadata_envs": {},
        "exceptions": words.exceptions(inputs.say),
        "graph": _Graph(inputs.graph, inputs.execute),
        "invocation_args_dict": invocation(world),
        "invocation_id": world.invocation,
        "load_result": queries.load_result,
        "model": dict(inputs.node),
        "run_query": queries.run_query,
        "schema": inputs.target.get("schema"),
        "selected_resources": list(world.selected),
        "statement": queries.statement,
        "store_raw_result": queries.store_result,
        "store_result": queries.store_result,
        "target": dict(inputs.target),
        "thread_id": "Thread-1 (worker)",
    }


def flags(world: RenderWorld) -> dict[str, Any]:
    """The flags of the command line, by dbt's names."""
    return {
        "FULL_REFRESH": world.full_refresh,
        "WHICH": world.command,
        "EMPTY": False,
        "STORE_FAILURES": False,
        "INVOCATION_COMMAND": f"dbt {world.command}",
        **world.flags,
    }


class _Api:
    """`api.Relation` and `api.Column`."""

    Relation = Relation
    AdapterColumn = AdapterColumn


class _Idle:
    """The adapter while only references are collected: queries to the warehouse return nothing."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._adapter, name)

        def call_or_nothing(*args: Any, **kwargs: Any) -> Any:
            try:
                return attribute(*args, **kwargs)
            except NeedsWarehouse:
                return [] if name.startswith(("get_columns", "list_", "get_missing")) else None

        return call_or_nothing if callable(attribute) else attribute


class _Queries:
    """`run_query`, `statement`, and their results for `load_result`."""

    def __init__(self, adapter: Adapter, execute: bool) -> None:
        self._adapter, self._execute = adapter, execute
        self._results: dict[str, Any] = {}

    def run_query(self, sql: str) -> ResultTable | None:
        """The rows of a query; None if not executing."""
        if not self._execute:
            return None
        table: ResultTable = self._adapter.execute(str(sql), fetch=True)[1]
        return table

    def statement(
        self,
        name: str | None = None,
        fetch_result: bool = False,
        caller: Callable[[], str] | None = None,
        **_: Any,
    ) -> str:
        """`{% call statement('x', fetch_result=True) %} select … {% endcall %}`."""
        text = caller() if caller else ""
        if self._execute:
            response, table = self._adapter.execute(str(text), fetch=fetch_result)
            if name is not None:
                self.store_result(name, response, table)
        return ""

    def store_result(
        self, name: str, response: Any = None, agate_table: Any = None, **_: Any
    ) -> str:
        """Stores a result under a name."""
        rows = [list(row.values()) for row in agate_table.rows] if agate_table is not None else []
        self._results[name] = {"response": response, "data": rows, "table": agate_table}
        return ""

    def load_result(self, name: str) -> Any:
        """The result stored under the name: `table`, `data`, `response`."""
        return self._results.get(name)


class _Context(Mapping[str, Any]):
    """`context`: all names and macros."""

    def __init__(self, dispatch: Callable[..., Any], own: Mapping[str, Any]) -> None:
        self._session, self._own = getattr(dispatch, "__self__", None), own

    def __getitem__(self, name: str) -> Any:
        value = self.get(name, self)
        if value is self:
            raise KeyError(name)
        return value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self:
            raise AttributeError(name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return self.get(str(name), self) is not self

    def __iter__(self) -> Iterator[str]:
        """All names, and the names of all macros."""
        session = self._session
        macros = session.library.packages.values() if session is not None else ()
        names = session.context if session is not None else self._own
        return iter(
            dict.fromkeys((*names, *(name for package_macros in macros for name in package_macros)))
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def get(self, name: str, default: Any = None) -> Any:
        """The value or macro of that name, or the default."""
        session = self._session
        macro = session.library.find(name, session.package) if session is not None else None
        if macro is not None and session is not None:
            return session.bound(macro)
        names = session.context if session is not None else self._own
        return names.get(name, default)


class _Graph(Mapping[str, Any]):
    """`graph`: the whole project. It is complete only once everything is compiled, and built on
    access. A run uses a single dictionary, since packages store their own data in it."""

    def __init__(self, graph: Callable[[], dict[str, Any]] | None, execute: bool) -> None:
        self._graph, self._execute = graph, execute

    def _all(self) -> dict[str, Any]:
        if self._graph is not None:
            return self._graph()
        if self._execute:
            raise NeedsWarehouse
        return {name: {} for name in GRAPH}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        whole = self._all()
        if name in whole:
            return whole[name]
        return getattr(whole, name)  # a method of the mapping, or an error by name

    def __getitem__(self, name: str) -> Any:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
