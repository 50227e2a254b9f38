"""What templates can read about the current run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformer.compile.world import RenderWorld
from transformer.errors import RenderError, did_you_mean


class AttributeRecord(dict[str, Any]):
    """A mapping with `to_dict`, like dbt's objects: a result, its node."""

    def to_dict(self, omit_none: bool = False) -> dict[str, Any]:
        """The mapping as a dict, without None values if `omit_none`."""
        return {k: v for k, v in self.items() if not (omit_none and v is None)}


class Builtin:
    """A function in `builtins`: `builtins.ref(…)`, and `builtins.ref.config`, where packages read
    the configuration of the run."""

    def __init__(self, call: Callable[..., Any], config: Callable[[], AttributeRecord]) -> None:
        self._call, self._config = call, config

    @property
    def config(self) -> AttributeRecord:
        """Built on access, since few templates use it."""
        return self._config()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function itself."""
        return self._call(*args, **kwargs)


class AttributeSettings:
    """Settings as attributes. Unknown names raise RenderError rather than render as empty text."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self._name, self._values = name, values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._values:
            hint = did_you_mean(name, self._values, otherwise="available: {}")
            raise RenderError(f"`{self._name}` has no `{name}`", hint=hint)
        return self._values[name]


def run_settings(
    target: Mapping[str, Any], config: Callable[[], AttributeRecord]
) -> AttributeSettings:
    """`adapter.config`: dbt's settings of a run, as far as known, without secrets."""
    quoting = {"database": True, "schema": True, "identifier": True, "column": None}
    project = config()
    credentials = {key: value for key, value in target.items() if key not in _OF_PROFILE}
    return AttributeSettings(
        "adapter.config",
        {
            "args": project["args"],
            "cli_vars": project["args"]["vars"],
            "credentials": AttributeSettings("adapter.config.credentials", credentials),
            "dependencies": project["dependencies"],
            "profile_name": target.get("profile_name"),
            "project_name": project["project_name"],
            "quoting": quoting,
            "target_name": target.get("name"),
            "threads": target.get("threads"),
        },
    )


# Keys of a target that come from the surrounding profile.
_OF_PROFILE = ("name", "target_name", "profile_name", "threads")


def invocation(world: RenderWorld) -> dict[str, Any]:
    """`invocation_args_dict`: the arguments of this invocation, in lower case."""
    flags = {name.lower(): value for name, value in world.flags.items()}
    return {
        "which": world.command,
        "invocation_command": f"dbt {world.command}",
        "full_refresh": world.full_refresh,
        "defer": False,
        "select": list(world.arguments.get("select") or ()),
        "exclude": list(world.arguments.get("exclude") or ()),
        "vars": dict(world.arguments.get("vars") or {}),
        **flags,
    }


def config(
    world: RenderWorld, project: str, variables: Mapping[str, Any], packages: Any
) -> AttributeRecord:
    """The value of `builtins.ref.config`."""
    return AttributeRecord(
        project_name=project,
        args=AttributeRecord(invocation(world)),
        vars=AttributeRecord(variables),
        dependencies={
            name: AttributeRecord(project_name=name, version="")
            for name in (project, *sorted(packages))
        },
    )
