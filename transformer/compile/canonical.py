"""The canonical form of a query: two that differ in comments, layout, the case of keywords or the
order of their CTEs have the same.

It is made of tokens and never runs. Identifiers keep their case, for a column is called as it is
written. CTEs are put in the order of their names; which of those before it each one mentions is
noted, since a name means a table where its CTE comes later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence


def _named(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A token: where it begins, and its text.
Word = tuple[int, str]

# Keywords that cannot be names, but behind `as` and a dot, or before `:=`: their case says
# nothing.
_KEYWORDS = _named(
    "all and any as asc case cast cross desc distinct else end except false from full group"
    " having in inner intersect into is join lateral left like limit natural not null offset on or"
    " order outer qualify right select semi then true union using when where window with"
)


def said(words: Sequence[Word], replaced: Sequence[tuple[int, int, str]] = ()) -> str:
    """The canonical form, as a short digest. In the text of the words `[start, end)` of each of
    `replaced` is other text."""
    tokens = list(_plain(words, replaced))
    parts = _by_name(tokens)
    text = "\n".join(parts) if parts is not None else " ".join(tokens)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _plain(words: Sequence[Word], replaced: Sequence[tuple[int, int, str]]) -> Iterator[str]:
    """The tokens with what stands in their place, and keywords in lower case."""
    splices = sorted(replaced)
    before, at = "", 0
    behind = [*(text for _, text in words[1:]), ""]
    for (start, text), after in zip(words, behind, strict=False):
        while at < len(splices) and splices[at][1] <= start:
            if splices[at][0] == splices[at][1]:
                yield splices[at][2]  # it was put in, in place of nothing
            at += 1
        if at < len(splices) and splices[at][0] <= start < splices[at][1]:
            if start == splices[at][0]:
                yield splices[at][2]
            continue
        lowered = text.lower()
        named = before in ("as", ".") or after == ":="
        said = lowered in _KEYWORDS or (lowered == "exists" and after == "(")
        yield lowered if said and not named else text
        before = lowered
    for _, _, text in splices[at:]:
        yield text


def _by_name(tokens: list[str]) -> list[str] | None:
    """The query's CTEs in the order of their names, and the rest; None where it has none, or
    where their order may mean something."""
    if len(tokens) < 2 or tokens[0] != "with" or tokens[1].lower() == "recursive":
        return None
    found: list[tuple[str, list[str]]] = []
    at = 1
    while True:
        end = _end_of_cte(tokens, at)
        if end is None:
            return None
        found.append((tokens[at].strip('"').lower(), tokens[at:end]))
        at = end
        if at >= len(tokens) or tokens[at] != ",":
            break
        at += 1
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        return None
    made = []
    for i, (name, inside) in enumerate(found):
        mentioned = {token.strip('"').lower() for token in inside[1:]}
        earlier = [each for each in names[:i] if each in mentioned]
        made.append(f"{name}: {' '.join(inside)} -- {sorted(earlier)}")
    return [*sorted(made), " ".join(tokens[at:])]


def _end_of_cte(tokens: list[str], at: int) -> int | None:
    """Where `name [(columns)] as [not materialized] ( … )` ends; None where it is not that."""
    at += 1
    if at < len(tokens) and tokens[at] == "(":
        at = _closed(tokens, at)
    if at >= len(tokens) or tokens[at] != "as":
        return None
    at += 1
    while at < len(tokens) and tokens[at].lower() in ("not", "materialized"):
        at += 1
    if at >= len(tokens) or tokens[at] != "(":
        return None
    return _closed(tokens, at)


def _closed(tokens: list[str], at: int) -> int:
    """The place behind the bracket that closes the one at the place."""
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place] == "(") - (tokens[place] == ")")
        if depth == 0:
            return place + 1
    return len(tokens)
