"""Which columns of a model are sent, under which names, and how each is written as SQL.

What travels is a small closed set of types, so that no target has to know DuckDB's: booleans,
numbers, text, bytes, dates, times, timestamps with and without zone, and JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from transformer.errors import ConfigError, did_you_mean
from transformer.names import literal, quoted
from transformer.project.values import Activation

_AS_IS = {
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE", "VARCHAR", "DATE", "TIME"),
}
_NESTED = re.compile(r"(STRUCT|MAP|UNION|JSON|VARIANT)\b|.*\]\Z", re.DOTALL)
# Always six digits: the text of a value must not depend on the value beside it.
_ISO = "%Y-%m-%dT%H:%M:%S.%f"


class Sending(Struct, frozen=True):
    """One field at the target. `slot` is its column in our tables: names may collide."""

    name: str
    column: str
    type: str
    slot: str
    is_key: bool

    @property
    def travels_as(self) -> str:
        """The type it is sent as."""
        if self.type in _AS_IS or self.type.startswith("DECIMAL"):
            return self.type
        if _NESTED.match(self.type):
            return "JSON"
        if self.type.startswith("TIMESTAMP"):
            return "TIMESTAMPTZ" if "ZONE" in self.type else "TIMESTAMP"
        # `sum` of integers is a HUGEINT; Arrow and Postgres know it as a decimal.
        return {"BLOB": "BLOB", "HUGEINT": "DECIMAL(38, 0)"}.get(self.type, "VARCHAR")

    @property
    def holds_json(self) -> bool:
        """Whether its text is a JSON value."""
        return self.travels_as == "JSON"

    def value(self) -> str:
        """SQL of its value, from the model's column."""
        column = quoted(self.column)
        if self.holds_json:
            return f"case when {column} is not null then to_json({column})::varchar end"
        return column if self.travels_as == self.type else f"{column}::{self.travels_as}"

    def json(self) -> str:
        """SQL of its value inside a JSON document, from its slot."""
        kind = self.travels_as
        if kind == "JSON":
            return f"{self.slot}::json"
        if kind == "BLOB":
            return f"base64({self.slot})"
        if kind.startswith("TIMESTAMP"):
            zone = "Z" if kind == "TIMESTAMPTZ" else ""
            return f"strftime({self.slot}, '{_ISO}{zone}')"
        if kind in ("FLOAT", "DOUBLE"):
            # JSON has no word for NaN and the infinities.
            return f"case when isfinite({self.slot}) then {self.slot} end"
        return self.slot

    def read(self, document: str, pointer: str) -> str:
        """SQL of its value, out of a JSON document: both arguments are SQL too."""
        text = f"json_extract_string({document}, {pointer})"
        if self.travels_as == "JSON":
            return f"nullif(json_extract({document}, {pointer})::varchar, 'null')"
        if self.travels_as == "BLOB":
            return f"from_base64({text})"
        # A field whose type has changed since: what no longer fits is null.
        return f"try_cast({text} as {self.travels_as})"

    @property
    def pointer(self) -> str:
        """Its place in a document, as an SQL literal (RFC 6901)."""
        return literal("/" + self.name.replace("~", "~0").replace("/", "~1"))


Fields = tuple[Sending, ...]


def mapped(activation: Activation, columns: Mapping[str, str]) -> Fields:
    """The fields to send, keys among them; ConfigError for a column the model does not have.

    `columns` are the model's, name to type. Without `fields:` every column is sent whose name
    does not begin with `_`.
    """
    chosen = dict(activation.fields) or {c: c for c in columns if not c.startswith("_")}
    pairs = [(name, _known(column, columns, activation)) for name, column in chosen.items()]
    keys = [_known(column, columns, activation) for column in activation.key]
    sent = {column for _, column in pairs}
    pairs = [(key, key) for key in keys if key not in sent] + pairs
    _check_names([name for name, _ in pairs], activation)
    first = {column: name for name, column in reversed(pairs)}
    return tuple(
        Sending(name, column, columns[column], f"c{n}", column in keys and first[column] == name)
        for n, (name, column) in enumerate(pairs)
    )


def keys_of(fields: Sequence[Sending]) -> Fields:
    """The fields that identify a row."""
    return tuple(each for each in fields if each.is_key)


def document(fields: Sequence[Sending]) -> str:
    """SQL of the JSON object that holds the fields, as text."""
    pairs = ", ".join(f"{literal(each.name)}, {each.json()}" for each in fields)
    return f"json_object({pairs})::varchar"


def key_text(fields: Sequence[Sending]) -> str:
    """SQL of the key's canonical text: a JSON array of its values, by the columns' names.

    So neither the order in which columns are written nor what they are called at the target
    makes another key of it.
    """
    return f"json_array({', '.join(each.json() for each in _in_key_text(fields))})::varchar"


def in_key_text(fields: Sequence[Sending]) -> dict[str, str]:
    """Slot of each key field -> its place in the key's text, as an SQL literal."""
    return {each.slot: f"'/{place}'" for place, each in enumerate(_in_key_text(fields))}


def _in_key_text(fields: Sequence[Sending]) -> Fields:
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
