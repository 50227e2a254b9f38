"""Whether a query gives the same rows whenever it runs over the same tables.

Two things keep it from that. One that asks for the time or for chance gives other rows each time:
it is built in every build. One whose rows may depend on the order in which others stand
(`any_value`, `limit`, `row_number` …) is built whenever a table that it reads was made anew, be
the content the same. The rule is on the safe side: it looks at words, not at types, and an
`order by` helps nothing, for nobody knows whether it leaves ties.

What is named by its place in the file system is found here too: `read_csv('…')`, `from 'x.csv'`.
Where the name of a file is computed, nobody knows which it is: that is built in every build.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from transformer.compile.sql.tokens import listed

# DuckDB's own list of functions that are not CONSISTENT, without those that ask for settings.
_CHANCE = listed(
    "now today get_current_time get_current_timestamp transaction_timestamp current_localtime"
    " current_localtimestamp random gen_random_uuid uuid uuidv4 uuidv7 nextval currval setseed"
    " txid_current current_query age statement_timestamp clock_timestamp current_connection_id"
    " current_query_id current_transaction_id query query_table"
)
# What tells of the warehouse itself, whoever changed that.
_ABOUT = ("duckdb_", "pragma_")
_BARE = listed(
    "current_date current_time current_timestamp localtime localtimestamp sample tablesample"
    " information_schema pg_catalog"
)
_ORDERED = listed(
    "any_value arbitrary first last list array array_agg string_agg group_concat listagg mode"
    " json_group_array json_group_object json_group_structure histogram arg_max arg_min max_by"
    " min_by argmax argmin arg_max_null arg_min_null arg_max_nulls_last arg_min_nulls_last"
    " approx_quantile approx_count_distinct reservoir_quantile approx_top_k row_number ntile lag"
    " lead first_value last_value nth_value fill"
)
# `summarize` is about: half of its figures are estimates.
# Under a collation values are equal that differ: which of them is given depends on the order.
_IN_TURN = listed("limit offset fetch rowid positional asof rows summarize collate")
_PAIRS = frozenset((("distinct", "on"), ("using", "key")))
_QUERIES = listed("query query_table")
_QUOTES = ("'", '"', "$", "e'")
_DOLLARS = re.compile(r"(\$\w*\$)(.*)\1", re.DOTALL)
_FILE = re.compile(r"\.(csv|tsv|json|jsonl|ndjson|parquet|xlsx?)(\.\w+)?\Z", re.IGNORECASE)


class Volatility(Struct, frozen=True):
    """What a query depends on beside the content of its tables: `time`, or chance; the `order` of
    their rows; `files` by the names the query gives them. With `shape` its columns are made of
    what it reads (`pivot`, files): over other rows they may be others."""

    time: bool = False
    order: bool = False
    files: tuple[str, ...] = ()
    shape: bool = False

    def __or__(self, other: Volatility) -> Volatility:
        return Volatility(
            self.time or other.time,
            self.order or other.order,
            tuple(dict.fromkeys((*self.files, *other.files))),
            self.shape or other.shape,
        )


STEADY = Volatility()
# Of what cannot be read nothing is known.
UNKNOWN = Volatility(time=True, order=True, shape=True)


def steadiness(words: Sequence[str]) -> Volatility:
    """What the query of these tokens depends on."""
    lowered = list(map(str.lower, words))
    pairs = set(pairwise(lowered))
    there = set(lowered)
    called = {word for word, after in pairs if after == "("}
    time = bool(called & _CHANCE or _BARE & there)
    time = time or any(word.startswith(_ABOUT) for word in called)
    order = bool(called & _ORDERED or _IN_TURN & there or _PAIRS & pairs)
    readers = {word for word in called if reads_files(word)}
    quoted = [word for word in there if word.startswith(_QUOTES)]
    named = readers or any(_FILE.search(_inside(word)) for word in quoted)
    named = named or any((word, each) in pairs for each in quoted for word in ("from", "join"))
    files = tuple(dict.fromkeys(_files(words, lowered))) if named else ()
    time = time or any(_is_computed(lowered, at) for at in _calls(lowered, readers))
    shape = bool(files or readers or called & _QUERIES) or any("pivot" in word for word in there)
    return Volatility(time, order, files, shape)


def _files(words: Sequence[str], lowered: Sequence[str]) -> list[str]:
    """The texts in quotes behind `from` and `join`, inside `read_…(…)`, and those that end like
    the name of a file wherever they stand: rather one too many."""
    found: list[str] = []
    depth, inside = 0, 0
    for at, word in enumerate(lowered):
        before = lowered[at - 1] if at else ""
        if word == "(":
            depth += 1
            if not inside and reads_files(before):
                inside = depth
        elif word == ")":
            if inside == depth:
                inside = 0
            depth -= 1
        elif (
            _is_text(word)
            and (before in ("from", "join") or (inside and before in ("(", ",", "[")))
        ) or (word.startswith(_QUOTES) and _FILE.search(_inside(word))):
            found.append(_inside(words[at]))
    return found


def _calls(lowered: Sequence[str], functions: set[str]) -> list[int]:
    """Where the arguments of these functions begin."""
    pairs = enumerate(pairwise(lowered))
    return [at + 2 for at, (word, after) in pairs if after == "(" and word in functions]


def _is_computed(lowered: Sequence[str], at: int) -> bool:
    """Whether the argument at the place, which names files, is more than a text or a list of
    texts: then nobody knows which files are read, and when they change."""
    depth, argument = 0, []
    while at < len(lowered) and (depth or lowered[at] not in (",", ")")):
        depth += (lowered[at] in ("(", "[")) - (lowered[at] in (")", "]"))
        argument.append(lowered[at])
        at += 1
    if argument[:1] == ["["] and argument[-1:] == ["]"]:
        return not all(word == "," or _is_plain(word) for word in argument[1:-1])
    return len(argument) > 1 or not all(map(_is_plain, argument))


def _is_text(word: str) -> bool:
    return word.startswith(("'", "$", "e'", "E'"))


def _is_plain(word: str) -> bool:
    """Whether a word is a text that says what it means: one with escapes may say anything."""
    return _is_text(word) and not (word[:1] in ("e", "E") and "\\" in word)


def _inside(word: str) -> str:
    """What a text or a name in quotes holds."""
    dollars = _DOLLARS.fullmatch(word)
    if dollars:
        return dollars[2]
    return word.removeprefix("E").removeprefix("e").strip("'\"").replace("''", "'")


def reads_files(function: str) -> bool:
    """Whether the function reads files that it is given the names of."""
    named = function.startswith(("read_", "parquet_", "st_read")) or function.endswith("_scan")
    return named or function in ("glob", "sniff_csv")


_READS = r"(?:\b(?:from|join)\s+|\b(?:read_|parquet_)\w*\s*\([^)]*|\w+_scan\s*\([^)]*)"


def relative_files(query: str, files: Sequence[str]) -> tuple[str, ...]:
    """Those of the files that the query reads by a path that means something else elsewhere. A
    text that only looks like a file's name is none of them."""
    return tuple(
        name
        for name in files
        if "://" not in name and not name.startswith(("/", "~")) and _is_read(query, name)
    )


def _is_read(query: str, name: str) -> bool:
    written = re.escape(name.replace("'", "''"))
    return bool(re.search(rf"{_READS}['\"]{written}['\"]", query, re.IGNORECASE))
