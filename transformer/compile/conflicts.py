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

    def note(self, made: Referable, taken: Referable | None, where: Where) -> None:
        """Takes in a node; `taken` is the one that has its name or relation already."""
        first = self.places.setdefault(made.id, where)
        if made.relation.schema.lower().startswith(RESERVED) and made.makes:
            what = f"the schema `{made.relation.schema}` is the tool's own"
            self.mistakes.append(GraphError(what, where, hint="give it a `schema` of another name"))
        if taken is None:
            return
        other = self.places.get(taken.id, first)
        place = f"the other is at {other.path}" + (f":{other.line}" if other.column else "")
        kind, theirs = _kind(made), _kind(taken)
        if made.name == taken.name:
            both = f"two {kind}s are" if kind == theirs else f"a {kind} and a {theirs} are both"
            what, way = f"{both} named `{made.name}`", "rename one of them"
        else:
            both = f"the {kind} `{made.name}` and the {theirs} `{taken.name}`"
            what = f"{both} make one table, `{taken.relation}`"
            way = "give one of them a `schema` or an `alias` of its own"
        self.mistakes.append(GraphError(what, where, hint=f"{way}; {place}"))


def _kind(made: Referable) -> str:
    return made.id.partition(".")[0]


def circle(nodes: Sequence[Node]) -> GraphError:
    """The error of nodes that read each other, with every place where one reads the next."""
    names = " → ".join(node.name for node in nodes)
    places = [_reading(node, reads) for node, reads in pairwise(nodes)]
    return GraphError(
        f"the models read each other in a circle: {names}",
        places[0],
        hint="one of them must not read the next",
        beside=places[1:],
    )


def _reading(node: Node, reads: Node) -> Where:
    """Where the node's file names what it reads, or the node itself."""
    text = node.body.model.text if isinstance(node.body, ModelBody) else ""
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(rf"(?<!\w){re.escape(reads.name)}(?!\w)", line, re.IGNORECASE)
        if found:
            return Where(node.path, number, found.start() + 1, len(reads.name), line)
    return node.where or Where(node.path, 1)
