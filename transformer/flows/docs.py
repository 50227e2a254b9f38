"""`transform parse` and `docs generate`: what other tools read of a project and its warehouse."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformer.artifacts.documents import CatalogColumn, call_of, catalog
from transformer.request import Environment, Request
from transformer.workspace.artifacts import leave, target_folder, write_artifact
from transformer.workspace.artifacts import manifest_of as manifest
from transformer.workspace.open import Opened, open_project, refuse_mistakes

_COLUMNS = """
    select if(c.database_name = current_database(), '', c.database_name), c.schema_name,
        c.table_name, c.column_name, c.data_type,
        c.comment, coalesce(t.comment, v.comment), v.view_name is not null
    from duckdb_columns() c
    left join duckdb_tables() t using (database_oid, schema_oid, table_oid)
    left join duckdb_views() v on v.database_oid = c.database_oid
        and v.schema_oid = c.schema_oid and v.view_oid = c.table_oid
    where not c.internal and c.schema_name not like '\\_transform%' escape '\\'
    order by c.database_name, c.schema_name, c.table_name, c.column_index
"""


def parsed(ask: Request, outside: Environment) -> Path:
    """Writes `manifest.json`; where. Raises Mistakes."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    path = target_folder(opened) / "manifest.json"
    return write_artifact(opened, path, manifest(opened, ask, outside), outside.secrets)


def generated(
    ask: Request, outside: Environment, *, bare: bool = False, compiles: bool = True
) -> Path:
    """Writes `manifest.json`, the compiled queries, the files of `asset-paths`, and
    `catalog.json`; where that is. Raises Mistakes."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    folder = target_folder(opened)
    if compiles:
        leave(opened, ask, outside)
    if compiles and not opened.project.target_path:  # else it has been left there
        path = folder / "manifest.json"
        write_artifact(opened, path, manifest(opened, ask, outside), outside.secrets)
    _copy_assets(opened, folder)
    held = () if bare else _held(opened)
    made = catalog(opened.graph, opened.project, held, call_of(ask, outside))
    return write_artifact(opened, folder / "catalog.json", made, outside.secrets)


def _copy_assets(opened: Opened, folder: Path) -> None:
    """Pictures that descriptions show: their folders beside the artifacts."""
    root = Path(opened.project.root)
    for each in opened.project.asset_paths:
        source = root / each
        if source.is_dir() and source.resolve().is_relative_to(root.resolve()):
            shutil.copytree(source, folder / each, dirs_exist_ok=True)


def _held(opened: Opened) -> tuple[CatalogColumn, ...]:
    """What the warehouse holds, column by column."""
    with opened.workplace.looking() as engine:
        if engine is None:
            return ()
        with engine.session() as session:
            own = opened.project.target.catalog or "warehouse"
            return tuple(CatalogColumn(row[0] or own, *row[1:]) for row in session.rows(_COLUMNS))
