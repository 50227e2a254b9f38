"""dbt's artifacts of a build with nothing to do, or after an edit of models' SQL: derived from
those of the last build. Rendering the whole manifest would cost more than the rest of such a
build."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformer.artifacts.documents import Invocation, call_of, moment_of, plain
from transformer.artifacts.edited import with_new_sql
from transformer.artifacts.run_results import RunRecord, results_document, run_results
from transformer.permissions import write
from transformer.project.inputs import digest
from transformer.redaction import redacted_value
from transformer.request import Environment, Request
from transformer.workspace.open import Opened

_HEAD = '{"metadata": '


def left_artifacts(opened: Opened, request: Request, environment: Environment) -> dict[str, str]:
    """What tells the artifacts that a build has just written: their `folder`, a digest of the
    `manifest` without its metadata, the `results` of a build that does nothing as JSON, and the
    `moment` in them. Empty where the project has none."""
    project = opened.project
    if not project.target_path:
        return {}
    folder = Path(project.root) / project.target_path
    call = call_of(request, environment)
    results = run_results(RunRecord(), opened.everything, project, call)["results"]
    tail = _split(_text(folder))[1]
    text = json.dumps(redacted_value(results, environment.secrets, plain), default=plain)
    return {
        "folder": str(folder),
        "manifest": digest(tail.encode()),
        "results": text,
        "moment": moment_of(call.at),
    }


def renew(
    left: Mapping[str, str], request: Request, environment: Environment, warehouse: Path
) -> bool:
    """Writes the artifacts as of this call, with the warehouse's permissions. Returns False if the
    manifest is no longer the one that the build left."""
    folder, call = Path(left["folder"]), call_of(request, environment)
    metadata, tail = _split(_text(folder))
    if metadata is None or digest(tail.encode()) != left["manifest"]:
        return False
    dated = {**metadata, **call.metadata("manifest/v12")}
    entries = json.loads(left["results"].replace(left["moment"], moment_of(call.at)))
    results = results_document(entries, 0.0, call)
    secrets = environment.secrets
    manifest = f"{_HEAD}{json.dumps(redacted_value(dated, secrets, plain))}{tail}"
    write(folder / "manifest.json", manifest.encode(), warehouse)
    clean = redacted_value(results, secrets, plain) if secrets else results
    write(folder / "run_results.json", json.dumps(clean, default=plain).encode(), warehouse)
    return True


def edited_manifest(opened: Opened, folder: Path, call: Invocation) -> dict[str, Any] | None:
    """The manifest of the last build with the changed models' SQL; None if it is no longer there,
    or more than SQL changed."""
    text = _text(folder) if opened.whole and opened.artifacts else ""
    metadata, tail = _split(text)
    if metadata is None or digest(tail.encode()) != opened.artifacts["manifest"]:
        return None
    graph, moment = opened.everything, call.at.timestamp()
    document = with_new_sql(json.loads(text), graph, opened.project, opened.changed, moment)
    if document is None:
        return None
    return {**document, "metadata": {**metadata, **call.metadata("manifest/v12")}}


def _text(folder: Path) -> str:
    try:
        return (folder / "manifest.json").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _split(manifest: str) -> tuple[dict[str, Any] | None, str]:
    """The metadata of a manifest, and the text after it."""
    if not manifest.startswith(_HEAD):
        return None, ""
    try:
        metadata, end = json.JSONDecoder().raw_decode(manifest, len(_HEAD))
    except ValueError:
        return None, ""
    return (metadata, manifest[end:]) if isinstance(metadata, dict) else (None, "")
