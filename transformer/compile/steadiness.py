"""Whether a query gives the same rows whenever it runs over the same tables.

Two things keep it from that. One that asks for the time or for chance gives other rows each time:
it is built in every build. One whose rows depend on the order in which others stand
(`any_value`, `limit` without `order by` …) is built whenever a table that it reads was made anew,
be the content the same. The rule is on the safe side: it looks at words, not at types.

What is named by its place in the file system is found here too: `read_csv('…')`, `from 'x.csv'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


def _named(text: str) -> frozenset[str]:
    return frozenset(text.split())


# DuckDB's own list of functions that are not CONSISTENT, without those that ask for settings.
_CHANCE = _named(
    "now today get_current_time get_current_timestamp transaction_timestamp current_localtime"
    " current_localtimestamp random gen_random_uuid uuid uuidv4 uuidv7 nextval currval setseed"
    " txid_current current_query age statement_timestamp clock_timestamp"
)
_BARE = _named("current_date current_time current_timestamp localtime localtimestamp")
_ORDERED = _named(
    "any_value arbitrary first last list array_agg string_agg group_concat listagg mode"
    " json_group_array json_group_object histogram arg_max arg_min max_by min_by argmax argmin"
    " approx_quantile approx_count_distinct reservoir_quantile approx_top_k"
)
_WINDOWS = _named("row_number ntile lag lead first_value last_value nth_value rank dense_rank")
_SAMPLING = frozenset(("sample", "tablesample"))


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What a query depends on beside the content of its tables: `time`, or chance; the `order` of
    their rows; `files` by the names the query gives them."""

    time: bool = False
    order: bool = False
    files: tuple[str, ...] = ()

    def __or__(self, other: Steadiness) -> Steadiness:
        return Steadiness(
            self.time or other.time,
            self.order or other.order,
            tuple(dict.fromkeys((*self.files, *other.files))),
        )


STEADY = Steadiness()


def steadiness(words: Sequence[str]) -> Steadiness:
    """What the query of these tokens depends on."""
    lowered = [word.lower() for word in words]
    called = {word for word, after in pairwise((*lowered, "")) if after == "("}
    time = bool(called & _CHANCE or _BARE & set(lowered) or _SAMPLING & set(lowered))
    order = bool(called & _ORDERED) or _unordered(lowered, called)
    return Steadiness(time, order, tuple(dict.fromkeys(_files(words, lowered))))


def _unordered(words: Sequence[str], called: set[str]) -> bool:
    """Whether a `limit`, a `distinct on` or a ranking stands where nothing is put in order."""
    pairs = list(pairwise((*words, "")))
    if ("distinct", "on") in pairs or any(a == "over" and b != "(" for a, b in pairs):
        return True
    if not called & _WINDOWS and "limit" not in words and "offset" not in words:
        return False
    opened: list[int] = []
    ordered = [False]
    for at, word in enumerate(words):
        if word == "(":
            opened.append(at)
            ordered.append(False)
        elif word == ")" and opened:
            if not ordered.pop() and _ranks(words, opened.pop()):
                return True
        elif word == "order":
            ordered[-1] = True
        elif word in ("limit", "offset") and not ordered[-1]:
            return True
        elif word in ("union", "except", "intersect"):
            ordered[-1] = False
    return False


def _ranks(words: Sequence[str], opening: int) -> bool:
    """Whether the bracket is that of an `over (…)` of a ranking function."""
    if opening == 0 or words[opening - 1] != "over":
        return False
    at, depth = opening - 2, 0
    while at >= 0:
        depth += (words[at] == ")") - (words[at] == "(")
        at -= 1
        if depth == 0 and words[at + 1] == "(" and words[at] != "filter":
            return words[at] in _WINDOWS
    return True


def _files(words: Sequence[str], lowered: Sequence[str]) -> list[str]:
    """The texts in quotes behind `from`, `join`, and inside `read_…(…)`."""
    found: list[str] = []
    depth, inside = 0, 0
    for at, word in enumerate(lowered):
        before = lowered[at - 1] if at else ""
        if word == "(":
            depth += 1
            if not inside and (before.startswith("read_") or before.endswith("_scan")):
                inside = depth
        elif word == ")":
            if inside == depth:
                inside = 0
            depth -= 1
        elif word.startswith("'") and (
            before in ("from", "join") or (inside and before in ("(", ",", "["))
        ):
            found.append(words[at].strip("'").replace("''", "'"))
    return found
