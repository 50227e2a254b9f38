"""Which columns of a model are sent, under which names, and the SQL that writes each.

A field has its model type in our tables, and is written in the form each target asks for: as an
Arrow type, or as text. The Arrow types are a small closed set, so that targets need not know
DuckDB's: booleans, numbers, text, bytes, dates, times, timestamps with and without time zone,
lists, structs and maps of these, and JSON text.
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

# The columns that loading adds to every row of a source.
OWN = frozenset({"_loaded_at", "_batch", "_source"})
# Separates a document from the values that it does not represent exactly. JSON text never contains
# this character.
BETWEEN = "chr(30)"
# One value in a key's text.
_VALUE = r"""'"(?:\\.|[^"\\])*"|[^,\[\]"]+'"""

Form = Literal["typed", "json", "csv", "postgres", "array", "none"]


class SentField(Struct, frozen=True):
    """One field at the target. `slot` is its column in our tables, since names may collide."""

    name: str
    column: str
    type: str
    slot: str
    is_key: bool

    @property
    def kind(self) -> SqlType:
        """The type of its slot."""
        sql_type = read(self.type)
        carried = types.carried(sql_type)
        if carried is None:
            return SqlType("JSON")
        if sql_type.kind == "scalar" and sql_type.text != "HUGEINT":
            return SqlType(carried)
        return types.listed(sql_type)

    @property
    def carried(self) -> str | None:
        """Its type in Arrow; None if it is sent as JSON text."""
        return types.carried(self.kind)

    @property
    def holds_json(self) -> bool:
        """Whether it is sent as JSON text."""
        return self.carried is None

    def value(self) -> str:
        """SQL for its value, from the model's column."""
        column = quoted(self.column)
        if self.holds_json:
            return f"({forms.json_text(read(self.type), column)})::json"
        return column if self.kind.text == self.type else f"{column}::{self.kind.text}"

    def json(self) -> str:
        """SQL for its value as JSON text, from its slot."""
        return forms.json_text(self.kind, self.slot)

    def written(self, form: Form, prefix: str = "") -> str:
        """SQL for its value in a target's form, from its slot."""
        slot = prefix + self.slot
        if form == "none":
            return "null::varchar"
        if form == "array":
            return forms.postgres_array(self.kind, slot)
        if form in _TEXTS and (form != "typed" or self.carried is None):
            return _TEXTS[form](self.kind, slot)
        return slot if self.carried == self.kind.text else f"{slot}::{self.carried}"

    def exactly(self) -> str:
        """SQL for its exact value as JSON text; "" if `json` is always exact."""
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
        """SQL for a text that distinguishes values with the same `json`, such as NaN and NULL; ""
        if there are none."""
        if self.kind.text in types.FLOATS:
            return f"case when not isfinite({self.slot}) then {self.slot}::varchar end"
        nested = self.kind.kind != "scalar"
        floats = any(leaf.text in types.FLOATS for leaf in self.kind.leaves())
        return f"{self.slot}::varchar" if nested and floats else ""

    @property
    def _is_plain(self) -> bool:
        return all(leaf.text in types.PLAIN for leaf in self.kind.leaves())

    def read(self, document: str) -> str:
        """SQL for its value, read from a stored payload (given as SQL)."""
        sent = f"split_part({document}, {BETWEEN}, 1)"
        exact = f"nullif(split_part({document}, {BETWEEN}, 2), '')"
        kind = self.kind
        if kind.text == "JSON":
            exact_value = f"nullif(json_extract({sent}, {self.pointer})::varchar, 'null')"
            return f"coalesce(json_extract_string({exact}, {self.pointer}), {exact_value})::json"
        if kind.kind != "scalar":
            exact_value = f"try_cast(json_extract({exact}, {self.pointer}) as {types.texts(kind)})"
            sent_value = f"try_cast(json_extract({sent}, {self.pointer}) as {kind.text})"
            return f"coalesce(try_cast({exact_value} as {kind.text}), {sent_value})"
        texts = [f"json_extract_string({text}, {self.pointer})" for text in (exact, sent)]
        return f"coalesce({', '.join(map(self._cast, texts))})"

    def read_key(self, key: str, place: int) -> str:
        """SQL for its value, read from a key's text. Numbers are read as text, since DuckDB's JSON
        would turn them into DOUBLEs."""
        if self.kind.kind != "scalar":
            return f"try_cast(json_extract({key}, '/{place}') as {self.kind.text})"
        written = value_of_key(key, place)
        unquoted = (
            f"case when starts_with({written}, '\"') then json_extract_string({written}, '$')"
        )
        return self._cast(f"{unquoted} else {written} end")

    def _cast(self, text: str) -> str:
        if self.kind.text == "BLOB":
            return f"from_base64({text})"
        # The field's type may have changed: what no longer fits becomes null.
        return f"try_cast({text} as {self.kind.text})"

    @property
    def pointer(self) -> str:
        """Its JSON pointer in a document (RFC 6901), as a SQL literal."""
        return literal("/" + self.name.replace("~", "~0").replace("/", "~1"))


_TEXTS: dict[Form, Callable[[SqlType, str], str]] = {
    "typed": forms.json_text,
    "json": forms.json_text,
    "csv": forms.csv_text,
    "postgres": forms.postgres_text,
}


Fields = tuple[SentField, ...]


def fields_to_send(activation: Activation, columns: Mapping[str, str]) -> Fields:
    """The fields to send, including keys. Raises ConfigError for a column the model does not have.

    `columns` maps the model's column names to types. Without `fields:` all columns are sent, except
    those that loading adds.
    """
    chosen = dict(activation.fields) or {c: c for c in columns if c.lower() not in OWN}
    pairs = [(name, _existing(column, columns, activation)) for name, column in chosen.items()]
    keys = [_existing(column, columns, activation) for column in activation.key]
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
    return tuple(sent_field for sent_field in fields if sent_field.is_key)


def document(fields: Sequence[SentField]) -> str:
    """SQL for the JSON object of the fields, as text."""
    return forms.object_text([(sent_field.name, sent_field.json()) for sent_field in fields])


def exact(fields: Sequence[SentField]) -> str:
    """SQL for a JSON object of the values that the document does not represent exactly, or NULL."""
    pairs = [(sent_field.name, text) for sent_field in fields if (text := sent_field.exactly())]
    if not pairs:
        return "null::varchar"
    any_ = " or ".join(f"({text}) is not null" for _, text in pairs)
    return f"case when {any_} then {forms.object_text(pairs)} end"


def difference_of(fields: Sequence[SentField]) -> str:
    """SQL for a text that distinguishes rows with the same document; empty for most."""
    marks = [
        (f"{sent_field.slot}:", text) for sent_field in fields if (text := sent_field.marked())
    ]
    return " || ".join(f"coalesce({literal(n)} || {text}, '')" for n, text in marks) or "''"


def key_text(fields: Sequence[SentField]) -> str:
    """SQL for the key's canonical text: a JSON array of its values, ordered by column name.

    So neither the order of the columns nor their names at the target change the key.
    """
    return forms.array_text([_key_value(sent_field) for sent_field in _in_key_text(fields)])


def _key_value(field: SentField) -> str:
    if field.kind.text in types.FLOATS:
        finite = f"case when isfinite({field.slot}) then {field.json()}"
        return f"{finite} else to_json({field.slot}::varchar)::varchar end"
    return field.json()


def key_places(fields: Sequence[SentField]) -> dict[str, int]:
    """Slot of each key field -> its position in the key's text."""
    return {key_field.slot: place for place, key_field in enumerate(_in_key_text(fields))}


def value_of_key(key: str, place: int) -> str:
    """SQL for a value in a key's text, exactly as written there."""
    return f"list_extract(regexp_extract_all({key}, {_VALUE}), {place + 1})"


def key_document(fields: Sequence[SentField], key: str) -> str:
    """SQL for the JSON object of the key fields, read from a key's text."""
    places = key_places(fields)
    nested = any(key_field.kind.kind != "scalar" for key_field in keys_of(fields))
    return forms.object_text(
        [
            (
                key_field.name,
                f"json_extract({key}, '/{places[key_field.slot]}')::varchar"
                if nested
                else value_of_key(key, places[key_field.slot]),
            )
            for key_field in keys_of(fields)
        ]
    )


def _in_key_text(fields: Sequence[SentField]) -> Fields:
    return tuple(sorted(keys_of(fields), key=lambda key_field: key_field.column.lower()))


def _existing(column: str, columns: Mapping[str, str], activation: Activation) -> str:
    by_folded_name = {name.lower(): name for name in columns}
    if column.lower() in by_folded_name:
        return by_folded_name[column.lower()]
    raise ConfigError(
        f"activation `{activation.name}` uses column `{column}`, "
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
