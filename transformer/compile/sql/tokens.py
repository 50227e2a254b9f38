"""The tokens of a query, without comments and whitespace.

DuckDB's SQL is tokenized here by one regular expression, if the text is unambiguous. Everything
else, and other dialects, is left to the parser's tokenizer, which is slow to import and returns
the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise

from msgspec import Struct


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


class Tokens(Struct, frozen=True):
    """The tokens of a text in order: the start and the text of each."""

    starts: Sequence[int] = ()
    texts: Sequence[str] = ()


NO_TOKENS = Tokens()
# Characters of operators. A run of them must be a known operator, or the text is rejected.
_SIGN = r"[-+*/%=<>!|&^~:@#?\\]"
_PIECE = re.compile(
    rf"""
      [ \t\r\n]+
    | --[^\r\n]*
    | /\*(?!\+) [^*/]* (?: (?: \*(?!/) | /(?!\*) ) [^*/]* )* \*/
    | (?<![\w$]) [A-Za-z_][A-Za-z0-9_]* (?![\w$'"])
    | (?<![\w.$]) [0-9]+ (?:\.[0-9]+)? (?![\w.$'"])
    | (?<!['\w$]) ' [^']* (?:''[^']*)* ' (?!['\w])
    | (?<!["\w$]) " [^"]+ (?:""[^"]*)* " (?!["\w])
    | [(),;\[\]]
    | (?<!\.) \. (?![.0-9])
    | \{{ (?![{{%\#]) | (?<![}}%\-+]) \}}
    | (?<!{_SIGN}) (?: :: | := | => | -> | ->> | <= | >= | <> | != | == | // | \*\* | \|\|
        | [-+*/%=<>:] ) (?!{_SIGN}|\}})
    """,
    re.VERBOSE | re.ASCII,
)
_BLANK = (" ", "\t", "\r", "\n", "--", "/*")
# Pairs that the parser's tokenizer treats as one keyword, in any case.
_PAIRS = {
    "by": word_set("cluster connect distribute group order partition partitioned"),
    "varying": word_set("char character"),
    "precision": word_set("double"),
    "key": word_set("foreign primary"),
    "sets": word_set("grouping"),
    "to": word_set("similar"),
    "security": word_set("sql"),
}
# After one of these at the start, the parser's tokenizer takes the rest as one token.
_COMMANDS = word_set("call execute explain fetch optimize prepare rename reset vacuum")


def duckdb_tokens(text: str) -> Tokens | None:
    """The tokens of a text in DuckDB's SQL; None if it needs the parser's tokenizer."""
    pieces = _PIECE.findall(text)
    ends = list(accumulate(map(len, pieces)))
    if not ends or ends[-1] != len(text):
        return None
    indexes = [index for index, piece in enumerate(pieces) if not piece.startswith(_BLANK)]
    texts = [pieces[index] for index in indexes]
    lowered = list(map(str.lower, texts))
    if not texts or lowered[0] in _COMMANDS or ";" in texts[:-1]:
        return None
    if "begin" in lowered or ("user" in lowered and "user-" in text.lower()):
        return None  # `begin` is followed by commands too, and `user-defined` is one word
    if lowered != texts:
        _fold(texts, lowered, ["".join(pieces[a + 1 : b]) for a, b in pairwise([-1, *indexes])])
    return Tokens([ends[index] - len(pieces[index]) for index in indexes], texts)


def _fold(texts: list[str], lowered: list[str], before: list[str]) -> None:
    """Lower-cases keywords of two words. `before` is the text before each token."""
    for index in [index for index, word in enumerate(lowered) if word in _PAIRS]:
        if index and lowered[index - 1] in _PAIRS[lowered[index]] and before[index].isspace():
            texts[index - 1 : index + 1] = lowered[index - 1 : index + 1]


# The dialects that are tokenized here.
TOKENIZERS: Mapping[str, Callable[[str], Tokens | None]] = {"duckdb": duckdb_tokens}
