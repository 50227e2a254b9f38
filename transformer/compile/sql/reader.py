"""What a query says: its words, the tables it names, or why it is no query.

The user's text runs. Where a plain name must become a relation, the identifier is replaced at its
place (`Splice`) and everything else stays as it was written.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from transformer.compile.sql.canonical import canonical_digest
from transformer.compile.sql.edits import spliced
from transformer.compile.sql.serialized import UnreadTable, named_tables, pivot_edits
from transformer.compile.sql.table_refs import TableUse, tables
from transformer.compile.sql.tokens import NO_TOKENS, TOKENIZERS, Tokens

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
    tokens: Tokens = NO_TOKENS
    unread: tuple[UnreadTable, ...] = ()


def read(text: str, grammar: Grammar) -> QueryReading:
    """The tables a query names, in the order of the text; or why it is no query.

    The tokens tell most; else the engine's own parser is asked, and last sqlglot.
    """
    tokens = tokens_of(text, grammar.dialect)
    if tokens is None:
        return _by_engine(text, NO_TOKENS, grammar) or QueryReading(parsed=False)
    refusal = _refused(tokens)
    if refusal:
        return QueryReading(refused=refusal)
    uses = tables(tokens)
    if uses is None:
        reading = _by_engine(text, tokens, grammar)
        if reading is not None:
            return reading
        uses = parsed(text, grammar.dialect)
    if uses is None:
        return QueryReading(parsed=False, with_end=_with_end(tokens), tokens=tokens)
    return QueryReading(tuple(uses), _with_end(tokens), tokens=tokens)


def _by_engine(text: str, tokens: Tokens, grammar: Grammar) -> QueryReading | None:
    """What the engine's own parser tells; None where it does not take the text for a query."""
    if grammar.serialized is None:
        return None
    tree = named_tables(grammar.serialized(text), text)
    pivots = pivot_edits(tokens) if tree is None else []
    if pivots:
        tree = named_tables(grammar.serialized(spliced(text, pivots)), text, pivots)
    if tree is None:
        return None
    uses, unread = list(tree.uses), list(tree.unread)
    for query, place in tree.queries:  # a query that is written as a text
        inner = read(query, grammar)
        uses += [
            TableUse(use.parts, place, place, True, optional=True, within="query")
            for use in inner.uses
        ]
        unread += [UnreadTable(unread_table.function, place) for unread_table in inner.unread]
        if not inner.parsed:
            unread.append(UnreadTable("query", place))
    return QueryReading(tuple(uses), _with_end(tokens), tokens=tokens, unread=tuple(unread))


def tokens_of(text: str, dialect: str) -> Tokens | None:
    """The words of a text; None where it has none that could be told apart. The parser's own
    tokenizer is much to load, and few texts need it."""
    tokens = TOKENIZERS[dialect](text) if dialect in TOKENIZERS else None
    if tokens is not None:
        return tokens
    from transformer.compile.sql import parser

    return parser.tokens(text, dialect)


def parsed(text: str, dialect: str) -> list[TableUse] | None:
    """The tables that a query names, as the parser finds them; None where it does not understand
    the query."""
    from transformer.compile.sql import parser

    return parser.parsed(text, dialect)


def _refused(tokens: Tokens) -> QueryRefusal | None:
    if not tokens.texts:
        return QueryRefusal("there is no query here", 0)
    first = tokens.texts[0]
    if first.upper() in _STATEMENTS.split():
        return QueryRefusal(f"`{first.lower()} …` is no query", tokens.starts[0])
    if ";" in tokens.texts[:-1]:
        place = tokens.starts[tokens.texts.index(";")]
        return QueryRefusal("there is more than one statement here", place)
    return None


def _with_end(tokens: Tokens) -> int | None:
    if not tokens.texts:
        return None
    lowered = [word.lower() for word in tokens.texts[:2]]
    if lowered[:1] != ["with"]:
        return None
    index = 1 if lowered[1:] == ["recursive"] else 0
    return tokens.starts[index] + len(tokens.texts[index])


def canonical(text: str, dialect: str) -> str:
    """What a query says, whatever its comments, layout and order of CTEs."""
    tokens = tokens_of(text, dialect)
    return text if tokens is None else canonical_digest(tokens)


def without_end(text: str) -> str:
    """The query without the semicolons and blanks at its end."""
    return text.rstrip().rstrip(";").rstrip()
