"""The only code that uses sqlglot: it reads SQL, and never writes what is executed.

It is imported only for queries whose tokens or tables cannot be determined without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError

from transformer.compile.sql.table_refs import TableUse
from transformer.compile.sql.tokens import Tokens

_COMPOUND = re.compile(r"\w+(\s+\w+)+")
_MIN_COMPOUND = 4  # letters: a keyword of several words has more


def tokens(text: str, dialect: str) -> Tokens | None:
    """The tokens of a text; None if it cannot be tokenized."""
    try:
        return _tokens(Dialect.get_or_raise(dialect).tokenize(text), text)
    except TokenError:
        return None


def parsed(text: str, dialect: str) -> list[TableUse] | None:
    """The tables in a query, according to the parser; None if it cannot parse the query."""
    sql_dialect = Dialect.get_or_raise(dialect)
    try:
        trees = [
            tree for tree in sql_dialect.parser().parse(sql_dialect.tokenize(text), text) if tree
        ]
    except (ParseError, TokenError, RecursionError):
        return None
    tables = (table for tree in trees for table in tree.find_all(exp.Table))
    uses = [use for table in tables if (use := _use(table, text)) is not None]
    return sorted(uses, key=lambda use: use.start)


def _tokens(tokens: Sequence[Any], text: str) -> Tokens:
    """The tokens; a keyword of several words (`group by`) is split."""
    starts = [token.start for token in tokens]
    texts = [text[token.start : token.end + 1] for token in tokens]
    compound = [
        index
        for index, token_text in enumerate(texts)
        if len(token_text) > _MIN_COMPOUND
        and not token_text.isidentifier()
        and _COMPOUND.fullmatch(token_text)
    ]
    for index in reversed(compound):
        parts = list(re.finditer(r"\w+", texts[index]))
        texts[index : index + 1] = [part[0].lower() for part in parts]
        starts[index : index + 1] = [starts[index] + part.start() for part in parts]
    return Tokens(starts, texts)


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
    """Whether an enclosing WITH defines the name before the table."""
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
