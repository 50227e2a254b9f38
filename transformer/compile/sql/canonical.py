"""The canonical form of a query, which ignores comments, layout, the case of keywords and the
order of CTEs.

It is built from tokens and never runs. Identifiers keep their case, since columns are named as
written. CTEs are sorted by name; each records the earlier CTEs that it mentions, since a name
refers to a table if its CTE comes later.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from transformer.compile.sql.tokens import Tokens, word_set

# Keywords that cannot be names except after `as` or a dot, or before `:=`: their case is
# irrelevant.
_KEYWORDS = word_set(
    "all and any as asc case cast cross desc distinct else end except false from full group"
    " having in inner intersect into is join lateral left like limit natural not null offset on or"
    " order outer qualify right select semi then true union using when where window with"
)


def canonical_digest(tokens: Tokens, replaced: Sequence[tuple[int, int, str]] = ()) -> str:
    """The canonical form as a short digest. `replaced` are edits (start, end, text) to the text of
    the tokens."""
    texts = _normalized(tokens, replaced)
    parts = _sorted_ctes(texts)
    text = "\n".join(parts) if parts is not None else " ".join(texts)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _normalized(tokens: Tokens, replaced: Sequence[tuple[int, int, str]]) -> list[str]:
    """The tokens after the edits, with keywords in lower case."""
    texts, lowered = list(tokens.texts), list(map(str.lower, tokens.texts))
    for index in [index for index, token in enumerate(texts) if token != lowered[index]]:
        before = lowered[index - 1] if index else ""
        after = tokens.texts[index + 1] if index + 1 < len(texts) else ""
        keyword = lowered[index] in _KEYWORDS or (lowered[index] == "exists" and after == "(")
        if keyword and before not in ("as", ".") and after != ":=":
            texts[index] = lowered[index]
    for start, end, text in sorted(replaced, reverse=True):
        texts[bisect_left(tokens.starts, start) : bisect_left(tokens.starts, end)] = [text]
    return texts


def _sorted_ctes(tokens: list[str]) -> list[str] | None:
    """The query's CTEs sorted by name, and the rest; None if there are none, or their order may
    matter."""
    cte_list = ctes(tokens)
    if not cte_list:
        return None
    names = [name for name, _, _ in cte_list]
    if len(set(names)) < len(names):
        return None
    parts = []
    for i, (name, start, end) in enumerate(cte_list):
        mentioned = set(map(str.lower, tokens[start + 1 : end]))
        earlier = [n for n in names[:i] if n in mentioned or f'"{n}"' in mentioned]
        parts.append(f"{name}: {' '.join(tokens[start:end])} -- {sorted(earlier)}")
    return [*sorted(parts), " ".join(tokens[cte_list[-1][2] :])]


def ctes(tokens: Sequence[str]) -> list[tuple[str, int, int]] | None:
    """The leading CTEs of the query as (name, index of the first token, index after the last).
    Keywords must be in lower case. None if it is not a plain `with`."""
    if tokens[:1] != ["with"]:
        return []
    if tokens[1:2] and tokens[1].lower() == "recursive":
        return None
    closing = brackets(tokens)
    result: list[tuple[str, int, int]] = []
    index = 1
    while True:
        end = _end_of_cte(tokens, index, closing)
        if end is None:
            return None
        result.append((tokens[index].strip('"').lower(), index, end))
        if tokens[end : end + 1] != [","]:
            return result
        index = end + 1


def brackets(tokens: Sequence[str]) -> Mapping[int, int]:
    """The index of the closing bracket by that of the opening one; the last token if unclosed."""
    opened: list[int] = []
    closing: dict[int, int] = {}
    for index in [index for index, token in enumerate(tokens) if token in ("(", ")")]:
        if tokens[index] == "(":
            opened.append(index)
        elif opened:
            closing[opened.pop()] = index
    return closing | dict.fromkeys(opened, len(tokens) - 1)


def _end_of_cte(tokens: Sequence[str], index: int, closing: Mapping[int, int]) -> int | None:
    """The end of `name [(columns)] as [not materialized] ( … )`; None if it is something else."""
    index += 1
    if index < len(tokens) and tokens[index] == "(":
        index = closing[index] + 1
    if index >= len(tokens) or tokens[index] != "as":
        return None
    index += 1
    while index < len(tokens) and tokens[index].lower() in ("not", "materialized"):
        index += 1
    if index >= len(tokens) or tokens[index] != "(":
        return None
    return closing[index] + 1
