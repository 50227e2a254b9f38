"""A plug-in is a file named after its kind; third parties register one by an entry point.

A file whose name begins with `_` is a helper, not a kind. Installed packages do not change while
the tool runs, so entry points are looked up once.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@cache
def plugged(group: str) -> dict[str, EntryPoint]:
    """The entry points of the group, by name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=group)}


@cache
def own(package: str) -> tuple[str, ...]:
    """The kinds that are files in the package's folder."""
    module: ModuleType = importlib.import_module(package)
    modules = pkgutil.iter_modules(module.__path__)
    return tuple(sorted(m.name for m in modules if not m.name.startswith("_")))


def kinds(package: str) -> tuple[str, ...]:
    """All kinds of a package, whose name is also its entry point group."""
    return tuple(sorted({*own(package), *plugged(package)}))


class KindFields(Mapping[str, Any]):
    """The `FIELDS` of every kind of a package; a kind is imported on first access."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __getitem__(self, kind: str) -> Any:
        return find(self._package, kind).FIELDS

    def __iter__(self) -> Iterator[str]:
        return iter(kinds(self._package))

    def __len__(self) -> int:
        return len(kinds(self._package))


def find(package: str, kind: str) -> Any:
    """The module of a kind. Raises KeyError for an unknown kind."""
    if kind in own(package):
        return importlib.import_module(f"{package}.{kind}")
    return plugged(package)[kind].load()
