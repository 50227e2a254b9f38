"""Types of raw columns: which text is a value of a type, and which type holds two others.

A type that was inferred is held to the same patterns on every later load, so the order in which
files arrive does not matter. A declared type is what the user asked for: the engine's cast decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from transformer.landing import from_json
from transformer.landing.nested import castable, is_nested, woven
from transformer.landing.staged import NOTHING, UNKNOWN, ReaderSession
from transformer.names import literal, quoted

INTEGERS = (
    "TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT",
    "HUGEINT", "UHUGEINT",
)  # fmt: skip
_WHOLE = r"0|-?[1-9][0-9]*"
_REAL = r"-?(0|[1-9][0-9]*)(\.[0-9]+([eE][-+]?[0-9]+)?|e[-+]?[0-9]+|E[-+][0-9]+)?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_SHORT = r"(0|-?[1-9][0-9]{0,8})(\.[0-9]{1,6})?"
# Strict on purpose: `007`, `01212020`, `+49…`, `1E10` and `1_000` are words, not numbers.
_PATTERNS: Mapping[str, str] = {
    "DOUBLE": _REAL,
    "BOOLEAN": "(?i:true|false)",
    "DATE": _DAY,
    "TIMESTAMP": rf"{_DAY}([ T]{_CLOCK})?",
    "TIMESTAMP WITH TIME ZONE": rf"{_DAY}[ T]{_CLOCK}(Z|[-+][0-9]{{2}}(:?[0-9]{{2}})?)",
}
# Tried in this order; the first that all values of a column meet is its type.
_INFERRED = ("BIGINT", "HUGEINT", *_PATTERNS)

# What every value of an integer type needs in a decimal: its digits.
_DIGITS = {
    "TINYINT": 3, "UTINYINT": 3, "SMALLINT": 5, "USMALLINT": 5, "INTEGER": 10, "UINTEGER": 10,
    "BIGINT": 19, "UBIGINT": 20, "HUGEINT": 39, "UHUGEINT": 39,
}  # fmt: skip
_WIDER: Mapping[str, tuple[str, ...]] = {
    "BOOLEAN": (),
    "TINYINT": ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "UTINYINT": ("SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT",
                 "FLOAT", "DOUBLE"),
    "SMALLINT": ("INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "USMALLINT": ("INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "INTEGER": ("BIGINT", "HUGEINT", "DOUBLE"),
    "UINTEGER": ("BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"),
    "BIGINT": ("HUGEINT", "DOUBLE"),
    "UBIGINT": ("HUGEINT", "DOUBLE"),
    "HUGEINT": ("DOUBLE",),
    "FLOAT": ("DOUBLE",),
    "DATE": ("TIMESTAMP",),
    "TIMESTAMP_S": ("TIMESTAMP",),
    "TIMESTAMP_MS": ("TIMESTAMP",),
}  # fmt: skip
# From here on a DOUBLE skips whole numbers.
EXACT_IN_DOUBLE = 2**53


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is one of the new type (decimals by their digits).

    Large whole numbers are not all a DOUBLE's; who widens looks at those that are there.
    """
    if is_decimal(old) and is_decimal(new):
        (width, scale), (wide, fine) = _sizes(old), _sizes(new)
        return fine >= scale and wide - fine >= width - scale
    if is_decimal(old):
        return new == "DOUBLE" and _sizes(old)[0] <= 15
    if is_decimal(new) and old in _DIGITS:
        wide, fine = _sizes(new)
        return wide - fine >= _DIGITS[old]
    return new in _WIDER.get(old, ())


def joined(old: str, new: str) -> str | None:
    """The narrowest type that holds every value of both exactly; None when there is none."""
    if old == new or (widens(new, old) and not _inexact(new, old)):
        return old
    if widens(old, new) and not _inexact(old, new):
        return new
    if is_nested(old) or is_nested(new):
        return woven(old, new, joined)
    if (
        (is_decimal(old) or is_decimal(new))
        and (one := _as_decimal(old))
        and (two := _as_decimal(new))
    ):
        scale = max(one[1], two[1])
        width = max(one[0] - one[1], two[0] - two[1]) + scale
        return f"DECIMAL({width},{scale})" if width <= 38 else None
    if not {old, new} <= set(INTEGERS):
        return None
    signed = ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
    return next((k for k in signed if all(k == o or widens(o, k) for o in (old, new))), None)


def grown(old: str, new: str) -> str | None:
    """The nested type with the new type's fields too, where those of both names do not get wider;
    None where neither is one, or they are of another make."""
    return woven(old, new, lambda o, n: joined(o, n) or grown(o, n) or o)


def _inexact(old: str, new: str) -> bool:
    """Whether widening has to look at the values first."""
    return new == "DOUBLE" and (is_decimal(old) or _DIGITS.get(old, 0) > 15)


def _as_decimal(kind: str) -> tuple[int, int] | None:
    return _sizes(kind) if is_decimal(kind) else (_DIGITS[kind], 0) if kind in _DIGITS else None


def is_decimal(kind: str) -> bool:
    """Whether it is a decimal of some width and scale (and no list of them)."""
    return kind.startswith("DECIMAL(") and kind.endswith(")")


def _sizes(decimal: str) -> tuple[int, int]:
    inside = decimal[decimal.find("(") + 1 : decimal.rfind(")")].split(",")
    return int(inside[0]), int(inside[1])


class Notation(Struct, frozen=True):
    """How numbers and days are written in a text file, where that is not the usual way."""

    decimal: str = "."
    thousands: str = ""
    date: str = ""
    timestamp: str = ""

    def number(self, text: str) -> str:
        """The text as a number is usually written; NULL where it is not written as declared."""
        if self.decimal == "." and not self.thousands:
            return text
        point, group = _escaped(self.decimal), _escaped(self.thousands)
        whole = rf"([0-9]{{1,3}}({group}[0-9]{{3}})+|[0-9]+)" if group else "[0-9]+"
        pattern = literal(rf"[-+]?{whole}({point}[0-9]+)?([eE][-+]?[0-9]+)?")
        bare = f"replace({text}, {literal(self.thousands)}, '')" if group else text
        usual = f"replace({bare}, {literal(self.decimal)}, '.')"
        return f"case when regexp_full_match({text}, {pattern}) then {usual} end"


USUAL = Notation()


def _escaped(character: str) -> str:
    return "".join(f"[{c}]" if c not in "\\^[]" else f"\\{c}" for c in character)


class ColumnSlot(Struct, frozen=True):
    """One offered column on its way to its type.

    `offered` is the type that the source says, UNKNOWN for text whose type nobody has said.
    With `text` the staged value is text, whatever the type. `declared`: the user asked for `kind`.
    """

    kind: str
    offered: str
    text: bool
    declared: bool = False
    notation: Notation = USUAL

    @property
    def as_is(self) -> bool:
        """Whether the staged value is the landed one."""
        if self.kind == UNKNOWN:
            return True
        if self.offered == self.kind and (not self.text or self.kind in ("VARCHAR", "JSON")):
            return True
        return self.kind == "VARCHAR" and self._from_text and self.offered != "JSON"

    @property
    def _from_text(self) -> bool:
        return self.text or self.offered in ("VARCHAR", UNKNOWN, NOTHING)

    def value(self, name: str) -> str:
        """The value of this expression as `kind`, or NULL where the cast fails."""
        if self.as_is:
            return name
        if self.kind == "VARCHAR" and self.offered == "JSON":
            return unquoted(name)
        if self.kind == "JSON" and self.offered == "VARCHAR":
            return f"to_json({name})"
        if self._unlike:
            return f"null::{self.kind}"
        if self.kind != "JSON" and not self._from_json and (self._from_text or self._json):
            return self._of_text(unquoted(name) if self._json else name)
        return f"try_cast({name} as {self.kind})"

    def _of_text(self, text: str) -> str:
        if self._asked_of_json:
            return from_json.value(self.kind, text, self._leaf)
        if not self.declared and self.notation == USUAL:
            return f"try_cast({text} as {self.kind})"  # what it cuts off does not meet a pattern
        return self._cast(f"nullif(trim({text}), '')")

    def _leaf(self, kind: str, text: str) -> str:
        slot = replace(self, kind=kind, offered=UNKNOWN, text=True)
        made = slot.value(text)
        if kind in ("DOUBLE", "FLOAT"):
            return f"case when {slot._meets_real(text, made)} then {made} end"
        return made

    @property
    def _asked_of_json(self) -> bool:
        """Whether JSON becomes a struct, list or map that was declared."""
        return self._json and self.declared and from_json.readable(self.kind)

    @property
    def _json(self) -> bool:
        return self.offered == "JSON"

    @property
    def _from_json(self) -> bool:
        """Whether JSON becomes a struct, list or map that nobody asked for."""
        return self._json and not self.declared and is_nested(self.kind)

    @property
    def _unlike(self) -> bool:
        """Whether both types hold others, and no value of the one is one of the other."""
        nested = is_nested(self.kind) and is_nested(self.offered)
        return nested and not castable(self.offered, self.kind)

    def fits(self, name: str, value: str) -> str | None:
        """The condition that the value is exact, or NULL in both; None where it always is."""
        if self.as_is or self.kind == "VARCHAR":
            return None
        if self.kind == "JSON":
            return None if self.offered == "VARCHAR" else f"({name} is null or {value} is not null)"
        if self._from_json:
            return f"case when {name} is null then true else {_same_json(name, value)} end"
        if not self._from_text and not self._json:
            return self._fits_typed(name, value)
        text = unquoted(name) if self._json else name
        given = f"nullif(trim({text}), '')"
        quick = self._quickly(text, value)
        return (
            f"case when {text} is null then true {quick}"
            f" when {given} is null then true else coalesce({self._meets(given, value)}, false) end"
        )

    def _fits_typed(self, name: str, value: str) -> str:
        if (self.kind == "BOOLEAN") != (self.offered == "BOOLEAN") or self._unlike:
            return f"({name} is null)"  # TRUE is not the number 1
        if self.declared and (self.kind == "FLOAT" or is_decimal(self.kind)):
            return f"({name} is null or {value} is not null)"  # who declares it wants it rounded
        back = f"try_cast({value} as {self.offered})"
        return f"({back} is not distinct from {name})"

    def _quickly(self, text: str, value: str) -> str:
        """A cheap condition that most values meet, before the patterns; or nothing."""
        if self.notation != USUAL or self.declared:
            return ""
        if self.kind in INTEGERS or self.kind in ("DATE", "TIMESTAMP"):
            return f"when {value}::varchar = {text} then true"
        if self.kind == "BOOLEAN":
            return f"when {text} in ('true', 'false') then true"
        if self.kind == "DOUBLE":
            return f"when regexp_full_match({text}, {literal(_SHORT)}) then true"
        return ""

    def _cast(self, given: str) -> str:
        notation = self.notation
        if self.kind in INTEGERS:  # a cast alone would round 1.5 to 2
            number = notation.number(given)
            whole = f"regexp_full_match({number}, '[-+]?[0-9]+')"
            return f"case when {whole} then try_cast({number} as {self.kind}) end"
        if self.kind in ("DOUBLE", "FLOAT") or is_decimal(self.kind):
            return f"try_cast({notation.number(given)} as {self.kind})"
        if self.kind == "DATE":
            moment = (
                f"try_strptime({given}, {literal(notation.date)})"
                if notation.date
                else f"try_cast({given} as timestamp)"
            )
            # A cast alone would cut the time of day off; `infinity` is a day and `epoch` a word.
            return (
                f"case when {moment}::date::timestamp = {moment} and lower({given}) <> 'epoch'"
                f" then {moment}::date end"
            )
        if self.kind.startswith("TIMESTAMP"):
            if notation.timestamp:
                return f"try_strptime({given}, {literal(notation.timestamp)})::{self.kind}"
            return f"try_cast(nullif({given}, 'epoch') as {self.kind})"
        return f"try_cast({given} as {self.kind})"

    def _meets(self, given: str, value: str) -> str:
        """The condition that a text is one of this type."""
        if self.kind in ("DOUBLE", "FLOAT"):
            return self._meets_real(given, value)
        if self._asked_of_json:
            return from_json.whole(self.kind, given, value)
        pattern = None if self.declared else self._pattern(given)
        conditions = [f"{value} is not null", self._whole_list(given, value), pattern]
        return " and ".join(c for c in conditions if c)

    def _whole_list(self, given: str, value: str) -> str | None:
        """The condition that no item of a list became NULL: a cast makes one of what is none."""
        kind = self.kind
        if not kind.endswith("[]"):
            return None
        depth = len(kind) - len(kind.rstrip("[]"))
        texts = f"try_cast({given} as VARCHAR{kind[-depth:]})"
        return f"{_nulls(value, depth // 2)} = {_nulls(texts, depth // 2)}"

    def _meets_real(self, given: str, value: str) -> str:
        number = self.notation.number(given)
        if self.declared:  # `1e400` is not infinite, though the engine casts it so
            finite = f"isfinite({value}) or not regexp_matches({number}, '[0-9]')"
            return f"{value} is not null and ({finite})"
        return (
            f"case when {value} is null or not regexp_full_match({number}, {literal(_REAL)})"
            f" then false else {exact_double(number, value)} end"
        )

    def _pattern(self, given: str) -> str | None:
        """The condition on the text alone; None where the cast says it all."""
        kind, number = self.kind, self.notation.number(given)
        if kind in INTEGERS:
            return f"regexp_full_match({number}, '{_WHOLE}')"
        if is_decimal(kind):
            scale = _sizes(kind)[1]
            fine = rf"-?(0|[1-9][0-9]*)(\.[0-9]{{0,{scale}}}0*)?" if scale else _WHOLE
            return f"regexp_full_match({number}, {literal(fine)})"
        if kind.endswith("]") and self.offered.endswith("]"):  # a cast alone would round
            value = self.value(given)
            whole = f"try_cast({given} as {self.offered})"
            return f"try_cast({value} as {self.offered}) = {whole}"
        written = {"DATE": self.notation.date, "TIMESTAMP": self.notation.timestamp}.get(kind)
        if written or kind not in _PATTERNS:
            return None
        return f"regexp_full_match({given}, {literal(_PATTERNS[kind])})"


# A number that the engine reads from JSON as a DOUBLE, and that may be none.
_LONG_NUMBER = r"\.[0-9]{8}|[0-9]{9}\.|[0-9]{19}|[0-9]{9}[eE]"


def _same_json(name: str, value: str) -> str:
    """The condition that all of a JSON value is in a nested value."""
    long = f"regexp_matches({name}::varchar, {literal(_LONG_NUMBER)})"
    return f"not {long} and coalesce(json_contains(to_json({value})::json, {name}::json), false)"


def _nulls(value: str, depth: int) -> str:
    """How many items of a list (of lists) are NULL."""
    items = "flatten(" * (depth - 1) + value + ")" * (depth - 1)
    return f"len(list_filter({items}, lambda item: item is null))"


def exact_double(number: str, value: str) -> str:
    """The condition that a DOUBLE prints as the digits it was read from; 15 digits always do."""
    # CASE, not OR: the engine would work both sides out for every row.
    return (
        f"case when length({number}) <= 15 and not contains({number}, 'e')"
        f" and not contains({number}, 'E') then true"
        f" else {_significant(number)} = {_significant(f'{value}::varchar')} end"
    )


def _significant(number: str) -> str:
    mantissa = f"regexp_replace({number}, '[eE].*$', '')"
    return f"trim(regexp_replace({mantissa}, '[^0-9]', '', 'g'), '0')"


def unquoted(name: str) -> str:
    """A JSON value as text; a JSON string without its quotes."""
    bare = f"coalesce(try_cast({name} as json) ->> '$', {name}::varchar)"
    return f"case when ({name}::varchar)[1] = '\"' then {bare} else {name}::varchar end"


# So many rows are looked at for the types that a column may have; the rest only confirm the first.
SAMPLE = 2_000


def infer(
    session: ReaderSession, rows: str, columns: Sequence[str], notation: Notation = USUAL
) -> dict[str, str]:
    """The types of columns of text that all their values meet; no value at all: UNKNOWN."""
    return infer_lists(session, f"select {listed(columns)} from ({rows})", columns, notation)


def listed(columns: Sequence[str]) -> str:
    """Columns of text as one list, under the name that `infer_lists` knows."""
    texts = ", ".join(f"{quoted(c)}::varchar" for c in columns)
    return f"[{texts}]::varchar[] as __values"


def infer_lists(
    session: ReaderSession, rows: str, columns: Sequence[str], notation: Notation = USUAL
) -> dict[str, str]:
    """The same of rows that are lists of the columns' values.

    Lists become rows: planning a figure per column and type would cost more than a small file is
    worth, and UNPIVOT takes the square of the number of columns.
    """
    if not columns:
        return {}
    slots = {k: ColumnSlot(k, UNKNOWN, text=True, notation=notation) for k in _INFERRED}
    figures = ", ".join(
        f"count(*) filter (where {slot.fits('__value', slot.value('__value'))})"
        for slot in slots.values()
    )
    found = session.rows(
        f"select __column, count(__value), {figures} from (select __column,"
        f" nullif(trim(__value), '') as __value from (select unnest(range({len(columns)}))"
        f" as __column, unnest(__values) as __value from ({rows})))"
        " where __value is not null group by all"
    )
    made = dict.fromkeys(columns, UNKNOWN)
    for column, total, *counts in found:
        fits = [kind for kind, n in zip(slots, counts, strict=True) if n == total]
        made[columns[column]] = fits[0] if fits else "VARCHAR"
    return made
