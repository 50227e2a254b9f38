r"""JSON objects as rows: each top-level key is a column; nested values stay JSON.

DuckDB reads every number with a decimal point as a DOUBLE. Rows in which a number may have more
digits than that are read a second time with such numbers written as texts: `1.25…` becomes
`"\u0001\u00021.25…"`, so that all digits are kept.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from transformer.errors import LoadError
from transformer.landing.from_json import marked
from transformer.landing.staged import (
    LINE,
    NOTHING,
    PART,
    ROW,
    SURE,
    UNKNOWN,
    ReaderSession,
    unique_names,
)
from transformer.landing.union import merge_columns
from transformer.names import fold, literal, quoted
from transformer.steps import Columns

# A real number that may have more than 15 digits: eight after the point or nine before it, or a
# long one with an exponent. Any with fewer is exact in a DOUBLE.
_LONG = r"\.[0-9]{8}|[0-9]{9}\.|[0-9]{16}[eE]|[0-9]{9}[eE]-"
_LONG_PART = r"\.[0-9]{8}"
# A text, or such a number: texts match first, so that digits inside them are not numbers.
_TEXT_OR_NUMBER = r'("(?:[^"\\]|\\.)*")|(-?[0-9]+\.?[0-9]*[eE]?[-+]?[0-9]*)'
_MARK = r"\u0001\u0002"


class JsonObjects(Struct):
    """The objects of one file, or of several. `keys` are those seen so far, in order; a column is
    named after its key where that is a valid name."""

    parts: tuple[str, ...]
    keys: list[str] = field(default_factory=list)

    def columns(self, session: ReaderSession, lines: str) -> Columns:
        """The keys of these objects as columns, with their types."""
        kinds_by_part = structures(session, lines)
        keyed_kinds = [
            (key, kind) for part in self.parts for key, kind in kinds_by_part.get(part, {}).items()
        ]
        self.keys += dict.fromkeys(key for key, _ in keyed_kinds if key not in self.keys)
        names = dict(zip(self.keys, unique_names(self.keys), strict=True))
        return merge_columns(((names[key], kind) for key, kind in keyed_kinds), text=True)

    def more(self, session: ReaderSession, left: str) -> Columns:
        """The columns of the unsure rows in the table `left`."""
        return self.columns(session, f"select {PART}, {LINE} from {left} where {self.mine}")

    @property
    def mine(self) -> str:
        """The condition that a row belongs to one of these files."""
        return f"{PART} in ({', '.join(map(literal, self.parts))})"

    def _own(self, columns: Columns) -> list[tuple[str, str, str]]:
        """The columns that these files have: key, name, type."""
        keys = {fold(n): key for key, n in zip(self.keys, unique_names(self.keys), strict=True)}
        return [(keys[fold(n)], n, kind) for n, kind in columns if fold(n) in keys]

    def reading(self, lines: str, columns: Columns) -> str:
        """The query of all objects, each with whether it was read exactly."""
        own_columns = self._own(columns)
        in_struct = _struct_keys(own_columns)
        picks = "".join(
            f", {_pick(key, in_struct, _fast_type(kind))} as {_short(n)}"
            for n, (key, _, kind) in enumerate(own_columns)
        )
        names = "".join(
            f"{_short(n)}{'' if kind == 'JSON' else '::varchar'} as {quoted(name)}, "
            for n, (_, name, kind) in enumerate(own_columns)
        )
        # An object that its line contains character for character is exact; only other lines are
        # parsed.
        parsed = f"try_cast({LINE} as json)"
        if own_columns and len(in_struct) == len(own_columns):
            objects = f"select {PART}, {ROW}, {LINE}{picks}"
            compared = f"select *, {_verbatim_object(own_columns)} as same"
            parsed_where_needed = f"select *, case when not same then {parsed} end as o"
        else:
            objects = f"select {PART}, {ROW}, {LINE}, {parsed} as o, s"
            compared = f"select *, false as same{picks}"
            parsed_where_needed = "select *"
        return (
            f"select {names}{PART}, {ROW}, {LINE},"
            f" case when same then true else coalesce({_sure(own_columns)}, false) end as {SURE}"
            f" from (select *, case when not same then json_keys(o) end as k"
            f" from ({parsed_where_needed} from ({compared} from ({objects}"
            f" from (select *, try(json_transform({LINE}, {_shape(in_struct, _fast_type)})) as s"
            f" from ({lines}))))))"
        )

    def exact(self, left: str, columns: Columns) -> str:
        """The query of the unsure objects, with all digits of every number."""
        own_columns = self._own(columns)
        in_struct = _struct_keys(own_columns)
        names = "".join(
            f"{_exactly(_pick(key, in_struct, _exact_type(kind)), kind)} as {quoted(name)}, "
            for key, name, kind in own_columns
        )
        return (
            f"select {names}{PART}, {ROW} from (select {PART}, {ROW}, o, m,"
            f" json_transform(o, {_shape(in_struct, _exact_type)}) as s from (select {PART}, {ROW},"
            f" {has_long(LINE)} as m, {with_marks(LINE)}::json as o from {left} where {self.mine}"
            f" and {_reason(LINE)} is null))"
        )

    def broken(self, left: str) -> str:
        """The query of lines that are not objects after all."""
        return (
            f"select {PART} as part, {ROW} as row_number, null::varchar as column_name,"
            f" {LINE} as record, {_reason(LINE)} as reason from {left}"
            f" where {self.mine} and {_reason(LINE)} is not null"
        )


def _short(number: int) -> str:
    return f"p{number}"


def _struct_keys(columns: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """The keys (with types) that one struct can hold. Keys that are empty or differ only in case
    are extracted one by one."""
    occurrences = Counter(fold(key) for key, _, _ in columns)
    return {key: kind for key, _, kind in columns if key and occurrences[fold(key)] == 1}


def _fast_type(kind: str) -> str:
    """The type for the first reading: texts without quotes, everything else as JSON, so that a
    text among numbers is noticed."""
    return "VARCHAR" if kind == "VARCHAR" else "JSON"


def _exact_type(kind: str) -> str:
    return "JSON" if kind == "JSON" else "VARCHAR"


def _shape(in_struct: Mapping[str, str], how: Callable[[str], str]) -> str:
    types = {key: how(kind) for key, kind in in_struct.items()}
    return literal(json.dumps(types or {"": "JSON"}))


def _pick(key: str, in_struct: Mapping[str, str], taken: str) -> str:
    """The value of a key, as text without quotes or as JSON."""
    if key in in_struct:
        return f"struct_extract(s, {literal(key)})"
    pointer = literal("/" + key.replace("~", "~0").replace("/", "~1"))
    if taken == "VARCHAR":
        return f"json_extract_string(o, {pointer})"
    return f"nullif(json_extract(o, {pointer})::varchar, 'null')"


def _verbatim_object(columns: Sequence[tuple[str, str, str]]) -> str:
    """The condition that a line consists of exactly these keys, in order, with these values, in
    the usual layout of JSON: then no digit, key or quote is lost."""
    unknown = [f"{_short(n)} is not null" for n, (_, _, k) in enumerate(columns) if k == NOTHING]
    ways = [
        f"{LINE} = {_written(columns, space, absent=absent)}"
        for space in ("", " ")
        for absent in (False, True)
    ]
    return _cases([*((u, "false") for u in unknown), *((w, "true") for w in ways)], "false")


def _written(columns: Sequence[tuple[str, str, str]], space: str, *, absent: bool) -> str:
    """SQL that writes an object as JSON; a NULL is `null`, or with `absent` left out (except for
    the first key, since the comma precedes a key)."""
    texts: list[str] = []
    for n, (key, _, kind) in enumerate(columns):
        name, comma = _short(n), f",{space}" if n else "{"
        begin = f"{comma}{json.dumps(key, ensure_ascii=False)}:{space}"
        quote = '"' if kind == "VARCHAR" else ""
        nothing = "''" if absent and n else literal(f"{begin}null")
        texts.append(
            f"case when {name} is null then {nothing} else {literal(begin + quote)} end, {name}"
        )
        if quote:
            texts.append(f"case when {name} is not null then {literal(quote)} end")
    return f"concat({', '.join(texts)}, '}}')"


def _sure(columns: Sequence[tuple[str, str, str]]) -> str:
    """The condition that an object has no other or duplicate keys, and that no digit is lost."""
    keys = ", ".join(literal(key) for key, _, _ in columns)
    all_present = " and ".join(f"{_short(n)} is not null" for n in range(len(columns)))
    listed = f"[{keys}]::varchar[]"
    objects = "json_type(o) = 'OBJECT'"
    alike = [(f"k = {listed}", f"len(k) > 0 or {objects}")]
    if columns:
        alike.insert(0, (f"len(k) = {len(columns)} and {all_present}", "true"))
    others = f"list_has_all({listed}, k) and len(list_distinct(k)) = len(k) and {objects}"
    same_keys = _cases(alike, others)
    wrong = [f"not coalesce({same_keys}, false)"]
    for n, (_, _, kind) in enumerate(columns):
        if kind == NOTHING:
            wrong.append(f"{_short(n)} is not null")
        if kind == "VARCHAR":
            wrong.append(_odd_text(_short(n)))
    return _cases([(w, "false") for w in wrong], _exact_numbers(columns))


def _cases(pairs: Sequence[tuple[str, str]], otherwise: str) -> str:
    """A CASE; the engine would evaluate both sides of AND and OR for every row."""
    if not pairs:
        return otherwise
    listed = " ".join(f"when {condition} then {value}" for condition, value in pairs)
    return f"case {listed} else {otherwise} end"


def _odd_text(name: str) -> str:
    """The condition that a value read as text may be an object, a list or a long number."""
    return _cases(
        [
            (f"{name} >= '-' and {name} < ':'", f"regexp_matches({name}, '^-?[0-9]{{9,}}[.]')"),
            (f"{name} >= '[' and {name} < chr(92)", "true"),
            (f"{name} >= '{{' and {name} < '|'", "true"),
        ],
        "false",
    )


def _exact_numbers(columns: Sequence[tuple[str, str, str]]) -> str:
    if any(kind == "JSON" or not key for key, _, kind in columns):
        return f"not regexp_matches({LINE}, {literal(_LONG)})"
    numbers = [
        (f"{_short(n)}::varchar", key) for n, (key, _, k) in enumerate(columns) if k == UNKNOWN
    ]
    doubtful = [f"length({n}) > 10 and contains({n}, '.')" for n, _ in numbers]
    doubtful += [f"contains({n}, 'e')" for n, _ in numbers]
    doubtful += [
        f"regexp_matches({LINE}, {literal(_LONG_PART)})",
        _cases([(f"contains({LINE}, 'e-') or contains({LINE}, 'E-')", _TINY)], "false"),
    ]
    lost = [(f"not ({_verbatim(n, key)})", "false") for n, key in numbers]
    exact = _cases(lost, "true") if numbers else "false"
    return _cases([(d, exact) for d in doubtful], "true")


# A long whole number that a negative exponent makes small.
_TINY = f"regexp_matches({LINE}, '[0-9]{{9}}[eE]-')"


def _verbatim(name: str, key: str) -> str:
    """The condition that the line contains a number as it prints; a flat object has a key once."""
    key_text = literal(json.dumps(key, ensure_ascii=False) + ":")
    ways = _cases(
        [
            (f"contains({LINE}, {key_text} || '{gap}' || {name} || '{end}')", "true")
            for gap in ("", " ")
            for end in (",", "}")
        ],
        "false",
    )
    return _cases([(f"{name} is null or not contains({name}, '.')", "true")], ways)


def has_long(line: str) -> str:
    """The condition that a line may have a number with more digits than a DOUBLE holds."""
    return f"regexp_matches({line}, {literal(_LONG)})"


def with_marks(line: str) -> str:
    """The line, with all numbers as marked texts if one of them is long."""
    opened = f"replace({marked(line, _TEXT_OR_NUMBER)}, chr(1), {literal(chr(34) + _MARK)})"
    closed = f"replace({opened}, chr(2), {literal(chr(34))})"
    return f"(case when {has_long(line)} then {closed} else {line} end)"


def unmarked(text: str) -> str:
    """JSON text with marked texts turned back into numbers."""
    marked = literal('"' + _MARK.replace("\\", "\\\\") + '([^"]*)"')
    return f"regexp_replace({text}, {marked}, '\\1', 'g')"


def _exactly(pick: str, kind: str) -> str:
    text = f"{pick}::varchar"
    if kind == "JSON":
        return f"(case when m then {unmarked(text)} else {text} end)::json"
    return f"case when m then replace({unmarked(text)}, chr(1) || chr(2), '') else {text} end"


def _reason(line: str) -> str:
    """SQL for the reason why a line is not a readable object, or NULL."""
    keys = f"json_keys({line}::json)"
    return (
        f"case when not json_valid({line}) then 'not JSON'"
        f" when json_type({line}::json) <> 'OBJECT' then 'not a JSON object'"
        f" when len(list_distinct({keys})) <> len({keys}) then 'a key occurs twice'"
        f" when contains({line}, {literal(_MARK)}) and regexp_matches({line}, {literal(_LONG)})"
        f" then 'a control character next to a long number' end"
    )


def structures(session: ReaderSession, lines: str) -> dict[str, dict[str, str]]:
    """By part, the keys of its objects in order, each with its column type. Raises LoadError."""
    objects = f"select {PART}, try_cast({LINE} as json) as o from ({lines})"
    structures_by_part = session.rows(
        f"select {PART}, json_group_structure(o) from ({objects})"
        f" where json_type(o) = 'OBJECT' group by {PART}"
    )
    return {
        part: _column_types(part, json.loads(structure)) for part, structure in structures_by_part
    }


def _column_types(part: str, keys: Any) -> dict[str, str]:
    kinds: dict[str, Any] = keys if isinstance(keys, dict) else {}  # for `{}` DuckDB returns "JSON"
    if any("\0" in key for key in kinds):
        raise LoadError(f"`{part}` has a key with a NUL character", hint="rename the key")
    return {key: _json_type(kind) for key, kind in kinds.items()}


def _json_type(kind: Any) -> str:
    """The column type for DuckDB's type of a key's values; nested and mixed values stay JSON.
    Numbers are inferred later, since DuckDB's types for them lose digits."""
    if not isinstance(kind, str) or kind == "JSON":
        return "JSON"
    if kind in ("UBIGINT", "BIGINT", "HUGEINT", "DOUBLE"):
        return UNKNOWN
    return kind if kind in (NOTHING, "BOOLEAN") else "VARCHAR"
