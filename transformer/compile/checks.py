"""Checks as nodes: named, their references resolved, SQL ones rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from transformer.compile.context import Relation, Trace
from transformer.compile.models import Query, Scope, finish, resolve
from transformer.compile.nodes import CheckBody, Compiled, Node
from transformer.errors import TransformError, Where
from transformer.names import Name, slug
from transformer.project.values import CheckSpec, SqlCheck

_CALL = re.compile(r"\s*(ref|source)\s*\(.*\)\s*\Z")


@dataclass(frozen=True, slots=True)
class Checked:
    """A node that has checks: what they need of it."""

    node: Node
    relation: Name


def checks_of(
    checked: Checked, scope: Scope, mistakes: list[TransformError]
) -> Iterator[tuple[Node, Query | None]]:
    """The checks of a node and its columns; what is wrong with one is noted, the rest stand."""
    described = checked.node.described
    specs = [*described.checks, *(c for column in described.columns for c in column.checks)]
    taken: set[str] = set()
    for spec in specs:
        try:
            yield _check(checked, spec, scope, taken)
        except TransformError as error:
            mistakes.append(error.at(spec.where))


def _check(
    checked: Checked, spec: CheckSpec, scope: Scope, taken: set[str]
) -> tuple[Node, Query | None]:
    trace = Trace()
    to = _relationship(spec, scope, trace)
    query = None
    if "test_" + spec.kind in scope.library.macros:
        query = _custom(checked, spec, scope, trace)
    needs = tuple(dict.fromkeys((checked.node.id, *(query.needs if query else trace.needs))))
    body = CheckBody(
        kind=spec.kind,
        on=checked.node.id,
        column=spec.column or spec.args.get("column_name"),
        args=spec.args,
        config=spec.config,
        where=spec.where,
        to=to,
        query=finish_check(query, spec.where) if query else None,
    )
    name = spec.name or _name(spec, checked.node, taken)
    taken.add(name)
    return _node(name, body, needs, scope, spec.where), query


def _node(name: str, body: CheckBody, needs: tuple[str, ...], scope: Scope, where: Where) -> Node:
    return Node(
        id=f"test.{scope.index.project}.{name}",
        kind="check",
        name=name,
        path=where.path,
        body=body,
        needs=needs,
        tags=body.config.tags,
        options={"severity": body.config.severity},
        where=where,
    )


def _name(spec: CheckSpec, node: Node, taken: set[str]) -> str:
    words = [spec.kind, node.name.replace(".", "_"), spec.column or ""]
    name = "_".join(filter(None, words))
    if name in taken or not spec.column:
        name = "_".join(filter(None, (name, slug(" ".join(_flat(spec.args))) if spec.args else "")))
    base, count = name[:120].strip("_"), 1
    name = base
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    return name


def _flat(args: Mapping[str, Any]) -> Iterator[str]:
    for value in args.values():
        yield from (str(v) for v in value) if isinstance(value, list | tuple) else (str(value),)


def _relationship(spec: CheckSpec, scope: Scope, trace: Trace) -> Name | None:
    to = spec.args.get("to")
    if spec.kind != "relationships" or not to:
        return None
    text = str(to)
    if _CALL.match(text):
        relation = scope.session(trace).evaluate(text, spec.where)
        return Name(relation.schema, relation.identifier)
    found = scope.index.plain(tuple(text.split(".")), spec.where)
    if found is None:
        return None
    trace.needs.append(found.id)
    return found.relation


def _custom(checked: Checked, spec: CheckSpec, scope: Scope, trace: Trace) -> Query:
    """A `{% test %}` block of the project, called with relation, column and arguments."""
    session = scope.session(trace, this=checked.relation)
    model = Relation(checked.relation)
    if spec.config.where:
        text = f"(select * from {checked.relation.sql()} where {spec.config.where}) as checked"
        model = Relation(checked.relation, text)
    arguments: dict[str, Any] = {"model": model}
    if spec.column:
        arguments["column_name"] = spec.column
    for key, value in spec.args.items():
        arguments[key] = _argument(value, session, spec)
    text = str(session.call("test_" + spec.kind, arguments, spec.where.path))
    return resolve(text, scope, trace, lambda _: spec.where)


def _argument(value: Any, session: Any, spec: CheckSpec) -> Any:
    if isinstance(value, str) and _CALL.match(value):
        return session.evaluate(value, spec.where)
    if isinstance(value, str) and "{{" in value:
        return session.render(value, spec.where.path)
    return value


def finish_check(query: Query, where: Where) -> Compiled:
    """The failing-rows query of a custom check, placed at its line in YAML."""
    made = finish(query, where.path, "", ())
    return Compiled(text=made.text, path=where.path, where=where, macros=made.macros)


def sql_check(check: SqlCheck, scope: Scope) -> tuple[Node, Query]:
    """A SQL file of failing rows as a node. Raises TransformError at its line."""
    trace = Trace()
    rendered = scope.session(trace).render(check.text, check.path)
    where = Where.in_text(check.path, check.text, 1, 1)

    def place(offset: int) -> Where:
        return Compiled("", check.path, check.text, rendered).locate(offset)

    query = resolve(rendered, scope, trace, place)
    config = _with_written(check, trace)
    body = CheckBody("sql", None, None, {}, config, where, query=None)
    return _node(check.name, body, query.needs, scope, where), query


def _with_written(check: SqlCheck, trace: Trace) -> Any:
    known = {k: v for k, v in trace.config.items() if k in check.config.__dataclass_fields__}
    return type(check.config)(**{**_fields(check.config), **known})


def _fields(config: Any) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}
