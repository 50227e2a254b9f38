"""Which nodes depend on which, and which steps wait for which checks.

Sets of nodes are bits: walking the graph for every pair of a node and a check takes time quadratic
in their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import and_, or_

from msgspec import Struct

from transformer.compile.nodes import Graph, Node

_CHECKS = ("check", "freshness")


class Descendants(Struct, frozen=True):
    """For every node, all that depends on it: one bit for each node, in the order of the graph."""

    ids: tuple[str, ...]
    places: Mapping[str, int]
    bits: Mapping[str, int]

    @staticmethod
    def of(graph: Graph) -> Descendants:
        """All that depends on each node of the graph."""
        ids = tuple(node.id for node in graph)
        needs = dict(graph.edges())
        bits = dict.fromkeys(ids, 0)
        for place in reversed(range(len(ids))):
            reached = bits[ids[place]] | 1 << place
            for need in needs[ids[place]]:
                bits[need] = bits.get(need, 0) | reached
        return Descendants(ids, {node_id: 1 << place for place, node_id in enumerate(ids)}, bits)

    def among(self, node_id: str, candidates: Iterable[str]) -> set[str]:
        """Those that the node depends on."""
        place = self.places[node_id]
        return {other for other in candidates if self.bits.get(other, 0) & place}

    def mask(self, node_ids: Iterable[str]) -> int:
        """The bits of these nodes."""
        return reduce(or_, (self.places[node_id] for node_id in node_ids), 0)

    def named(self, bits: int) -> Iterator[str]:
        """The nodes whose bits are set."""
        while bits:
            lowest = bits & -bits
            yield self.ids[lowest.bit_length() - 1]
            bits ^= lowest


def waits(
    below: Descendants,
    steps: Iterable[Node],
    checks: Mapping[str, Sequence[str]],
    readers: Mapping[str, Sequence[str]],
) -> dict[str, list[str]]:
    """The checks that each step waits for. `checks` are those with a step of their own, and what
    they read; `readers` says who reads what.

    A node waits for the checks of what it reads, when all else that the check reads lies above the
    node too: two nodes that waited for checks of each other would wait for ever. Nothing depends
    on an activation, so it waits for every check of what it depends on.
    """
    kinds = {node.id: node.kind for node in steps}
    models = below.mask(i for i, kind in kinds.items() if kind not in (*_CHECKS, "activation"))
    activations = below.mask(i for i, kind in kinds.items() if kind == "activation")
    read = {need: below.mask(reader_ids) for need, reader_ids in readers.items()}
    waiting: dict[str, list[str]] = {}
    for check, inputs in checks.items():
        descendants = [below.bits.get(node_id, 0) for node_id in inputs]
        readers_of_any = reduce(or_, (read.get(node_id, 0) for node_id in inputs), 0)
        waiting_bits = (
            reduce(and_, descendants, readers_of_any & models)
            | reduce(or_, descendants, 0) & activations
        )
        for node_id in below.named(waiting_bits):
            waiting.setdefault(node_id, []).append(check)
    return waiting
