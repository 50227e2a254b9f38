"""`transform ls`, `compile`, `show`: looks at a project and its warehouse, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformer.asking import Ask, Outside
from transformer.compile.context import Trace
from transformer.compile.models import Scope, resolve
from transformer.compile.nodes import CheckBody, Graph, ModelBody, Node
from transformer.compile.sql import spliced
from transformer.errors import Fault, SqlError, UsageError, Where, did_you_mean
from transformer.ledger import FAILURES
from transformer.names import Name, slug
from transformer.opening import Opened, open_project, refuse_mistakes
from transformer.plan.choice import choose
from transformer.plan.planner import check_of
from transformer.steps import Sample


def listed(ask: Ask, outside: Outside, kinds: tuple[str, ...]) -> list[Node]:
    """The chosen nodes, in the order in which they would be built. Raises Mistakes."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    chosen = choose(opened.graph, ask.select, ask.exclude)
    return [n for n in opened.graph if n.id in chosen and (not kinds or n.kind in kinds)]


def described(node: Node) -> dict[str, Any]:
    """A node for machines."""
    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "path": node.path,
        "relation": str(node.relation) if node.relation else None,
        "materialized": node.options.get("materialized"),
        "needs": list(node.needs),
        "tags": list(node.tags),
        "description": node.described.description,
    }


def compiled(ask: Ask, outside: Outside) -> tuple[Path, list[tuple[str, str]]]:
    """Writes every chosen query to `target/compiled/`; the folder, and (name, SQL) of each."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    chosen = choose(opened.graph, ask.select, ask.exclude)
    home = Path(opened.project.root) / "target" / "compiled" / opened.project.name
    made = []
    for node, text in _queries(opened.graph):
        if node.id not in chosen:
            continue
        path = home / _place(node)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
        made.append((node.name, text))
    return home, made


def _queries(graph: Graph) -> Iterator[tuple[Node, str]]:
    for node in graph:
        body = node.body
        if isinstance(body, ModelBody | CheckBody) and body.query:
            yield node, body.query.text


def _place(node: Node) -> str:
    if node.kind == "check" and not node.path.endswith(".sql"):
        return f"{node.path}/{slug(node.name)}.sql"
    return node.path


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show: a node's rows, a check's failing rows, or a query's. One of the three."""

    name: str | None = None
    failures: str | None = None
    inline: str | None = None
    limit: int = 5


def shown(ask: Ask, outside: Outside, wanted: Wanted) -> Sample:
    """The rows that are wanted, as text. Raises UsageError, SqlError."""
    opened = open_project(ask, outside)
    refuse_mistakes(opened.mistakes)
    if wanted.failures:
        node = _named(opened, wanted.failures, ("check",))
        return _failing(opened, node, wanted)
    if wanted.inline:
        return _rows(opened, _inline(opened, wanted.inline), wanted)
    node = _named(opened, wanted.name or "", ("model", "seed", "snapshot", "source"))
    if node.ephemeral and isinstance(node.body, ModelBody) and node.body.query:
        return _rows(opened, node.body.query.text, wanted)
    return _rows(opened, f"select * from {_relation(node).sql()}", wanted)


def _named(opened: Opened, name: str, kinds: tuple[str, ...]) -> Node:
    nodes = [n for n in opened.graph if n.kind in kinds]
    found = next((n for n in nodes if name in (n.name, n.id)), None)
    if found is None:
        hint = did_you_mean(name, [n.name for n in nodes], otherwise="there are: {}")
        raise UsageError(f"there is no {' or '.join(kinds)} `{name}`", hint=hint)
    return found


def _relation(node: Node) -> Name:
    if node.relation is None:
        raise UsageError(f"`{node.name}` has no relation")
    return node.relation


def _inline(opened: Opened, text: str) -> str:
    scope: Scope = opened.scope
    trace = Trace()
    rendered = scope.session(trace).render(text, "--inline")
    query = resolve(rendered, scope, trace, lambda _: Where("--inline", 1, 1, 1, text))
    return spliced(query.rendered, query.splices)


def _failing(opened: Opened, node: Node, wanted: Wanted) -> Sample:
    """The failing rows that the last build kept, else those of the warehouse as it is."""
    kept = Name(FAILURES, node.name)
    with opened.workplace.looking() as engine:
        if engine is not None and engine.relation(kept):
            return _rows(opened, f"select * from {kept.sql()}", wanted, kept=True)
    return _rows(opened, check_of(node, opened.graph).measure.failing, wanted, kept=True)


def _rows(opened: Opened, query: str, wanted: Wanted, *, kept: bool = False) -> Sample:
    warehouse = opened.workplace.warehouse
    path = warehouse.live
    if kept:
        path = opened.workplace.reading  # a failed build leaves what it made for inspection
    if not path.exists():
        raise UsageError(
            f"there is no `{opened.project.target.path}`", hint="run `transform build`"
        )
    engine = opened.engine.connect(path, read_only=True)
    try:
        with engine.session() as session:
            sample: Sample = session.sample(query, wanted.limit)
            return sample
    except Fault as fault:
        raise SqlError(fault.message.splitlines()[0], hint="is it built?") from None
    finally:
        engine.close()
