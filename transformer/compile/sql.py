"""The gate to sqlglot: it reads SQL and never writes what is executed.

The user's text runs. Where a plain name must become a relation, the identifier is replaced at its
place (`Splice`) and everything else stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError

from transformer.compile.canonical import NO_WORDS, Words, said
from transformer.compile.tables import TableUse, tables

# Statements that do something; a model, a check or `--inline` is a query.
_STATEMENTS = (
    "ALTER ANALYZE ATTACH BEGIN CALL CHECKPOINT COMMIT COPY CREATE DELETE DETACH DROP EXECUTE"
    " EXPORT GRANT IMPORT INSERT INSTALL LOAD MERGE PRAGMA ROLLBACK SET TRUNCATE UPDATE USE"
    " VACUUM"
)
_SEVERAL = re.compile(r"\w+(\s+\w+)+")
_SHORT = 4  # letters: a keyword of several words has more


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
    speaks = Dialect.get_or_raise(dialect)
    try:
        tokens = speaks.tokenize(text)
    except TokenError:
        return Reading(parsed=False)
    wrong = _refused(tokens, text)
    if wrong:
        return Reading(refused=wrong)
    words = _words(tokens, text)
    found = tables(words)
    if found is None:
        found = parsed(tokens, text, dialect)
    if found is None:
        return Reading(parsed=False, words=words)
    return Reading(tuple(found), _with_end(tokens), words=words)


def parsed(tokens: list[Any], text: str, dialect: str) -> list[TableUse] | None:
    """The tables that a query names, as the parser finds them; None where it does not understand
    the query."""
    try:
        parser = Dialect.get_or_raise(dialect).parser()
        trees = [tree for tree in parser.parse(tokens, text) if tree]
    except (ParseError, TokenError, RecursionError):
        return None
    named = (table for tree in trees for table in tree.find_all(exp.Table))
    uses = [use for table in named if (use := _use(table, text)) is not None]
    return sorted(uses, key=lambda use: use.start)


def _words(tokens: Sequence[Any], text: str) -> Words:
    """The tokens. A keyword of several words (`group by`) is as many."""
    starts = [token.start for token in tokens]
    texts = [text[token.start : token.end + 1] for token in tokens]
    several = [
        at
        for at, each in enumerate(texts)
        if len(each) > _SHORT and not each.isidentifier() and _SEVERAL.fullmatch(each)
    ]
    for at in reversed(several):
        parts = list(re.finditer(r"\w+", texts[at]))
        texts[at : at + 1] = [part[0].lower() for part in parts]
        starts[at : at + 1] = [starts[at] + part.start() for part in parts]
    return Words(starts, texts)


def _refused(tokens: Sequence[Any], text: str) -> Refused | None:
    if not tokens:
        return Refused("there is no query here", 0)
    if tokens[0].text.upper() in _STATEMENTS.split():
        return Refused(f"`{tokens[0].text.lower()} …` is no query", int(tokens[0].start))
    end = next((t for t in tokens[:-1] if text[t.start] == ";"), None) if ";" in text else None
    return Refused("there is more than one statement here", int(end.start)) if end else None


def _use(table: exp.Table, text: str) -> TableUse | None:
    parts = table.parts
    if not parts or not all(isinstance(part, exp.Identifier) for part in parts):
        return None
    start, end = parts[0].meta.get("start"), parts[-1].meta.get("end")
    if start is None or end is None or text[start] == "'":
        return None  # a file named in quotes: 'x.csv'
    if len(parts) == 1 and _is_cte(table, parts[0].name):
        return None
    names = tuple(part.name for part in parts)
    return TableUse(names, start, end + 1, bool(table.alias))


def _is_cte(table: exp.Table, name: str) -> bool:
    """Whether a WITH around the table defines the name before the table's place."""
    folded = name.lower()
    node, inside = table.parent, None
    while node is not None:
        if isinstance(node, exp.CTE):
            inside = node
        clause = node.args.get("with_") or node.args.get("with")
        if clause is not None and folded in _visible(clause, inside):
            return True
        if clause is not None:
            inside = None
        node = node.parent
    return False


def _visible(clause: exp.With, inside: exp.CTE | None) -> set[str]:
    names = [cte.alias.lower() for cte in clause.expressions]
    here = next((i for i, cte in enumerate(clause.expressions) if cte is inside), None)
    if here is None or clause.args.get("recursive"):
        return set(names)
    return set(names[:here])


def _with_end(tokens: Sequence[Any]) -> int | None:
    if not tokens or tokens[0].text.upper() != "WITH":
        return None
    recursive = len(tokens) > 1 and tokens[1].text.upper() == "RECURSIVE"
    return int(tokens[1 if recursive else 0].end) + 1


def canonical(text: str, dialect: str) -> str:
    """What a query says, whatever its comments, layout and order of CTEs."""
    try:
        tokens = Dialect.get_or_raise(dialect).tokenize(text)
    except TokenError:
        return text
    return said(_words(tokens, text))


def without_end(text: str) -> str:
    """The query without the semicolons and blanks at its end."""
    return text.rstrip().rstrip(";").rstrip()
