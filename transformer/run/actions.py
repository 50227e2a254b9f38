"""The function that performs each action of a plan, imported when it is first needed: the code that
sends to targets takes as long to import as many builds take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from transformer.steps import Action


def _lazy(module: str, name: str) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return getattr(import_module(f"transformer.run.{module}"), name)(*arguments)

    return call


PERFORM: Mapping[Action, Callable[..., Any]] = {
    "load": _lazy("load", "load"),
    "freshness": _lazy("freshness", "freshness"),
    "seed": _lazy("build", "build"),
    "build": _lazy("build", "build"),
    "snapshot": _lazy("build", "build"),
    "check": _lazy("check", "check"),
    "activate": _lazy("activate", "activate"),
}
# The activations whose targets lost their rows.
lost = _lazy("activate", "lost")
