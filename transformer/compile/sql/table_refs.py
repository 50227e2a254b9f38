"""The tables that a query names, read from its tokens: at a fraction of what it costs to parse it.

Most queries name their tables behind `from` and `join` and nowhere else. Where a query holds a word
that may mean more than that, or anything stands where it is not expected, nothing is read here:
the parser does it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from transformer.compile.sql.canonical import brackets, ctes
from transformer.compile.sql.tokens import Tokens, listed
from transformer.compile.sql.volatility import reads_files


class TableUse(Struct, frozen=True):
    """A table name in a query that is no CTE: its parts, its place, and whether it has an alias.

    An `optional` one may mean something else: a file (`'t'`), or what a function is given. `within`
    is that function, where the name stands in a text.
    """

    parts: tuple[str, ...]
    start: int
    end: int
    aliased: bool
    optional: bool = False
    within: str = ""


# Functions whose first argument is a table, or several, or a query.
TAKES_TABLES = listed("query query_table histogram histogram_values pragma_table_info")


# Words that bring tables in other ways.
_MORE = listed(
    "recursive pivot unpivot pivot_wider pivot_longer summarize describe show table"
    " insert update delete into merge explain call"
)
# What may follow a table and its alias.
_BEHIND = listed(
    ") ; on using where group order having limit offset union except intersect join inner left"
    " right full outer cross natural semi anti asof positional qualify window fetch select"
)
_AFTER = _BEHIND | {"", ","}
# What is no name where it is not quoted.
_RESERVED = (
    _BEHIND
    | _MORE
    | listed(
        "all analyse analyze and any array as asc asymmetric at both by case cast check collate"
        " column constraint create default deferrable desc distinct do else end false for foreign"
        " from glob grant ilike in initially is isnull lambda lateral leading like match_recognize"
        " minus not notnull null only or placing primary references returning sample similar some"
        " symmetric tablesample then to trailing true unique values variadic when with"
    )
)
# What ends the tables of a query.
_ENDS = listed(
    "where group order having limit offset union except intersect window qualify select ;"
)
_PARTS = 3  # catalog, schema, table


class _UnsureError(Exception):
    """The query may say more than its words show."""


def tables(words: Tokens) -> list[TableUse] | None:
    """The tables in the order of the text; None where the tokens do not tell them."""
    lowered = list(map(str.lower, words.texts))
    withs = lowered.count("with")
    if not _MORE.isdisjoint(lowered) or withs > (lowered[0] == "with") or lowered[0] == "desc":
        return None
    try:
        return sorted(_Reader(words, lowered).uses(), key=lambda use: use.start)
    except (_UnsureError, IndexError):
        return None


class _Reader:
    def __init__(self, words: Tokens, lowered: list[str]) -> None:
        self.words, self.lowered = words, lowered
        self.closing = brackets(lowered)
        found = ctes(lowered)
        if found is None:
            raise _UnsureError
        self.ctes = found

    def uses(self) -> Iterator[TableUse]:
        for at, word in enumerate(self.lowered):
            if word in ("from", "join"):
                if self.at(at - 1) in ("distinct", "as", ".") or not self.is_of_query(at):
                    raise _UnsureError  # `is distinct from`, a name, `trim(both from a)`
                yield from self.listed(at)
            elif word in ("on", "using"):
                self.ends_well(at + 1)

    def is_of_query(self, at: int) -> bool:
        """Whether the innermost bracket around the place holds a query."""
        around = max((i for i, end in self.closing.items() if i < at < end), default=-1)
        return around < 0 or self.at(around + 1) in ("select", "from", "with")

    def listed(self, at: int) -> Iterator[TableUse]:
        """The table behind `join`, the tables behind `from`."""
        place, more = at, True
        while more:
            use, place = self.table(place + 1)
            if use and not (len(use.parts) == 1 and self.is_cte(use.parts[0], at)):
                yield use
            more = self.at(place) == ","
            if more and self.lowered[at] == "join":
                raise _UnsureError

    def table(self, place: int) -> tuple[TableUse | None, int]:
        """What stands at the place, and the place behind it and its alias."""
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
        first = self.words.starts[place - 2 * (len(parts) - 1)]
        end = self.words.starts[place] + len(self.words.texts[place])
        aliased, behind = self.alias(place + 1)
        return TableUse(tuple(parts), first, end, aliased), behind

    def called(self, place: int) -> int:
        """The place behind a function that gives rows and its alias, which may name columns."""
        behind = self.closing[place + 1] + 1
        given = self.lowered[place + 2 : behind - 1]
        if self.at(place).strip('"') in TAKES_TABLES or (
            any("'" in word for word in given) and not reads_files(self.at(place).strip('"'))
        ):
            raise _UnsureError  # a text may be the name of a table
        named = behind + (self.at(behind) == "as")
        if not (self.is_name(named) and self.at(named + 1) == "("):
            return self.alias(behind)[1]
        behind = self.closing[named + 1] + 1
        if self.at(behind) not in _AFTER:
            raise _UnsureError
        return behind

    def alias(self, place: int) -> tuple[bool, int]:
        """Whether an alias stands at the place, and the place behind it."""
        explicit = self.at(place) == "as"
        aliased = explicit or self.is_name(place)
        if explicit:
            self.name(place + 1)
        place += explicit + aliased
        if self.at(place) not in _AFTER:
            raise _UnsureError
        return aliased, place

    def ends_well(self, place: int) -> None:
        """A comma behind the condition of a join would bring another table."""
        while (word := self.at(place)) and word != ")" and word not in _ENDS:
            if word == ",":
                raise _UnsureError
            place = self.closing[place] + 1 if word == "(" else place + 1

    def is_cte(self, name: str, at: int) -> bool:
        folded = name.lower()
        return any(folded == cte and end <= at for cte, _, end in self.ctes)

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
        text = self.words.texts[place]
        return text[1:-1] if text.startswith('"') else text
