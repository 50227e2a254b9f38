"""Who performs each action of a plan. Each is loaded when it is first needed: what sends to
targets takes as long to load as many a build takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from transformer.steps import Action


def _later(module: str, name: str) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return getattr(import_module(f"transformer.run.{module}"), name)(*arguments)

    return call


PERFORM: Mapping[Action, Callable[..., Any]] = {
    "load": _later("load", "load"),
    "freshness": _later("freshness", "freshness"),
    "seed": _later("build", "build"),
    "build": _later("build", "build"),
    "snapshot": _later("build", "build"),
    "check": _later("check", "check"),
    "activate": _later("activate", "activate"),
}
# Which targets lost what was sent.
lost = _later("activate", "lost")
