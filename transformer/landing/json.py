r"""Objects of JSON as rows: each top-level key is a column; what is nested stays JSON.

DuckDB reads a number with a point as a DOUBLE, whatever it is read into. Rows in which a number
may have more digits than that are read once more, with such numbers written as texts: `1.25…`
becomes `"\u0001\u00021.25…"`, and the digits come out as they stood.
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
    distinct,
)
from transformer.landing.union import folded
from transformer.names import fold, literal, quoted
from transformer.steps import Columns

# A real number that may have more than 15 digits: eight behind the point or nine before it, or a
# long one with an exponent. What has fewer is a DOUBLE's, digit for digit.
_LONG = r"\.[0-9]{8}|[0-9]{9}\.|[0-9]{16}[eE]|[0-9]{9}[eE]-"
_LONG_PART = r"\.[0-9]{8}"
# A text, or such a number: the text comes first, so that digits in texts are no numbers.
_TEXT_OR_NUMBER = r'("(?:[^"\\]|\\.)*")|(-?[0-9]+\.?[0-9]*[eE]?[-+]?[0-9]*)'
_MARK = r"\u0001\u0002"


class JsonObjects(Struct):
    """The objects of one file, or of several. `keys` are those seen so far, in their order; the
    name of a column is its key, where that can be one."""

    parts: tuple[str, ...]
    keys: list[str] = field(default_factory=list)

    def columns(self, session: ReaderSession, lines: str) -> Columns:
        """The keys of these objects as columns, and what they hold."""
        found = structures(session, lines)
        seen = [(key, kind) for part in self.parts for key, kind in found.get(part, {}).items()]
        self.keys += dict.fromkeys(key for key, _ in seen if key not in self.keys)
        names = dict(zip(self.keys, distinct(self.keys), strict=True))
        return folded(((names[key], kind) for key, kind in seen), text=True)

    def more(self, session: ReaderSession, left: str) -> Columns:
        """The columns of the rows that were left."""
        return self.columns(session, f"select {PART}, {LINE} from {left} where {self.mine}")

    @property
    def mine(self) -> str:
        """The condition that a row is of one of these files."""
        return f"{PART} in ({', '.join(map(literal, self.parts))})"

    def _known(self, columns: Columns) -> list[tuple[str, str, str]]:
        """The columns that this file has: key, name, what it holds."""
        folded = {fold(n): key for key, n in zip(self.keys, distinct(self.keys), strict=True)}
        return [(folded[fold(n)], n, kind) for n, kind in columns if fold(n) in folded]

    def reading(self, lines: str, columns: Columns) -> str:
        """The query of all objects, with whether each is read exactly."""
        known = self._known(columns)
        whole = _whole(known)
        picks = "".join(
            f", {_pick(key, whole, _hot(kind))} as {_short(n)}"
            for n, (key, _, kind) in enumerate(known)
        )
        names = "".join(
            f"{_short(n)}{'' if kind == 'JSON' else '::varchar'} as {quoted(name)}, "
            for n, (_, name, kind) in enumerate(known)
        )
        # What stands in its line letter for letter needs no second look, so the line is only
        # parsed again where it does not.
        parsed = f"try_cast({LINE} as json)"
        if known and len(whole) == len(known):
            objects = f"select {PART}, {ROW}, {LINE}{picks}"
            alike = f"select *, {_verbatim_object(known)} as same"
            looked = f"select *, case when not same then {parsed} end as o"
        else:
            objects = f"select {PART}, {ROW}, {LINE}, {parsed} as o, s"
            alike = f"select *, false as same{picks}"
            looked = "select *"
        return (
            f"select {names}{PART}, {ROW}, {LINE},"
            f" case when same then true else coalesce({_sure(known)}, false) end as {SURE}"
            f" from (select *, case when not same then json_keys(o) end as k"
            f" from ({looked} from ({alike} from ({objects}"
            f" from (select *, try(json_transform({LINE}, {_shape(whole, _hot)})) as s"
            f" from ({lines}))))))"
        )

    def exact(self, left: str, columns: Columns) -> str:
        """The query of the objects that were left, every number with the digits that it has."""
        known = self._known(columns)
        whole = _whole(known)
        names = "".join(
            f"{_exactly(_pick(key, whole, _cold(kind)), kind)} as {quoted(name)}, "
            for key, name, kind in known
        )
        return (
            f"select {names}{PART}, {ROW} from (select {PART}, {ROW}, o, m,"
            f" json_transform(o, {_shape(whole, _cold)}) as s from (select {PART}, {ROW},"
            f" {has_long(LINE)} as m, {with_marks(LINE)}::json as o from {left} where {self.mine}"
            f" and {_reason(LINE)} is null))"
        )

    def broken(self, left: str) -> str:
        """The query of what is not an object after all."""
        return (
            f"select {PART} as part, {ROW} as row_number, null::varchar as column_name,"
            f" {LINE} as record, {_reason(LINE)} as reason from {left}"
            f" where {self.mine} and {_reason(LINE)} is not null"
        )


def _short(number: int) -> str:
    return f"p{number}"


def _whole(known: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """The keys that one struct can tell apart, and what they hold: others differ in case only, or
    are empty, and are taken one by one."""
    folded = Counter(fold(key) for key, _, _ in known)
    return {key: kind for key, _, kind in known if key and folded[fold(key)] == 1}


def _hot(kind: str) -> str:
    """What is taken from an object at first: texts without quotes, all else as it stands, so that
    a text among numbers is seen."""
    return "VARCHAR" if kind == "VARCHAR" else "JSON"


def _cold(kind: str) -> str:
    return "JSON" if kind == "JSON" else "VARCHAR"


def _shape(whole: Mapping[str, str], how: Callable[[str], str]) -> str:
    made = {key: how(kind) for key, kind in whole.items()}
    return literal(json.dumps(made or {"": "JSON"}))


def _pick(key: str, whole: Mapping[str, str], taken: str) -> str:
    """The value of a key, as text without quotes or as JSON."""
    if key in whole:
        return f"struct_extract(s, {literal(key)})"
    pointer = literal("/" + key.replace("~", "~0").replace("/", "~1"))
    if taken == "VARCHAR":
        return f"json_extract_string(o, {pointer})"
    return f"nullif(json_extract(o, {pointer})::varchar, 'null')"


def _verbatim_object(known: Sequence[tuple[str, str, str]]) -> str:
    """The condition that a line is just these keys in their order with these values, as JSON is
    written most: each digit, each key and each quote is there then, and no other."""
    unknown = [f"{_short(n)} is not null" for n, (_, _, k) in enumerate(known) if k == NOTHING]
    ways = [
        f"{LINE} = {_written(known, space, absent=absent)}"
        for space in ("", " ")
        for absent in (False, True)
    ]
    return _cases([*((u, "false") for u in unknown), *((w, "true") for w in ways)], "false")


def _written(known: Sequence[tuple[str, str, str]], space: str, *, absent: bool) -> str:
    """An object as JSON is written, from its values; what is NULL is `null`, or is not there
    (but for the first key, before which there would be no comma)."""
    texts: list[str] = []
    for n, (key, _, kind) in enumerate(known):
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


def _sure(known: Sequence[tuple[str, str, str]]) -> str:
    """The condition that an object has no other keys than these, none twice, and that no number
    lost a digit."""
    keys = ", ".join(literal(key) for key, _, _ in known)
    there = " and ".join(f"{_short(n)} is not null" for n in range(len(known)))
    listed = f"[{keys}]::varchar[]"
    objects = "json_type(o) = 'OBJECT'"
    alike = [(f"k = {listed}", f"len(k) > 0 or {objects}")]
    if known:
        alike.insert(0, (f"len(k) = {len(known)} and {there}", "true"))
    others = f"list_has_all({listed}, k) and len(list_distinct(k)) = len(k) and {objects}"
    same_keys = _cases(alike, others)
    wrong = [f"not coalesce({same_keys}, false)"]
    for n, (_, _, kind) in enumerate(known):
        if kind == NOTHING:
            wrong.append(f"{_short(n)} is not null")
        if kind == "VARCHAR":
            wrong.append(_odd_text(_short(n)))
    return _cases([(w, "false") for w in wrong], _exact_numbers(known))


def _cases(pairs: Sequence[tuple[str, str]], otherwise: str) -> str:
    """CASE, not AND or OR: the engine works both sides of those out for every row."""
    if not pairs:
        return otherwise
    listed = " ".join(f"when {condition} then {value}" for condition, value in pairs)
    return f"case {listed} else {otherwise} end"


def _odd_text(name: str) -> str:
    """The condition that what was read as text may be an object, a list or a long number."""
    return _cases(
        [
            (f"{name} >= '-' and {name} < ':'", f"regexp_matches({name}, '^-?[0-9]{{9,}}[.]')"),
            (f"{name} >= '[' and {name} < chr(92)", "true"),
            (f"{name} >= '{{' and {name} < '|'", "true"),
        ],
        "false",
    )


def _exact_numbers(known: Sequence[tuple[str, str, str]]) -> str:
    if any(kind == "JSON" or not key for key, _, kind in known):
        return f"not regexp_matches({LINE}, {literal(_LONG)})"
    numbers = [
        (f"{_short(n)}::varchar", key) for n, (key, _, k) in enumerate(known) if k == UNKNOWN
    ]
    doubtful = [f"length({n}) > 10 and contains({n}, '.')" for n, _ in numbers]
    doubtful += [f"contains({n}, 'e')" for n, _ in numbers]
    doubtful += [
        f"regexp_matches({LINE}, {literal(_LONG_PART)})",
        _cases([(f"contains({LINE}, 'e-') or contains({LINE}, 'E-')", _TINY)], "false"),
    ]
    lost = [(f"not ({_verbatim(n, key)})", "false") for n, key in numbers]
    stands = _cases(lost, "true") if numbers else "false"
    return _cases([(d, stands) for d in doubtful], "true")


# A long number of whole digits that an exponent makes small.
_TINY = f"regexp_matches({LINE}, '[0-9]{{9}}[eE]-')"


def _verbatim(name: str, key: str) -> str:
    """The condition that a number stands in its line as it prints: a flat object has a key once."""
    held = literal(json.dumps(key, ensure_ascii=False) + ":")
    ways = _cases(
        [
            (f"contains({LINE}, {held} || '{gap}' || {name} || '{end}')", "true")
            for gap in ("", " ")
            for end in (",", "}")
        ],
        "false",
    )
    return _cases([(f"{name} is null or not contains({name}, '.')", "true")], ways)


def has_long(line: str) -> str:
    """The condition that there may be a number of more digits than a DOUBLE has."""
    return f"regexp_matches({line}, {literal(_LONG)})"


def with_marks(line: str) -> str:
    """The line; numbers in it are marked texts where one of them is long."""
    opened = f"replace({marked(line, _TEXT_OR_NUMBER)}, chr(1), {literal(chr(34) + _MARK)})"
    closed = f"replace({opened}, chr(2), {literal(chr(34))})"
    return f"(case when {has_long(line)} then {closed} else {line} end)"


def unmarked(text: str) -> str:
    """JSON text with the numbers back in their places."""
    marked = literal('"' + _MARK.replace("\\", "\\\\") + '([^"]*)"')
    return f"regexp_replace({text}, {marked}, '\\1', 'g')"


def _exactly(pick: str, kind: str) -> str:
    text = f"{pick}::varchar"
    if kind == "JSON":
        return f"(case when m then {unmarked(text)} else {text} end)::json"
    return f"case when m then replace({unmarked(text)}, chr(1) || chr(2), '') else {text} end"


def _reason(line: str) -> str:
    """Why a line is not an object that can be read, or NULL."""
    keys = f"json_keys({line}::json)"
    return (
        f"case when not json_valid({line}) then 'not JSON'"
        f" when json_type({line}::json) <> 'OBJECT' then 'not a JSON object'"
        f" when len(list_distinct({keys})) <> len({keys}) then 'a key stands twice'"
        f" when contains({line}, {literal(_MARK)}) and regexp_matches({line}, {literal(_LONG)})"
        f" then 'a control character beside a long number' end"
    )


def structures(session: ReaderSession, lines: str) -> dict[str, dict[str, str]]:
    """By part, the keys of its objects in their order, with the type of the column of each. Raises
    LoadError."""
    objects = f"select {PART}, try_cast({LINE} as json) as o from ({lines})"
    found = session.rows(
        f"select {PART}, json_group_structure(o) from ({objects})"
        f" where json_type(o) = 'OBJECT' group by {PART}"
    )
    return {part: _column_types(part, json.loads(structure)) for part, structure in found}


def _column_types(part: str, keys: Any) -> dict[str, str]:
    kinds: dict[str, Any] = keys if isinstance(keys, dict) else {}  # of `{}` it says "JSON"
    if any("\0" in key for key in kinds):
        raise LoadError(f"`{part}` has a key with a zero character", hint="rename the key")
    return {key: _json_type(kind) for key, kind in kinds.items()}


def _json_type(kind: Any) -> str:
    """The column type for what DuckDB says of a key's values; nested and mixed ones stay JSON.
    Numbers are looked at again: DuckDB's types for them lose digits."""
    if not isinstance(kind, str) or kind == "JSON":
        return "JSON"
    if kind in ("UBIGINT", "BIGINT", "HUGEINT", "DOUBLE"):
        return UNKNOWN
    return kind if kind in (NOTHING, "BOOLEAN") else "VARCHAR"
