"""`transform clean`: removes files that builds leave behind, and dbt's `clean-targets`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformer.errors import TransformError, UsageError
from transformer.project.dbt.projectfile import FILE, read_raw
from transformer.project.dbt.words import child
from transformer.project.form import is_dbt_project
from transformer.request import Environment, Request
from transformer.run.upkeep import drop_relations, orphaned_relations
from transformer.warehouse.file import clear
from transformer.warehouse.lock import building
from transformer.warehouse.sparse_copy import logs
from transformer.workspace.cache import remove_cached
from transformer.workspace.open import Opened, open_project, published_relations, refuse_mistakes

# The keys for folders with the project's own files, and their default names.
_SOURCE_FOLDERS = {
    "model-paths": "models",
    "seed-paths": "seeds",
    "test-paths": "tests",
    "macro-paths": "macros",
    "snapshot-paths": "snapshots",
    "analysis-paths": "analyses",
}


def clean_files(request: Request, environment: Environment) -> list[str]:
    """Removes files that builds leave beside the warehouse, and the `clean-targets`; returns names.

    Raises UsageError for a folder outside the project, or one with the project's own files.
    """
    root = request.root.resolve()
    if not is_dbt_project(root):
        return [
            *_clear_build_files(open_project(request, environment), environment),
            *_forget_cache(root),
        ]
    removed_names: list[str] = []
    files: list[Path] = []
    try:
        opened = open_project(request, environment)
        place = opened.publication
        files = [place.shown, place.warehouse.live, place.synced]
        removed_names += _clear_build_files(opened, environment)
    except TransformError:
        pass  # without a profile there is no warehouse to protect
    for name in _targets(root, environment):
        folder = (root / name).resolve()
        if folder.is_dir():
            _remove(folder, [file.resolve() for path in files for file in (path, *logs(path))])
            removed_names.append(name)
    return [*removed_names, *_forget_cache(root)]


def drop_removed(request: Request, environment: Environment, wait: float) -> list[str]:
    """Drops the relations of models and seeds that were removed from the project from the published
    file; returns their names. Raises Mistakes, since an unreadable model may still build them."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    place = opened.publication
    if not place.warehouse.live.exists():
        return []
    with building(place.warehouse, "transform clean --removed", environment.clock(), wait):
        place.recover()
        place.forget_unfinished()
        with place.looking() as engine:
            orphaned = orphaned_relations(engine, opened.everything)
        if not orphaned:
            return []
        with place.working() as engine:
            drop_relations(engine, orphaned)
            place.extract(engine, [n for n in published_relations(opened) if engine.relation(n)])
        place.publish()
    return sorted(map(str, orphaned.values()))


def _forget_cache(root: Path) -> list[str]:
    """Removes the project's cache. Called last, since opening the project writes it."""
    return ["the project cache"] if remove_cached(root) else []


def _clear_build_files(opened: Opened, environment: Environment) -> list[str]:
    """Removes files that builds leave beside the warehouse, except the sync ledger."""
    warehouse = opened.publication.warehouse
    if not warehouse.room.exists():
        return []
    with building(warehouse, "transform clean", environment.clock()):
        clear(warehouse)
    return [opened.places.shown(warehouse.room)]


def _targets(root: Path, environment: Environment) -> list[str]:
    raw = read_raw(root, FILE)
    clean_targets, target_path = child(raw, "clean-targets"), child(raw, "target-path")
    default_targets = [
        environment.env.get("DBT_TARGET_PATH")
        or (str(target_path.value) if target_path else "target")
    ]
    names: list[Any] = (
        clean_targets.plain()
        if clean_targets is not None and clean_targets.is_list
        else default_targets
    )
    source_folders: set[Path] = set()
    for key, default in _SOURCE_FOLDERS.items():
        configured = child(raw, key)
        source_folders |= {
            (root / str(directory)).resolve()
            for directory in (configured.plain() if configured else [default])
        }
    for name in map(str, names):
        folder = (root / name).resolve()
        if not folder.is_relative_to(root) or folder == root:
            raise UsageError(f"`{name}` of `clean-targets` is outside the project")
        if any(path.is_relative_to(folder) for path in source_folders):
            raise UsageError(f"`{name}` of `clean-targets` contains files of the project")
    return [str(name) for name in names]


def _remove(folder: Path, files: list[Path]) -> None:
    """Removes the folder, but not a warehouse inside it."""
    if not any(path.is_relative_to(folder) and path.exists() for path in files):
        shutil.rmtree(folder)
        return
    for entry in folder.iterdir():
        if entry in files:
            continue
        if entry.is_dir() and not entry.is_symlink():
            _remove(entry, files)
        else:
            entry.unlink()
