"""Seeds as nodes."""

from __future__ import annotations

from transformer.compile.dbt.facts import id_of
from transformer.compile.naming import PlacedRelation
from transformer.compile.nodes import Node, SeedBody
from transformer.errors import GraphError, Where
from transformer.project.values import Seed


def seed_node(seed: Seed, placed: PlacedRelation, project: str) -> Node:
    """The node of a seed."""
    return Node(
        id=id_of("seed", seed, project),
        kind="seed",
        name=seed.name,
        path=seed.path,
        body=SeedBody(seed),
        relation=placed.relation,
        tags=tuple(seed.config.get("tags", ())),
        options=seed.config,
        described=seed.described,
        where=seed.described.where or Where(seed.path, 1),
        package=seed.package,
        fqn=seed.fqn,
        database=placed.database,
    )


def seed_dependency_error(node: Node) -> GraphError:
    """The error for a seed whose hooks reference other nodes."""
    return GraphError(
        "Seeds cannot depend on other nodes, and a hook of this one refers to some",
        node.where,
        hint="move the statement to a hook of a model that reads the seed",
    )
