"""What templates find out about the run that they are part of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformer.compile.world import World


class Record(dict[str, Any]):
    """A mapping that has `to_dict`, as dbt's objects have: a result, its node."""

    def to_dict(self, omit_none: bool = False) -> dict[str, Any]:
        """The mapping itself; without what is None, where that is asked for."""
        return {k: v for k, v in self.items() if not (omit_none and v is None)}


class Builtin:
    """A word behind `builtins`: `builtins.ref(…)`, and `builtins.ref.config`, where packages look
    for the configuration of the run."""

    def __init__(self, call: Callable[..., Any], config: Callable[[], Record]) -> None:
        self._call, self._config = call, config

    @property
    def config(self) -> Record:
        """Put together when it is asked for: few templates do."""
        return self._config()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the word itself gives."""
        return self._call(*args, **kwargs)


def invocation(world: World) -> dict[str, Any]:
    """`invocation_args_dict`: what this call of the tool was asked, in lower case."""
    given = {name.lower(): value for name, value in world.flags.items()}
    return {
        "which": world.command,
        "invocation_command": f"dbt {world.command}",
        "full_refresh": world.full_refresh,
        "defer": False,
        "select": list(world.asked.get("select") or ()),
        "exclude": list(world.asked.get("exclude") or ()),
        "vars": dict(world.asked.get("vars") or {}),
        **given,
    }


def config(world: World, project: str, variables: Mapping[str, Any], packages: Any) -> Record:
    """What stands behind `builtins.ref.config`."""
    return Record(
        project_name=project,
        args=Record(invocation(world)),
        vars=Record(variables),
        dependencies={
            name: Record(project_name=name, version="") for name in (project, *sorted(packages))
        },
    )
