"""Who waits for which check, compared with a walk of the graph for every pair."""

from __future__ import annotations

import random

import pytest

from tests.plan.test_planner import check, graph, model
from transformer.compile.nodes import Graph, Node
from transformer.plan.ancestors import Descendants, waits


def _activation(name: str, need: str) -> Node:
    made = check("activation", name, need)
    return Node(f"activation.p.{name}", "activation", name, "a.yml", made.body, made.needs[1:])


def _random(chance: random.Random) -> Graph:
    """Models that read models before them, checks of one to three of them, and activations."""
    count = chance.randint(1, 25)
    names = [f"m{n}" for n in range(count)]
    models = [
        model(name, chance.sample(names[:n], min(n, chance.randint(0, 3))))
        for n, name in enumerate(names)
    ]
    checks = [
        check(f"k{n}", *chance.sample(names, min(count, chance.randint(1, 3)))) for n in range(20)
    ]
    sent = [_activation(f"a{n}", chance.choice(names)) for n in range(3)]
    return graph(*models, *checks, *sent)


@pytest.mark.parametrize("seed", range(30))
def test_steps_wait_for_the_checks_of_what_they_read(seed: int) -> None:
    chance = random.Random(seed)
    made = _random(chance)
    steps = [node for node in made if chance.random() < 0.8]
    checks = {node.id: node.needs for node in steps if node.kind == "check"}
    readers: dict[str, list[str]] = {}
    for node in made:
        for need in node.needs:
            readers.setdefault(need, []).append(node.id)
    expected: dict[str, list[str]] = {}
    for step in steps:
        above = made.above(step.id)
        for name, read in checks.items():
            alone = step.kind == "model" and set(read) & set(step.needs) and set(read) <= above
            if alone or (step.kind == "activation" and set(read) & above):
                expected.setdefault(step.id, []).append(name)
    assert waits(Descendants.of(made), steps, checks, readers) == expected


@pytest.mark.parametrize("seed", range(10))
def test_what_stands_on_a_node_is_below_it(seed: int) -> None:
    made = _random(random.Random(seed))
    below = Descendants.of(made)
    for node in made:
        assert set(below.named(below.bits[node.id])) == made.below(node.id)
        assert below.among(node.id, [each.id for each in made]) == made.above(node.id)
