"""What templates see of a call: its options, its time, its environment."""

from __future__ import annotations

from transformer.asking import Ask, Outside
from transformer.compile.sql import Grammar
from transformer.compile.world import World
from transformer.engines import find
from transformer.project.values import Project


def world_of(ask: Ask, outside: Outside) -> World:
    """The world as templates of this call see it."""
    return World(
        outside.env,
        outside.clock(),
        ask.full_refresh,
        ask.command,
        outside.invocation,
        ask.flags,
        {"select": ask.select, "exclude": ask.exclude, "vars": ask.vars},
        hear=outside.say,
    )


def grammar_of(project: Project) -> Grammar:
    """The SQL of the project's engine, with the engine's own parser."""
    engine = find(project.target.type, project.target.places.get("type"))
    return Grammar(engine.DIALECT.name, engine.serializer())
