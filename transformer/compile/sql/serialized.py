"""The tables that a query names, read from what the engine's own parser makes of it.

DuckDB gives the tree of a query as JSON, with the place of every table in bytes. So the engine
itself tells what it will read, in whatever form that is written. Tables that are named in a text
(`query_table('t')`) are found too; one whose name is computed is not, and is reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from transformer.compile.sql.edits import Edit, spliced, unspliced
from transformer.compile.sql.table_refs import TAKES_TABLES, TableUse
from transformer.compile.sql.tokens import Tokens

# The parts of a name, with blanks and comments around its dots.
_IDENTIFIER = re.compile(r'"(?:[^"]|"")*"|[\w$]+')
_QUALIFIED = re.compile(rf"(?:{_IDENTIFIER.pattern})(?:\.(?:{_IDENTIFIER.pattern})){{0,2}}")
_PARTS = 3  # catalog, schema, table
_TEXT = re.compile(r"'(?:[^']|'')*'")
_DOT = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/)*\.(?:\s|--[^\n]*|/\*.*?\*/)*", re.DOTALL)
# Behind these words a table takes no alias.
_BARE = re.compile(r"\b(table|summarize|describe|desc|show)\s+\Z", re.IGNORECASE)
_PIVOTS = ("pivot", "pivot_wider")
_AFTER_PIVOT = ("using", "group", "order", "limit", ")", ";")
# A pivot whose columns come from the rows is two statements, which the engine does not serialize.
_LISTED = " __on in (1) "


class UnreadTable(Struct, frozen=True):
    """A table whose name is known only when the query runs, and where it is asked for."""

    function: str
    at: int


class NamedTables(Struct, frozen=True):
    """The tables in the order of the text, those that cannot be told, and the queries that are
    written as texts (`query('from t')`), each with its place."""

    uses: tuple[TableUse, ...] = ()
    unread: tuple[UnreadTable, ...] = ()
    queries: tuple[tuple[str, int], ...] = ()


def listed_pivots(words: Tokens) -> list[Edit]:
    """What makes every pivot without a list of values one statement: a list in its place."""
    lowered = list(map(str.lower, words.texts))
    made = []
    for at, word in enumerate(lowered):
        if word in _PIVOTS:
            on = _next(lowered, at + 1, ("on",))
            end = _next(lowered, on + 1, _AFTER_PIVOT) if on < len(lowered) else on
            if on < len(lowered) and "in" not in lowered[on:end]:
                start = words.starts[on] + len(lowered[on])
                last = words.starts[end - 1] + len(words.texts[end - 1])
                made.append(Edit(start, last, _LISTED))
    return made


def _next(lowered: Sequence[str], at: int, wanted: Sequence[str]) -> int:
    """The place of the next of these words that stands in no bracket of its own."""
    depth = 0
    while at < len(lowered):
        if not depth and lowered[at] in wanted:
            return at
        depth += (lowered[at] == "(") - (lowered[at] == ")")
        at += 1
    return at


def named(tree: str, text: str, listed: Sequence[Edit] = ()) -> NamedTables | None:
    """The tables of a serialized query; None where the engine could not serialize it. `listed`
    are the pieces that were put into the text before."""
    told = json.loads(tree)
    if told.get("error"):
        return None
    reader = _Reader(text, listed)
    reader.walk(told["statements"], frozenset())
    uses = sorted(reader.uses, key=lambda use: use.start)
    return NamedTables(tuple(uses), tuple(reader.unread), tuple(reader.queries))


class _Reader(Struct):
    text: str
    listed: Sequence[Edit]
    uses: list[TableUse] = field(default_factory=list)
    unread: list[UnreadTable] = field(default_factory=list)
    queries: list[tuple[str, int]] = field(default_factory=list)
    encoded: bytes = b""

    def __post_init__(self) -> None:
        self.encoded = spliced(self.text, self.listed).encode()

    def walk(self, tree: Any, ctes: frozenset[str]) -> None:
        """Notes every table beneath; `ctes` are names that mean no table here."""
        if isinstance(tree, list):
            for each in tree:
                self.walk(each, ctes)
        elif isinstance(tree, dict):
            self.node(tree, ctes)

    def node(self, tree: Mapping[str, Any], ctes: frozenset[str]) -> None:
        if tree.get("type") == "BASE_TABLE":
            self.table(tree, ctes)
        elif tree.get("type") == "TABLE_FUNCTION":
            self.called(tree["function"])
        for cte in (tree.get("cte_map") or {}).get("map", ()):
            name = str(cte["key"]).lower()
            query = cte["value"]["query"]["node"]
            recursive = query.get("type") == "RECURSIVE_CTE_NODE"
            self.walk(cte["value"], ctes | {name} if recursive else ctes)
            ctes |= {name}
        for key, value in tree.items():
            if key != "cte_map":
                self.walk(value, ctes)

    def table(self, tree: Mapping[str, Any], ctes: frozenset[str]) -> None:
        name, schema = str(tree["table_name"]), str(tree["schema_name"])
        if schema.lower() in ("", "recurring") and name.lower() in ctes:
            return
        parts = tuple(p for p in (str(tree["catalog_name"]), schema, name) if p)
        start = self.place(tree["query_location"])
        if self.text.startswith("'", start):
            quoted = _TEXT.match(self.text, start)
            until = quoted.end() if quoted else start
            self.uses.append(TableUse((name,), start, until, bool(tree["alias"]), optional=True))
            return
        end = _end(self.text, start, len(parts))
        if end is not None:
            bare = bool(tree["alias"] or _BARE.search(self.text[:start]))
            self.uses.append(TableUse(parts, start, end, bare))

    def called(self, function: Mapping[str, Any]) -> None:
        """A table function may be given the names of tables."""
        name, children = str(function["function_name"]).lower(), function["children"]
        for each in _constants(children):
            said = each["value"].get("value")
            if isinstance(said, str):
                self.said(name, said, self.place(each["query_location"]))
        first = children[0] if children and name in TAKES_TABLES else None
        if first is not None and first.get("type") == "COLUMN_REF":
            at = self.place(first["query_location"])
            end = _end(self.text, at, len(first["column_names"]))
            parts = tuple(map(str, first["column_names"]))
            if end is not None and len(parts) <= _PARTS:
                self.uses.append(TableUse(parts, at, end, aliased=True, optional=True))
        elif first is not None and _is_computed(first):
            self.unread.append(UnreadTable(name, self.place(function["query_location"])))

    def said(self, function: str, said: str, at: int) -> None:
        """A text as an argument, which may be a table's name, or a query."""
        written = _TEXT.match(self.text, at)
        if function == "query":
            self.queries.append((said, at))
        elif written and _QUALIFIED.fullmatch(said):
            parts = tuple(map(_unquoted, _IDENTIFIER.findall(said)))
            self.uses.append(
                TableUse(parts, at, written.end(), True, optional=True, within=function)
            )

    def place(self, location: int) -> int:
        """The character at a place that is counted in bytes."""
        at = len(self.encoded[:location].decode(errors="ignore"))
        return unspliced(at, self.listed)


def _constants(children: Any) -> Iterator[Mapping[str, Any]]:
    """Constants as arguments, and within lists that are arguments."""
    for child in children:
        if child.get("class") == "CONSTANT":
            yield child
        elif child.get("function_name") == "list_value":
            yield from _constants(child["children"])


def _is_computed(child: Mapping[str, Any]) -> bool:
    if child.get("function_name") == "list_value":
        return any(map(_is_computed, child["children"]))
    return child.get("class") != "CONSTANT"


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def _end(text: str, start: int, parts: int) -> int | None:
    """Where a name of so many parts ends; None where there is no such name."""
    at = start
    for part in range(parts):
        if part:
            dot = _DOT.match(text, at)
            if dot is None:
                return None
            at = dot.end()
        found = _IDENTIFIER.match(text, at)
        if found is None:
            return None
        at = found.end()
    return at
