"""Dependencies between nodes, and which steps wait for which checks.

Sets of nodes are bit masks: walking the graph for every pair of node and check would take
quadratic time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import and_, or_

from msgspec import Struct

from transformer.compile.nodes import Graph, Node

_CHECKS = ("check", "freshness")


class Descendants(Struct, frozen=True):
    """For every node, its downstream nodes as a bit mask: one bit per node, in graph order."""

    ids: tuple[str, ...]
    places: Mapping[str, int]
    bits: Mapping[str, int]

    @staticmethod
    def of(graph: Graph) -> Descendants:
        """The downstream nodes of each node of the graph."""
        ids = tuple(node.id for node in graph)
        needs = dict(graph.edges())
        bits = dict.fromkeys(ids, 0)
        for place in reversed(range(len(ids))):
            reached = bits[ids[place]] | 1 << place
            for need in needs[ids[place]]:
                bits[need] = bits.get(need, 0) | reached
        return Descendants(ids, {node_id: 1 << place for place, node_id in enumerate(ids)}, bits)

    def among(self, node_id: str, candidates: Iterable[str]) -> set[str]:
        """The candidates that are upstream of the node."""
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
    """The checks that each step waits for. `checks` are those with their own step, and their
    inputs; `readers` are the readers of each node.

    A node waits for the checks of its inputs if everything else that the check reads is upstream
    of the node too: otherwise two nodes could wait for each other forever. Nothing depends on an
    activation, so it waits for every check of anything upstream.
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
