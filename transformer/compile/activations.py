"""Activations as nodes of the graph."""

from __future__ import annotations

from transformer.compile.namespace import Namespace
from transformer.compile.nodes import ActivationBody, Node
from transformer.errors import GraphError, did_you_mean
from transformer.project.values import Activation


def activation_node(activation: Activation, index: Namespace) -> Node:
    """The node of an activation. Raises GraphError if its model does not exist or is ephemeral."""
    model = index.nodes.get(activation.model)
    if model is None:
        raise GraphError(
            f"there is no model `{activation.model}`",
            activation.where,
            hint=did_you_mean(activation.model, index.nodes),
        )
    if model.ephemeral:
        raise GraphError(
            f"`{activation.model}` is ephemeral: there is no relation to send",
            activation.where,
            hint="materialize it as a view or a table",
        )
    return Node(
        id=f"activation.{index.project}.{activation.name}",
        kind="activation",
        name=activation.name,
        path=activation.where.path,
        body=ActivationBody(activation),
        needs=(model.id,),
        tags=activation.tags,
        options={"target": activation.kind, "mode": activation.mode},
        where=activation.where,
    )
