"""The tables in a query, from the syntax tree of the engine's own parser.

DuckDB serializes a query's tree as JSON, with the byte offset of every table, so the engine itself
determines what it reads. Tables named in string literals (`query_table('t')`) are included; those
with computed names are reported.
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

# The parts of a name, with whitespace and comments around its dots.
_IDENTIFIER = re.compile(r'"(?:[^"]|"")*"|[\w$]+')
_QUALIFIED = re.compile(rf"(?:{_IDENTIFIER.pattern})(?:\.(?:{_IDENTIFIER.pattern})){{0,2}}")
_PARTS = 3  # catalog, schema, table
_TEXT = re.compile(r"'(?:[^']|'')*'")
_DOT = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/)*\.(?:\s|--[^\n]*|/\*.*?\*/)*", re.DOTALL)
# After these words a table takes no alias.
_NO_ALIAS = re.compile(r"\b(table|summarize|describe|desc|show)\s+\Z", re.IGNORECASE)
_PIVOTS = ("pivot", "pivot_wider")
_AFTER_PIVOT = ("using", "group", "order", "limit", ")", ";")
# A pivot with columns from the rows is two statements, which the engine does not serialize.
_PIVOT_LIST = " __on in (1) "


class UnreadTable(Struct, frozen=True):
    """A table whose name is computed when the query runs, and its place."""

    function: str
    at: int


class NamedTables(Struct, frozen=True):
    """The tables in text order, those with computed names, and the queries in string literals
    (`query('from t')`), each with its place."""

    uses: tuple[TableUse, ...] = ()
    unread: tuple[UnreadTable, ...] = ()
    queries: tuple[tuple[str, int], ...] = ()


def pivot_edits(tokens: Tokens) -> list[Edit]:
    """Edits that add a list of values to pivots without one, so that they are one statement."""
    lowered = list(map(str.lower, tokens.texts))
    edits = []
    for index, word in enumerate(lowered):
        if word in _PIVOTS:
            on_index = _next(lowered, index + 1, ("on",))
            end_index = (
                _next(lowered, on_index + 1, _AFTER_PIVOT) if on_index < len(lowered) else on_index
            )
            if on_index < len(lowered) and "in" not in lowered[on_index:end_index]:
                start = tokens.starts[on_index] + len(lowered[on_index])
                last = tokens.starts[end_index - 1] + len(tokens.texts[end_index - 1])
                edits.append(Edit(start, last, _PIVOT_LIST))
    return edits


def _next(lowered: Sequence[str], index: int, terms: Sequence[str]) -> int:
    """The index of the next of these words outside nested brackets."""
    depth = 0
    while index < len(lowered):
        if not depth and lowered[index] in terms:
            return index
        depth += (lowered[index] == "(") - (lowered[index] == ")")
        index += 1
    return index


def named_tables(tree: str, text: str, edits: Sequence[Edit] = ()) -> NamedTables | None:
    """The tables of a serialized query; None if the engine could not serialize it. `edits` were
    applied to the text before."""
    parsed = json.loads(tree)
    if parsed.get("error"):
        return None
    reader = _Reader(text, edits)
    reader.walk(parsed["statements"], frozenset())
    uses = sorted(reader.uses, key=lambda use: use.start)
    return NamedTables(tuple(uses), tuple(reader.unread), tuple(reader.queries))


class _Reader(Struct):
    text: str
    edits: Sequence[Edit]
    uses: list[TableUse] = field(default_factory=list)
    unread: list[UnreadTable] = field(default_factory=list)
    queries: list[tuple[str, int]] = field(default_factory=list)
    encoded: bytes = b""

    def __post_init__(self) -> None:
        self.encoded = spliced(self.text, self.edits).encode()

    def walk(self, tree: Any, ctes: frozenset[str]) -> None:
        """Records all tables in the tree; `ctes` are names that are not tables here."""
        if isinstance(tree, list):
            for element in tree:
                self.walk(element, ctes)
        elif isinstance(tree, dict):
            self.node(tree, ctes)

    def node(self, tree: Mapping[str, Any], ctes: frozenset[str]) -> None:
        if tree.get("type") == "BASE_TABLE":
            self.table(tree, ctes)
        elif tree.get("type") == "TABLE_FUNCTION":
            self.function_call(tree["function"])
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
            no_alias = bool(tree["alias"] or _NO_ALIAS.search(self.text[:start]))
            self.uses.append(TableUse(parts, start, end, no_alias))

    def function_call(self, function: Mapping[str, Any]) -> None:
        """Records tables passed by name to a table function."""
        name, children = str(function["function_name"]).lower(), function["children"]
        for constant in _constants(children):
            text = constant["value"].get("value")
            if isinstance(text, str):
                self.text_argument(name, text, self.place(constant["query_location"]))
        first = children[0] if children and name in TAKES_TABLES else None
        if first is not None and first.get("type") == "COLUMN_REF":
            place = self.place(first["query_location"])
            end = _end(self.text, place, len(first["column_names"]))
            parts = tuple(map(str, first["column_names"]))
            if end is not None and len(parts) <= _PARTS:
                self.uses.append(TableUse(parts, place, end, aliased=True, optional=True))
        elif first is not None and _is_computed(first):
            self.unread.append(UnreadTable(name, self.place(function["query_location"])))

    def text_argument(self, function: str, text: str, place: int) -> None:
        """Records a string argument that may be a table's name, or a query."""
        quoted = _TEXT.match(self.text, place)
        if function == "query":
            self.queries.append((text, place))
        elif quoted and _QUALIFIED.fullmatch(text):
            parts = tuple(map(_unquoted, _IDENTIFIER.findall(text)))
            self.uses.append(
                TableUse(parts, place, quoted.end(), True, optional=True, within=function)
            )

    def place(self, location: int) -> int:
        """The character position of a byte offset."""
        character = len(self.encoded[:location].decode(errors="ignore"))
        return unspliced(character, self.edits)


def _constants(children: Any) -> Iterator[Mapping[str, Any]]:
    """The constants among the arguments, including those in lists."""
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
    """The end of a name with this number of parts; None if there is no such name."""
    position = start
    for part in range(parts):
        if part:
            dot = _DOT.match(text, position)
            if dot is None:
                return None
            position = dot.end()
        match = _IDENTIFIER.match(text, position)
        if match is None:
            return None
        position = match.end()
    return position
