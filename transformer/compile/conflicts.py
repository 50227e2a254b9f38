"""Mistakes between nodes: duplicate names or relations, and cycles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct, field

from transformer.compile.namespace import Referable
from transformer.compile.nodes import ModelBody, Node
from transformer.errors import GraphError, TransformError, Where

# Prefix of the schemas with the ledger, quarantine and failing rows.
RESERVED = "_transform"


class Conflicts(Struct):
    """Notes duplicate names and relations, and remembers the place of the first."""

    mistakes: list[TransformError]
    places: dict[str, Where] = field(default_factory=dict)

    def note(self, node: Referable, existing: Referable | None, where: Where) -> None:
        """Checks a node; `existing` is another one with its name or relation, if any."""
        first = self.places.setdefault(node.id, where)
        if node.relation.schema.lower().startswith(RESERVED) and node.makes:
            what = f"the schema `{node.relation.schema}` is reserved"
            self.mistakes.append(GraphError(what, where, hint="choose another `schema`"))
        if existing is None:
            return
        other = self.places.get(existing.id, first)
        place = f"the other is at {other.path}" + (f":{other.line}" if other.column else "")
        kind, existing_kind = _kind(node), _kind(existing)
        if node.name == existing.name:
            subject = (
                f"two {kind}s are"
                if kind == existing_kind
                else f"a {kind} and a {existing_kind} are both"
            )
            what, fix = f"{subject} named `{node.name}`", "rename one of them"
        else:
            subject = f"the {kind} `{node.name}` and the {existing_kind} `{existing.name}`"
            what = f"{subject} make one table, `{existing.relation}`"
            fix = "set another `schema` or `alias` for one of them"
        self.mistakes.append(GraphError(what, where, hint=f"{fix}; {place}"))


def _kind(node: Referable) -> str:
    return node.id.partition(".")[0]


def cycle_error(nodes: Sequence[Node]) -> GraphError:
    """The error for a cycle, with every place where one node reads the next."""
    names = " → ".join(node.name for node in nodes)
    places = [_reference_place(node, reads) for node, reads in pairwise(nodes)]
    return GraphError(
        f"the models depend on each other in a cycle: {names}",
        places[0],
        hint="remove one of these references",
        beside=places[1:],
    )


def _reference_place(node: Node, reads: Node) -> Where:
    """Where the node's file names the other, or the node itself."""
    text = node.body.model.text if isinstance(node.body, ModelBody) else ""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.search(rf"(?<!\w){re.escape(reads.name)}(?!\w)", line, re.IGNORECASE)
        if match:
            return Where(node.path, number, match.start() + 1, len(reads.name), line)
    return node.where or Where(node.path, 1)
