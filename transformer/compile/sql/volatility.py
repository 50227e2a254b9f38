"""Whether a query is deterministic: returns the same rows over the same tables.

There are two exceptions. A query that depends on the time or on random values is rebuilt in every
build. A query whose rows may depend on the order of its inputs (`any_value`, `limit`,
`row_number` …) is rebuilt whenever an input table was rebuilt, even with the same content. The
rule is conservative: it looks at words, not types, and ignores `order by`, which may leave ties.

Files named in the query are detected too: `read_csv('…')`, `from 'x.csv'`. A query with a computed
file name is rebuilt in every build.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from transformer.compile.sql.tokens import word_set

# DuckDB's list of functions that are not CONSISTENT, except those that read settings.
_VOLATILE_FUNCTIONS = word_set(
    "now today get_current_time get_current_timestamp transaction_timestamp current_localtime"
    " current_localtimestamp random gen_random_uuid uuid uuidv4 uuidv7 nextval currval setseed"
    " txid_current current_query age statement_timestamp clock_timestamp current_connection_id"
    " current_query_id current_transaction_id query query_table"
)
# Functions about the warehouse itself, which anything may change.
_ABOUT = ("duckdb_", "pragma_")
_VOLATILE_WORDS = word_set(
    "current_date current_time current_timestamp localtime localtimestamp sample tablesample"
    " information_schema pg_catalog"
)
_ORDER_DEPENDENT_FUNCTIONS = word_set(
    "any_value arbitrary first last list array array_agg string_agg group_concat listagg mode"
    " json_group_array json_group_object json_group_structure histogram arg_max arg_min max_by"
    " min_by argmax argmin arg_max_null arg_min_null arg_max_nulls_last arg_min_nulls_last"
    " approx_quantile approx_count_distinct reservoir_quantile approx_top_k row_number ntile lag"
    " lead first_value last_value nth_value fill"
)
# Half of the figures of `summarize` are estimates. Under a collation, different values are equal,
# and which one is returned depends on the order.
_ORDER_DEPENDENT_WORDS = word_set("limit offset fetch rowid positional asof rows summarize collate")
_PAIRS = frozenset((("distinct", "on"), ("using", "key")))
_QUERIES = word_set("query query_table")
_QUOTES = ("'", '"', "$", "e'")
_DOLLARS = re.compile(r"(\$\w*\$)(.*)\1", re.DOTALL)
_FILE = re.compile(r"\.(csv|tsv|json|jsonl|ndjson|parquet|xlsx?)(\.\w+)?\Z", re.IGNORECASE)


class Volatility(Struct, frozen=True):
    """What a query depends on besides the content of its tables: `time` (or random values), the
    `order` of rows, and `files`, by their names in the query. With `shape` its columns depend on
    the rows it reads (`pivot`, files)."""

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


DETERMINISTIC = Volatility()
# For a query that cannot be tokenized.
UNKNOWN = Volatility(time=True, order=True, shape=True)


def volatility_of(tokens: Sequence[str]) -> Volatility:
    """What the query of these tokens depends on."""
    lowered = list(map(str.lower, tokens))
    pairs = set(pairwise(lowered))
    token_set = set(lowered)
    functions = {word for word, after in pairs if after == "("}
    time = bool(functions & _VOLATILE_FUNCTIONS or _VOLATILE_WORDS & token_set)
    time = time or any(word.startswith(_ABOUT) for word in functions)
    order = bool(
        functions & _ORDER_DEPENDENT_FUNCTIONS
        or _ORDER_DEPENDENT_WORDS & token_set
        or _PAIRS & pairs
    )
    readers = {word for word in functions if reads_files(word)}
    quoted = [word for word in token_set if word.startswith(_QUOTES)]
    names_files = readers or any(_FILE.search(_unquoted(word)) for word in quoted)
    names_files = names_files or any(
        (word, text) in pairs for text in quoted for word in ("from", "join")
    )
    files = tuple(dict.fromkeys(_files(tokens, lowered))) if names_files else ()
    time = time or any(_is_computed(lowered, index) for index in _calls(lowered, readers))
    shape = bool(files or readers or functions & _QUERIES) or any(
        "pivot" in word for word in token_set
    )
    return Volatility(time, order, files, shape)


def _files(tokens: Sequence[str], lowered: Sequence[str]) -> list[str]:
    """The strings after `from` and `join`, inside `read_…(…)`, and those with a file extension
    anywhere: rather one too many."""
    files: list[str] = []
    depth, inside = 0, 0
    for index, word in enumerate(lowered):
        before = lowered[index - 1] if index else ""
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
        ) or (word.startswith(_QUOTES) and _FILE.search(_unquoted(word))):
            files.append(_unquoted(tokens[index]))
    return files


def _calls(lowered: Sequence[str], functions: set[str]) -> list[int]:
    """The indexes at which the arguments of these functions begin."""
    pairs = enumerate(pairwise(lowered))
    return [index + 2 for index, (word, after) in pairs if after == "(" and word in functions]


def _is_computed(lowered: Sequence[str], index: int) -> bool:
    """Whether the file argument at the index is not a string or a list of strings: then the files
    are unknown, and so are their changes."""
    depth, argument = 0, []
    while index < len(lowered) and (depth or lowered[index] not in (",", ")")):
        depth += (lowered[index] in ("(", "[")) - (lowered[index] in (")", "]"))
        argument.append(lowered[index])
        index += 1
    if argument[:1] == ["["] and argument[-1:] == ["]"]:
        return not all(word == "," or _is_plain(word) for word in argument[1:-1])
    return len(argument) > 1 or not all(map(_is_plain, argument))


def _is_text(word: str) -> bool:
    return word.startswith(("'", "$", "e'", "E'"))


def _is_plain(word: str) -> bool:
    """Whether a token is a string without escapes, so that its value is known."""
    return _is_text(word) and not (word[:1] in ("e", "E") and "\\" in word)


def _unquoted(word: str) -> str:
    """The content of a string or a quoted name."""
    dollars = _DOLLARS.fullmatch(word)
    if dollars:
        return dollars[2]
    return word.removeprefix("E").removeprefix("e").strip("'\"").replace("''", "'")


def reads_files(function: str) -> bool:
    """Whether the function reads files given by name."""
    by_prefix = function.startswith(("read_", "parquet_", "st_read")) or function.endswith("_scan")
    return by_prefix or function in ("glob", "sniff_csv")


_READS = r"(?:\b(?:from|join)\s+|\b(?:read_|parquet_)\w*\s*\([^)]*|\w+_scan\s*\([^)]*)"


def relative_files(query: str, files: Sequence[str]) -> tuple[str, ...]:
    """The files that the query reads by a relative path. A string that only looks like a file name
    does not count."""
    return tuple(
        name
        for name in files
        if "://" not in name and not name.startswith(("/", "~")) and _is_read(query, name)
    )


def _is_read(query: str, name: str) -> bool:
    escaped = re.escape(name.replace("'", "''"))
    return bool(re.search(rf"{_READS}['\"]{escaped}['\"]", query, re.IGNORECASE))
