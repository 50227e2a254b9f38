"""The tables in a query, determined from its tokens at a fraction of the cost of parsing.

Most queries name tables only after `from` and `join`. A query with words that may name tables
elsewhere, or with an unexpected structure, is left to the parser.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from transformer.compile.sql.canonical import brackets, ctes
from transformer.compile.sql.tokens import Tokens, word_set
from transformer.compile.sql.volatility import reads_files


class TableUse(Struct, frozen=True):
    """A table name in a query, not a CTE: its parts, its place, and whether it has an alias.

    An `optional` one may not be a table: a file (`'t'`), or an argument of a function. `within` is
    that function, if the name is in a string literal.
    """

    parts: tuple[str, ...]
    start: int
    end: int
    aliased: bool
    optional: bool = False
    within: str = ""


# Functions whose first argument is one or several tables, or a query.
TAKES_TABLES = word_set("query query_table histogram histogram_values pragma_table_info")


# Words that name tables in other ways.
_OTHER_TABLE_WORDS = word_set(
    "recursive pivot unpivot pivot_wider pivot_longer summarize describe show table"
    " insert update delete into merge explain call"
)
# What may follow a table and its alias.
_FOLLOWING = word_set(
    ") ; on using where group order having limit offset union except intersect join inner left"
    " right full outer cross natural semi anti asof positional qualify window fetch select"
)
_AFTER_TABLE = _FOLLOWING | {"", ","}
# Words that are not names unless quoted.
_RESERVED = (
    _FOLLOWING
    | _OTHER_TABLE_WORDS
    | word_set(
        "all analyse analyze and any array as asc asymmetric at both by case cast check collate"
        " column constraint create default deferrable desc distinct do else end false for foreign"
        " from glob grant ilike in initially is isnull lambda lateral leading like match_recognize"
        " minus not notnull null only or placing primary references returning sample similar some"
        " symmetric tablesample then to trailing true unique values variadic when with"
    )
)
# Words that end the list of tables.
_ENDS = word_set(
    "where group order having limit offset union except intersect window qualify select ;"
)
_PARTS = 3  # catalog, schema, table


class _UnsureError(Exception):
    """The tokens are not conclusive."""


def tables(tokens: Tokens) -> list[TableUse] | None:
    """The tables in text order; None if the tokens are not conclusive."""
    lowered = list(map(str.lower, tokens.texts))
    withs = lowered.count("with")
    if (
        not _OTHER_TABLE_WORDS.isdisjoint(lowered)
        or withs > (lowered[0] == "with")
        or lowered[0] == "desc"
    ):
        return None
    try:
        return sorted(_Reader(tokens, lowered).uses(), key=lambda use: use.start)
    except (_UnsureError, IndexError):
        return None


class _Reader:
    def __init__(self, tokens: Tokens, lowered: list[str]) -> None:
        self.tokens, self.lowered = tokens, lowered
        self.closing = brackets(lowered)
        cte_list = ctes(lowered)
        if cte_list is None:
            raise _UnsureError
        self.ctes = cte_list

    def uses(self) -> Iterator[TableUse]:
        for index, word in enumerate(self.lowered):
            if word in ("from", "join"):
                if self.at(index - 1) in ("distinct", "as", ".") or not self.is_of_query(index):
                    raise _UnsureError  # `is distinct from`, a name, `trim(both from a)`
                yield from self.listed(index)
            elif word in ("on", "using"):
                self.ends_well(index + 1)

    def is_of_query(self, index: int) -> bool:
        """Whether the innermost enclosing bracket contains a query."""
        bracket = max((i for i, end in self.closing.items() if i < index < end), default=-1)
        return bracket < 0 or self.at(bracket + 1) in ("select", "from", "with")

    def listed(self, index: int) -> Iterator[TableUse]:
        """The table after `join`, or the tables after `from`."""
        place, has_more = index, True
        while has_more:
            use, place = self.table(place + 1)
            if use and not (len(use.parts) == 1 and self.is_cte(use.parts[0], index)):
                yield use
            has_more = self.at(place) == ","
            if has_more and self.lowered[index] == "join":
                raise _UnsureError

    def table(self, place: int) -> tuple[TableUse | None, int]:
        """The table at the place, and the place after it and its alias."""
        if self.at(place) == "(":
            if self.at(place + 1) not in ("select", "from"):
                raise _UnsureError
            return None, self.alias(self.closing[place] + 1)[1]
        if self.at(place + 1) == "(" and self.is_name(place):
            return None, self.called(place)
        parts = [self.name(place)]
        while self.at(place + 1) == ".":
            place += 2
            parts.append(self.name(place))
        if len(parts) > _PARTS:
            raise _UnsureError
        start = self.tokens.starts[place - 2 * (len(parts) - 1)]
        end = self.tokens.starts[place] + len(self.tokens.texts[place])
        aliased, after = self.alias(place + 1)
        return TableUse(tuple(parts), start, end, aliased), after

    def called(self, place: int) -> int:
        """The place after a table function and its alias, which may name columns."""
        after = self.closing[place + 1] + 1
        arguments = self.lowered[place + 2 : after - 1]
        if self.at(place).strip('"') in TAKES_TABLES or (
            any("'" in word for word in arguments) and not reads_files(self.at(place).strip('"'))
        ):
            raise _UnsureError  # a string may be the name of a table
        alias_place = after + (self.at(after) == "as")
        if not (self.is_name(alias_place) and self.at(alias_place + 1) == "("):
            return self.alias(after)[1]
        after = self.closing[alias_place + 1] + 1
        if self.at(after) not in _AFTER_TABLE:
            raise _UnsureError
        return after

    def alias(self, place: int) -> tuple[bool, int]:
        """Whether there is an alias at the place, and the place after it."""
        explicit = self.at(place) == "as"
        aliased = explicit or self.is_name(place)
        if explicit:
            self.name(place + 1)
        place += explicit + aliased
        if self.at(place) not in _AFTER_TABLE:
            raise _UnsureError
        return aliased, place

    def ends_well(self, place: int) -> None:
        """Raises _UnsureError for a comma after a join condition, which adds another table."""
        while (word := self.at(place)) and word != ")" and word not in _ENDS:
            if word == ",":
                raise _UnsureError
            place = self.closing[place] + 1 if word == "(" else place + 1

    def is_cte(self, name: str, index: int) -> bool:
        lowered_name = name.lower()
        return any(lowered_name == cte and end <= index for cte, _, end in self.ctes)

    def at(self, place: int) -> str:
        return self.lowered[place] if 0 <= place < len(self.lowered) else ""

    def is_name(self, place: int) -> bool:
        word = self.at(place)
        if word.startswith('"'):
            return '"' not in word[1:-1]
        return word.isidentifier() and word not in _RESERVED

    def name(self, place: int) -> str:
        if not self.is_name(place):
            raise _UnsureError
        text = self.tokens.texts[place]
        return text[1:-1] if text.startswith('"') else text
