"""The words of a query: what the parser's tokenizer gives, or nothing."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from sqlglot.dialects.duckdb import DuckDB

from transformer.compile.sql import parser
from transformer.compile.sql.tokens import _COMMANDS, _PAIRS, duckdb_tokens

TOLD = [
    "select a, b from t -- why\nwhere a >= 1.5 /* and\n * so * on */ and b <> 'it''s' ; ",
    "SELECT a FROM t GROUP  BY a ORDER\nBY b, Group /* not one word */ BY c",
    "select * from t where a SIMILAR TO 'x' and b::DOUBLE PRECISION > 1",
    'select \'é -- /* " \', "it\'s é", "a""b" from t -- é',
    "select {'a': [1, 2][1:2]}, x -> x + 1, y ->> 'k', a // b, a || b, f(c := 1, d => 2)",
    "with a as (from b) select a.*, -1, a.b.c from a",
    "select 1\r\n-- one\rfrom t",
    "select fetch from t",
]
LEFT = [
    "select e'\\'' from t",
    "select date'2020-01-01'",
    "select $$ a $$, $1, ?, #1",
    "select 1e5, .5, 1., 0x1f, 1_000, 1a",
    "select {{ a }}, {'a': {'b': 1}}",
    "select a /*+ hint */ from t /* /* within */ */",
    "select a>-1",
    "select a ~ b, a && b, a ^ b, !a, @a",
    "select straße",
    "select a\x0cfrom t",
    "select 'a",
    "select a /* b",
    "select 1; select 2",
    "fetch all of it",
    "select user-defined",
    "begin fetch",
    "",
]
PIECES = (
    *"()[]{},;.:'\"-+*/%=<>!|&^~@#?\\$`\n\r\t  aexXB_019é\x0c",
    *[
        "--",
        "/*",
        "*/",
        "/*+",
        "//",
        "::",
        "->",
        "->>",
        "||",
        "e'",
        "''",
        "$$",
        "1.5",
        "1e5",
        ".5",
        "1.",
        "{{",
        "}}",
        "{%",
        "%}",
        "<>",
        ">=",
        "=-",
        "'a'",
        '"b"',
    ],
    *(
        "GROUP  BY",
        "Group /* a */ By",
        "order\nBY",
        "user-defined",
        "begin",
        "fetch",
        "Primary Key",
        "select",
        "From",
    ),
)


@pytest.mark.parametrize("text", TOLD)
def test_what_looks_like_one_thing_only_is_told(text: str) -> None:
    assert duckdb_tokens(text) is not None
    assert duckdb_tokens(text) == parser.tokens(text, "duckdb")


@pytest.mark.parametrize("text", LEFT)
def test_what_may_be_meant_in_another_way_is_left(text: str) -> None:
    assert duckdb_tokens(text) is None


def test_whatever_is_told_is_what_the_tokenizer_gives() -> None:
    chance, told = random.Random(20), 0
    files = sorted(Path(__file__).parents[3].glob("*/**/*.sql"))
    texts = [*TOLD, *LEFT, *(path.read_text() for path in files)]
    for _ in range(5000):
        text = chance.choice(texts)
        at = chance.randrange(len(text) + 1)
        text = text[at : at + chance.randint(5, 120)]
        for _ in range(chance.randint(0, 4)):
            at = chance.randrange(len(text) + 1)
            text = text[:at] + chance.choice(PIECES) + text[at + chance.choice((0, 1)) :]
        found = duckdb_tokens(text)
        if found is not None:
            told += 1
            assert found == parser.tokens(text, "duckdb"), text
    assert told > 600


def test_the_lists_of_words_are_the_tokenizers() -> None:
    kinds = DuckDB.Tokenizer.KEYWORDS
    pairs = {f"{first} {second}".upper() for second, firsts in _PAIRS.items() for first in firsts}
    assert pairs == {word for word in kinds if re.fullmatch(r"\w+(\s+\w+)+", word)}
    whole = DuckDB.Tokenizer.COMMANDS
    commands = {word.lower() for word, kind in kinds.items() if kind in whole}
    assert commands == _COMMANDS
    after = DuckDB.Tokenizer.COMMAND_PREFIX_TOKENS
    assert {word for word, kind in kinds.items() if kind in after} == {"BEGIN"}
