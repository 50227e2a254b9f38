"""Writes and reads the artifacts of dbt projects."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from transformer.artifacts.documents import call_of, manifest, plain
from transformer.artifacts.run_results import RunRecord, run_results
from transformer.compile.dbt.facts import within
from transformer.compile.dbt.graph import short_name
from transformer.compile.nodes import Node
from transformer.errors import UsageError
from transformer.permissions import beside, write
from transformer.plan.select.selection import EarlierRun
from transformer.project.values import Project
from transformer.redaction import redacted_value
from transformer.request import DeferredRelation, Environment, Request
from transformer.steps import Results
from transformer.workspace.open import Opened
from transformer.workspace.renewal import edited_manifest


def write_artifacts(
    opened: Opened,
    request: Request,
    environment: Environment,
    done: RunRecord | None = None,
    compiled: Mapping[str, str] | None = None,
) -> None:
    """Writes manifest.json, the queries, and run_results.json of what was done. If only a part of
    the project was planned, the queries are those of that part. `compiled` are queries by id that
    became known during the run."""
    project = opened.project
    if not project.target_path:
        return
    folder = Path(project.root) / project.target_path
    folder.mkdir(parents=True, exist_ok=True)
    call = call_of(request, environment)
    secrets = environment.secrets
    document = edited_manifest(opened, folder, call) or manifest(opened.everything, project, call)
    write_artifact(opened, folder / "manifest.json", document, secrets)
    _leave_sql(opened, folder, done.results if done else Results(), compiled or {})
    if done is not None:
        results = run_results(done, opened.everything, project, call)
        write_artifact(opened, folder / "run_results.json", results, secrets)


def target_folder(opened: Opened) -> Path:
    """Where artifacts go."""
    return Path(opened.project.root) / (opened.project.target_path or "target")


def manifest_of(opened: Opened, request: Request, environment: Environment) -> dict[str, Any]:
    """The manifest of the project as it is now."""
    return manifest(opened.graph, opened.project, call_of(request, environment))


def write_artifact(
    opened: Opened, path: Path, value: Mapping[str, Any], secrets: Collection[str]
) -> Path:
    """Writes an artifact in one instant, without these secrets, for those who may read the
    warehouse."""
    clean = redacted_value(value, secrets, plain) if secrets else value
    return write_text(opened, path, json.dumps(clean, default=plain))


def write_text(opened: Opened, path: Path, text: str) -> Path:
    """Writes a text of a project, which may tell what the warehouse holds, for its readers."""
    warehouse = Path(opened.project.root) / opened.project.target.path
    data = text.encode()
    if _holds(path, data):
        beside(path, warehouse)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, data, warehouse)
    return path


def _holds(path: Path, data: bytes) -> bool:
    """Whether the file is there and holds just that: to replace it costs five times as much."""
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def read_artifact(folder: Path, name: str) -> dict[str, Any] | None:
    """An artifact that an earlier run left; None when there is none. Raises UsageError when it
    cannot be read."""
    try:
        document = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"`{folder / name}` cannot be read: {error}") from None
    return document if isinstance(document, dict) else None


def earlier(folder: Path, here: Path) -> EarlierRun:
    """What an earlier run left in the folder; `here` is where this project leaves its own."""
    return EarlierRun(
        manifest=read_artifact(folder, "manifest.json"),
        results=read_artifact(folder, "run_results.json"),
        sources=read_artifact(folder, "sources.json"),
        present=read_artifact(here, "sources.json"),
    )


def deferred(folder: Path) -> dict[str, DeferredRelation]:
    """Where the nodes of an earlier manifest lie, by id. Raises UsageError when there is none."""
    document = read_artifact(folder, "manifest.json")
    if document is None:
        raise UsageError(f"there is no `manifest.json` in `{folder}`", hint="look at `--state`")
    return {
        node_id: DeferredRelation(
            str(node.get("database") or ""),
            str(node.get("schema") or ""),
            str(node.get("alias") or node.get("name") or ""),
            str(node["resource_type"]),
        )
        for node_id, node in document.get("nodes", {}).items()
        if node.get("resource_type") in ("model", "seed", "snapshot") and node.get("relation_name")
    }


def _leave_sql(opened: Opened, folder: Path, results: Results, compiled: Mapping[str, str]) -> None:
    """The queries under `compiled/`, and what was run of them under `run/`, by their files."""
    done = {outcome.id: outcome for outcome in results.every()}
    for node in opened.graph:
        outcome = done.get(node.id)
        query = (outcome.compiled if outcome else compiled.get(node.id)) or node.code
        home = Path(node.package or opened.project.name) / _home(node, opened.project)
        if query:
            write_text(opened, folder / "compiled" / home, query)
        if outcome and outcome.ran:
            write_text(opened, folder / "run" / home, outcome.ran)


def _home(node: Node, project: Project) -> Path:
    """Where dbt writes the node's SQL: a file of YAML is a folder of what stands in it."""
    path = within(node.path, node.package, project)
    inside = Path(*(part for part in Path(path).parts if part not in ("..", "/")))
    if inside.suffix not in (".yml", ".yaml"):
        return inside
    return inside / f"{short_name(node).replace('/', '_')}.sql"
