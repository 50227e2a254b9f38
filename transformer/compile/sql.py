"""What a query says: its words, the tables it names, or why it is no query.

The user's text runs. Where a plain name must become a relation, the identifier is replaced at its
place (`Splice`) and everything else stays as it was written.
"""

from __future__ import annotations

from msgspec import Struct

from transformer.compile.canonical import said
from transformer.compile.tables import TableUse, tables
from transformer.compile.words import NO_WORDS, TOLD, Words

# Statements that do something; a model, a check or `--inline` is a query.
_STATEMENTS = (
    "ALTER ANALYZE ATTACH BEGIN CALL CHECKPOINT COMMIT COPY CREATE DELETE DETACH DROP EXECUTE"
    " EXPORT GRANT IMPORT INSERT INSTALL LOAD MERGE PRAGMA ROLLBACK SET TRUNCATE UPDATE USE"
    " VACUUM"
)


class Refused(Struct, frozen=True):
    """Why a text is not one query, and at which character."""

    why: str
    at: int


class Reading(Struct, frozen=True):
    """What is seen in a query. `parsed` is False where only the engine understands it: then there
    are no uses, and only `ref()` and `source()` make edges."""

    uses: tuple[TableUse, ...] = ()
    with_end: int | None = None
    parsed: bool = True
    refused: Refused | None = None
    words: Words = NO_WORDS


def read(text: str, dialect: str) -> Reading:
    """The tables a query names, in the order of the text; or why it is no query."""
    words = words_of(text, dialect)
    if words is None:
        return Reading(parsed=False)
    wrong = _refused(words)
    if wrong:
        return Reading(refused=wrong)
    found = tables(words)
    if found is None:
        found = parsed(text, dialect)
    if found is None:
        return Reading(parsed=False, words=words)
    return Reading(tuple(found), _with_end(words), words=words)


def words_of(text: str, dialect: str) -> Words | None:
    """The words of a text; None where it has none that could be told apart. The parser's own
    tokenizer is much to load, and few texts need it."""
    told = TOLD[dialect](text) if dialect in TOLD else None
    if told is not None:
        return told
    from transformer.compile import parsing

    return parsing.words(text, dialect)


def parsed(text: str, dialect: str) -> list[TableUse] | None:
    """The tables that a query names, as the parser finds them; None where it does not understand
    the query."""
    from transformer.compile import parsing

    return parsing.parsed(text, dialect)


def _refused(words: Words) -> Refused | None:
    if not words.texts:
        return Refused("there is no query here", 0)
    first = words.texts[0]
    if first.upper() in _STATEMENTS.split():
        return Refused(f"`{first.lower()} …` is no query", words.starts[0])
    if ";" in words.texts[:-1]:
        at = words.starts[words.texts.index(";")]
        return Refused("there is more than one statement here", at)
    return None


def _with_end(words: Words) -> int | None:
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
