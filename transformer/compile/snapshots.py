"""Snapshots as nodes: of a relation, or of the query in a `{% snapshot %}` block."""

from __future__ import annotations

from msgspec.structs import replace

from transformer.compile.config import normalized_hooks
from transformer.compile.context import RenderTrace
from transformer.compile.dbt.facts import id_of, plain_facts
from transformer.compile.dbt.relation import Relation
from transformer.compile.models import code_of, configures, written_options
from transformer.compile.naming import PlacedRelation
from transformer.compile.nodes import Node, SnapshotBody
from transformer.compile.rendering import render, rendered_or_late
from transformer.compile.scope import Query, Scope, Template
from transformer.errors import GraphError
from transformer.names import RelationName
from transformer.project.settings import merge
from transformer.project.values import Model, Snapshot


def configured(snapshot: Snapshot, scope: Scope) -> Snapshot:
    """The snapshot with the options set by `config(…)` in its block."""
    block = Model(
        snapshot.name,
        snapshot.where.path,
        snapshot.text,
        config=snapshot.config,
        package=snapshot.package,
    )
    if "config" not in snapshot.text and not configures(block, scope):
        return replace(snapshot, config=merge(snapshot.config, snapshot.over))
    written, _ = written_options(block, scope)
    config = merge(merge(snapshot.config, normalized_hooks(written)), snapshot.over)
    return replace(snapshot, config=config)


_NOTHING = RelationName("", "")


def snapshot_node(
    snapshot: Snapshot, scope: Scope, placed: PlacedRelation
) -> tuple[Node, Query | None]:
    """The node, and its query if it has one. Raises GraphError for missing options."""
    trace = RenderTrace()
    relation = None if snapshot.text else _relation(snapshot, scope, trace)
    if relation is not None and relation.is_cte:  # ephemeral: its query is read
        text = f"select * from {{{{ {snapshot.relation} }}}}"
        return snapshot_node(replace(snapshot, text=text), scope, placed)
    query = _query(snapshot, scope) if relation is None else None
    reads = RelationName(relation.schema or "", relation.identifier or "") if relation else _NOTHING
    config = snapshot.config
    strategy = str(config.get("strategy") or "timestamp")
    _check_required(snapshot, strategy)
    body = SnapshotBody(
        snapshot,
        reads,
        _texts(config["unique_key"]),
        strategy,
        config.get("updated_at"),
        _texts(config.get("check_cols") or ()),
        _hard_deletes(snapshot),
        guarded=not scope.is_open,
        late=bool(query and query.late),
        code=code_of(query, scope) if query and query.late else "",
    )
    node = Node(
        id=id_of("snapshot", snapshot, scope.index.project),
        kind="snapshot",
        name=snapshot.name,
        path=snapshot.where.path,
        body=body,
        needs=query.needs if query else tuple(trace.needs),
        relation=placed.relation,
        tags=_texts(config.get("tags") or ()),
        options=config,
        described=snapshot.described,
        where=snapshot.where,
        package=snapshot.package,
        fqn=snapshot.fqn,
        database=placed.database,
    )
    return node, query


def _relation(snapshot: Snapshot, scope: Scope, trace: RenderTrace) -> Relation:
    session = scope.session(trace, snapshot.package)
    relation = session.evaluate(snapshot.relation, snapshot.where)
    if not isinstance(relation, Relation):
        raise GraphError(
            f"`relation: {snapshot.relation}` is not a relation",
            snapshot.where,
            hint="write `ref('…')` or `source('…', '…')`",
        )
    return relation


def _query(snapshot: Snapshot, scope: Scope) -> Query:
    return rendered_or_late(_template(snapshot, scope), scope)


def _template(snapshot: Snapshot, scope: Scope) -> Template:
    return Template(
        snapshot.text,
        snapshot.where.path,
        snapshot.package,
        this=scope.index.ref(snapshot.name, package=snapshot.package),
        options=snapshot.config,
        facts=plain_facts("snapshot", snapshot, scope.index.project),
    )


def snapshot_now(node: Node, scope: Scope) -> Query:
    """The query of a late snapshot, once the scope has a warehouse. Raises TransformError."""
    if not isinstance(node.body, SnapshotBody):
        raise TypeError(node.id)
    return render(_template(node.body.snapshot, scope), scope)


def _check_required(snapshot: Snapshot, strategy: str) -> None:
    config = snapshot.config
    strategy_key = {"timestamp": "updated_at", "check": "check_cols"}.get(strategy)
    missing = next((k for k in ("unique_key", strategy_key) if k and not config.get(k)), None)
    if missing:
        raise GraphError(
            f"the snapshot `{snapshot.name}` has no `{missing}`",
            snapshot.where,
            hint=f"set `{missing}:` under its `config:`",
        )


def _hard_deletes(snapshot: Snapshot) -> str:
    """How deleted rows are handled; `invalidate_hard_deletes` is dbt's old spelling."""
    default = "invalidate" if snapshot.config.get("invalidate_hard_deletes") else "ignore"
    return str(snapshot.config.get("hard_deletes") or default)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list | tuple) else (str(value),)
