"""Who performs each action of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformer.run.activating import activate
from transformer.run.building import build
from transformer.run.checking import check
from transformer.run.freshness import freshness
from transformer.run.loading import load
from transformer.steps import Action

PERFORM: Mapping[Action, Callable[..., Any]] = {
    "load": load,
    "freshness": freshness,
    "seed": build,
    "build": build,
    "snapshot": build,
    "check": check,
    "activate": activate,
}
