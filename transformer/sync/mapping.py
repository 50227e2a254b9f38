"""Which columns of a model are sent, under which names, and how each is written as SQL.

A field stands in our tables with the type it has in the model, and is written for each target in
the form that this asks for: with a type of Arrow, or as text. The types of Arrow are a small closed
set, so that no target has to know DuckDB's: booleans, numbers, text, bytes, dates, times,
timestamps with and without zone, lists, structs and maps of these, and JSON text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from transformer.dialects.types import SqlType, read
from transformer.errors import ConfigError, did_you_mean
from transformer.names import literal, quoted
from transformer.project.values import Activation
from transformer.sync import forms, types

# The columns that landing adds to every row of a source.
OWN = frozenset({"_loaded_at", "_batch", "_source"})
# Between a document as it was sent and what it does not hold digit for digit: see `kept`. No JSON
# text holds this character.
BETWEEN = "chr(30)"
# One value of a key's text, as it is written.
_VALUE = r"""'"(?:\\.|[^"\\])*"|[^,\[\]"]+'"""

Form = Literal["typed", "json", "csv", "postgres", "array", "none"]


class SentField(Struct, frozen=True):
    """One field at the target. `slot` is its column in our tables: names may collide."""

    name: str
    column: str
    type: str
    slot: str
    is_key: bool

    @property
    def kind(self) -> SqlType:
        """What its slot holds."""
        found = read(self.type)
        carried = types.carried(found)
        if carried is None:
            return SqlType("JSON")
        if found.kind == "scalar" and found.text != "HUGEINT":
            return SqlType(carried)
        return types.listed(found)

    @property
    def carried(self) -> str | None:
        """The type it has in Arrow; None where it goes as JSON text."""
        return types.carried(self.kind)

    @property
    def holds_json(self) -> bool:
        """Whether its text is a JSON value."""
        return self.carried is None

    def value(self) -> str:
        """SQL of its value, from the model's column."""
        column = quoted(self.column)
        if self.holds_json:
            return f"({forms.json_text(read(self.type), column)})::json"
        return column if self.kind.text == self.type else f"{column}::{self.kind.text}"

    def json(self) -> str:
        """SQL of its value as JSON text, from its slot."""
        return forms.json_text(self.kind, self.slot)

    def written(self, form: Form, prefix: str = "") -> str:
        """SQL of its value as a target wants it, from its slot."""
        slot = prefix + self.slot
        if form == "none":
            return "null::varchar"
        if form == "array":
            return forms.postgres_array(self.kind, slot)
        if form in _TEXTS and (form != "typed" or self.carried is None):
            return _TEXTS[form](self.kind, slot)
        return slot if self.carried == self.kind.text else f"{slot}::{self.carried}"

    def exactly(self) -> str:
        """SQL of its value as JSON text that holds all of it, where `json` may not."""
        kind = self.kind
        if kind.text in types.FLOATS:
            return f"case when not isfinite({self.slot}) then to_json({self.slot}::varchar) end"
        if kind.decimal and forms.is_wide(kind):
            return f"to_json({forms.plain_text(kind, self.slot)})::varchar"
        if kind.text == "JSON":
            return f"case when {forms.is_long(self.slot)} then to_json({self.slot}::varchar) end"
        if kind.text == "HUGEINT" or (kind.kind != "scalar" and not self._is_plain):
            return f"to_json({self.slot}::{types.texts(kind)})::varchar"
        return ""

    def marked(self) -> str:
        """SQL of a text that differs where `json` does not: NaN is NULL there."""
        if self.kind.text in types.FLOATS:
            return f"case when not isfinite({self.slot}) then {self.slot}::varchar end"
        nested = self.kind.kind != "scalar"
        floats = any(leaf.text in types.FLOATS for leaf in self.kind.leaves())
        return f"{self.slot}::varchar" if nested and floats else ""

    @property
    def _is_plain(self) -> bool:
        return all(leaf.text in types.PLAIN for leaf in self.kind.leaves())

    def read(self, document: str) -> str:
        """SQL of its value, out of a document as it was kept (an SQL text)."""
        sent = f"split_part({document}, {BETWEEN}, 1)"
        exact = f"nullif(split_part({document}, {BETWEEN}, 2), '')"
        kind = self.kind
        if kind.text == "JSON":
            held = f"nullif(json_extract({sent}, {self.pointer})::varchar, 'null')"
            return f"coalesce(json_extract_string({exact}, {self.pointer}), {held})::json"
        if kind.kind != "scalar":
            held = f"try_cast(json_extract({exact}, {self.pointer}) as {types.texts(kind)})"
            was = f"try_cast(json_extract({sent}, {self.pointer}) as {kind.text})"
            return f"coalesce(try_cast({held} as {kind.text}), {was})"
        texts = [f"json_extract_string({each}, {self.pointer})" for each in (exact, sent)]
        return f"coalesce({', '.join(map(self._cast, texts))})"

    def read_key(self, key: str, place: int) -> str:
        """SQL of its value, out of a key's text. A number is read as it is written: DuckDB's JSON
        would make a DOUBLE of it."""
        if self.kind.kind != "scalar":
            return f"try_cast(json_extract({key}, '/{place}') as {self.kind.text})"
        written = value_of_key(key, place)
        bare = f"case when starts_with({written}, '\"') then json_extract_string({written}, '$')"
        return self._cast(f"{bare} else {written} end")

    def _cast(self, text: str) -> str:
        if self.kind.text == "BLOB":
            return f"from_base64({text})"
        # A field whose type has changed since: what no longer fits is null.
        return f"try_cast({text} as {self.kind.text})"

    @property
    def pointer(self) -> str:
        """Its place in a document, as an SQL literal (RFC 6901)."""
        return literal("/" + self.name.replace("~", "~0").replace("/", "~1"))


_TEXTS: dict[Form, Callable[[SqlType, str], str]] = {
    "typed": forms.json_text,
    "json": forms.json_text,
    "csv": forms.csv_text,
    "postgres": forms.postgres_text,
}


Fields = tuple[SentField, ...]


def mapped(activation: Activation, columns: Mapping[str, str]) -> Fields:
    """The fields to send, keys among them; ConfigError for a column the model does not have.

    `columns` are the model's, name to type. Without `fields:` every column is sent but those that
    landing adds.
    """
    chosen = dict(activation.fields) or {c: c for c in columns if c.lower() not in OWN}
    pairs = [(name, _known(column, columns, activation)) for name, column in chosen.items()]
    keys = [_known(column, columns, activation) for column in activation.key]
    sent = {column for _, column in pairs}
    pairs = [(key, key) for key in keys if key not in sent] + pairs
    _check_names([name for name, _ in pairs], activation)
    first = {column: name for name, column in reversed(pairs)}
    return tuple(
        SentField(name, column, columns[column], f"c{n}", column in keys and first[column] == name)
        for n, (name, column) in enumerate(pairs)
    )


def keys_of(fields: Sequence[SentField]) -> Fields:
    """The fields that identify a row."""
    return tuple(each for each in fields if each.is_key)


def document(fields: Sequence[SentField]) -> str:
    """SQL of the JSON object that holds the fields, as text."""
    return forms.object_text([(each.name, each.json()) for each in fields])


def exact(fields: Sequence[SentField]) -> str:
    """SQL of a JSON object of what the document does not hold digit for digit, or NULL."""
    pairs = [(each.name, text) for each in fields if (text := each.exactly())]
    if not pairs:
        return "null::varchar"
    any_ = " or ".join(f"({text}) is not null" for _, text in pairs)
    return f"case when {any_} then {forms.object_text(pairs)} end"


def difference_of(fields: Sequence[SentField]) -> str:
    """SQL of a text that tells rows apart whose documents are the same; empty for most."""
    marks = [(f"{each.slot}:", text) for each in fields if (text := each.marked())]
    return " || ".join(f"coalesce({literal(n)} || {text}, '')" for n, text in marks) or "''"


def key_text(fields: Sequence[SentField]) -> str:
    """SQL of the key's canonical text: a JSON array of its values, by the columns' names.

    So neither the order in which columns are written nor what they are called at the target
    makes another key of it.
    """
    return forms.array_text([_key_value(each) for each in _in_key_text(fields)])


def _key_value(field: SentField) -> str:
    if field.kind.text in types.FLOATS:
        said = f"case when isfinite({field.slot}) then {field.json()}"
        return f"{said} else to_json({field.slot}::varchar)::varchar end"
    return field.json()


def key_places(fields: Sequence[SentField]) -> dict[str, int]:
    """Slot of each key field -> its place in the key's text."""
    return {each.slot: place for place, each in enumerate(_in_key_text(fields))}


def value_of_key(key: str, place: int) -> str:
    """SQL of a value in a key's text, as it is written there."""
    return f"list_extract(regexp_extract_all({key}, {_VALUE}), {place + 1})"


def key_document(fields: Sequence[SentField], key: str) -> str:
    """SQL of the JSON object that holds the key fields, out of a key's text."""
    places = key_places(fields)
    nested = any(each.kind.kind != "scalar" for each in keys_of(fields))
    return forms.object_text(
        [
            (
                each.name,
                f"json_extract({key}, '/{places[each.slot]}')::varchar"
                if nested
                else value_of_key(key, places[each.slot]),
            )
            for each in keys_of(fields)
        ]
    )


def _in_key_text(fields: Sequence[SentField]) -> Fields:
    return tuple(sorted(keys_of(fields), key=lambda each: each.column.lower()))


def _known(column: str, columns: Mapping[str, str], activation: Activation) -> str:
    folded = {each.lower(): each for each in columns}
    if column.lower() in folded:
        return folded[column.lower()]
    raise ConfigError(
        f"activation `{activation.name}` names column `{column}`, "
        f"which `{activation.model}` does not have",
        activation.where,
        hint=did_you_mean(column, columns),
    )


def _check_names(names: Sequence[str], activation: Activation) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"activation `{activation.name}` sends two columns as `{name}`", activation.where
            )
