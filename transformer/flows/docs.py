"""`transform parse` and `docs generate`: artifacts for other tools."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformer.artifacts.documents import CatalogColumn, call_of, catalog
from transformer.request import Environment, Request
from transformer.workspace.artifacts import manifest_of as manifest
from transformer.workspace.artifacts import target_folder, write_artifact, write_artifacts
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


def write_manifest(request: Request, environment: Environment) -> Path:
    """Writes `manifest.json` and returns its path. Raises Mistakes."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    path = target_folder(opened) / "manifest.json"
    return write_artifact(opened, path, manifest(opened, request, environment), environment.secrets)


def generate_docs(
    request: Request,
    environment: Environment,
    *,
    empty_catalog: bool = False,
    compile_too: bool = True,
) -> Path:
    """Writes `manifest.json`, the compiled queries, the files of `asset-paths`, and `catalog.json`,
    whose path it returns. Raises Mistakes."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    folder = target_folder(opened)
    if compile_too:
        write_artifacts(opened, request, environment)
    if compile_too and not opened.project.target_path:  # otherwise `leave` has written it there
        path = folder / "manifest.json"
        write_artifact(opened, path, manifest(opened, request, environment), environment.secrets)
    _copy_assets(opened, folder)
    columns = () if empty_catalog else _warehouse_columns(opened)
    document = catalog(opened.graph, opened.project, columns, call_of(request, environment))
    return write_artifact(opened, folder / "catalog.json", document, environment.secrets)


def _copy_assets(opened: Opened, folder: Path) -> None:
    """Copies the folders of images used in descriptions next to the artifacts."""
    root = Path(opened.project.root)
    for asset_path in opened.project.asset_paths:
        source = root / asset_path
        if source.is_dir() and source.resolve().is_relative_to(root.resolve()):
            shutil.copytree(source, folder / asset_path, dirs_exist_ok=True)


def _warehouse_columns(opened: Opened) -> tuple[CatalogColumn, ...]:
    """The columns of all relations in the warehouse."""
    with opened.publication.looking() as engine:
        if engine is None:
            return ()
        with engine.session() as session:
            own = opened.project.target.catalog or "warehouse"
            return tuple(CatalogColumn(row[0] or own, *row[1:]) for row in session.rows(_COLUMNS))
