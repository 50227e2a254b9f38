"""`transform debug`: versions, project, target and warehouse."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from transformer import __version__
from transformer.errors import TransformError
from transformer.request import Environment, Request
from transformer.warehouse.file import WarehouseFiles
from transformer.workspace.open import open_project


def facts(request: Request, environment: Environment) -> Iterator[tuple[str, str]]:
    """Names and values, in display order. Raises UsageError."""
    yield "transform", __version__
    yield "python", platform.python_version()
    for package in ("duckdb", "sqlglot", "polars", "pyarrow"):
        yield package, version(package)
    opened = open_project(request, environment)
    project = opened.project
    yield "project", f"{project.name} ({project.root})"
    yield "target", f"{project.target.name}, {project.target.type}, {project.target.path}"
    yield "publish", project.target.publish.mode
    yield "nodes", f"{len(opened.graph.nodes)}, {len(opened.mistakes)} mistakes"
    yield "warehouse", _state(opened.publication.warehouse, opened.engine)
    private = opened.publication.warehouse.private
    if private.exists():
        yield "unfinished", f"{private}: the next build continues from it"


def _state(warehouse: WarehouseFiles, engine: Any) -> str:
    if not warehouse.live.exists():
        return f"{warehouse.live.name} is not built yet"
    try:
        engine.connect(warehouse.live, read_only=True).close()
    except TransformError as error:
        return f"{warehouse.live.name} cannot be read: {error.what}"
    return f"{warehouse.live.name}, {warehouse.live.stat().st_size:,} bytes"
