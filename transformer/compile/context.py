"""The words of a template: `ref`, `source`, `config`, `var`, `env_var`, `this`, `target` …

Each rendering gets its own set; what it asks for is noted in a `Trace`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NoReturn

from transformer.compile.index import Index, Referable
from transformer.compile.templates import Returned
from transformer.errors import RenderError, did_you_mean
from transformer.names import Name, quoted
from transformer.project.values import Target

SECRET_PREFIXES = ("TRANSFORM_SECRET_", "DBT_ENV_SECRET_")
_MISSING = object()


@dataclass(slots=True)
class Trace:
    """What a rendering consulted: edges, configuration, variables, environment, macros."""

    needs: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    vars: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    macros: dict[str, str] = field(default_factory=dict)
    asked_incremental: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class World:
    """What the outside says to a rendering: environment, clock, and which relations exist."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    now: datetime.datetime = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    full_refresh: bool = False
    command: str = "build"

    @property
    def secrets(self) -> frozenset[str]:
        """The values of secret variables: they may stand in no SQL, whichever way they came."""
        return secrets_of(self.env)


class Relation:
    """What `ref`, `source` and `this` give: text in SQL, with its parts as attributes."""

    def __init__(self, name: Name, text: str | None = None) -> None:
        self.schema, self.identifier = name.schema, name.table
        self.table = self.name = name.table
        self._text = text or name.sql()

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def include(self, schema: bool = True, **_: bool) -> str:
        """The name with or without its schema."""
        return self._text if schema else quoted(self.identifier)


@dataclass(slots=True)
class Words:
    """The words of one rendering."""

    index: Index
    target: Target
    vars: Mapping[str, Any]
    world: World
    trace: Trace
    this: Name | None = None
    incremental: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def context(self) -> dict[str, Any]:
        """The names a template sees."""
        return {
            "ref": self.ref,
            "source": self.source,
            "config": _Config(self),
            "var": self.var,
            "env_var": self.env_var,
            "this": Relation(self.this) if self.this else None,
            "target": target_words(self.target),
            "is_incremental": self.is_incremental,
            "execute": True,
            "log": self.log,
            "print": self.log,
            "return": give_back,
            "run_started_at": self.world.now,
            "project_name": self.index.project,
            "exceptions": {"raise_compiler_error": refuse, "warn": self.log},
            "tojson": to_json,
            "fromjson": json.loads,
            "zip": zip,
            "set": set,
            "flags": {"FULL_REFRESH": self.world.full_refresh, "WHICH": self.world.command},
        }

    def ref(self, *words: str, **_: Any) -> Relation:
        """The relation of a model, seed or snapshot; makes an edge."""
        return self._edge(self.index.ref(*words))

    def source(self, *words: str) -> Relation:
        """The relation of a source table; makes an edge."""
        return self._edge(self.index.source(*words))

    def _edge(self, node: Referable) -> Relation:
        if node.id not in self.trace.needs:
            self.trace.needs.append(node.id)
        return Relation(node.relation, node.sql())

    def var(self, name: str, default: Any = _MISSING) -> Any:
        """The value of a variable."""
        value = self.vars.get(name, default)
        if value is _MISSING:
            raise RenderError(
                f"the variable `{name}` has no value",
                hint=did_you_mean(name, self.vars, otherwise="")
                or "set it under `vars:`, with --vars, or give `var()` a default",
            )
        self.trace.vars[name] = value
        return deepcopy(value)  # a template may change its own list, not everyone's

    def env_var(self, name: str, default: Any = _MISSING) -> str:
        """The value of an environment variable; secrets are refused here."""
        if name.startswith(SECRET_PREFIXES):
            raise RenderError(
                f"`{name}` is a secret: it may not stand in SQL",
                hint="secrets are for `load:`, `to:` and targets in YAML",
            )
        value = read_env(self.world.env, name, default)
        self.trace.env[name] = value
        return value

    def is_incremental(self) -> bool:
        """Whether only what is new is wanted."""
        self.trace.asked_incremental = True
        return self.incremental

    def log(self, message: Any, *_: Any, **__: Any) -> str:
        """Keeps a note; writes nothing into the SQL."""
        self.trace.notes.append(str(message))
        return ""


class _Config:
    """`config(…)` notes configuration and writes nothing; `config.get(…)` reads it."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def __call__(self, *args: Mapping[str, Any], **options: Any) -> str:
        for each in (*args, options):
            self._words.trace.config |= each
        return ""

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an option, or the default."""
        merged = {**self._words.options, **self._words.trace.config}
        return merged.get(name, default)

    def require(self, name: str) -> Any:
        """The value of an option; an error when it is not set."""
        value = self.get(name, _MISSING)
        if value is _MISSING:
            raise RenderError(f"the option `{name}` is not set", hint="set it in `config(…)`")
        return value


def secrets_of(env: Mapping[str, str]) -> frozenset[str]:
    """The values of the variables that are secret by their name; very short ones tell nothing."""
    return frozenset(v for k, v in env.items() if k.startswith(SECRET_PREFIXES) and len(v) > 3)


def read_env(env: Mapping[str, str], name: str, default: Any = _MISSING) -> str:
    """The value of an environment variable. Raises RenderError when it has none."""
    value = env.get(name, default)
    if value is _MISSING:
        raise RenderError(
            f"the environment variable `{name}` is not set",
            hint="set it, or give `env_var()` a default",
        )
    return str(value)


def yaml_words(
    variables: Mapping[str, Any], env: Mapping[str, str], secrets: set[str]
) -> dict[str, Callable[..., Any]]:
    """The words of Jinja in YAML: `var` and `env_var`. Values of secrets are put in `secrets`."""

    def env_var(name: str, default: Any = _MISSING) -> str:
        value = read_env(env, name, default)
        if name.startswith(SECRET_PREFIXES) and name in env:
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
    """What templates may know of the target."""
    return {
        "name": target.name,
        "schema": target.schema,
        "threads": target.threads,
        "path": target.path,
        "type": target.type,
    }


def give_back(value: Any = None) -> NoReturn:
    """`return(value)`: leaves the macro with a native value."""
    raise Returned(value)


def refuse(message: Any) -> NoReturn:
    """`exceptions.raise_compiler_error(message)`."""
    raise RenderError(str(message), hint="a macro of the project refuses this")


def to_json(value: Any, default: Any = None) -> Any:
    """The value as JSON text, or the default when it cannot be."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return default
