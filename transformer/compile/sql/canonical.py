"""The canonical form of a query: two that differ in comments, layout, the case of keywords or the
order of their CTEs have the same.

It is made of tokens and never runs. Identifiers keep their case, for a column is called as it is
written. CTEs are put in the order of their names; which of those before it each one mentions is
noted, since a name means a table where its CTE comes later.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from transformer.compile.sql.tokens import Tokens, listed

# Keywords that cannot be names, but behind `as` and a dot, or before `:=`: their case says
# nothing.
_KEYWORDS = listed(
    "all and any as asc case cast cross desc distinct else end except false from full group"
    " having in inner intersect into is join lateral left like limit natural not null offset on or"
    " order outer qualify right select semi then true union using when where window with"
)


def said(words: Tokens, replaced: Sequence[tuple[int, int, str]] = ()) -> str:
    """The canonical form, as a short digest. In the text of the words `[start, end)` of each of
    `replaced` is other text."""
    tokens = _plain(words, replaced)
    parts = _by_name(tokens)
    text = "\n".join(parts) if parts is not None else " ".join(tokens)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _plain(words: Tokens, replaced: Sequence[tuple[int, int, str]]) -> list[str]:
    """The tokens with what stands in their place, and keywords in lower case."""
    tokens, lowered = list(words.texts), list(map(str.lower, words.texts))
    for at in [at for at, token in enumerate(tokens) if token != lowered[at]]:
        before = lowered[at - 1] if at else ""
        after = words.texts[at + 1] if at + 1 < len(tokens) else ""
        keyword = lowered[at] in _KEYWORDS or (lowered[at] == "exists" and after == "(")
        if keyword and before not in ("as", ".") and after != ":=":
            tokens[at] = lowered[at]
    for start, end, text in sorted(replaced, reverse=True):
        tokens[bisect_left(words.starts, start) : bisect_left(words.starts, end)] = [text]
    return tokens


def _by_name(tokens: list[str]) -> list[str] | None:
    """The query's CTEs in the order of their names, and the rest; None where it has none, or
    where their order may mean something."""
    found = ctes(tokens)
    if not found:
        return None
    names = [name for name, _, _ in found]
    if len(set(names)) < len(names):
        return None
    made = []
    for i, (name, start, end) in enumerate(found):
        mentioned = set(map(str.lower, tokens[start + 1 : end]))
        earlier = [n for n in names[:i] if n in mentioned or f'"{n}"' in mentioned]
        made.append(f"{name}: {' '.join(tokens[start:end])} -- {sorted(earlier)}")
    return [*sorted(made), " ".join(tokens[found[-1][2] :])]


def ctes(tokens: Sequence[str]) -> list[tuple[str, int, int]] | None:
    """The CTEs that the query begins with: name, and the places of its first token and behind its
    last. Keywords are in lower case. None where this is more than a plain `with`."""
    if tokens[:1] != ["with"]:
        return []
    if tokens[1:2] and tokens[1].lower() == "recursive":
        return None
    closing = brackets(tokens)
    found: list[tuple[str, int, int]] = []
    at = 1
    while True:
        end = _end_of_cte(tokens, at, closing)
        if end is None:
            return None
        found.append((tokens[at].strip('"').lower(), at, end))
        if tokens[end : end + 1] != [","]:
            return found
        at = end + 1


def brackets(tokens: Sequence[str]) -> Mapping[int, int]:
    """Where each round bracket is closed; one that never is, at the end."""
    opened: list[int] = []
    closing: dict[int, int] = {}
    for at in [at for at, token in enumerate(tokens) if token in ("(", ")")]:
        if tokens[at] == "(":
            opened.append(at)
        elif opened:
            closing[opened.pop()] = at
    return closing | dict.fromkeys(opened, len(tokens) - 1)


def _end_of_cte(tokens: Sequence[str], at: int, closing: Mapping[int, int]) -> int | None:
    """Where `name [(columns)] as [not materialized] ( … )` ends; None where it is not that."""
    at += 1
    if at < len(tokens) and tokens[at] == "(":
        at = closing[at] + 1
    if at >= len(tokens) or tokens[at] != "as":
        return None
    at += 1
    while at < len(tokens) and tokens[at].lower() in ("not", "materialized"):
        at += 1
    if at >= len(tokens) or tokens[at] != "(":
        return None
    return closing[at] + 1
