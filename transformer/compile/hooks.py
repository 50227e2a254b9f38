"""Hooks: statements that run before or after the one that creates a relation."""

from __future__ import annotations

from msgspec.structs import replace

from transformer.compile.context import RenderTrace
from transformer.compile.model_config import hook_texts
from transformer.compile.models import template_of
from transformer.compile.nodes import Node
from transformer.compile.rendering import referred, rendered_text
from transformer.compile.scope import Scope


def hook_needs(node: Node, scope: Scope) -> tuple[str, ...]:
    """The ids of the nodes that the node's hooks reference. Raises TransformError."""
    option = node.options.get
    texts = (*hook_texts(option("pre_hook")), *hook_texts(option("post_hook")))
    needs: list[str] = []
    for text in texts:
        needs += referred(replace(template_of(node, scope), text=text), scope).needs
    return tuple(n for n in dict.fromkeys(needs) if n != node.id)


def hook_statements(node: Node, text: str, scope: Scope) -> list[str]:
    """The rendered SQL of a hook, empty if it renders to nothing. Raises TransformError."""
    template = replace(template_of(node, scope), text=text)
    rendered = rendered_text(template, scope, RenderTrace())
    return [rendered] if rendered.strip(" \n;") else []
