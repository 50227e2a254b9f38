"""Contracts: the query returns exactly the declared columns and types."""

from __future__ import annotations

from collections.abc import Callable

from transformer.compile.engine_errors import complaint
from transformer.compile.model_config import ModelConfig
from transformer.compile.nodes import Node
from transformer.errors import Fault, SqlError, TransformError, did_you_mean
from transformer.project.values import Column, Described
from transformer.steps import Columns

Describe = Callable[[str], Columns]


def contract(node: Node, columns: Columns, describe: Describe) -> list[TransformError]:
    """The mistakes where the query's columns break the node's contract."""
    actual = {name.lower(): (name, kind) for name, kind in columns}
    declared = node.described.columns
    mistakes: list[TransformError] = []
    for column in declared:
        if column.name.lower() not in actual:
            hint = did_you_mean(
                column.name, [name for name, _ in columns], otherwise="it returns {}"
            )
            what = f"the contract declares `{column.name}`, but the query does not return it"
            mistakes.append(SqlError(what, column.where, hint))
            continue
        try:
            expected = _declared_type(column, describe)
        except SqlError as error:
            mistakes.append(error)
            continue
        kind = actual[column.name.lower()][1]
        if expected and expected != kind:
            mistakes.append(
                SqlError(
                    f"the contract has `{column.name}` as {expected}, but the query returns {kind}",
                    column.where,
                    hint=f"cast it in {node.path}, or change `data_type`",
                )
            )
    names = {column.name.lower() for column in declared}
    return mistakes + [
        SqlError(
            f"the query returns `{name}`, which the contract does not declare",
            node.described.where or node.where,
            hint="declare it under `columns:`, or leave it out of the query",
        )
        for name, _ in columns
        if name.lower() not in names
    ]


def contract_order(described: Described, config: ModelConfig) -> tuple[str, ...]:
    """The columns of a table in the order of its contract, as in dbt; empty if the query's order
    applies."""
    stored = config.materialized in ("table", "incremental")
    if not (config.as_dbt and config.contract and stored):
        return ()
    return tuple(column.name for column in described.columns)


def in_order(columns: Columns, order: tuple[str, ...]) -> Columns:
    """The columns in this order, if it names all of them."""
    by_name = {name.lower(): (name, kind) for name, kind in columns}
    names = [name.lower() for name in order]
    return tuple(by_name[name] for name in names) if set(names) == set(by_name) else columns


def _declared_type(column: Column, describe: Describe) -> str | None:
    """The declared type in the engine's spelling; None if undeclared. Raises SqlError."""
    if not column.data_type:
        return None
    try:
        return describe(f"select null::{column.data_type}")[0][1]
    except Fault as fault:
        message = complaint(fault, {})
        raise SqlError(f"{message.what} of `{column.name}`", column.where, message.hint) from None
