"""What templates see of a call: its options, its time, its environment."""

from __future__ import annotations

from transformer.asking import Ask, Outside
from transformer.compile.world import World


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
