"""Types of raw columns: which text is a value of a type, and which type holds two others.

Inferred types are checked against the same patterns on every later load, so the order in which
files arrive does not matter. For declared types, the engine's cast decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from transformer.dialects.widening import INTEGER_DIGITS, decimal_sizes, is_decimal, widens
from transformer.landing import from_json
from transformer.landing.nested import castable, is_nested, merge_nested
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
# Strict on purpose: `007`, `01212020`, `+49…`, `1E10` and `1_000` are text, not numbers.
_PATTERNS: Mapping[str, str] = {
    "DOUBLE": _REAL,
    "BOOLEAN": "(?i:true|false)",
    "DATE": _DAY,
    "TIMESTAMP": rf"{_DAY}([ T]{_CLOCK})?",
    "TIMESTAMP WITH TIME ZONE": rf"{_DAY}[ T]{_CLOCK}(Z|[-+][0-9]{{2}}(:?[0-9]{{2}})?)",
}
# Tried in this order: the first type that fits all values of a column is used.
_INFERRED = ("BIGINT", "HUGEINT", *_PATTERNS)

# Above this, a DOUBLE cannot represent every whole number.
EXACT_IN_DOUBLE = 2**53


def common_type(old: str, new: str) -> str | None:
    """The narrowest type that holds every value of both exactly; None if there is none."""
    if old == new or (widens(new, old) and not _inexact(new, old)):
        return old
    if widens(old, new) and not _inexact(old, new):
        return new
    if is_nested(old) or is_nested(new):
        return merge_nested(old, new, common_type)
    if (
        (is_decimal(old) or is_decimal(new))
        and (old_size := _as_decimal(old))
        and (new_size := _as_decimal(new))
    ):
        scale = max(old_size[1], new_size[1])
        width = max(old_size[0] - old_size[1], new_size[0] - new_size[1]) + scale
        return f"DECIMAL({width},{scale})" if width <= 38 else None
    if not {old, new} <= set(INTEGERS):
        return None
    signed = ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
    return next((k for k in signed if all(k == o or widens(o, k) for o in (old, new))), None)


def with_new_fields(old: str, new: str) -> str | None:
    """The nested type extended by the new type's fields, without widening common fields; None if
    the two are not nested types of the same kind."""
    return merge_nested(old, new, lambda o, n: common_type(o, n) or with_new_fields(o, n) or o)


def _inexact(old: str, new: str) -> bool:
    """Whether the values must be checked before widening."""
    return new == "DOUBLE" and (is_decimal(old) or INTEGER_DIGITS.get(old, 0) > 15)


def _as_decimal(kind: str) -> tuple[int, int] | None:
    return (
        decimal_sizes(kind)
        if is_decimal(kind)
        else (INTEGER_DIGITS[kind], 0)
        if kind in INTEGER_DIGITS
        else None
    )


class Notation(Struct, frozen=True):
    """How numbers and dates are written in a text file, where that is unusual."""

    decimal: str = "."
    thousands: str = ""
    date: str = ""
    timestamp: str = ""

    def number(self, text: str) -> str:
        """The text in the usual notation of numbers; NULL if it is not written as declared."""
        if self.decimal == "." and not self.thousands:
            return text
        point, group = _escaped(self.decimal), _escaped(self.thousands)
        whole = rf"([0-9]{{1,3}}({group}[0-9]{{3}})+|[0-9]+)" if group else "[0-9]+"
        pattern = literal(rf"[-+]?{whole}({point}[0-9]+)?([eE][-+]?[0-9]+)?")
        ungrouped = f"replace({text}, {literal(self.thousands)}, '')" if group else text
        usual = f"replace({ungrouped}, {literal(self.decimal)}, '.')"
        return f"case when regexp_full_match({text}, {pattern}) then {usual} end"


USUAL = Notation()


def _escaped(character: str) -> str:
    return "".join(f"[{c}]" if c not in "\\^[]" else f"\\{c}" for c in character)


class ColumnSlot(Struct, frozen=True):
    """How one offered column gets its type `kind`.

    `offered` is the type that the source gives, UNKNOWN for text whose type is to be inferred.
    With `text` the staged value is text, whatever the type. `declared`: the user chose `kind`.
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
        """SQL for this expression as `kind`; NULL if the cast fails."""
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
            return f"try_cast({text} as {self.kind})"  # what it truncates does not match a pattern
        return self._cast(f"nullif(trim({text}), '')")

    def _leaf(self, kind: str, text: str) -> str:
        slot = replace(self, kind=kind, offered=UNKNOWN, text=True)
        typed = slot.value(text)
        if kind in ("DOUBLE", "FLOAT"):
            return f"case when {slot._meets_real(text, typed)} then {typed} end"
        return typed

    @property
    def _asked_of_json(self) -> bool:
        """Whether JSON is converted to a declared struct, list or map."""
        return self._json and self.declared and from_json.readable(self.kind)

    @property
    def _json(self) -> bool:
        return self.offered == "JSON"

    @property
    def _from_json(self) -> bool:
        """Whether JSON is converted to a struct, list or map that was not declared."""
        return self._json and not self.declared and is_nested(self.kind)

    @property
    def _unlike(self) -> bool:
        """Whether both types are nested and no value of one can be cast to the other."""
        nested = is_nested(self.kind) and is_nested(self.offered)
        return nested and not castable(self.offered, self.kind)

    def fits(self, name: str, value: str) -> str | None:
        """The condition that the value is exact, or NULL in both; None if it always is."""
        if self.as_is or self.kind == "VARCHAR":
            return None
        if self.kind == "JSON":
            return None if self.offered == "VARCHAR" else f"({name} is null or {value} is not null)"
        if self._from_json:
            return f"case when {name} is null then true else {_same_json(name, value)} end"
        if not self._from_text and not self._json:
            return self._fits_typed(name, value)
        text = unquoted(name) if self._json else name
        trimmed = f"nullif(trim({text}), '')"
        quick = self._quickly(text, value)
        return (
            f"case when {text} is null then true {quick}"
            f" when {trimmed} is null then true"
            f" else coalesce({self._meets(trimmed, value)}, false) end"
        )

    def _fits_typed(self, name: str, value: str) -> str:
        if (self.kind == "BOOLEAN") != (self.offered == "BOOLEAN") or self._unlike:
            return f"({name} is null)"  # TRUE is not the number 1
        if self.declared and (self.kind == "FLOAT" or is_decimal(self.kind)):
            return f"({name} is null or {value} is not null)"  # declared, so rounding is wanted
        back = f"try_cast({value} as {self.offered})"
        return f"({back} is not distinct from {name})"

    def _quickly(self, text: str, value: str) -> str:
        """A cheap WHEN branch that most values match, before the patterns; may be empty."""
        if self.notation != USUAL or self.declared:
            return ""
        if self.kind in INTEGERS or self.kind in ("DATE", "TIMESTAMP"):
            return f"when {value}::varchar = {text} then true"
        if self.kind == "BOOLEAN":
            return f"when {text} in ('true', 'false') then true"
        if self.kind == "DOUBLE":
            return f"when regexp_full_match({text}, {literal(_SHORT)}) then true"
        return ""

    def _cast(self, text: str) -> str:
        notation = self.notation
        if self.kind in INTEGERS:  # a cast alone would round 1.5 to 2
            number = notation.number(text)
            whole = f"regexp_full_match({number}, '[-+]?[0-9]+')"
            return f"case when {whole} then try_cast({number} as {self.kind}) end"
        if self.kind in ("DOUBLE", "FLOAT") or is_decimal(self.kind):
            return f"try_cast({notation.number(text)} as {self.kind})"
        if self.kind == "DATE":
            moment = (
                f"try_strptime({text}, {literal(notation.date)})"
                if notation.date
                else f"try_cast({text} as timestamp)"
            )
            # A cast alone would drop the time of day; `infinity` is a date, `epoch` is not.
            return (
                f"case when {moment}::date::timestamp = {moment} and lower({text}) <> 'epoch'"
                f" then {moment}::date end"
            )
        if self.kind.startswith("TIMESTAMP"):
            if notation.timestamp:
                return f"try_strptime({text}, {literal(notation.timestamp)})::{self.kind}"
            return f"try_cast(nullif({text}, 'epoch') as {self.kind})"
        return f"try_cast({text} as {self.kind})"

    def _meets(self, text: str, value: str) -> str:
        """The condition that a text is a value of this type."""
        if self.kind in ("DOUBLE", "FLOAT"):
            return self._meets_real(text, value)
        if self._asked_of_json:
            return from_json.whole(self.kind, text, value)
        pattern = None if self.declared else self._pattern(text)
        conditions = [f"{value} is not null", self._whole_list(text, value), pattern]
        return " and ".join(c for c in conditions if c)

    def _whole_list(self, text: str, value: str) -> str | None:
        """The condition that no item of a list became NULL, as a cast does with invalid items."""
        kind = self.kind
        if not kind.endswith("[]"):
            return None
        depth = len(kind) - len(kind.rstrip("[]"))
        texts = f"try_cast({text} as VARCHAR{kind[-depth:]})"
        return f"{_nulls(value, depth // 2)} = {_nulls(texts, depth // 2)}"

    def _meets_real(self, text: str, value: str) -> str:
        number = self.notation.number(text)
        if self.declared:  # `1e400` is not infinite, though the engine casts it so
            finite = f"isfinite({value}) or not regexp_matches({number}, '[0-9]')"
            return f"{value} is not null and ({finite})"
        return (
            f"case when {value} is null or not regexp_full_match({number}, {literal(_REAL)})"
            f" then false else {exact_double(number, value)} end"
        )

    def _pattern(self, text: str) -> str | None:
        """The condition on the text alone; None if the cast is enough."""
        kind, number = self.kind, self.notation.number(text)
        if kind in INTEGERS:
            return f"regexp_full_match({number}, '{_WHOLE}')"
        if is_decimal(kind):
            scale = decimal_sizes(kind)[1]
            fine = rf"-?(0|[1-9][0-9]*)(\.[0-9]{{0,{scale}}}0*)?" if scale else _WHOLE
            return f"regexp_full_match({number}, {literal(fine)})"
        if kind.endswith("]") and self.offered.endswith("]"):  # a cast alone would round
            value = self.value(text)
            whole = f"try_cast({text} as {self.offered})"
            return f"try_cast({value} as {self.offered}) = {whole}"
        written = {"DATE": self.notation.date, "TIMESTAMP": self.notation.timestamp}.get(kind)
        if written or kind not in _PATTERNS:
            return None
        return f"regexp_full_match({text}, {literal(_PATTERNS[kind])})"


# A number that the engine reads from JSON as a DOUBLE, which may lose digits.
_LONG_NUMBER = r"\.[0-9]{8}|[0-9]{9}\.|[0-9]{19}|[0-9]{9}[eE]"


def _same_json(name: str, value: str) -> str:
    """The condition that a nested value contains the whole JSON value."""
    long = f"regexp_matches({name}::varchar, {literal(_LONG_NUMBER)})"
    return f"not {long} and coalesce(json_contains(to_json({value})::json, {name}::json), false)"


def _nulls(value: str, depth: int) -> str:
    """SQL that counts the NULL items of a list (of lists)."""
    items = "flatten(" * (depth - 1) + value + ")" * (depth - 1)
    return f"len(list_filter({items}, lambda item: item is null))"


def exact_double(number: str, value: str) -> str:
    """The condition that a DOUBLE prints the digits it was read from; up to 15 always do."""
    # CASE, not OR: the engine would evaluate both sides of OR for every row.
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
    unescaped = f"coalesce(try_cast({name} as json) ->> '$', {name}::varchar)"
    return f"case when ({name}::varchar)[1] = '\"' then {unescaped} else {name}::varchar end"


# Rows sampled to infer types; later rows only confirm or widen them.
SAMPLE = 2_000


def infer(
    session: ReaderSession, rows: str, columns: Sequence[str], notation: Notation = USUAL
) -> dict[str, str]:
    """The types that fit all values of text columns; UNKNOWN for a column without values."""
    return infer_lists(session, f"select {listed(columns)} from ({rows})", columns, notation)


def listed(columns: Sequence[str]) -> str:
    """Text columns as one list, under the name that `infer_lists` expects."""
    texts = ", ".join(f"{quoted(c)}::varchar" for c in columns)
    return f"[{texts}]::varchar[] as __values"


def infer_lists(
    session: ReaderSession, rows: str, columns: Sequence[str], notation: Notation = USUAL
) -> dict[str, str]:
    """Like `infer`, for rows that are lists of the columns' values.

    The lists are unnested: planning an aggregate per column and type would take longer than reading
    a small file, and UNPIVOT is quadratic in the number of columns.
    """
    if not columns:
        return {}
    slots = {k: ColumnSlot(k, UNKNOWN, text=True, notation=notation) for k in _INFERRED}
    figures = ", ".join(
        f"count(*) filter (where {slot.fits('__value', slot.value('__value'))})"
        for slot in slots.values()
    )
    counts_by_column = session.rows(
        f"select __column, count(__value), {figures} from (select __column,"
        f" nullif(trim(__value), '') as __value from (select unnest(range({len(columns)}))"
        f" as __column, unnest(__values) as __value from ({rows})))"
        " where __value is not null group by all"
    )
    kinds = dict.fromkeys(columns, UNKNOWN)
    for column, total, *counts in counts_by_column:
        fits = [kind for kind, n in zip(slots, counts, strict=True) if n == total]
        kinds[columns[column]] = fits[0] if fits else "VARCHAR"
    return kinds
