"""The columns and constraints of a contract, as they stand in `create table`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from transformer.errors import RenderError, did_you_mean
from transformer.names import quoted

_WORDS = {"not_null": "not null", "unique": "unique", "primary_key": "primary key"}
_KINDS = (*_WORDS, "check", "foreign_key", "custom")


def columns(raw_columns: Mapping[str, Any]) -> list[str]:
    """`"name" type constraints` of each column. Raises RenderError for one without a type."""
    made = []
    for column in raw_columns.values():
        if not column.get("data_type"):
            raise RenderError(
                f"the column `{column['name']}` has no `data_type`",
                hint="a contract needs the type of every column",
            )
        name = quoted(column["name"]) if column.get("quote") else column["name"]
        rules = [_of_column(one) for one in column.get("constraints") or ()]
        made.append(" ".join([name, column["data_type"], *filter(None, rules)]))
    return made


def table(raw_constraints: Iterable[Mapping[str, Any]]) -> list[str]:
    """The constraints that stand behind the columns."""
    return [text for one in raw_constraints or () if (text := _of_table(one))]


def _of_column(one: Mapping[str, Any]) -> str:
    kind, more = _kind(one), one.get("expression") or ""
    if kind == "check":
        return f"check ({more})" if more else ""
    if kind == "custom":
        return more
    if kind == "foreign_key":
        return _references(one)
    return f"{_WORDS[kind]} {more}".strip()


def _of_table(one: Mapping[str, Any]) -> str:
    kind, more = _kind(one), one.get("expression") or ""
    named = f"constraint {one['name']} " if one.get("name") else ""
    listed = ", ".join(one.get("columns") or ())
    if kind == "check":
        return f"{named}check ({more})" if more else ""
    if kind == "custom":
        return f"{named}{more}" if more else ""
    if kind == "foreign_key":
        return f"{named}foreign key ({listed}) {_references(one)}"
    if kind == "not_null":
        return ""  # of a column only
    return f"{named}{_WORDS[kind]} {more}({listed})".replace("  ", " ")


def _references(one: Mapping[str, Any]) -> str:
    if one.get("to") and one.get("to_columns"):
        # A key that refers to another table of the same file may not name the file.
        place = ".".join(str(one["to"]).split(".")[-2:])
        return f"references {place} ({', '.join(one['to_columns'])})"
    return f"references {one.get('expression') or ''}".strip()


def _kind(one: Mapping[str, Any]) -> str:
    kind = str(one.get("type") or "")
    if kind not in _KINDS:
        raise RenderError(f"there is no constraint `{kind}`", hint=did_you_mean(kind, _KINDS))
    return kind
