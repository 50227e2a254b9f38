"""`transform clean`: what builds leave behind, and the `clean-targets` of a dbt project."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformer.errors import TransformError, UsageError
from transformer.project.dbt.projectfile import FILE, read_raw
from transformer.project.dbt.words import child
from transformer.project.form import is_dbt_project
from transformer.request import Environment, Request
from transformer.run.upkeep import drop, removed
from transformer.warehouse.file import clear
from transformer.warehouse.lock import building
from transformer.warehouse.sparse_copy import logs
from transformer.workspace.cache import forget
from transformer.workspace.open import Opened, open_project, refuse_mistakes, shown_of

# Folders of the project's own files: the keys that name them, and their usual names.
_KEPT = {
    "model-paths": "models",
    "seed-paths": "seeds",
    "test-paths": "tests",
    "macro-paths": "macros",
    "snapshot-paths": "snapshots",
    "analysis-paths": "analyses",
}


def cleaned(ask: Request, outside: Environment) -> list[str]:
    """What was removed: what builds leave beside the warehouse, and the `clean-targets`.

    Raises UsageError for a folder outside the project, or one that holds the project's files.
    """
    root = ask.root.resolve()
    if not is_dbt_project(root):
        return [*_room(open_project(ask, outside), outside), *_memory(root)]
    made: list[str] = []
    files: list[Path] = []
    try:
        opened = open_project(ask, outside)
        place = opened.workplace
        files = [place.shown, place.warehouse.live, place.synced]
        made += _room(opened, outside)
    except TransformError:
        pass  # without a profile there is no warehouse to look after
    for name in _targets(root, outside):
        folder = (root / name).resolve()
        if folder.is_dir():
            _remove(folder, [each.resolve() for path in files for each in (path, *logs(path))])
            made.append(name)
    return [*made, *_memory(root)]


def without_removed(ask: Request, outside: Environment, wait: float) -> list[str]:
    """The relations of models and seeds that are gone from the project, which are dropped from the
    published file. Raises Mistakes, for what cannot be read may still make them."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    place = opened.workplace
    if not place.warehouse.live.exists():
        return []
    with building(place.warehouse, "transform clean --removed", outside.clock(), wait):
        place.recover()
        place.forget_unfinished()
        with place.looking() as engine:
            gone = removed(engine, opened.everything)
        if not gone:
            return []
        with place.working() as engine:
            drop(engine, gone)
            place.extract(engine, [n for n in shown_of(opened) if engine.relation(n)])
        place.publish()
    return sorted(map(str, gone.values()))


def _memory(root: Path) -> list[str]:
    """Removes what is remembered of the project: last, since to open it is to remember it."""
    return ["what was remembered of the project"] if forget(root) else []


def _room(opened: Opened, outside: Environment) -> list[str]:
    """Removes what builds leave beside the warehouse; the warehouse and the sync ledger stay."""
    warehouse = opened.workplace.warehouse
    if not warehouse.room.exists():
        return []
    with building(warehouse, "transform clean", outside.clock()):
        clear(warehouse)
    return [opened.places.shown(warehouse.room)]


def _targets(root: Path, outside: Environment) -> list[str]:
    raw = read_raw(root, FILE)
    written, own = child(raw, "clean-targets"), child(raw, "target-path")
    usual = [outside.env.get("DBT_TARGET_PATH") or (str(own.value) if own else "target")]
    names: list[Any] = written.plain() if written is not None and written.is_list else usual
    kept: set[Path] = set()
    for key, default in _KEPT.items():
        found = child(raw, key)
        kept |= {(root / str(each)).resolve() for each in (found.plain() if found else [default])}
    for name in map(str, names):
        folder = (root / name).resolve()
        if not folder.is_relative_to(root) or folder == root:
            raise UsageError(f"`{name}` of `clean-targets` is outside the project")
        if any(path.is_relative_to(folder) for path in kept):
            raise UsageError(f"`{name}` of `clean-targets` holds files of the project")
    return [str(name) for name in names]


def _remove(folder: Path, files: list[Path]) -> None:
    """Removes the folder, but not a warehouse that lies in it."""
    if not any(path.is_relative_to(folder) and path.exists() for path in files):
        shutil.rmtree(folder)
        return
    for each in folder.iterdir():
        if each in files:
            continue
        if each.is_dir() and not each.is_symlink():
            _remove(each, files)
        else:
            each.unlink()
