"""The columns and constraints of a contract, as in `create table`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from transformer.errors import RenderError, did_you_mean
from transformer.names import quoted

_WORDS = {"not_null": "not null", "unique": "unique", "primary_key": "primary key"}
_KINDS = (*_WORDS, "check", "foreign_key", "custom")


def columns(raw_columns: Mapping[str, Any]) -> list[str]:
    """`"name" type constraints` of each column. Raises RenderError for one without a type."""
    definitions = []
    for column in raw_columns.values():
        if not column.get("data_type"):
            raise RenderError(
                f"the column `{column['name']}` has no `data_type`",
                hint="a contract needs the type of every column",
            )
        name = quoted(column["name"]) if column.get("quote") else column["name"]
        rules = [_of_column(constraint) for constraint in column.get("constraints") or ()]
        definitions.append(" ".join([name, column["data_type"], *filter(None, rules)]))
    return definitions


def table(raw_constraints: Iterable[Mapping[str, Any]]) -> list[str]:
    """The table-level constraints."""
    return [text for constraint in raw_constraints or () if (text := _of_table(constraint))]


def _of_column(constraint: Mapping[str, Any]) -> str:
    kind, expression = _kind(constraint), constraint.get("expression") or ""
    if kind == "check":
        return f"check ({expression})" if expression else ""
    if kind == "custom":
        return expression
    if kind == "foreign_key":
        return _references(constraint)
    return f"{_WORDS[kind]} {expression}".strip()


def _of_table(constraint: Mapping[str, Any]) -> str:
    kind, expression = _kind(constraint), constraint.get("expression") or ""
    named = f"constraint {constraint['name']} " if constraint.get("name") else ""
    column_list = ", ".join(constraint.get("columns") or ())
    if kind == "check":
        return f"{named}check ({expression})" if expression else ""
    if kind == "custom":
        return f"{named}{expression}" if expression else ""
    if kind == "foreign_key":
        return f"{named}foreign key ({column_list}) {_references(constraint)}"
    if kind == "not_null":
        return ""  # column level only
    return f"{named}{_WORDS[kind]} {expression}({column_list})".replace("  ", " ")


def _references(constraint: Mapping[str, Any]) -> str:
    if constraint.get("to") and constraint.get("to_columns"):
        # A foreign key within the same file must not name the catalog.
        place = ".".join(str(constraint["to"]).split(".")[-2:])
        return f"references {place} ({', '.join(constraint['to_columns'])})"
    return f"references {constraint.get('expression') or ''}".strip()


def _kind(constraint: Mapping[str, Any]) -> str:
    kind = str(constraint.get("type") or "")
    if kind not in _KINDS:
        raise RenderError(f"there is no constraint `{kind}`", hint=did_you_mean(kind, _KINDS))
    return kind
