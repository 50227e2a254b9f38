"""`transform source freshness`: the age of sources, without a build."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from transformer.artifacts.documents import SourceAge, call_of, sources
from transformer.compile.freshness import newest
from transformer.compile.nodes import FreshnessBody, Node
from transformer.errors import Fault, TransformError, UsageError
from transformer.plan.check_kinds import aged
from transformer.request import Environment, Request
from transformer.workspace.artifacts import target_folder, write_artifact
from transformer.workspace.open import Opened, open_project, refuse_mistakes, selected_ids


def source_ages(
    request: Request, environment: Environment, output: Path | None = None
) -> tuple[list[SourceAge], Path]:
    """The age of every selected source, and the path of the written document. Raises Mistakes and
    UsageError."""
    started = time.monotonic()
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    chosen = selected_ids(opened, _sources(request), environment)
    with opened.publication.looking() as engine:
        if engine is None:
            raise UsageError(
                f"there is no `{opened.project.target.path}`", hint="run `transform build`"
            )
        with engine.session() as session:
            ages = list(_ages(opened, chosen, session, environment))
    call = call_of(request, environment)
    document = sources(ages, call, time.monotonic() - started)
    folder = target_folder(opened)
    path = (Path.cwd() / output) if output else folder / "sources.json"
    return ages, write_artifact(opened, path, document, environment.secrets)


def _sources(request: Request) -> Request:
    """The request with plain names meaning sources, as in dbt."""

    def word(text: str) -> str:
        return text if ":" in text or "+" in text else f"source:{text}"

    def words(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(word(text_part) for text in texts for text_part in text.split())

    return replace(request, select=words(request.select), exclude=words(request.exclude))


def _ages(
    opened: Opened, chosen: frozenset[str], session: Any, environment: Environment
) -> Iterator[SourceAge]:
    for node in opened.graph:
        if node.kind == "freshness" and (node.id in chosen or set(node.needs) & chosen):
            yield _age(opened.graph[node.needs[0]], node, session, environment)


def _age(source: Node, node: Node, session: Any, environment: Environment) -> SourceAge:
    body = node.body
    if not isinstance(body, FreshnessBody) or body.table.freshness is None:
        raise TypeError(node.id)
    rule, started, now = body.table.freshness, time.monotonic(), environment.clock()
    relation = source.relation.sql() if source.relation else ""
    try:
        latest = session.rows(newest(rule, body.table.reads or relation))[0][0]
    except (Fault, TransformError) as error:
        message = str(getattr(error, "message", error)).splitlines()[0]
        return SourceAge(source.id, node.name, rule, now, "runtime error", error=message)
    status = aged(latest, now.timestamp(), (rule.warn_after, rule.error_after))
    dbt_status = {"success": "pass", "fail": "error"}.get(status, status)
    return SourceAge(
        source.id, node.name, rule, now, dbt_status, latest, time.monotonic() - started
    )
