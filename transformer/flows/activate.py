"""`transform activate --dry-run`: what the selected activations would send."""

from __future__ import annotations

from collections.abc import Iterator

from transformer.compile.nodes import ActivationBody, Node, from_text
from transformer.errors import UsageError
from transformer.request import Environment, Request
from transformer.sync.sync import SyncJob, SyncPreview, preview
from transformer.workspace.open import open_project, refuse_mistakes, selected_ids


def previews(request: Request, environment: Environment) -> Iterator[tuple[Node, SyncPreview]]:
    """Each selected activation with what it would send from the published warehouse. Raises
    Mistakes and UsageError."""
    opened = open_project(request, environment)
    refuse_mistakes(opened.mistakes)
    chosen = selected_ids(opened, request, environment)
    warehouse = opened.publication.warehouse
    if not warehouse.live.exists():
        raise UsageError(
            f"there is no `{opened.project.target.path}`", hint="run `transform build`"
        )
    engine = opened.engine.connect(warehouse.live, read_only=True)
    ledger = opened.publication.synced
    try:
        for node in opened.graph:
            if node.id in chosen and isinstance(node.body, ActivationBody):
                rows = from_text(node, opened.graph)
                job = SyncJob(node.body.activation, f"select * from {rows}", ledger, opened.places)
                with engine.session() as session:
                    yield node, preview(job, session.connection)
    finally:
        engine.close()
