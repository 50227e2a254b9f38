"""Reads a query: its tokens, the tables it names, or why it is not a query.

The user's text runs. Where a plain name must become a relation, only the identifier is replaced
(`Edit`).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from transformer.compile.sql.canonical import canonical_digest
from transformer.compile.sql.edits import spliced
from transformer.compile.sql.serialized import UnreadTable, named_tables, pivot_edits
from transformer.compile.sql.table_refs import TableUse, tables
from transformer.compile.sql.tokens import NO_TOKENS, TOKENIZERS, Tokens

# Statements with effects; a model, a check or `--inline` must be a query.
_STATEMENTS = (
    "ALTER ANALYZE ATTACH BEGIN CALL CHECKPOINT COMMIT COPY CREATE DELETE DETACH DROP EXECUTE"
    " EXPORT GRANT IMPORT INSERT INSTALL LOAD MERGE PRAGMA ROLLBACK SET TRUNCATE UPDATE USE"
    " VACUUM"
)


class QueryRefusal(Struct, frozen=True):
    """Why a text is not a single query, and at which character."""

    why: str
    at: int


class Grammar(Struct, frozen=True):
    """An engine's SQL: sqlglot's dialect, and the engine's own parser, if any, which returns the
    syntax tree of a query as JSON."""

    dialect: str
    serialized: Callable[[str], str] | None = None


class QueryReading(Struct, frozen=True):
    """The result of reading a query. If not `parsed`, there are no uses, and only `ref()` and
    `source()` add edges. `unread` are tables whose names are computed.
    """

    uses: tuple[TableUse, ...] = ()
    with_end: int | None = None
    parsed: bool = True
    refused: QueryRefusal | None = None
    tokens: Tokens = NO_TOKENS
    unread: tuple[UnreadTable, ...] = ()


def read(text: str, grammar: Grammar) -> QueryReading:
    """The tables in a query, in text order; or why it is not a query.

    Tokens suffice for most queries; the engine's parser is next, then sqlglot.
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
    """The reading by the engine's own parser; None if it does not accept the query."""
    if grammar.serialized is None:
        return None
    tree = named_tables(grammar.serialized(text), text)
    pivots = pivot_edits(tokens) if tree is None else []
    if pivots:
        tree = named_tables(grammar.serialized(spliced(text, pivots)), text, pivots)
    if tree is None:
        return None
    uses, unread = list(tree.uses), list(tree.unread)
    for query, place in tree.queries:  # a query in a string literal
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
    """The tokens of a text; None if it cannot be tokenized. The parser's tokenizer is imported
    only if needed, since that is slow."""
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
        return QueryRefusal("there is no query", 0)
    first = tokens.texts[0]
    if first.upper() in _STATEMENTS.split():
        return QueryRefusal(f"`{first.lower()} …` is not a query", tokens.starts[0])
    if ";" in tokens.texts[:-1]:
        place = tokens.starts[tokens.texts.index(";")]
        return QueryRefusal("there is more than one statement", place)
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
    """The canonical form of a query, which ignores comments, layout and the order of CTEs."""
    tokens = tokens_of(text, dialect)
    return text if tokens is None else canonical_digest(tokens)


def without_end(text: str) -> str:
    """The query without trailing semicolons and whitespace."""
    return text.rstrip().rstrip(";").rstrip()
