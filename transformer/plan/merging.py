"""Merging new rows into a table, with dbt-duckdb's options.

Without `merge_clauses`, matched rows are updated and others inserted. Conditions and expressions
are the user's text, and name both sides as in dbt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from transformer.errors import SqlError, Where, did_you_mean
from transformer.names import literal, quoted

# dbt's aliases of the existing and the new rows, used in conditions.
OLD, NEW = "DBT_INTERNAL_DEST", "DBT_INTERNAL_SOURCE"
# Options that `merge_clauses` replaces.
_DEFAULT_OPTIONS = (
    *("merge_update_condition", "merge_insert_condition", "merge_update_set_expressions"),
    *("merge_update_columns", "merge_exclude_columns"),
)


class MergeStatement(Struct, frozen=True):
    """A merge: `target` and `source` as SQL, the matching `condition`, the common columns, the
    keys among them, and the options as written."""

    target: str
    source: str
    condition: str
    names: Sequence[str]
    keys: Sequence[str]
    options: Mapping[str, Any]
    where: Where | None = None


def merge_sql(merge: MergeStatement) -> str:
    """The statement. Raises SqlError for conflicting options."""
    clauses = merge.options.get("merge_clauses")
    parts = _explicit_clauses(merge, clauses) if clauses is not None else _default_clauses(merge)
    head = f"merge into {merge.target} {OLD} using {merge.source} {NEW} on ({merge.condition})"
    return " ".join([head, *parts])


def texts(value: Any) -> list[str]:
    """An option given as a text or a list of texts, as a list."""
    if not value:
        return []
    return [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)]


def unquoted(name: str) -> str:
    """A column's name without quotes."""
    quoted_whole = len(name) > 1 and name.startswith('"') and name.endswith('"')
    return name[1:-1].replace('""', '"') if quoted_whole else name


def _default_clauses(merge: MergeStatement) -> Iterator[str]:
    options = merge.options
    update = {
        "include": options.get("merge_update_columns"),
        "exclude": options.get("merge_exclude_columns"),
        "set_expressions": options.get("merge_update_set_expressions"),
    }
    sets = _sets(merge, update, skipped=merge.keys)
    if sets:
        yield f"when matched{_when(options.get('merge_update_condition'))} then update set {sets}"
    yield (
        f"when not matched{_when(options.get('merge_insert_condition'))} then {_inserted(merge)}"
    )


def _explicit_clauses(merge: MergeStatement, clauses: Any) -> Iterator[str]:
    """The clauses of `merge_clauses`, in order."""
    conflicting = [name for name in _DEFAULT_OPTIONS if merge.options.get(name)]
    if conflicting:
        raise _mistake(merge, f"`{conflicting[0]}` cannot be combined with `merge_clauses`")
    kinds = ("when_matched", "when_not_matched")
    if not isinstance(clauses, Mapping) or not any(kind in clauses for kind in kinds):
        raise _mistake(merge, "`merge_clauses` needs `when_matched` or `when_not_matched`")
    unknown = next((key for key in clauses if key not in kinds), None)
    if unknown:
        raise _mistake(
            merge, f"`{unknown}` is not a clause of a merge", did_you_mean(unknown, kinds)
        )
    default_matched = [{"action": "update", "mode": "by_name"}]
    default_not_matched = [{"action": "insert", "mode": "by_name"}]
    yield from (
        _clause(merge, clause) for clause in _clauses_of(merge, clauses, kinds[0], default_matched)
    )
    yield from (
        _clause(merge, clause, "not ")
        for clause in _clauses_of(merge, clauses, kinds[1], default_not_matched)
    )


def _clauses_of(
    merge: MergeStatement, clauses: Mapping[str, Any], kind: str, default: list[Any]
) -> list[Any]:
    clauses_of_kind = clauses.get(kind, default)
    if not isinstance(clauses_of_kind, list | tuple) or not clauses_of_kind:
        raise _mistake(merge, f"`{kind}` must be a list of clauses")
    if not all(isinstance(clause, Mapping) for clause in clauses_of_kind):
        raise _mistake(merge, f"each clause of `{kind}` must be a mapping with an `action`")
    return list(clauses_of_kind)


def _clause(merge: MergeStatement, clause: Mapping[str, Any], negated: str = "") -> str:
    action = str(clause.get("action"))
    action_sql = _ACTIONS.get(action)
    if action_sql is None:
        raise _mistake(merge, f"a merge cannot `{action}`", did_you_mean(action, _ACTIONS))
    by = f" by {_side(merge, clause['by'])}" if negated and clause.get("by") else ""
    condition = _when(clause.get("condition"))
    return f"when {negated}matched{by}{condition} then {action_sql(merge, clause)}"


def _side(merge: MergeStatement, side: Any) -> str:
    if str(side).lower() not in ("source", "target"):
        raise _mistake(merge, f"rows cannot be matched by `{side}`, only by `source` or `target`")
    return str(side).lower()


def _when(condition: Any) -> str:
    conditions = texts(condition)
    return f" and ({') and ('.join(conditions)})" if conditions else ""


def _update(merge: MergeStatement, clause: Mapping[str, Any]) -> str:
    mode = clause.get("mode")
    if mode in ("by_name", "star"):
        return f"update set {_sets(merge, {})}"
    if mode == "by_position":
        return "update by position"
    if mode == "explicit":
        return f"update set {_sets(merge, clause.get('update') or {})}"
    expressions = clause.get("set_expressions")
    if expressions:
        return f"update set {', '.join(_expressions(expressions))}"
    raise _mistake(merge, f"an update cannot have the mode `{mode}`")


def _insert(merge: MergeStatement, clause: Mapping[str, Any]) -> str:
    mode = clause.get("mode")
    if mode in ("by_name", "star"):
        return _inserted(merge)
    if mode == "by_position":
        return "insert by position"
    values = clause.get("insert") or {}
    if mode == "explicit" and values.get("columns"):
        column_list = ", ".join(quoted(unquoted(str(c))) for c in values["columns"])
        return f"insert ({column_list}) values ({', '.join(texts(values.get('values')))})"
    raise _mistake(merge, f"an insert cannot have the mode `{mode}`")


def _error(_: MergeStatement, clause: Mapping[str, Any]) -> str:
    message = clause.get("error_message")
    return f"error {literal(str(message))}" if message else "error"


def _inserted(merge: MergeStatement) -> str:
    column_list = ", ".join(quoted(n) for n in merge.names)
    return f"insert ({column_list}) values ({', '.join(f'{NEW}.{quoted(n)}' for n in merge.names)})"


def _sets(merge: MergeStatement, update: Mapping[str, Any], skipped: Sequence[str] = ()) -> str:
    """The assignments of an update: expressions, and columns copied from the new rows."""
    included = {unquoted(c).lower() for c in texts(update.get("include"))}
    excluded = {unquoted(c).lower() for c in texts(update.get("exclude"))}
    if included and excluded:
        raise _mistake(merge, "columns to update and columns to exclude are both set")
    excluded |= {name.lower() for name in skipped}
    expressions = update.get("set_expressions") or {}
    computed = {unquoted(str(name)).lower() for name in expressions}
    updated = [
        n for n in merge.names if (n.lower() in included if included else n.lower() not in excluded)
    ]
    copied = [f"{quoted(n)} = {NEW}.{quoted(n)}" for n in updated if n.lower() not in computed]
    return ", ".join([*_expressions(expressions), *copied])


def _expressions(expressions: Mapping[str, Any]) -> Iterator[str]:
    return (f"{quoted(unquoted(str(name)))} = {text}" for name, text in expressions.items())


def _mistake(merge: MergeStatement, what: str, hint: str = "") -> SqlError:
    return SqlError(what, merge.where, hint=hint)


_ACTIONS: Mapping[str, Callable[[MergeStatement, Mapping[str, Any]], str]] = {
    "update": _update,
    "insert": _insert,
    "delete": lambda *_: "delete",
    "do_nothing": lambda *_: "do nothing",
    "error": _error,
}
