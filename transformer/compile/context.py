"""The names in a template: `ref`, `source`, `config`, `var`, `env_var`, `this`, `target` …

Each rendering has its own set; what it reads is recorded in a `RenderTrace`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, NoReturn

from msgspec import Struct, field

from transformer.compile.dbt.adapter import WarehouseConnection
from transformer.compile.dbt.relation import Relation
from transformer.compile.dbt.runtime import config
from transformer.compile.dbt.surface import SurfaceInputs, flags, surface
from transformer.compile.jinja.rendering import MacroReturn, Rendering
from transformer.compile.namespace import Namespace, Referable
from transformer.compile.time_ranges import TimeRange
from transformer.compile.world import CONNECTING_ONLY, SECRET_PREFIXES, RenderWorld
from transformer.errors import RenderError, did_you_mean
from transformer.project.settings import merge
from transformer.project.values import Target
from transformer.redaction import SHORTEST

_MISSING = object()


class RenderTrace(Struct):
    """What a rendering used: edges, configuration, variables, environment, macros."""

    needs: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    vars: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    macros: dict[str, str] = field(default_factory=dict)
    names_read: set[str] = field(default_factory=set)
    uses_is_incremental: bool = False
    notes: list[str] = field(default_factory=list)


class TemplateNames(Struct):
    """The names in one rendering of a file in `package`.

    Without `execute` it only collects references. `node` is the value of `model`. `warehouse` is
    set if the rendering may query it, `graph` once it is complete.
    """

    index: Namespace
    target: Target
    vars: Mapping[str, Any]
    world: RenderWorld
    trace: RenderTrace
    package: str = ""
    this: Referable | None = None
    incremental: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    execute: bool = True
    node: Mapping[str, Any] = field(default_factory=dict)
    warehouse: WarehouseConnection | None = None
    graph: Callable[[], dict[str, Any]] | None = None
    spans: Sequence[TimeRange] = ()
    # Renders Jinja in the values of variables, where that is allowed.
    filled: Callable[[str], str] | None = None

    def context(self, session: Rendering) -> dict[str, Any]:
        """The Jinja context of the template."""
        callables = {
            "ref": self.ref,
            "source": self.source,
            "function": self.function,
            "config": _Config(self),
            "var": _Var(self),
            "env_var": self.env_var,
            "is_incremental": self.is_incremental,
        }
        return {
            **surface(
                SurfaceInputs(
                    target=target_words(self.target),
                    world=self.world,
                    node=self.node,
                    execute=self.execute,
                    warehouse=self.warehouse,
                    graph=self.graph,
                    dispatch=session.dispatch,
                    say=self.say,
                    own=callables,
                    config=partial(
                        config, self.world, self.index.project, self.vars, self.index.packages
                    ),
                )
            ),
            **callables,
            "this": self.relation(self.this) if self.this else None,
            "execute": self.execute,
            "log": self.log,
            "render": session.rendered,
            "print": self.say,
            "return": return_value,
            "run_started_at": self.world.now,
            "project_name": self.index.project,
            "flags": flags(self.world),
        }

    def relation(self, node: Referable) -> Relation:
        """The relation object that `ref`, `source` and `this` return."""
        if node.ephemeral:
            return Relation.ephemeral(node.name)
        name, database = node.relation, node.database or self.target.catalog or None
        if node.reads:
            return Relation.expression(database, name.schema, name.table, node.reads)
        return Relation(database, name.schema, name.table)

    def ref(self, *args: str, v: Any = None, version: Any = None) -> Relation:
        """The relation of a model, seed or snapshot; adds an edge."""
        chosen_version = v if v is not None else version
        return self._edge(
            self.index.ref(
                *args,
                version=None if chosen_version is None else str(chosen_version),
                package=self.package,
            )
        )

    def function(self, *args: str) -> Relation:
        """The name of a user-defined function, for a call; adds an edge."""
        node = self.index.function(*args)
        if node.id not in self.trace.needs:
            self.trace.needs.append(node.id)
        return self.relation(node)

    def source(self, *args: str) -> Relation:
        """The relation of a source table; adds an edge."""
        return self._edge(self.index.source(*args, package=self.package))

    def _edge(self, node: Referable) -> Relation:
        if node.id not in self.trace.needs:
            self.trace.needs.append(node.id)
        relation = self.relation(node)
        if not self.execute:
            return relation
        if self.world.flags.get("EMPTY"):
            return self._narrowed(relation, "false")
        if node.ephemeral:
            return relation
        if not self.spans or not node.event_time:
            return relation
        return self._narrowed(
            relation, " and ".join(s.condition(node.event_time) for s in self.spans)
        )

    def _narrowed(self, relation: Relation, condition: str) -> Relation:
        text = f"(select * from {relation} where {condition})"
        return Relation.expression(
            relation.database, relation.schema or "", relation.identifier or "", text
        )

    def env_var(self, name: str, default: Any = _MISSING) -> str:
        """The value of an environment variable. Raises RenderError for secrets."""
        if name.startswith(SECRET_PREFIXES):
            raise RenderError(
                f"`{name}` is a secret: it cannot be used in SQL",
                hint=CONNECTING_ONLY,
            )
        value = read_env(self.world.env, name, default)
        self.trace.env[name] = value
        return value

    def is_incremental(self) -> bool:
        """Whether the model is built incrementally in this run."""
        self.trace.uses_is_incremental = True
        return self.incremental and self.execute

    def log(self, message: Any, info: bool = False) -> str:
        """Prints the message if `info`; returns "", so that nothing is added to the SQL."""
        return self.say(message) if info else ""

    def say(self, message: Any, *_: Any, **__: Any) -> str:
        """Prints the message, when executing; returns "", so that nothing is added to the SQL."""
        self.trace.notes.append(str(message))
        if self.execute:
            self.world.hear(str(message))
        return ""


class _Var:
    """`var('name')`: the value of a variable; `var.has_var('name')`: whether it has one."""

    def __init__(self, names: TemplateNames) -> None:
        self._names = names
        self._filling: list[str] = []

    def __call__(self, name: str, default: Any = _MISSING) -> Any:
        variables, trace = self._names.vars, self._names.trace
        value = variables.get(name, default)
        if value is _MISSING:
            raise RenderError(
                f"the variable `{name}` has no value",
                hint=did_you_mean(name, variables, otherwise="")
                or "set it under `vars:`, with --vars, or give `var()` a default",
            )
        trace.vars[name] = value
        fill = self._names.filled if name in variables else None
        if fill and isinstance(value, str) and "{" in value:
            return self._filled(name, fill, value)
        return deepcopy(value)  # templates may modify it without affecting others

    def _filled(self, name: str, fill: Callable[[str], str], value: str) -> str:
        if name in self._filling:
            raise RenderError(
                f"the variable `{name}` refers to itself", hint="check `vars:` and `--vars`"
            )
        self._filling.append(name)
        try:
            return fill(value)
        finally:
            self._filling.pop()

    def has_var(self, name: str) -> bool:
        """Whether the variable has a value."""
        return name in self._names.vars


class _Config:
    """`config(…)` records configuration and returns ""; `config.get(…)` reads it."""

    def __init__(self, names: TemplateNames) -> None:
        self._names = names

    def __call__(self, *args: Mapping[str, Any], **options: Any) -> str:
        for layer in (*args, options):
            self._names.trace.config = merge(self._names.trace.config, layer)
        return ""

    def set(self, name: str, value: Any) -> str:
        """Records one option, as `set_sql_header` does."""
        return self(**{name: value})

    def get(self, name: str, default: Any = None, **_: Any) -> Any:
        """The value of an option, or the default; "" while only references are collected, as in
        dbt: templates distinguish the two phases by it."""
        if not self._names.execute:
            return ""
        merged = merge(self._names.options, self._names.trace.config)
        value = merged.get(name)
        return default if value is None else value

    def require(self, name: str) -> Any:
        """The value of an option. Raises RenderError if it is not set."""
        value = self.get(name, _MISSING)
        if value is _MISSING:
            raise RenderError(f"the option `{name}` is not set", hint="set it in `config(…)`")
        return value

    def meta_get(self, name: str, default: Any = None) -> Any:
        """A value under `meta:`, or the default."""
        return (self.get("meta") or {}).get(name, default)

    def persist_relation_docs(self) -> bool:
        """False: descriptions always become comments here, without a macro."""
        return False

    def persist_column_docs(self) -> bool:
        """False, for the same reason."""
        return False


def read_env(env: Mapping[str, str], name: str, default: Any = _MISSING) -> str:
    """The value of an environment variable, or the default. Raises RenderError if it has none."""
    value = env.get(name, default)
    if value is _MISSING:
        raise RenderError(
            f"the environment variable `{name}` is not set",
            hint="set it, or give `env_var()` a default",
        )
    return str(value)


def yaml_words(
    variables: Mapping[str, Any], env: Mapping[str, str], secrets: set[str] | None = None
) -> dict[str, Callable[..., Any]]:
    """The names for Jinja in YAML: `var` and `env_var`. Values of secrets are added to `secrets`;
    without it, secrets raise RenderError."""

    def env_var(name: str, default: Any = _MISSING) -> str:
        value = read_env(env, name, default)
        if name.startswith(SECRET_PREFIXES):
            if secrets is None:
                raise RenderError(
                    f"`{name}` is a secret: it cannot be used here", hint=CONNECTING_ONLY
                )
            if name in env and 0 < len(value) < SHORTEST:
                raise RenderError(
                    f"the secret `{name}` is too short to be redacted: {len(value)} characters",
                    hint=f"use {SHORTEST} or more, or rename the variable if it is not a secret",
                )
            if name in env:
                secrets.add(value)
        return value

    def var(name: str, default: Any = _MISSING) -> Any:
        if name not in variables and default is _MISSING:
            raise RenderError(
                f"the variable `{name}` has no value",
                hint=did_you_mean(name, variables, otherwise="") or "set it under `vars:`",
            )
        return variables.get(name, default)

    return {"env_var": env_var, "var": var}


def target_words(target: Target) -> dict[str, Any]:
    """The value of `target` in templates."""
    return {
        "name": target.name,
        "schema": target.schema,
        "threads": target.threads,
        "path": target.path,
        "type": target.type,
        "database": target.catalog,
        **target.words,
    }


def return_value(value: Any = None) -> NoReturn:
    """`return(value)`: returns a native value from the macro."""
    raise MacroReturn(value)
