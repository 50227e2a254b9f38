"""How a query is materialized, as statements.

`MATERIALIZATIONS` at the end is the table: a new one is a function and a line there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from transformer.compile.dbt.external import ExternalFile, file_of
from transformer.compile.jinja.macros import strategy_macro
from transformer.compile.model_config import ModelConfig
from transformer.dialects.widening import widens
from transformer.errors import RenderError, SqlError, Where, did_you_mean
from transformer.names import RelationName, literal, quoted
from transformer.plan.merging import NEW, OLD, MergeStatement, merge_sql, texts, unquoted
from transformer.steps import Columns, RelationState

# The temporary table with the new rows for an incremental table or a snapshot.
DELTA = quoted("__transform_delta")
# Prefix of staging tables, which are complete but not yet renamed.
_STAGING_PREFIX = "__transform_new_"
_NAME = re.compile(r"\w+\Z")


class Statement(Struct, frozen=True):
    """SQL to run. `own` is the offset of the user's text in it, to locate the engine's errors;
    `when` is a query that decides whether it runs."""

    sql: str
    own: int | None = None
    when: str = ""


class ModelInputs(Struct, frozen=True):
    """The inputs of a materialization.

    `columns` are those that the query returns, None if unknown before it runs. `existing` is the
    current relation of that name. `query` is None for Python models, whose rows are already in
    `DELTA`.
    """

    relation: RelationName
    config: ModelConfig
    query: str | None
    increment: str | None = None
    columns: Columns | None = None
    existing: RelationState | None = None
    full_refresh: bool = False
    # The place of the incremental option, for messages.
    place: Callable[[], Where | None] = lambda: None
    # The columns of a contract with constraints, as in `create table`, and their names.
    shape: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    # The model's name, for messages.
    name: str = ""
    # The columns in the order of the contract, if it applies.
    order: tuple[str, ...] = ()
    # The macro of a custom incremental strategy, if any.
    strategy: str = ""

    @property
    def where(self) -> Where | None:
        """The place for messages."""
        return self.place()


def statements(material: ModelInputs) -> tuple[Statement, ...]:
    """The statements that create the relation; none for a custom materialization. Raises SqlError
    for a schema change that is not allowed."""
    materialization = MATERIALIZATIONS.get(material.config.materialized)
    header = str(material.config.written.get("sql_header") or "")
    return _with_header(header, materialization(material)) if materialization else ()


def _with_header(header: str, parts: Sequence[Statement]) -> tuple[Statement, ...]:
    """The statements with dbt's `sql_header` before the first one with the model's query."""
    first = next((i for i, statement in enumerate(parts) if statement.own is not None), None)
    if not header.strip() or first is None:
        return tuple(parts)
    statement = parts[first]
    headed = Statement(f"{header}\n{statement.sql}", len(header) + 1 + (statement.own or 0))
    return (*parts[:first], headed, *parts[first + 1 :])


def view(material: ModelInputs) -> list[Statement]:
    """A view: nothing is stored."""
    drops = (
        [Statement(f"drop table {material.relation.sql()}")]
        if _exists_as(material, "table")
        else []
    )
    return [
        *drops,
        _with_text(f"create or replace view {material.relation.sql()} as\n", material.query),
    ]


def table(material: ModelInputs) -> list[Statement]:
    """A table, rebuilt each time."""
    drops = (
        [Statement(f"drop view {material.relation.sql()}")] if _exists_as(material, "view") else []
    )
    head = _table_head(material.relation)
    if material.shape:
        return [*drops, *_constrained_table(material)]
    if material.query is None:
        return [*drops, Statement(f"{head}select * from {DELTA}")]
    if material.order:
        chosen = f"{head}select {', '.join(map(quoted, material.order))} from (\n"
        return [*drops, Statement(f"{chosen}{material.query}\n)", len(chosen))]
    return [*drops, _with_text(head, material.query)]


def _table_head(relation: RelationName) -> str:
    return f"create or replace table {relation.sql()} as\n"


def in_two(
    original: Sequence[Statement], relation: RelationName | None
) -> tuple[RelationName, Statement, tuple[Statement, ...]] | None:
    """Splits the creation of a table: the staging name, the statement that writes it, and those
    that rename it. None if more than one statement creates it."""
    head = _table_head(relation) if relation else ""
    if relation is None or len(original) != 1 or not original[0].sql.startswith(head):
        return None
    name = relation.with_table(_STAGING_PREFIX + relation.table)
    target, staging, staging_head = relation.sql(), name.sql(), _table_head(name)
    own = None if original[0].own is None else original[0].own - len(head) + len(staging_head)
    return (
        name,
        Statement(staging_head + original[0].sql.removeprefix(head), own),
        (
            Statement(f"drop table if exists {target}"),
            Statement(f"alter table {staging} rename to {quoted(relation.table)}"),
        ),
    )


def is_beside(table: str) -> bool:
    """Whether a table has the name of a staging table."""
    return table.startswith(_STAGING_PREFIX)


def _constrained_table(material: ModelInputs) -> list[Statement]:
    """A table with the constraints of its contract, which the engine enforces."""
    target = material.relation.sql()
    column_list = ", ".join(quoted(n) for n in material.names)
    head = f"insert into {target} ({column_list}) select {column_list} from (\n"
    text = material.query or f"from {DELTA}"
    return [
        Statement(f"create or replace table {target} ({', '.join(material.shape)})"),
        Statement(f"{head}{text}\n)", len(head)),
    ]


def external(material: ModelInputs) -> list[Statement]:
    """A file, and a view that reads it: `location`, `format`, `options`, `…_read_options`, as in
    dbt-duckdb."""
    config, target = material.config, material.relation.sql()
    try:
        file = file_of(config.written, material.relation.table, config.files_root)
    except RenderError as error:
        raise SqlError(error.what, material.where, error.hint) from None
    drops = [Statement(f"drop table {target}")] if _exists_as(material, "table") else []
    view = f"create or replace view {target} as from {file.reading}"
    if file.needs_a_row:
        return [*_with_a_row(material, file), *drops, Statement(view),
                Statement(f"{view} where false", when=_IS_EMPTY)]  # fmt: skip
    head = "copy (\n"
    copied = f"{head}{material.query or f'from {DELTA}'}\n) to {literal(file.place)}"
    return [Statement(f"{copied} ({file.options})", len(head)), *drops, Statement(view)]


_EMPTY = "_transform_is_empty"
_IS_EMPTY = f"select getvariable('{_EMPTY}')"


def _with_a_row(material: ModelInputs, file: ExternalFile) -> list[Statement]:
    """Writes a file that could not be read without rows: an empty result becomes one row of NULLs,
    as with dbt-duckdb."""
    head = f"create or replace temp table {DELTA} as\n"
    staged = [Statement(head + material.query, len(head))] if material.query else []
    nulls = f"insert into {DELTA} select d.* from (select 1) left join {DELTA} d on false"
    return [
        *staged,
        Statement(f"set variable {_EMPTY} = (select not exists (from {DELTA}))"),
        Statement(nulls, when=_IS_EMPTY),
        Statement(f"copy {DELTA} to {literal(file.place)} ({file.options})"),
    ]


def table_function(material: ModelInputs) -> list[Statement]:
    """A table macro; `parameters` are its arguments."""
    parameters = material.config.written.get("parameters") or ()
    parameter_list = (
        parameters if isinstance(parameters, str) else ", ".join(str(p) for p in parameters)
    )
    head = f"create or replace macro {material.relation.sql()}({parameter_list}) as table\n"
    return [_with_text(head, material.query)]


def function(material: ModelInputs) -> list[Statement]:
    """A user-defined function as a scalar macro: `parameters` are its arguments, optionally with a
    default (`rate := 2`), `returns` is the type of its result."""
    written = material.config.written
    parameter_list = ", ".join(str(p) for p in written.get("parameters") or ())
    head = f"create or replace macro {material.relation.sql()}({parameter_list}) as cast(("
    text = (material.query or "").strip().rstrip(";")
    return [Statement(f"{head}{text}\n) as {written.get('returns') or 'VARCHAR'})", len(head))]


def incremental(material: ModelInputs) -> list[Statement]:
    """A table to which new rows are added; rebuilt the first time and on a full refresh."""
    if not brings_new(material):
        return table(material)  # the strategy is not checked yet
    strategy = _strategy(material)
    existing = material.existing.columns if material.existing else ()
    columns = material.columns if material.columns is not None else existing
    changes = _schema_changes(material, existing, columns)
    _check_keys(material, columns)
    names = [name for name, _ in _common(material, existing, columns)]
    return [*_delta(material), *changes, *strategy(material, names)]


def _strategy(material: ModelInputs) -> Callable[[ModelInputs, Sequence[str]], list[Statement]]:
    if material.strategy:
        return lambda *_: []  # the macro is called once the new rows are staged
    name = material.config.strategy
    if name in _STRATEGIES:
        return _STRATEGIES[name]
    macro = strategy_macro(name)
    raise SqlError(
        f"there is no incremental strategy `{name}`, and no macro `{macro}`",
        material.where,
        hint=did_you_mean(name, _STRATEGIES, otherwise="available: {}"),
    )


def _check_keys(material: ModelInputs, columns: Columns) -> None:
    names = _folded(columns)
    for key in material.config.unique_key:
        may_be_sql = material.config.as_dbt and not _NAME.match(key)
        if names and not may_be_sql and unquoted(key).lower() not in names:
            raise SqlError(
                f"the query of `{material.relation.table}` does not return `{key}`, which is its"
                " `unique_key`",
                material.where,
                hint=did_you_mean(key, names, otherwise="it returns {}"),
            )


def brings_new(material: ModelInputs) -> bool:
    """Whether an incremental model adds to its existing table."""
    incremental = material.config.materialized == "incremental"
    return incremental and _exists_as(material, "table") and not is_full_refresh(material)


def is_full_refresh(material: ModelInputs) -> bool:
    """Whether the table is rebuilt: `full_refresh: false` overrides the flag."""
    if material.config.full_refresh is not None:
        return material.config.full_refresh
    return material.full_refresh


def _exists_as(material: ModelInputs, kind: str) -> bool:
    return material.existing is not None and material.existing.kind == kind


def _with_text(head: str, text: str | None) -> Statement:
    return Statement(head + (text or ""), len(head))


def _delta(material: ModelInputs) -> list[Statement]:
    text = material.increment or material.query
    if text is None:
        return []
    return [_with_text(f"create or replace temp table {DELTA} as\n", text)]


def _schema_changes(material: ModelInputs, old: Columns, new: Columns) -> list[Statement]:
    policy = material.config.on_schema_change
    before, after = _folded(old), _folded(new)
    added = [c for c in new if c[0].lower() not in before]
    removed = [c for c in old if c[0].lower() not in after]
    if policy == "fail" and (added or removed):
        changed = ", ".join([f"+{n}" for n, _ in added] + [f"−{n}" for n, _ in removed])
        raise SqlError(
            f"the columns of `{material.relation.table}` changed: {changed}",
            material.where,
            hint="`on_schema_change` is `fail`: run with --full-refresh, or choose another policy",
        )
    if policy == "ignore" and removed:
        raise SqlError(
            f"the query of `{material.relation.table}` no longer returns `{removed[0][0]}`",
            material.where,
            hint="run with --full-refresh, or set `on_schema_change: sync_all_columns`",
        )
    retyped = [(n, before[n.lower()], k) for n, k in new if before.get(n.lower(), k) != k]
    lossy = [r for r in retyped if policy == "fail" or not fits(r[2], r[1])]
    if lossy and policy != "sync_all_columns":
        name, old_kind, new_kind = lossy[0]
        raise SqlError(
            f"`{name}` of `{material.relation.table}` was {old_kind}, and is {new_kind} now",
            material.where,
            hint="cast it, run with --full-refresh, or set `on_schema_change: sync_all_columns`",
        )
    changes: list[Statement] = []
    target = f"alter table {material.relation.sql()}"
    if policy in ("append_new_columns", "sync_all_columns"):
        changes += [Statement(f"{target} add column {quoted(n)} {kind}") for n, kind in added]
    if policy == "sync_all_columns":
        changes += [Statement(f"{target} drop column {quoted(n)}") for n, _ in removed]
        changes += [
            Statement(f"{target} alter {quoted(n)} type {kind}")
            for n, kind in new
            if n.lower() in before and before[n.lower()] != kind
        ]
    return changes


def no_longer_given(material: ModelInputs, columns: Columns) -> Iterator[str]:
    """Notices for columns of an incremental table that its query no longer returns."""
    if material.config.on_schema_change != "append_new_columns" or not columns:
        return
    names = _folded(columns)
    for name, _ in material.existing.columns if material.existing else ():
        if name.lower() not in names:
            yield (
                f"`{name}` of `{material.relation.table}` is no longer in its query: new rows have"
                " NULL there; `--full-refresh` or `on_schema_change: sync_all_columns` drops it"
            )


def fits(new: str, old: str) -> bool:
    """Whether a column of the old type can store every value of the new type unchanged."""
    return old in (new, "VARCHAR") or new == '"NULL"' or widens(new, old)


def _common(material: ModelInputs, old: Columns, new: Columns) -> Columns:
    if material.config.on_schema_change in ("append_new_columns", "sync_all_columns"):
        return new
    before = _folded(old)
    return tuple(c for c in new if c[0].lower() in before)


def _folded(columns: Columns) -> dict[str, str]:
    return {name.lower(): kind for name, kind in columns}


def _append(material: ModelInputs, names: Sequence[str]) -> list[Statement]:
    column_list = ", ".join(quoted(n) for n in names)
    target = material.relation.sql()
    return [Statement(f"insert into {target} ({column_list}) select {column_list} from {DELTA}")]


def _delete_insert(material: ModelInputs, names: Sequence[str]) -> list[Statement]:
    keys = material.config.unique_key
    if not keys:
        return _append(material, names)
    if not material.config.as_dbt or all(_is_column(k, names) for k in keys):
        matches = f"exists (select 1 from {DELTA} {NEW} where {_keys_match(keys)})"
    else:  # as in dbt, a key may be any expression
        key_list = ", ".join(
            quoted(unquoted(k)) if _is_column(k, names) else f"({k})" for k in keys
        )
        matches = f"({key_list}) in (select {key_list} from {DELTA})"
    narrowed = " and ".join([matches, *_predicates(material)])
    delete = f"delete from {material.relation.sql()} {OLD} where {narrowed}"
    return [Statement(delete), *_append(material, names)]


def _merge(material: ModelInputs, names: Sequence[str]) -> list[Statement]:
    written, keys = material.config.written, material.config.unique_key
    using = [unquoted(name) for name in texts(written.get("merge_on_using_columns"))]
    has_clauses = written.get("merge_clauses") is not None or written.get("merge_insert_condition")
    if not keys and not using and not has_clauses:
        return _append(material, names)
    match = " and ".join(f"{NEW}.{quoted(n)} = {OLD}.{quoted(n)}" for n in using)
    match = match or (_keys_match(keys) if keys else "false")
    condition = " and ".join([match, *_predicates(material)])
    key_columns = using or [unquoted(key) for key in keys]
    target = material.relation.sql()
    merge_statement = MergeStatement(
        target, DELTA, condition, names, key_columns, written, material.where
    )
    return [Statement(merge_sql(merge_statement))]


def _keys_match(keys: Sequence[str]) -> str:
    return " and ".join(f"{NEW}.{k} is not distinct from {OLD}.{k}" for k in map(_column, keys))


def _column(key: str) -> str:
    return quoted(unquoted(key))


def _is_column(key: str, names: Sequence[str]) -> bool:
    """Whether a key is a column rather than an expression: an existing one, or a single word."""
    return unquoted(key).lower() in {n.lower() for n in names} or bool(_NAME.match(key))


def _predicates(material: ModelInputs) -> list[str]:
    """The filters on the existing table's rows (dbt's `incremental_predicates`)."""
    written = material.config.written
    predicates = written.get("incremental_predicates") or written.get("predicates") or ()
    predicate_list = (predicates,) if isinstance(predicates, str) else predicates
    return [f"({predicate})" for predicate in predicate_list]


_STRATEGIES: dict[str, Callable[[ModelInputs, Sequence[str]], list[Statement]]] = {
    "append": _append,
    "delete+insert": _delete_insert,
    "merge": _merge,
}

MATERIALIZATIONS: dict[str, Callable[[ModelInputs], list[Statement]]] = {
    "view": view,
    "table": table,
    "incremental": incremental,
    "external": external,
    "table_function": table_function,
    "function": function,
    "ephemeral": lambda _: [],
}
