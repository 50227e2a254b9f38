"""What is wrong between nodes: two that want one name or relation, some that read each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct, field

from transformer.compile.namespace import Referable
from transformer.compile.nodes import ModelBody, Node
from transformer.errors import GraphError, TransformError, Where

# Schemas in which the ledger, quarantine and failing rows are kept.
RESERVED = "_transform"


class Conflicts(Struct):
    """Notes names and relations that are wanted twice; knows where the first one stands."""

    mistakes: list[TransformError]
    places: dict[str, Where] = field(default_factory=dict)

    def note(self, node: Referable, existing: Referable | None, where: Where) -> None:
        """Takes in a node; `taken` is the one that has its name or relation already."""
        first = self.places.setdefault(node.id, where)
        if node.relation.schema.lower().startswith(RESERVED) and node.makes:
            what = f"the schema `{node.relation.schema}` is the tool's own"
            self.mistakes.append(GraphError(what, where, hint="give it a `schema` of another name"))
        if existing is None:
            return
        other = self.places.get(existing.id, first)
        place = f"the other is at {other.path}" + (f":{other.line}" if other.column else "")
        kind, theirs = _kind(node), _kind(existing)
        if node.name == existing.name:
            subject = f"two {kind}s are" if kind == theirs else f"a {kind} and a {theirs} are both"
            what, fix = f"{subject} named `{node.name}`", "rename one of them"
        else:
            subject = f"the {kind} `{node.name}` and the {theirs} `{existing.name}`"
            what = f"{subject} make one table, `{existing.relation}`"
            fix = "give one of them a `schema` or an `alias` of its own"
        self.mistakes.append(GraphError(what, where, hint=f"{fix}; {place}"))


def _kind(node: Referable) -> str:
    return node.id.partition(".")[0]


def cycle_error(nodes: Sequence[Node]) -> GraphError:
    """The error of nodes that read each other, with every place where one reads the next."""
    names = " → ".join(node.name for node in nodes)
    places = [_reference_place(node, reads) for node, reads in pairwise(nodes)]
    return GraphError(
        f"the models read each other in a circle: {names}",
        places[0],
        hint="one of them must not read the next",
        beside=places[1:],
    )


def _reference_place(node: Node, reads: Node) -> Where:
    """Where the node's file names what it reads, or the node itself."""
    text = node.body.model.text if isinstance(node.body, ModelBody) else ""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.search(rf"(?<!\w){re.escape(reads.name)}(?!\w)", line, re.IGNORECASE)
        if match:
            return Where(node.path, number, match.start() + 1, len(reads.name), line)
    return node.where or Where(node.path, 1)
