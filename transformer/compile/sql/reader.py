"""What a query says: its words, the tables it names, or why it is no query.

The user's text runs. Where a plain name must become a relation, the identifier is replaced at its
place (`Splice`) and everything else stays as it was written.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from transformer.compile.sql.canonical import said
from transformer.compile.sql.edits import spliced
from transformer.compile.sql.serialized import UnreadTable, listed_pivots, named
from transformer.compile.sql.table_refs import TableUse, tables
from transformer.compile.sql.tokens import NO_WORDS, TOLD, Tokens

# Statements that do something; a model, a check or `--inline` is a query.
_STATEMENTS = (
    "ALTER ANALYZE ATTACH BEGIN CALL CHECKPOINT COMMIT COPY CREATE DELETE DETACH DROP EXECUTE"
    " EXPORT GRANT IMPORT INSERT INSTALL LOAD MERGE PRAGMA ROLLBACK SET TRUNCATE UPDATE USE"
    " VACUUM"
)


class QueryRefusal(Struct, frozen=True):
    """Why a text is not one query, and at which character."""

    why: str
    at: int


class Grammar(Struct, frozen=True):
    """An engine's SQL: sqlglot's name for it, and the engine's own parser, which gives the tree of
    a query as JSON, where the engine has one."""

    dialect: str
    serialized: Callable[[str], str] | None = None


class QueryReading(Struct, frozen=True):
    """What is seen in a query. `parsed` is False where it could not be read: then there are no
    uses, and only `ref()` and `source()` make edges. `unread` are tables whose names are computed.
    """

    uses: tuple[TableUse, ...] = ()
    with_end: int | None = None
    parsed: bool = True
    refused: QueryRefusal | None = None
    words: Tokens = NO_WORDS
    unread: tuple[UnreadTable, ...] = ()


def read(text: str, grammar: Grammar) -> QueryReading:
    """The tables a query names, in the order of the text; or why it is no query.

    The tokens tell most; else the engine's own parser is asked, and last sqlglot.
    """
    words = words_of(text, grammar.dialect)
    if words is None:
        return _by_engine(text, NO_WORDS, grammar) or QueryReading(parsed=False)
    wrong = _refused(words)
    if wrong:
        return QueryReading(refused=wrong)
    found = tables(words)
    if found is None:
        told = _by_engine(text, words, grammar)
        if told is not None:
            return told
        found = parsed(text, grammar.dialect)
    if found is None:
        return QueryReading(parsed=False, with_end=_with_end(words), words=words)
    return QueryReading(tuple(found), _with_end(words), words=words)


def _by_engine(text: str, words: Tokens, grammar: Grammar) -> QueryReading | None:
    """What the engine's own parser tells; None where it does not take the text for a query."""
    if grammar.serialized is None:
        return None
    told = named(grammar.serialized(text), text)
    pivots = listed_pivots(words) if told is None else []
    if pivots:
        told = named(grammar.serialized(spliced(text, pivots)), text, pivots)
    if told is None:
        return None
    uses, unread = list(told.uses), list(told.unread)
    for query, at in told.queries:  # a query that is written as a text
        inner = read(query, grammar)
        uses += [TableUse(u.parts, at, at, True, optional=True, within="query") for u in inner.uses]
        unread += [UnreadTable(each.function, at) for each in inner.unread]
        if not inner.parsed:
            unread.append(UnreadTable("query", at))
    return QueryReading(tuple(uses), _with_end(words), words=words, unread=tuple(unread))


def words_of(text: str, dialect: str) -> Tokens | None:
    """The words of a text; None where it has none that could be told apart. The parser's own
    tokenizer is much to load, and few texts need it."""
    told = TOLD[dialect](text) if dialect in TOLD else None
    if told is not None:
        return told
    from transformer.compile.sql import parser

    return parser.words(text, dialect)


def parsed(text: str, dialect: str) -> list[TableUse] | None:
    """The tables that a query names, as the parser finds them; None where it does not understand
    the query."""
    from transformer.compile.sql import parser

    return parser.parsed(text, dialect)


def _refused(words: Tokens) -> QueryRefusal | None:
    if not words.texts:
        return QueryRefusal("there is no query here", 0)
    first = words.texts[0]
    if first.upper() in _STATEMENTS.split():
        return QueryRefusal(f"`{first.lower()} …` is no query", words.starts[0])
    if ";" in words.texts[:-1]:
        at = words.starts[words.texts.index(";")]
        return QueryRefusal("there is more than one statement here", at)
    return None


def _with_end(words: Tokens) -> int | None:
    if not words.texts:
        return None
    lowered = [word.lower() for word in words.texts[:2]]
    if lowered[:1] != ["with"]:
        return None
    at = 1 if lowered[1:] == ["recursive"] else 0
    return words.starts[at] + len(words.texts[at])


def canonical(text: str, dialect: str) -> str:
    """What a query says, whatever its comments, layout and order of CTEs."""
    words = words_of(text, dialect)
    return text if words is None else said(words)


def without_end(text: str) -> str:
    """The query without the semicolons and blanks at its end."""
    return text.rstrip().rstrip(";").rstrip()
